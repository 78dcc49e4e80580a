"""Rules and subscriptions in the store."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from signaling.ids import new_subscription_sid
from signaling.storage import Page, PageKey, ParticipantRecord, RoomRecord, TrackRecord
from signaling.storage.sql_store import SqlStore
from signaling.storage.subscription_records import SubscribedTrack, SubscriptionRecord

from .test_sql_store import make_participant, make_room, make_track

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
RULES = '[{"type":"include","all":true}]'
rng = random.Random(8)


def make_subscription(
    subscriber: ParticipantRecord, track: TrackRecord, *, after: float = 0.0
) -> SubscriptionRecord:
    return SubscriptionRecord(
        sid=new_subscription_sid(rng),
        participant_sid=subscriber.sid,
        publisher_sid=track.participant_sid,
        track_sid=track.sid,
        created_at=START + timedelta(seconds=after),
    )


def people() -> tuple[RoomRecord, ParticipantRecord, ParticipantRecord]:
    room = make_room()
    return room, make_participant(room, "alice"), make_participant(room, "bob")


async def test_rules_read_back_as_written(store: SqlStore) -> None:
    room, alice, _ = people()
    await store.put_all([room, alice])
    assert (await store.get_room(room.sid)) == room
    room = replace(
        room,
        recording_rules=RULES,
        recording_rules_created_at=START,
        recording_rules_updated_at=START + timedelta(seconds=1),
    )
    alice = replace(
        alice,
        subscribe_rules=RULES,
        subscribe_rules_created_at=START,
        subscribe_rules_updated_at=START + timedelta(seconds=1),
    )
    await store.put_all([room, alice])
    assert await store.get_room(room.sid) == room
    assert await store.get_participant(room.sid, alice.sid) == alice
    await store.update_room(replace(room, recording_rules="[]"))
    changed = await store.get_room(room.sid)
    assert changed is not None
    assert changed.recording_rules == "[]"


async def test_subscribed_tracks_are_those_that_did_not_end(store: SqlStore) -> None:
    room, alice, bob = people()
    tracks = [make_track(alice, f"t{n}") for n in range(4)]
    subscriptions = [make_subscription(bob, track, after=n) for n, track in enumerate(tracks)]
    subscriptions[1] = replace(subscriptions[1], ended_at=START)
    tracks[2] = replace(tracks[2], enabled=False, updated_at=START + timedelta(seconds=9))
    # Changed before the subscription began: for the subscriber that is how it always was.
    tracks[3] = replace(tracks[3], updated_at=START)
    await store.put_all([room, alice, bob, *tracks, *subscriptions])
    found = await store.list_subscribed_tracks(bob.sid, Page())
    assert [s.track_sid for s in found.records] == [tracks[n].sid for n in (3, 2, 0)]
    last, muted, first = found.records
    assert (muted.enabled, muted.updated_at) == (False, tracks[2].updated_at)
    assert (last.updated_at, first.updated_at) == (None, None)
    assert (first.room_sid, first.publisher_sid, first.name) == (room.sid, alice.sid, "t0")
    assert first.created_at == subscriptions[0].created_at
    assert await store.get_subscribed_track(bob.sid, tracks[0].sid) == first
    assert await store.get_subscribed_track(bob.sid, tracks[1].sid) is None
    assert await store.get_subscribed_track(alice.sid, tracks[0].sid) is None
    # A track that is subscribed to again has a new row.
    again = make_subscription(bob, tracks[1], after=20)
    await store.put_all([again])
    shown = await store.get_subscribed_track(bob.sid, tracks[1].sid)
    assert shown is not None
    assert shown.sid == again.sid


async def test_subscribed_tracks_are_paged_by_key(store: SqlStore) -> None:
    room, alice, bob = people()
    tracks = [make_track(alice, f"t{n}") for n in range(5)]
    # All begin in the same microsecond: the SID of the row decides.
    await store.put_all([room, alice, bob, *tracks, *(make_subscription(bob, t) for t in tracks)])
    seen: list[SubscribedTrack] = []
    page = Page(size=2)
    while True:
        found = await store.list_subscribed_tracks(bob.sid, page)
        seen += found.records
        if not found.has_more:
            break
        key = PageKey(created_at=seen[-1].created_at, sid=seen[-1].sid)
        page = Page(size=2, after=key)
    assert {s.track_sid for s in seen} == {t.sid for t in tracks}
    assert len(seen) == 5


async def test_a_subscription_ends_by_a_later_write(store: SqlStore) -> None:
    room, alice, bob = people()
    track = make_track(alice)
    subscription = make_subscription(bob, track)
    await store.put_all([room, alice, bob, track, subscription])
    await store.put_all([replace(subscription, ended_at=START)])
    assert (await store.list_subscribed_tracks(bob.sid, Page())).records == ()
    stored = await store.get_track(room.sid, track.sid)
    assert stored == track
    assert await store.get_track("RM" + "f" * 32, track.sid) is None
