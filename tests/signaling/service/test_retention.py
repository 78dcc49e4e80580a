import random
from dataclasses import replace
from datetime import timedelta

from signaling.compositions import CompositionPlan
from signaling.ids import new_composition_sid, new_room_sid
from signaling.rooms import RoomSettings
from signaling.service.retention import Retention
from signaling.storage.media_records import CompositionRecord
from tests.signaling.rsp.support import World, track
from tests.signaling.support import running_service


async def test_ended_rooms_go_when_their_time_is_over() -> None:
    async with running_service() as h:
        retention = Retention(store=h.store, clock=h.clock, keep=timedelta(days=2))
        old = await h.service.create_room(RoomSettings(unique_name="old"))
        # Somebody who published and was subscribed to: rows that refer to each other.
        w = World(h)
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("old", track("a1"))
        await bob.connect("old", track("b1"))
        await h.service.complete_room(old.sid)
        # One of which nobody knew whether the store had taken it.
        at = h.clock.utc_now()
        other = new_room_sid(random.Random(99))
        failed = replace(old, sid=other, name="failed", status="failed", ended_at=at)
        await h.store.put_all([failed])
        h.clock.now += 86_400.0
        live = await h.service.create_room(RoomSettings(unique_name="live"))
        young = await h.service.create_room(RoomSettings())
        await h.service.complete_room(young.sid)
        await h.service.flush()
        assert await retention.delete_due() == 0
        h.clock.now += 86_401.0
        assert await retention.delete_due() == 2
        assert await h.store.get_room(old.sid) is None
        assert await h.store.get_room(failed.sid) is None
        assert await h.store.get_participant(old.sid, alice.sid) is None
        assert await h.store.get_room(live.sid) is not None
        assert await h.store.get_room(young.sid) is not None


async def test_deleted_compositions_can_be_asked_for_for_thirty_days() -> None:
    async with running_service() as h:
        retention = Retention(store=h.store, clock=h.clock, keep=None)
        room = await h.service.create_room(RoomSettings())
        rng = random.Random(7)
        kept, deleted = (
            CompositionRecord(
                sid=new_composition_sid(rng),
                account_sid=room.account_sid,
                room_sid=room.sid,
                hook_sid=None,
                plan=CompositionPlan(audio_sources=("*",)),
                status="enqueued",
                created_at=h.clock.utc_now(),
            )
            for _ in range(2)
        )
        await h.store.add_composition(kept)
        await h.store.add_composition(deleted)
        await h.store.delete_composition(deleted.sid, h.clock.utc_now())
        h.clock.now += 30 * 86_400.0
        await retention.delete_due()
        assert await h.store.get_composition(deleted.sid) is not None
        h.clock.now += 1.0
        await retention.delete_due()
        assert await h.store.get_composition(deleted.sid) is None
        assert await h.store.get_composition(kept.sid) is not None
        assert await h.store.get_room(room.sid) is not None
