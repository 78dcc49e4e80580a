"""
What back ends see of a call while it goes on: participants publish, mute, republish and leave, and
the helper libraries, PyPI's and three versions of npm's, are told the same, member by member.

The participants are whatever can take part: clients of the protocol, or pages with the SDK.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from tests.signaling.webhooks.support import Callback, Receiver, running_receiver
from tests.support.server import Server

from .library import (
    NODE_MAJORS,
    Members,
    NodeLibraries,
    python_client,
    python_describe,
    validates,
)

ALL: Members = {"type": "include", "all": True}
NOTHING: Members = {"type": "exclude", "all": True}
NO_FILTERS: Members = {
    "all": None,
    "publisher": None,
    "track": None,
    "kind": None,
    "priority": None,
}


@dataclass(frozen=True, kw_only=True)
class PublishedTrack:
    """A track as its publisher knows it."""

    sid: str
    name: str
    kind: str
    enabled: bool


@dataclass(frozen=True, kw_only=True)
class View:
    """What a participant knows of itself."""

    sid: str
    published: tuple[PublishedTrack, ...]
    receives: frozenset[str]
    """The SIDs of the tracks of others that it is subscribed to."""


class Person(Protocol):
    """A participant of a call, with a microphone and a camera."""

    name: str
    """Its identity."""

    async def join(self) -> None:
        """Join with both."""

    async def until_received(self, count: int) -> None:
        """Wait until exactly so many tracks of others arrive."""

    async def mute_video(self) -> None:
        """Mute the camera."""

    async def unpublish_video(self) -> None:
        """Take the camera back."""

    async def publish_video(self, name: str) -> None:
        """Publish a camera, and wait for its SID."""

    async def publish_data(self, name: str) -> None:
        """Publish a data track, and wait for its SID."""

    async def leave(self) -> None:
        """Leave."""

    async def view(self) -> View:
        """Return what it knows now."""


class Call:
    """A room with a status callback, and how all libraries describe it."""

    def __init__(self, server: Server, libraries: NodeLibraries, receiver: Receiver) -> None:
        self.server = server
        self.libraries = libraries
        self.receiver = receiver
        self.client = python_client(server)
        self.url = ""
        self.sid = ""

    async def create(self, name: str) -> None:
        room = await asyncio.to_thread(
            self.client.video.v1.rooms.create,
            unique_name=name,
            status_callback=self.receiver.url("/hook?tenant=7"),
        )
        self.sid, self.url = room.sid, f"{self.server.url}/v1/Rooms/{room.sid}"

    async def described(self) -> Members:
        """Return what the library from PyPI says; the others must say the same."""
        found = await asyncio.to_thread(python_describe, self.client, self.sid)
        for major in NODE_MAJORS:
            assert await self.libraries.call(major, "describe", room=self.sid) == found, major
        return found

    async def told(self, *events: str) -> list[Callback]:
        """Wait until there were these callbacks, in any order of different participants."""
        await self.receiver.until_events(len(events))
        assert self.receiver.events == list(events)
        return self.receiver.callbacks

    def person(self, view: View, name: str) -> Members:
        """Return every member of somebody inside; times are checked apart."""
        url = f"{self.url}/Participants/{view.sid}"
        return {
            "sid": view.sid,
            "roomSid": self.sid,
            "accountSid": self.server.account.account_sid,
            "identity": name,
            "status": "connected",
            "endTime": None,
            "duration": None,
            "url": url,
            "links": {
                "published_tracks": f"{url}/PublishedTracks",
                "subscribed_tracks": f"{url}/SubscribedTracks",
                "subscribe_rules": f"{url}/SubscribeRules",
                "anonymize": f"{url}/Anonymize",
            },
        }

    def published(self, view: View) -> list[Members]:
        """Return every member of what somebody publishes, by name."""
        url = f"{self.url}/Participants/{view.sid}/PublishedTracks"
        tracks = [
            {
                "sid": track.sid,
                "participantSid": view.sid,
                "roomSid": self.sid,
                "name": track.name,
                "kind": track.kind,
                "enabled": track.enabled,
                "url": f"{url}/{track.sid}",
            }
            for track in view.published
        ]
        return sorted(tracks, key=lambda track: str(track["name"]))


def without_times(members: Members, *names: str) -> Members:
    """Return the other members, after a look at these, which tell of just now."""
    now = datetime.now(UTC)
    for name in names:
        assert members[name].endswith(".000Z")
        moment = datetime.fromisoformat(members[name].replace("Z", "+00:00"))
        assert now - timedelta(minutes=3) < moment <= now
    return {name: value for name, value in members.items() if name not in names}


def assert_person(call: Call, found: Members, view: View, name: str) -> None:
    """Compare everything that is told of somebody inside with what the client knows itself."""
    told = without_times(found["participant"], "dateCreated", "dateUpdated", "startTime")
    assert told == call.person(view, name)
    published = sorted(found["published"], key=lambda track: str(track["name"]))
    assert found["publishedByName"] == found["published"]
    plain = [
        {name: value for name, value in track.items() if name not in ("dateCreated", "dateUpdated")}
        for track in published
    ]
    assert plain == call.published(view)
    assert found["subscribedBySid"] == found["subscribed"]


def assert_subscribed(call: Call, found: Members, view: View, publisher: View) -> None:
    """Compare the subscribed tracks with what the publisher says and the subscriber receives."""
    url = f"{call.url}/Participants/{view.sid}/SubscribedTracks"
    kinds = {track["name"]: track for track in call.published(publisher)}
    seen = {}
    for track in found["subscribed"]:
        rest = without_times(track, "dateCreated")
        sid, updated = rest.pop("sid"), rest.pop("dateUpdated")
        assert updated is None or updated >= track["dateCreated"]
        of = kinds[rest["name"]]
        assert rest == {
            "participantSid": view.sid,
            "publisherSid": publisher.sid,
            "roomSid": call.sid,
            "name": of["name"],
            "kind": of["kind"],
            "enabled": of["enabled"],
            "url": f"{url}/{sid}",
        }
        seen[of["sid"]] = sid
    assert set(seen) == view.receives


def assert_rules(call: Call, found: Members, view: View, *rules: Members) -> None:
    told = found["rules"]
    assert (told["participantSid"], told["roomSid"]) == (view.sid, call.sid)
    # Entries may leave out what they do not have, or say null.
    assert [NO_FILTERS | rule for rule in told["rules"]] == [NO_FILTERS | rule for rule in rules]


async def hold_call(
    server: Server, libraries: NodeLibraries, room: str, alice: Person, bob: Person
) -> None:
    """Let Alice and Bob have a call in a new room, and compare all the time."""
    async with running_receiver() as receiver:
        call = Call(server, libraries, receiver)
        await call.create(room)
        await alice.join()
        await call.told("room-created", "participant-connected", *["track-added"] * 2)
        await bob.join()
        for person in (alice, bob):
            await person.until_received(2)
        found = await call.described()
        assert (found["room"]["sid"], found["room"]["uniqueName"]) == (call.sid, room)
        assert found["room"]["status"] == "in-progress"
        assert found["gone"] == []
        assert found["recordingRules"]["rules"] == [{"type": "exclude", "all": True}]
        assert list(found["people"]) == ["bob", "alice"]
        views = {person.name: await person.view() for person in (alice, bob)}
        for name, other in (("alice", "bob"), ("bob", "alice")):
            told = found["people"][name]
            assert_person(call, told, views[name], name)
            assert_subscribed(call, told, views[name], views[other])
            assert_rules(call, told, views[name], ALL)

        await alice.mute_video()
        await receiver.until(lambda r: "track-disabled" in r.events)
        found = await call.described()
        alices = await alice.view()
        assert_person(call, found["people"]["alice"], alices, "alice")
        assert_subscribed(call, found["people"]["bob"], await bob.view(), alices)
        [muted] = (t for t in found["people"]["alice"]["published"] if t["kind"] == "video")
        assert (muted["enabled"], muted["dateUpdated"] is None) == (False, False)

        await alice.unpublish_video()
        await bob.until_received(1)
        await alice.publish_video("camera again")
        await bob.until_received(2)
        await alice.publish_data("note")
        await bob.until_received(3)
        found = await call.described()
        alices = await alice.view()
        assert_person(call, found["people"]["alice"], alices, "alice")
        assert_subscribed(call, found["people"]["bob"], await bob.view(), alices)
        by_kind = {track.kind: track for track in alices.published}
        assert by_kind["video"].sid != muted["sid"]
        assert (by_kind["video"].name, by_kind["data"].name) == ("camera again", "note")

        # Each version replaces the rules in turn; all see them, and the media follows.
        for major in NODE_MAJORS:
            for rules in (
                [NOTHING],
                [ALL, {"type": "exclude", "kind": "video"}],
            ):
                told = await libraries.call(
                    major, "rules", room=call.sid, identity="bob", rules=rules
                )
                assert [NO_FILTERS | r for r in told["rules"]] == [NO_FILTERS | r for r in rules]
                found = await call.described()
                assert_rules(call, found["people"]["bob"], views["bob"], *rules)
                kinds = {t["kind"] for t in found["people"]["bob"]["subscribed"]}
                assert "video" not in kinds
        # The microphone and the note.
        await bob.until_received(2)
        found = await call.described()
        assert_subscribed(call, found["people"]["bob"], await bob.view(), alices)

        await bob.leave()
        await receiver.until(lambda r: "participant-disconnected" in r.events)
        found = await call.described()
        assert list(found["people"]) == ["alice"]
        [gone] = found["gone"]
        assert (gone["identity"], gone["status"]) == ("bob", "disconnected")
        assert gone["endTime"] >= gone["startTime"]
        assert isinstance(gone["duration"], int)
        ended = await libraries.call(6, "complete", room=call.sid)
        assert (ended["status"], ended["sid"]) == ("completed", call.sid)
        await receiver.until(lambda r: "room-ended" in r.events)
        identities = {view.sid: name for name, view in views.items()}
        await assert_callbacks(call, identities, room)


async def assert_callbacks(call: Call, identities: dict[str, str], room: str) -> None:
    """Check every parameter of every callback, and its signature with every library."""
    callbacks = call.receiver.callbacks
    account = call.server.account
    enabled: dict[str, bool] = {}
    for number, callback in enumerate(callbacks):
        told: dict[str, Any] = dict(callback.parameters)
        signature = callback.headers["X-Twilio-Signature"]
        assert validates(account, callback.url, told, signature)
        for major in NODE_MAJORS:
            given = {"url": callback.url, "parameters": told, "signature": signature}
            assert await call.libraries.call(major, "validate", **given) is True
            forged = given | {"parameters": told | {"RoomName": "another"}}
            assert await call.libraries.call(major, "validate", **forged) is False
        moment = datetime.fromisoformat(told.pop("Timestamp").replace("Z", "+00:00"))
        assert moment <= datetime.now(UTC)
        event = told.pop("StatusCallbackEvent")
        assert told.pop("SequenceNumber") == str(number)
        expected: Members = {
            "AccountSid": account.account_sid,
            "RoomSid": call.sid,
            "RoomName": room,
            "RoomType": "group",
            "RoomStatus": "completed" if event == "room-ended" else "in-progress",
        }
        if event == "room-ended":
            assert told.pop("RoomDuration").isdigit()
        if event.startswith(("participant", "track")):
            sid = told["ParticipantSid"]
            status = "disconnected" if event == "participant-disconnected" else "connected"
            expected |= {
                "ParticipantSid": sid,
                "ParticipantIdentity": identities[sid],
                "ParticipantStatus": status,
            }
        if event == "participant-disconnected":
            assert told.pop("ParticipantDuration").isdigit()
        if event.startswith("track"):
            track = told.pop("TrackSid")
            assert told.pop("TrackKind") in ("audio", "video", "data")
            assert told.pop("TrackName")
            match event:
                case "track-added":
                    assert enabled.setdefault(track, True) is True
                case "track-disabled":
                    enabled[track] = False
                case "track-removed":
                    del enabled[track]
        assert told == expected, event
    assert enabled == {}
    events = [callback.event for callback in callbacks]
    assert (events[0], events[-1]) == ("room-created", "room-ended")
    counts = {event: events.count(event) for event in events}
    assert counts == {
        "room-created": 1,
        "participant-connected": 2,
        "track-added": 6,
        "track-disabled": 1,
        "track-removed": 6,
        "participant-disconnected": 2,
        "room-ended": 1,
    }
