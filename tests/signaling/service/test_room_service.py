"""The room service over a real store: life of rooms, records, restarts, shutdown."""

import asyncio
from pathlib import Path

import pytest

from router.node_events import PeerId
from signaling.errors import ApiError, ErrorCode
from signaling.rooms import Participant, RoomSettings, SubscribeRules, TrackRequest
from signaling.rooms.participant import LeaveReason, ParticipantView
from signaling.rooms.room import AD_HOC_JOIN_TIMEOUT
from signaling.service import LiveRoom, ServiceConfig
from signaling.storage.records import RoomRecord
from signaling.storage.store import Page, ParticipantFilter
from tests.signaling.rsp.support import Client, World, track
from tests.signaling.support import (
    ACCOUNT_SID,
    ManualClock,
    ServiceHarness,
    make_service,
    open_store,
    running_service,
    settle,
)
from tests.support.fake_media_node import FakeMediaNode


class SilentLink:
    """A participant that only keeps what it was told."""

    def __init__(self) -> None:
        self.seen: list[ParticipantView] = []
        self.reasons: list[LeaveReason] = []
        self.flushes = 0

    def participant_changed(self, view: ParticipantView) -> None:
        self.seen.append(view)

    def publications_changed(self) -> None: ...

    def subscriptions_changed(self) -> None: ...

    def ended(self, reason: LeaveReason) -> None:
        self.reasons.append(reason)

    def peer_event(self, event: object) -> None: ...

    def signal(self, channel: str, text: str) -> bool:
        return False

    def flush(self) -> None:
        self.flushes += 1


def enter(
    live: LiveRoom, identity: str, *tracks: TrackRequest, peer_id: PeerId | None = None
) -> tuple[Participant, SilentLink]:
    link = SilentLink()
    participant = live.join(
        identity=identity,
        rules=SubscribeRules(),
        tracks=tracks,
        tracks_revision=1,
        peer_id=peer_id,
        make_link=lambda _: link,
    )
    return participant, link


async def code_of(call: object) -> int:
    with pytest.raises(ApiError) as refused:
        await call  # type: ignore[misc]
    return refused.value.code


async def test_the_database_decides_between_simultaneous_creations() -> None:
    async with running_service() as h:
        results = await asyncio.gather(
            *(h.service.create_room(RoomSettings(unique_name="r1")) for _ in range(5)),
            return_exceptions=True,
        )
        refused = [r for r in results if isinstance(r, ApiError)]
        assert len(refused) == 4
        assert {r.code for r in refused} == {ErrorCode.ROOM_EXISTS}
        assert h.service.room_count == 1


async def test_a_name_that_only_the_store_knows_is_taken_too() -> None:
    async with running_service() as h:
        record = await h.service.create_room(RoomSettings(unique_name="r1"))
        # As after a failure between store and memory: the service itself has forgotten it.
        del h.service._live[record.sid], h.service._sid_by_name["r1"]
        assert await code_of(h.service.create_room(RoomSettings(unique_name="r1"))) == 53113


async def test_a_name_is_free_as_soon_as_its_room_is_completed() -> None:
    async with running_service() as h:
        first = await h.service.create_room(RoomSettings(unique_name="r1"))
        completed = await h.service.complete_room(first.sid)
        second = await h.service.create_room(RoomSettings(unique_name="r1"))
        assert completed.status == "completed"
        assert completed.ended_at is not None
        assert second.sid != first.sid
        assert await code_of(h.service.complete_room(first.sid)) == 53112


async def test_clients_that_meet_in_a_new_room_make_it_only_once() -> None:
    async with running_service() as h:
        rooms = await asyncio.gather(
            *(h.service.room_to_join("r1", granted=None) for _ in range(5))
        )
        assert len({live.sid for live in rooms}) == 1
        assert rooms[0].record.ad_hoc
        assert (rooms[0].record.settings.empty_room_timeout, rooms[0].record.name) == (0, "r1")


