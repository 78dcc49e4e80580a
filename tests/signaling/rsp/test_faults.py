"""What clients are told when something on our side fails."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from signaling.rsp.link import RspLink
from signaling.rsp.session import RspSession
from signaling.service import ServiceConfig
from tests.signaling.support import ACCOUNT_SID, settle

from .support import Client, World, connect_body, descriptions, merged, sdp_of, track, world

AUDIO, VIDEO = track("a1"), track("v1", "video")


def check_log(logs: list[dict[str, object]]) -> None:
    """See that the fault was told in a line, not with a traceback."""
    assert any(line["log_level"] in ("info", "warning") for line in logs)
    assert not any("exc_info" in line for line in logs), logs


async def errors_of(w: World, identity: str) -> list[int]:
    client = next(client for client in w.clients if client.identity == identity)
    return [body["code"] for body in client.take() if body["type"] == "error"]


@pytest.mark.parametrize("call", ["create_peer", "handle_offer"])
async def test_a_plane_without_room_refuses_a_join_as_busy(call: str) -> None:
    async with world() as w:
        w.harness.node.overloaded.add(call)
        alice = w.client("alice")
        with capture_logs() as logs:
            await alice.hello(connect_body("alice", tracks=(AUDIO,)))
        assert await errors_of(w, "alice") == [53006]
        check_log(list(map(dict, logs)))
        assert w.harness.node.peers == {}
        assert w.sessions == {}
        assert w.harness.service.room_count == 0


async def test_a_plane_that_refuses_a_later_offer_ends_only_that_session() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", AUDIO)
        await bob.connect("r1")
        w.harness.node.overloaded.add("handle_offer")
        with capture_logs() as logs:
            await alice.describe("offer", 2, "sdp audio:a1 video:v1")
        check_log(list(map(dict, logs)))
        assert await errors_of(w, "alice") == [53401]
        (update,) = bob.take()
        assert [p["state"] for p in update["participants"]] == ["disconnected"]
        assert len(w.harness.node.peers) == 1


async def test_a_plane_that_refuses_an_answer_ends_only_that_session() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", AUDIO, track("a2"))
        await bob.connect("r1")
        ((kind, revision, _),) = descriptions(bob.take())
        assert kind == "offer"
        w.harness.node.overloaded.add("handle_answer")
        with capture_logs() as logs:
            await bob.describe("answer", revision, "sdp")
        check_log(list(map(dict, logs)))
        assert await errors_of(w, "bob") == [53403]
        assert await errors_of(w, "alice") == []


async def test_an_offer_that_the_plane_refuses_is_made_later() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", AUDIO, track("a2"))
        w.harness.node.overloaded.add("create_offer")
        with capture_logs() as logs:
            await bob.connect("r1")
        check_log(list(map(dict, logs)))
        assert descriptions(bob.take()) == []
        w.harness.node.overloaded.clear()
        await alice.update(AUDIO, track("a2"), track("a3"))
        await alice.describe("offer", 2, "sdp audio:a1 audio:a2 audio:a3")
        assert [kind for kind, *_ in descriptions(bob.take())] == ["offer"]


async def test_a_fault_of_ours_while_joining_leaves_nobody_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world() as w:
        bob = w.client("bob")
        await bob.connect("r1")

        def fail(*_arguments: object) -> None:
            raise RuntimeError("a bug")

        with monkeypatch.context() as patched:
            patched.setattr(RspSession, "receive_peer_connections", fail)
            with pytest.raises(RuntimeError):
                await w.client("alice").hello(connect_body("alice", "r1", tracks=(AUDIO,)))
        (live,) = w.harness.service._live.values()
        assert [p.identity for p in live.room.participants] == ["bob"]
        assert len(w.harness.node.peers) == len(w.sessions) == 1


async def test_a_peer_that_cannot_be_closed_does_not_keep_its_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world() as w:
        alice = w.client("alice")
        await alice.connect("r1", AUDIO)

        def fail(_peer_id: object) -> None:
            raise RuntimeError("a bug")

        with monkeypatch.context() as patched:
            patched.setattr(w.harness.node, "close_peer", fail)
            await w.harness.service.complete_room(alice.room_sid)
        assert [body.get("status") for body in alice.take()] == ["completed"]
        assert w.sessions == {}


async def test_links_are_told_of_all_that_a_fault_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1")

        def fail(*_arguments: object) -> None:
            raise RuntimeError("a bug")

        with monkeypatch.context() as patched:
            patched.setattr(RspLink, "flush", fail)
            await alice.update(AUDIO)
        await bob.connect("r1")
        (update,) = alice.take()
        assert update["published"]["tracks"][0]["state"] == "ready"


async def stay(w: World, *clients: Client, seconds: int) -> None:
    """Let time pass for clients that keep sending heartbeats."""
    for _ in range(seconds):
        await w.advance(1.0)
        for client in clients:
            await client.send_frame({"type": "heartbeat"})


async def test_client_whose_media_failed_and_stays_away_is_told_to_reconnect() -> None:
    async with world(ServiceConfig(account_sid=ACCOUNT_SID, session_timeout=20.0)) as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", AUDIO)
        await bob.connect("r1", AUDIO)
        for peer_id in w.harness.node.peers:
            w.harness.node.failed(peer_id)
        await stay(w, alice, bob, seconds=10)
        # As the SDK does when it has noticed: the answer comes from another peer.
        before = set(w.harness.node.peers)
        await bob.describe("offer", 2, "sdp audio:a1 restart")
        assert descriptions(bob.take()) == [("answer", 2, "answer to sdp audio:a1 restart")]
        (successor,) = set(w.harness.node.peers) - before
        w.harness.node.connected(successor)
        await stay(w, alice, bob, seconds=11)
        assert await errors_of(w, "alice") == [53405]
        await stay(w, bob, seconds=20)
        assert await errors_of(w, "bob") == []
        assert set(w.harness.node.peers) == {successor}


def told(bodies: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """Return which descriptions of which peer connections were in some messages."""
    return [
        (entry["id"], d["type"], d["revision"])
        for body in bodies
        for entry in body.get("peer_connections", [])
        if (d := entry.get("description")) is not None
    ]


async def test_client_whose_media_failed_is_given_another_peer_connection() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", AUDIO)
        await bob.connect("r1", AUDIO)
        (_, old) = w.harness.node.peers
        w.harness.node.connected(old)
        await settle()
        bob.take()
        w.harness.node.failed(old)
        await settle()
        bodies = bob.take()
        (new, *created), closed = told(bodies)
        assert created == ["create-offer", 1]
        assert closed == ("pc-bob", "close", 2)
        assert merged(bodies)["subscribed"]["tracks"] == []
        assert old not in w.harness.node.peers
        # What is said of the old one no longer counts.
        await bob.describe("offer", 2, "sdp audio:a1 restart")
        assert told(bob.take()) == []

        entry = {"id": new, "description": {"type": "offer", "revision": 2, "sdp": sdp_of(AUDIO)}}
        await bob.send(bob.update_body() | {"peer_connections": [entry]})
        bodies = bob.take()
        assert (new, "answer", 2) in told(bodies)
        assert len(merged(bodies)["subscribed"]["tracks"]) == 1
        (_, successor) = w.harness.node.peers
        w.harness.node.connected(successor)
        await stay(w, alice, bob, seconds=40)
        assert await errors_of(w, "bob") == []


async def test_client_that_was_away_when_its_media_failed_learns_it_when_it_resumes() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", AUDIO)
        await bob.connect("r1", AUDIO)
        (_, old) = w.harness.node.peers
        w.harness.node.connected(old)
        await bob.drop()
        w.harness.node.failed(old)
        await settle()
        for _ in range(2):
            await bob.resume()
            (synced,) = bob.take()
            (entry,) = synced["peer_connections"]
            assert entry["id"] != "pc-bob"
            assert entry["description"] == {"type": "create-offer", "revision": 1}
            await bob.drop()
        await bob.resume()
        bob.take()
        offer = {"type": "offer", "revision": 2, "sdp": sdp_of(AUDIO)}
        entry = {"id": entry["id"], "description": offer}
        await bob.send(bob.update_body() | {"peer_connections": [entry]})
        assert (entry["id"], "answer", 2) in told(bob.take())


async def test_client_whose_new_peer_connection_fails_too_is_not_asked_for_ever() -> None:
    async with world(ServiceConfig(account_sid=ACCOUNT_SID, session_timeout=20.0)) as w:
        bob = w.client("bob")
        await bob.connect("r1", AUDIO)
        (old,) = w.harness.node.peers
        w.harness.node.connected(old)
        w.harness.node.failed(old)
        await settle()
        (new, *_), _ = told(bob.take())
        entry = {"id": new, "description": {"type": "offer", "revision": 2, "sdp": sdp_of(AUDIO)}}
        await bob.send(bob.update_body() | {"peer_connections": [entry]})
        (successor,) = w.harness.node.peers
        w.harness.node.failed(successor)
        await settle()
        assert told(bob.take()) == [(new, "answer", 2)]
        await stay(w, bob, seconds=21)
        assert await errors_of(w, "bob") == [53405]
        assert w.harness.node.peers == {}
