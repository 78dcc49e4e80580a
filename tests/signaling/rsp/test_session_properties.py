"""Whatever clients send, in whatever order: no exception, no leak, counters that only grow."""

import asyncio
import contextlib
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from signaling.errors import ApiError

from .support import Client, connect_body, track, world


class Watched(Client):
    """A client that checks what the protocol promises."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.revisions: dict[str, int] = {}
        self.offered: set[int] = set()

    def check(self) -> None:
        for frame in self.take_frames():
            assert frame["type"] in {"welcome", "msg", "heartbeat", "busy", "bad"}
            if frame["type"] == "msg":
                self.check_body(frame["body"])

    def check_body(self, body: dict[str, Any]) -> None:
        if body["type"] == "connected":
            self.session, self.room_sid = body["session"], body["sid"]
            self.revisions.clear()
            self.offered.clear()
        snapshot = body["type"] in ("connected", "synced")
        for name in ("published", "subscribed"):
            if name in body:
                self.grow(name, body[name]["revision"], equal=snapshot)
                if name == "subscribed":
                    ids = [t["id"] for t in body[name]["tracks"]]
                    assert len(ids) == len(set(ids))
        for participant in body.get("participants", []):
            assert isinstance(participant["tracks"], list)
            self.grow(participant["sid"], participant["revision"], equal=snapshot)
        for entry in body.get("peer_connections", []):
            description = entry.get("description")
            if description is not None and description["type"] == "offer" and not snapshot:
                self.offered.add(description["revision"])

    def grow(self, what: str, revision: int, *, equal: bool) -> None:
        before = self.revisions.get(what, 0)
        assert revision > before or (equal and revision == before), what
        self.revisions[what] = revision


KINDS = ("audio", "video", "data")


async def act(w: Any, client: Watched, rng: random.Random) -> None:
    """Let a client do one thing, sensible or not."""
    if client.connection is None:
        if client.session and rng.random() < 0.5:
            await client.resume()
        else:
            client.tracks = [track(f"t{n}", rng.choice(KINDS)) for n in range(rng.randrange(3))]
            client.revision = 1
            await client.hello(
                connect_body(
                    client.identity,
                    rng.choice(["r1", "r2", None]),
                    tracks=tuple(client.tracks),
                    sdp=rng.choice(["", "", "refuse", None]),
                )
            )
        return
    tracks = [track(f"t{rng.randrange(6)}", rng.choice(KINDS)) for _ in range(rng.randrange(4))]
    node = w.harness.node
    match rng.randrange(15):
        case 0:
            await client.drop(rng.choice([1000, 1001, 1006, 3001]))
        case 1 | 2:
            await client.update(*tracks)
        case 3 | 4:
            sdp = " ".join(f"{t['kind']}:{t['id']}" for t in tracks if t["kind"] != "data")
            kind = rng.choice(["offer", "offer", "answer", "answer", "close", "pranswer", "x"])
            await client.describe(kind, rng.randrange(8), rng.choice([sdp, sdp, "refuse", None]))
        case 5:
            await client.send({"type": "disconnect", "session": client.session})
        case 6:
            garbage: Any = rng.choice([None, [], {}, {"type": "update"}, {"type": "sync"}, "x"])
            await client.send(garbage)
        case 7:
            await client.send_frame(rng.choice(["", "{", '{"type":"hello"}', '{"type":"bye"}']))
        case 8:
            for peer_id in list(node.peers)[:1]:
                rng.choice([node.failed, node.connected])(peer_id)
        case 9:
            # Several at a time, which no client sends: also for a peer connection of another name.
            client.revision += 1
            client.tracks = tracks
            entries = [
                {
                    "id": rng.choice([f"pc-{client.identity}"] * 3 + ["another"]),
                    "description": {
                        "type": rng.choice(["offer", "offer", "answer", "close"]),
                        "revision": rng.randrange(8),
                        "sdp": "sdp",
                    },
                }
                for _ in range(rng.randrange(1, 5))
            ]
            await client.send(client.update_body() | {"peer_connections": entries})
        case 10:
            calls = ("create_peer", "handle_offer", "handle_answer", "create_offer", "subscribe")
            node.overloaded = {rng.choice(calls)} if rng.random() < 0.5 else set()
        case 11:
            for peer_id, peer in node.peers.items():
                for receiver_id in list(peer.subscriptions.values())[:1]:
                    if receiver_id is not None:
                        node.lose_receiver(peer_id, receiver_id)
        case 12:
            service = w.harness.service
            live = service.live_room(client.room_sid)
            with contextlib.suppress(ApiError):
                if rng.random() < 0.5:
                    await service.complete_room(client.room_sid)
                elif live is not None and live.room.participants:
                    sid = rng.choice(live.room.participants).sid
                    await service.disconnect_participant(client.room_sid, sid)
        case 13:
            for peer_id in list(node.peers)[:1]:
                node.client_opens_channel(peer_id, rng.choice(["t0", "t1", "t2", "nobody's"]))
        case _:
            await client.send_frame({"type": "heartbeat"})


async def run(seed: int, steps: int) -> None:
    rng = random.Random(seed)
    with capture_logs() as logs:
        await run_logged(rng, steps)
    # The service survives its own faults; here they count.
    assert [entry for entry in logs if entry["log_level"] in ("error", "critical")] == []


async def run_logged(rng: random.Random, steps: int) -> None:
    async with world() as w:
        clients = [Watched(w, identity) for identity in ("alice", "bob", "carol", "alice")]
        w.clients.extend(clients)
        for _ in range(steps):
            client = rng.choice(clients)
            await act(w, client, rng)
            if rng.random() < 0.2:
                await w.advance(rng.uniform(0.0, 8.0))
            for each in clients:
                each.check()
                if each.connection is not None and each.connection.close_code is not None:
                    assert each.connection.close_code != 1000
                    await each.drop(each.connection.close_code)
        for client in clients:
            if client.connection is not None:
                await client.drop()
        await w.advance(31.0)
        # Ad-hoc rooms whose maker was refused go by a timer of their own.
        await w.advance(60.0)
        assert w.harness.node.peers == {}
        assert w.sessions == {}
        assert w.harness.service.room_count == 0
        assert len(w.harness.service._timers) == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(5, 60))
def test_clients_that_do_anything_break_nothing(seed: int, steps: int) -> None:
    asyncio.run(run(seed, steps))
