"""Builders for tests of the room core."""

import random

from router.node_events import MediaKind
from signaling.rooms import Participant, Room, RoomEvent, RoomSettings, SubscribeRules, TrackRequest
from signaling.rules import EXCLUDE_ALL, INCLUDE_ALL

ROOM_SID = "RM" + "0" * 32


def make_room(now: float = 0.0, *, ad_hoc: bool = False, **settings: object) -> Room:
    """Return a fresh room whose creation event was taken."""
    room = Room(
        sid=ROOM_SID,
        settings=RoomSettings(**settings),  # type: ignore[arg-type]
        ad_hoc=ad_hoc,
        rng=random.Random(1),
        now=now,
    )
    events(room)
    return room


def events(room: Room) -> list[RoomEvent]:
    """Take all events."""
    taken = []
    while (event := room.next_event()) is not None:
        taken.append(event)
    return taken


def of_type(taken: list[RoomEvent], *types: type[RoomEvent]) -> list[RoomEvent]:
    """Return the events of some types."""
    return [event for event in taken if isinstance(event, types)]


def track(
    track_id: str, kind: MediaKind = MediaKind.AUDIO, name: str | None = None, enabled: bool = True
) -> TrackRequest:
    """Return one entry of a client's list; the name defaults to one made from the id."""
    return TrackRequest(
        track_id=track_id,
        kind=kind,
        name=f"name of {track_id}" if name is None else name,
        enabled=enabled,
    )


def join(
    room: Room, identity: str, *tracks: TrackRequest, now: float = 0.0, include_all: bool = True
) -> Participant:
    """Let an identity in with some tracks, at track revision 1."""
    return room.join(
        identity=identity,
        rules=SubscribeRules(rules=INCLUDE_ALL if include_all else EXCLUDE_ALL),
        tracks=tracks,
        tracks_revision=1,
        now=now,
    )
