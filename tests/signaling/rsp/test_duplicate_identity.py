"""Who stays when an identity joins a room again."""

from signaling.service import ServiceConfig
from tests.signaling.support import ACCOUNT_SID

from .support import connect_body, world

REJECT = ServiceConfig(account_sid=ACCOUNT_SID, duplicate_identity="reject")


async def test_newcomer_replaces_by_default() -> None:
    async with world() as w:
        older, newer = w.client("alice"), w.client("alice")
        await older.connect()
        await newer.connect()
        assert [body["code"] for body in older.take() if body["type"] == "error"] == [53205]


async def test_newcomer_is_rejected_when_the_operator_wants_it() -> None:
    async with world(REJECT) as w:
        older, newer, other = w.client("alice"), w.client("alice"), w.client("bob")
        await older.connect()
        await newer.hello(connect_body("alice"))
        [refused] = newer.take()
        assert (refused["type"], refused["code"]) == ("error", 53205)
        assert [body["type"] for body in older.take()].count("error") == 0
        live = w.harness.service.live_room(older.room_sid)
        assert live is not None
        assert [p.sid for p in live.room.participants] == [older.sid]
        # Refused before any media was made for it.
        assert len(w.harness.node.peers) == 1
        await other.connect()
        # Elsewhere the identity is free.
        await newer.connect("r2")


async def test_newcomer_takes_the_place_of_one_who_lost_the_connection() -> None:
    async with world(REJECT) as w:
        older, newer = w.client("alice"), w.client("alice")
        await older.connect()
        await older.drop()
        await newer.connect()
        live = w.harness.service.live_room(newer.room_sid)
        assert live is not None
        assert [p.sid for p in live.room.participants] == [newer.sid]
