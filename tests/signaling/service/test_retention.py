import random
from dataclasses import replace
from datetime import timedelta

from signaling.ids import new_room_sid
from signaling.rooms import RoomSettings
from signaling.service.retention import Retention
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
