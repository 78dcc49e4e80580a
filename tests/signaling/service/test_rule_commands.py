"""Commands about rules: over a restart, and while the store fails."""

from pathlib import Path

import pytest

from router.node_events import MediaKind
from signaling.errors import StorageError, StoreUnavailable
from signaling.rooms import LeaveReason, RoomSettings, SubscribeRules, TrackRequest
from signaling.rules import EXCLUDE_ALL, INCLUDE_ALL, Rule, RuleType
from signaling.service import RoomService
from signaling.service.rule_commands import (
    RuleCommands,
    recording_rules_of,
    subscribe_rules_of,
)
from signaling.storage.sql_store import SqlStore
from signaling.storage.store import Page
from tests.signaling.support import ManualClock, make_service, open_store, running_service
from tests.support.fake_media_node import FakeMediaNode

from .test_room_service import SilentLink

AUDIO = (Rule(type=RuleType.INCLUDE, kind=MediaKind.AUDIO),)
TRACKS = (
    TrackRequest(track_id="a", kind=MediaKind.AUDIO),
    TrackRequest(track_id="v", kind=MediaKind.VIDEO),
)


def enter(service: RoomService, room_sid: str, identity: str, rules: SubscribeRules) -> str:
    live = service.live_room(room_sid)
    assert live is not None
    return live.join(
        identity=identity,
        rules=rules,
        tracks=TRACKS,
        tracks_revision=1,
        peer_id=None,
        make_link=lambda _: SilentLink(),
    ).sid


async def test_rules_and_what_was_subscribed_outlive_the_server(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    first = make_service(FakeMediaNode(), store, ManualClock())
    await first.start()
    room = await first.create_room(RoomSettings(unique_name="r1"))
    alice = enter(first, room.sid, "alice", SubscribeRules())
    bob = enter(first, room.sid, "bob", SubscribeRules(rules=EXCLUDE_ALL))
    commands = RuleCommands(service=first, store=store)
    await commands.set_recording_rules(room, AUDIO)
    stored = await store.get_participant(room.sid, alice)
    assert stored is not None
    await commands.set_subscribe_rules(stored, AUDIO)
    await first.close()
    # The next run finds participants whom nobody let out.
    clock = ManualClock()
    clock.now += 10.0
    second = make_service(FakeMediaNode(), store, clock)
    await second.start()
    found = await store.get_room(room.sid)
    people = [await store.get_participant(room.sid, sid) for sid in (alice, bob)]
    assert found is not None
    assert recording_rules_of(found) == AUDIO
    assert [p.status for p in people if p is not None] == ["disconnected"] * 2
    assert [subscribe_rules_of(p) for p in people if p is not None] == [AUDIO, EXCLUDE_ALL]
    given = await store.list_subscribed_tracks(alice, Page())
    assert [track.kind for track in given.records] == ["audio"]
    assert (await store.list_subscribed_tracks(bob, Page())).records == ()
    # The room that goes on selects by the rules that it had.
    carol = enter(second, room.sid, "carol", SubscribeRules())
    live = second.live_room(room.sid)
    assert live is not None
    participant = live.room.participant(carol)
    assert participant is not None
    [audio, _] = participant.ready_publications()
    assert live.room.recorded_tracks == {audio.sid}
    await second.close()
    await store.close()


async def test_rules_that_are_unchanged_since_the_join_cost_no_text() -> None:
    async with running_service() as h:
        room = await h.service.create_room(RoomSettings())
        sid = enter(h.service, room.sid, "alice", SubscribeRules())
        await h.service.flush()
        stored = await h.store.get_participant(room.sid, sid)
        assert stored is not None
        assert stored.subscribe_rules is None
        assert subscribe_rules_of(stored) == INCLUDE_ALL


async def test_rules_hold_at_once_though_the_store_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_service() as h:
        room = await h.service.create_room(RoomSettings())
        enter(h.service, room.sid, "alice", SubscribeRules())
        bob = enter(h.service, room.sid, "bob", SubscribeRules())
        await h.service.flush()
        record = await h.store.get_participant(room.sid, bob)
        assert record is not None

        async def fail(*_: object) -> None:
            raise StoreUnavailable("down")

        put_all = SqlStore.put_all
        monkeypatch.setattr(SqlStore, "put_all", fail)
        commands = RuleCommands(service=h.service, store=h.store)
        with pytest.raises(StorageError):
            await commands.set_subscribe_rules(record, EXCLUDE_ALL)
        live = h.service.live_room(room.sid)
        assert live is not None
        participant = live.room.participant(bob)
        assert participant is not None
        assert participant.subscriptions == {}
        monkeypatch.setattr(SqlStore, "put_all", put_all)
        await h.service.flush()
        stored = await h.store.get_participant(room.sid, bob)
        assert stored is not None
        assert subscribe_rules_of(stored) == EXCLUDE_ALL
        assert (await h.store.list_subscribed_tracks(bob, Page())).records == ()


async def test_who_leaves_keeps_what_it_was_subscribed_to_and_costs_no_writes() -> None:
    async with running_service() as h:
        room = await h.service.create_room(RoomSettings())
        enter(h.service, room.sid, "alice", SubscribeRules())
        bob = enter(h.service, room.sid, "bob", SubscribeRules())
        await h.service.flush()
        live = h.service.live_room(room.sid)
        assert live is not None
        live.leave(bob, LeaveReason.LEFT)
        await h.service.flush()
        given = await h.store.list_subscribed_tracks(bob, Page())
        assert {track.kind for track in given.records} == {"audio", "video"}
