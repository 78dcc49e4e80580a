"""Events in the store, and what a restart and the retention need."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from signaling.ids import AccountSid, new_event_sid
from signaling.storage import ParticipantRecord, RoomRecord
from signaling.storage.event_records import CallbackQueue, EventRecord, PendingQueue
from signaling.storage.sql_store import SqlStore
from tests.signaling.storage.test_sql_store import (
    START,
    completed,
    make_participant,
    make_room,
    make_track,
)
from tests.signaling.support import ACCOUNT_SID

rng = random.Random(11)
URL = "https://hooks.example.com/"


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    made = await SqlStore.open(url, ACCOUNT_SID)
    yield made
    await made.close()


def room(name: str = "r1", *, after: float = 0.0) -> RoomRecord:
    return replace(make_room(name, after=after), account_sid=ACCOUNT_SID)


def person(of: RoomRecord, identity: str = "alice") -> ParticipantRecord:
    return make_participant(of, identity)


def event(of: RoomRecord, sequence: int, **members: object) -> EventRecord:
    made = EventRecord(
        sid=new_event_sid(rng),
        account_sid=of.account_sid,
        room_sid=of.sid,
        sequence=sequence,
        name="track-added",
        created_at=START,
        parameters={"B": "ä", "A": "1"},
        url=URL,
        delivery="pending",
    )
    return replace(made, **members)  # type: ignore[arg-type]


async def test_events_read_back_as_written_and_in_order(store: SqlStore) -> None:
    first, other = room(), room("r2")
    made = [event(first, n) for n in range(5)]
    await store.put_all([first, other, *made[::-1], event(other, 0)])
    assert await store.list_events(first.sid, after=-1, size=10) == (tuple(made), False)
    assert await store.list_events(first.sid, after=1, size=2) == (tuple(made[2:4]), True)
    assert list(made[0].parameters) == ["B", "A"]
    assert await store.last_sequences() == {first.sid: 4, other.sid: 0}


async def test_pending_events_are_found_until_they_are_settled(store: SqlStore) -> None:
    first, other = room(), room("r2")
    one, two = event(first, 0), event(first, 1)
    await store.put_all([first, other, one, two, event(other, 0, delivery="none", url=None)])
    at = START + timedelta(seconds=5)
    tried = replace(one, attempts=1, next_attempt_at=at, error="HTTP status 500")
    await store.update_delivery(tried)
    queue = CallbackQueue(first.sid, URL)
    assert await store.pending_events(queue, size=10) == (tried, two)
    assert await store.pending_queues() == (PendingQueue(queue=queue, next_attempt_at=at),)
    await store.update_delivery(replace(tried, delivery="dead", next_attempt_at=None))
    await store.update_delivery(replace(two, delivery="delivered", settled_at=at))
    assert await store.pending_events(queue, size=10) == ()
    assert await store.pending_queues() == ()


async def test_each_url_of_a_room_has_a_queue_of_its_own(store: SqlStore) -> None:
    first = room()
    room_event, other = event(first, 0), event(first, 1, url="http://other.example/")
    await store.put_all([first, room_event])
    await store.add_events([replace(other, sequence=0)])
    assert await store.list_events(first.sid, after=-1, size=10) == ((room_event, other), False)
    for told in (room_event, other):
        queue = CallbackQueue(first.sid, told.url or "")
        assert await store.pending_events(queue, size=10) == (told,)
        assert PendingQueue(queue=queue, next_attempt_at=None) in await store.pending_queues()


async def test_another_account_sees_no_events(store: SqlStore, url: str) -> None:
    first = room()
    await store.put_all([first, event(first, 0)])
    other = await SqlStore.open(url, AccountSid("AC" + "2" * 32))
    assert await other.list_events(first.sid, after=-1, size=10) == ((), False)
    assert await other.pending_queues() == ()
    assert await other.last_sequences() == {}
    assert await other.left_behind() == ()
    await other.close()


async def test_whom_a_former_run_left_is_found_with_its_tracks(store: SqlStore) -> None:
    first = room()
    alice, bob = person(first), person(first, "bob")
    gone = replace(person(first, "carol"), status="disconnected", ended_at=START)
    track = make_track(alice)
    over = replace(make_track(alice), unpublished_at=START)
    await store.put_all([first, alice, bob, gone, track, over])
    found = {there.participant.sid: there for there in await store.left_behind()}
    assert found.keys() == {alice.sid, bob.sid}
    assert (found[alice.sid].participant, found[alice.sid].tracks) == (alice, (track,))
    assert found[bob.sid].tracks == ()


async def test_the_last_departure_is_the_latest(store: SqlStore) -> None:
    first = room()
    later = START + timedelta(minutes=3)
    early = replace(person(first), status="disconnected", ended_at=START)
    late = replace(person(first, "bob"), status="disconnected", ended_at=later)
    await store.put_all([first, early, late])
    assert await store.last_departure(first.sid) == later
    assert await store.last_departure(room().sid) is None


async def test_an_identity_is_forgotten_in_all_events(store: SqlStore) -> None:
    first = room()
    alice, bob = person(first), person(first, "bob")

    def of(who: ParticipantRecord, sequence: int) -> EventRecord:
        parameters = {"ParticipantSid": who.sid, "ParticipantIdentity": who.identity}
        return event(first, sequence, participant_sid=who.sid, parameters=parameters)

    await store.put_all(
        [first, alice, bob, of(alice, 0), of(bob, 1), of(alice, 2), event(first, 3)]
    )
    await store.forget_identity(alice.sid)
    events, _ = await store.list_events(first.sid, after=-1, size=10)
    named = [e.parameters.get("ParticipantIdentity") for e in events]
    assert named == [alice.sid, "bob", alice.sid, None]


async def test_ended_rooms_are_deleted_with_all_that_belongs_to_them(store: SqlStore) -> None:
    old, recent, live = room("r1"), room("r2", after=3600.0), room("r3")
    for one in (old, recent, live):
        who = replace(person(one), status="disconnected", ended_at=START)
        track = replace(make_track(who), unpublished_at=START)
        await store.put_all([one, who, track, event(one, 0)])
    await store.put_all([completed(old), completed(recent)])
    before = START + timedelta(minutes=30)
    assert await store.delete_ended_rooms(before, size=10) == 1
    assert await store.get_room(old.sid) is None
    assert await store.list_events(old.sid, after=-1, size=10) == ((), False)
    for one in (recent, live):
        assert await store.get_room(one.sid) is not None
        assert (await store.list_events(one.sid, after=-1, size=10))[0]
    assert await store.delete_ended_rooms(before, size=10) == 0