def hold_store(h: ServiceHarness, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let the store take its rooms, but answer only when the event is set."""
    answer, add_room = asyncio.Event(), h.store.add_room

    async def slow(room: RoomRecord) -> None:
        await add_room(room)
        await answer.wait()

    monkeypatch.setattr(h.store, "add_room", slow)
    return answer


async def test_a_room_whose_maker_gave_up_goes_live_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_service() as h:
        answer = hold_store(h, monkeypatch)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await h.service.room_to_join("r1", granted=None)
        answer.set()
        await settle()
        # The store has it, so nobody else could make another one of that name.
        live = await h.service.room_to_join("r1", granted=None)
        assert h.service.room_count == 1
        await h.advance(AD_HOC_JOIN_TIMEOUT)
        assert live.room.is_completed


async def test_whoever_gives_up_waiting_for_a_room_disturbs_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_service() as h:
        answer = hold_store(h, monkeypatch)
        maker = asyncio.create_task(h.service.create_room(RoomSettings(unique_name="r1")))
        patient = asyncio.create_task(h.service.room_to_join("r1", granted=None))
        impatient = asyncio.create_task(h.service.room_to_join("r1", granted=None))
        await settle()
        impatient.cancel()
        await settle()
        answer.set()
        assert (await patient).sid == (await maker).sid


async def test_rooms_in_the_making_do_not_keep_a_service_from_closing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("signaling.service.room_service.CLOSE_TIMEOUT", 0.01)
    async with running_service() as h:
        hold_store(h, monkeypatch)
        making = asyncio.create_task(h.service.create_room(RoomSettings(unique_name="r1")))
        await asyncio.sleep(0.02)
        await h.service.close()
        with pytest.raises(asyncio.CancelledError):
            await making


async def test_what_happens_is_in_the_store_after_a_flush() -> None:
    async with running_service() as h:
        record = await h.service.create_room(RoomSettings(unique_name="r1"))
        w = World(h)
        alice = w.client("alice")
        await alice.connect("r1", track("a1"), track("v1", "video"))
        await h.service.flush()
        stored = await h.store.get_participant(record.sid, alice.sid)
        assert stored is not None
        assert (stored.identity, stored.status, stored.ended_at) == ("alice", "connected", None)
        h.clock.now += 5
        await alice.update(track("a1", enabled=False))
        await h.service.flush()
        tracks = (await h.store.list_published_tracks(alice.sid, Page())).records
        assert [(t.name, t.kind, t.enabled) for t in tracks] == [("name of a1", "audio", False)]
        assert tracks[0].updated_at is not None
        await alice.drop()
        await h.service.flush()
        stored = await h.store.get_participant(record.sid, alice.sid)
        assert stored is not None
        assert stored.status == "reconnecting"
        await h.advance(30.0)
        await h.service.flush()
        stored = await h.store.get_participant(record.sid, alice.sid)
        assert stored is not None
        assert stored.status == "disconnected"
        assert stored.ended_at is not None
        assert (stored.ended_at - stored.created_at).total_seconds() == 35.0
        assert (await h.store.list_published_tracks(alice.sid, Page())).records == ()
        await h.advance(300.0)
        await h.service.flush()
        room = await h.store.get_room(record.sid)
        assert room is not None
        assert (room.status, room.ended_at) == ("completed", h.clock.utc_now())


async def test_removing_a_participant_answers_its_final_state() -> None:
    async with running_service() as h:
        live = await h.service.room_to_join("r1", granted=None)
        participant, link = enter(live, "alice")
        enter(live, "bob")
        h.clock.now += 7
        record = await h.service.disconnect_participant(live.sid, participant.sid)
        assert (record.status, record.ended_at) == ("disconnected", h.clock.utc_now())
        assert link.reasons == [LeaveReason.REMOVED]
        assert await h.service.disconnect_participant(live.sid, participant.sid) == record
        unknown = h.service.disconnect_participant(live.sid, "PA" + "0" * 32)
        assert await code_of(unknown) == 20404


async def test_one_view_that_fails_does_not_take_the_room_down() -> None:
    async with running_service() as h:
        live = await h.service.room_to_join("r1", granted=None)
        _, broken = enter(live, "alice")

        def fail() -> None:
            raise RuntimeError("a bug")

        broken.flush = fail  # type: ignore[method-assign]
        _, link = enter(live, "bob")
        enter(live, "carol")
        assert [view.identity for view in link.seen] == ["carol"]
        assert len(live.room.participants) == 3


async def test_peers_are_closed_with_their_participants() -> None:
    async with running_service() as h:
        live = await h.service.room_to_join("r1", granted=None)
        peers = [h.node.create_peer(group=live.sid) for _ in range(3)]
        for peer_id, identity in zip(peers, ("alice", "bob", "carol"), strict=True):
            enter(live, identity, peer_id=peer_id)
        live.set_peer(live.room.participants[0].sid, None)
        assert set(h.node.peers) == set(peers[1:])
        live.leave(live.room.participants[1].sid, LeaveReason.LEFT)
        assert set(h.node.peers) == {peers[2]}
        await h.service.complete_room(live.sid)
        assert h.node.peers == {}
        h.node.connected(peers[2])
        await settle()


async def test_draining_ends_when_the_last_one_leaves() -> None:
    async with running_service() as h:
        live = await h.service.room_to_join("r1", granted=None)
        participant, _ = enter(live, "alice")
        drained = asyncio.create_task(h.service.drain(60.0))
        await settle()
        assert not drained.done()
        assert await code_of(h.service.room_to_join("r1", granted=None)) == 53006
        live.leave(participant.sid, LeaveReason.LEFT)
        await drained


async def test_draining_ends_at_its_deadline() -> None:
    async with running_service() as h:
        live = await h.service.room_to_join("r1", granted=None)
        enter(live, "alice")
        await h.service.drain(0.01)
        assert h.service.participant_count == 1


async def test_facts_for_metrics_count_what_is_live() -> None:
    async with running_service() as h:
        w = World(h)
        await w.client("alice").connect("r1", track("a1"), track("v1", "video"))
        await w.client("bob").connect("r2", track("d1", "data"))
        assert h.service.room_count == 2
        assert h.service.participant_count == 2
        assert h.service.track_counts() == {"audio": 1, "video": 1, "data": 1}
        assert h.service.join_times.count == 2


# Restarts.


async def restart(h: ServiceHarness, clock: ManualClock) -> ServiceHarness:
    """Start another service over the same store, as after a crash of the first."""
    node = FakeMediaNode()
    service = make_service(node, h.store, clock)
    await service.start()
    return ServiceHarness(service, node, h.store, clock)


async def test_rooms_outlive_a_restart_and_count_as_empty_from_it(tmp_path: Path) -> None:
    async with running_service() as h:
        used = await h.service.create_room(RoomSettings(unique_name="used", empty_room_timeout=2))
        unused = await h.service.create_room(
            RoomSettings(unique_name="unused", unused_room_timeout=3)
        )
        w = World(h)
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("used", track("a1"))
        await bob.connect("adhoc")
        await h.service.flush()
        h.clock.now += 100.0
        again = await restart(h, h.clock)
        people = ParticipantFilter(room_sid=used.sid)
        (stored,) = (await h.store.list_participants(people, Page())).records
        assert (stored.status, stored.ended_at) == ("disconnected", h.clock.utc_now())
        assert (await h.store.list_published_tracks(alice.sid, Page())).records == ()
        # The ad-hoc room has nobody left to keep it.
        await again.advance(0.0)
        assert again.service.room_count == 2
        # Created 100 s ago, so 80 s are left of the unused timeout; the empty one starts anew.
        await again.advance(79.0)
        assert again.service.live_room(unused.sid) is not None
        await again.advance(1.0)
        assert again.service.live_room(unused.sid) is None
        assert again.service.live_room(used.sid) is not None
        await again.advance(40.0)
        assert again.service.room_count == 0
        await again.service.close()


async def test_an_empty_rooms_time_goes_on_over_restarts() -> None:
    config = ServiceConfig(account_sid=ACCOUNT_SID, minute=12.0)
    async with running_service(config) as h:
        room = await h.service.create_room(RoomSettings(unique_name="r1", empty_room_timeout=5))
        live = await h.service.room_to_join("r1", granted=None)
        participant, _ = enter(live, "alice")
        live.leave(participant.sid, LeaveReason.LEFT)
        await h.service.flush()
        for _ in range(2):
            h.clock.now += 25.0
            service = make_service(FakeMediaNode(), h.store, h.clock, config)
            await service.start()
            service.handle_timer()
            assert service.live_room(room.sid) is not None
            await service.close()
        h.clock.now += 10.0
        service = make_service(FakeMediaNode(), h.store, h.clock, config)
        await service.start()
        service.handle_timer()
        assert service.live_room(room.sid) is None
        await service.close()


async def test_a_session_of_a_former_run_is_unknown() -> None:
    async with running_service() as h:
        await h.service.create_room(RoomSettings(unique_name="r1"))
        alice = World(h).client("alice")
        await alice.connect("r1")
        await h.service.flush()
        again = await restart(h, h.clock)
        returning = Client(World(again), "alice")
        returning.session = alice.session
        await returning.resume()
        assert [b["code"] for b in returning.take()] == [53204]
        await returning.connect("r1")
        await again.service.close()


async def test_nothing_of_a_service_is_left_after_close(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    service = make_service(
        node := FakeMediaNode(), store, ManualClock(), ServiceConfig(account_sid=ACCOUNT_SID)
    )
    await service.start()
    live = await service.room_to_join("r1", granted=None)
    enter(live, "alice", peer_id=node.create_peer(group=live.sid))
    await service.close()
    await service.close()
    assert node.peers == {}
    room = await store.get_room(live.sid)
    assert room is not None
    assert room.status == "in-progress"
    await store.close()


async def test_what_was_commanded_is_in_the_store_when_the_call_returns() -> None:
    async with running_service() as h:
        room = await h.service.create_room(RoomSettings())
        live = h.service.live_room(room.sid)
        assert live is not None
        alice, _ = enter(live, "alice")
        record = await h.service.disconnect_participant(room.sid, alice.sid)
        # Read past the service, which would wait for what is on its way.
        assert await h.store.get_participant(room.sid, alice.sid) == record
        assert record.status == "disconnected"
        completed = await h.service.complete_room(room.sid)
        assert await h.store.get_room(room.sid) == completed
        assert completed.status == "completed"
