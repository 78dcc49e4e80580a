"""Room signaling as clients see it, message by message."""

from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from signaling.rooms import RoomSettings
from signaling.service import IceServer, ServiceConfig
from signaling.storage.store import Page, RoomFilter
from tests.signaling.support import ACCOUNT_SID, STARTED_AT, token

from .support import World, connect_body, descriptions, merged, sdp_of, track, world


async def test_a_client_without_tracks_is_let_in() -> None:
    async with world() as w:
        connected = await w.client("alice").connect()
        assert connected["sid"].startswith("RM")
        assert connected["name"] == "r1"
        assert connected["participant"]["sid"].startswith("PA")
        assert connected["participant"]["identity"] == "alice"
        assert connected["participants"] == []
        assert connected["published"] == {"revision": 1, "tracks": []}
        assert connected["subscribed"] == {"revision": 0, "tracks": []}
        assert connected["recording"] == {"is_recording": False, "revision": 1}
        assert connected["media_signaling"] == {}
        assert connected["options"] == {
            "session_timeout": 30,
            "media_region": "us1",
            "signaling_region": "us1",
            "audio_processors": [],
        }
        assert connected["version"] == 2
        assert len(connected["session"]) >= 32
        assert descriptions([connected]) == [("answer", 1, "answer to sdp")]
        assert connected["peer_connections"][0]["id"] == "pc-alice"


async def test_a_client_that_names_no_room_gets_one_of_its_own() -> None:
    async with world() as w:
        connected = await w.client("alice").connect(None)
        assert connected["name"] == connected["sid"]


async def test_ice_servers_are_handed_over_unchanged() -> None:
    servers = (
        IceServer(urls=("stun:stun.example.org",)),
        IceServer(urls=("turn:turn.example.org",), username="u", credential="c"),
    )
    async with world(ServiceConfig(account_sid=ACCOUNT_SID, ice_servers=servers)) as w:
        alice = w.client("alice")
        await alice.hello({"type": "ice", "token": token("alice"), "preflight": True})
        assert alice.take() == [
            {
                "type": "iced",
                "version": 1,
                "ice_servers": [
                    {"urls": ["stun:stun.example.org"]},
                    {"urls": ["turn:turn.example.org"], "username": "u", "credential": "c"},
                ],
            }
        ]
        # A preflight test makes no room and no participant.
        assert w.harness.service.room_count == 0


# Refusals.


@pytest.mark.parametrize("message", ["ice", "connect"])
@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("badToken", 20101),
        (token("alice", secret="another secret of 32 characters!"), 20107),
        (token("alice", now=STARTED_AT - timedelta(hours=2)), 20104),
        (token("alice", now=STARTED_AT + timedelta(hours=2)), 20105),
        (token("a" * 20, "r1")[:-5], 20107),
    ],
)
async def test_a_bad_token_is_refused_with_its_code(message: str, bad: str, code: int) -> None:
    async with world() as w:
        alice = w.client("alice")
        if message == "ice":
            await alice.hello({"type": "ice", "version": 1, "token": bad})
        else:
            await alice.hello(connect_body("alice", access_token=bad))
        (error,) = alice.take()
        assert (error["type"], error["code"], error["version"]) == ("error", code, 2)
        # The client closes by itself; if it does not, we do, and never with 1000.
        await w.advance(5.0)
        assert alice.socket.close_code == 4003


async def refusal(w: World, body: dict[str, Any]) -> int:
    client = w.client("x")
    await client.hello(body)
    (error,) = client.take()
    assert error["type"] == "error", error
    code: int = error["code"]
    return code


async def test_rooms_refuse_with_their_codes() -> None:
    settings = ServiceConfig(account_sid=ACCOUNT_SID)
    async with world(settings) as w:
        alice = w.client("alice")
        await alice.connect("r1")
        granted = token("bob", "r2")
        assert await refusal(w, connect_body("bob", "r1", access_token=granted)) == 20106
        assert await refusal(w, connect_body("bob", "RM" + "0" * 32)) == 53106
        assert await refusal(w, connect_body("bob", "")) == 53100
        assert await refusal(w, connect_body("bob", "x" * 129)) == 53101
        assert await refusal(w, connect_body("bob", "a\0b")) == 53102
        assert await refusal(w, connect_body("bob", sdp="refuse")) == 53403
        await w.harness.service.complete_room(alice.room_sid)
        assert await refusal(w, connect_body("bob", alice.room_sid)) == 53118
        assert w.harness.node.peers == {}
        # The name is free at once.
        again = await w.client("carol").connect("r1")
        assert again["sid"] != alice.room_sid


async def test_a_join_that_is_refused_leaves_no_room_behind() -> None:
    async with world(ServiceConfig(account_sid=ACCOUNT_SID, max_participants=1)) as w:
        service = w.harness.service
        assert await refusal(w, connect_body("bob", "new", sdp="refuse")) == 53403
        assert service.room_count == 0
        # Full only once the handshake is over: before, it is told to come back later.
        bob = w.client("bob")
        await bob.hello()
        await w.client("alice").connect("r1")
        await bob.send(connect_body("bob", "new"))
        assert [body["code"] for body in bob.take()] == [53006]
        assert service.room_count == 1
        completed = await w.harness.store.list_rooms(RoomFilter(status="completed"), Page())
        assert len(completed.records) == 1
    # A room of REST stays, and so does one that others are in.
    async with world() as w:
        await w.client("alice").connect("r1")
        await w.harness.service.create_room(RoomSettings(unique_name="r2"))
        for room in ("r1", "r2"):
            assert await refusal(w, connect_body("bob", room, sdp="refuse")) == 53403
        assert w.harness.service.room_count == 2


async def test_a_token_for_a_sid_admits_to_the_room_by_name() -> None:
    async with world() as w:
        alice = w.client("alice")
        await alice.connect("r1")
        bob = w.client("bob")
        connected = await bob.connect("r1", access_token=token("bob", alice.room_sid))
        assert connected["sid"] == alice.room_sid
        carol = w.client("carol")
        assert (await carol.connect(None, access_token=token("carol", "r1")))["name"] == "r1"


async def test_unknown_rooms_are_refused_when_clients_may_not_make_them() -> None:
    async with world(ServiceConfig(account_sid=ACCOUNT_SID, ad_hoc_rooms=False)) as w:
        assert await refusal(w, connect_body("alice", "r1")) == 53106


async def test_a_full_room_is_refused() -> None:
    from signaling.rooms import RoomSettings

    async with world() as w:
        await w.harness.service.create_room(RoomSettings(unique_name="r1", max_participants=1))
        await w.client("alice").connect()
        assert await refusal(w, connect_body("bob")) == 53105
        assert len(w.harness.node.peers) == 1


# Participants and tracks.


async def test_a_second_participant_sees_the_first_and_is_seen() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", track("a1"), track("v1", "video"))
        connected = await bob.connect("r1", track("a2"))
        (seen,) = connected["participants"]
        assert (seen["sid"], seen["identity"], seen["state"]) == (alice.sid, "alice", "connected")
        assert seen["revision"] == 1
        assert [(t["name"], t["kind"], t["enabled"], t["priority"]) for t in seen["tracks"]] == [
            ("name of a1", "audio", True, "standard"),
            ("name of v1", "video", True, "standard"),
        ]
        (update, *_) = alice.take()
        assert update["type"] == "update"
        assert update["session"] == alice.session
        assert [p["identity"] for p in update["participants"]] == ["bob"]


async def test_publications_are_ready_at_once_or_fail_with_a_code() -> None:
    async with world() as w:
        alice = w.client("alice")
        tracks = (track("a1"), track("a2", name="name of a1"), track("a3", name="x" * 129))
        connected = await alice.connect("r1", *tracks)
        good, duplicate, long = connected["published"]["tracks"]
        assert (good["id"], good["state"]) == ("a1", "ready")
        assert good["sid"].startswith("MT")
        assert (duplicate["state"], duplicate["error"]["code"]) == ("failed", 53304)
        assert "sid" not in duplicate
        assert (long["state"], long["error"]["code"]) == ("failed", 53302)
        await alice.update(track("a1"), track("d1", "data"))
        (update,) = alice.take()
        assert update["published"]["revision"] == 2
        assert [(t["id"], t["state"]) for t in update["published"]["tracks"]] == [
            ("a1", "ready"),
            ("d1", "ready"),
        ]


async def test_muting_reaches_the_others_with_a_higher_revision() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", track("a1"))
        await bob.connect("r1")
        bob.take()
        await alice.update(track("a1", enabled=False))
        (update,) = bob.take()
        (seen,) = update["participants"]
        assert seen["revision"] == 2
        assert [t["enabled"] for t in seen["tracks"]] == [False]
        # A repeated participant, as in every candidate update, says nothing new.
        await alice.send(alice.update_body())
        assert bob.take() == []


async def test_leaving_is_told_at_once_with_the_last_tracks() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", track("a1"))
        await bob.connect("r1")
        bob.take()
        await alice.send({"type": "disconnect", "version": 2, "session": alice.session})
        await alice.send_frame({"type": "bye"})
        state = merged(bob.take())
        (seen,) = state["participants"]
        assert (seen["state"], len(seen["tracks"])) == ("disconnected", 1)
        assert state["subscribed"]["tracks"] == []
        await alice.drop(1000)
        assert len(w.harness.node.peers) == 1
        assert set(w.sessions) == {bob.session}


# Subscriptions and negotiation.


async def test_what_exists_is_received_from_the_first_answer_on() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", track("a1"), track("v1", "video"))
        connected = await bob.connect("r1")
        sids = [t["sid"] for t in connected["participants"][0]["tracks"]]
        received = connected["subscribed"]["tracks"]
        assert [t["sid"] for t in received] == sids
        assert all(t["id"].startswith("slot-") for t in received)
        assert descriptions(bob.take()) == []


async def test_a_join_within_the_slots_costs_nobody_an_exchange() -> None:
    async with world(slots=4) as w:
        alice = w.client("alice")
        await alice.connect("r1", track("a1"), track("v1", "video"))
        for name in ("bob", "carol", "dave"):
            await w.client(name).connect("r1", track(f"a-{name}"), track(f"v-{name}", "video"))
        bodies = alice.take()
        assert descriptions(bodies) == []
        assert len(merged(bodies)["subscribed"]["tracks"]) == 6
        assert w.harness.node.offers_made == 0


async def test_a_slot_that_becomes_free_takes_the_next_track() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", track("v1", "video"))
        first = (await bob.connect("r1"))["subscribed"]["tracks"][0]
        await alice.update(track("v2", "video"))
        await alice.describe("offer", 2, sdp_of(track("v2", "video")))
        state = merged(bob.take())
        (second,) = state["subscribed"]["tracks"]
        assert second["sid"] != first["sid"]
        assert second["id"] == first["id"]
        assert w.harness.node.offers_made == 0


async def test_more_tracks_than_slots_are_offered_once_and_together() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await bob.connect("r1")
        tracks = tuple(track(f"v{n}", "video") for n in range(3))
        await alice.connect("r1", *tracks)
        bodies = bob.take()
        assert descriptions(bodies) == [("offer", 2, "offer 1")]
        assert len(merged(bodies)["subscribed"]["tracks"]) == 1
        await bob.describe("answer", 2, "sdp")
        assert len(merged(bob.take())["subscribed"]["tracks"]) == 2
        # One slot for each offer in this stand-in, so the third needs another exchange.
        await bob.describe("answer", 3, "sdp")
        assert len(merged(bob.take())["subscribed"]["tracks"]) == 3


async def test_a_client_without_automatic_subscription_receives_nothing() -> None:
    async with world() as w:
        await w.client("alice").connect("r1", track("a1"))
        bob = w.client("bob")
        connected = await bob.connect("r1", automatic_subscription=False)
        assert connected["subscribed"] == {"revision": 0, "tracks": []}
        assert len(connected["participants"][0]["tracks"]) == 1


async def test_media_that_comes_before_its_track_is_joined_when_it_is_declared() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", sdp="sdp audio:a1 audio:{dummy}")
        await bob.connect("r1")
        assert merged(bob.take()).get("subscribed") is None
        await alice.update(track("a1"), track("d1", "data"))
        (peer_id, *_) = w.harness.node.peers
        w.harness.node.client_opens_channel(peer_id, "d1")
        await w.advance(0.0)
        state = merged(bob.take())
        assert len(state["subscribed"]["tracks"]) == 2
        assert state["subscribed"]["tracks"][1]["id"].startswith("label-")


async def test_glare_is_won_by_the_server() -> None:
    """The transcript of section 14.5: both sides send the same revision."""
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await bob.connect("r1", track("b1"))
        await alice.connect("r1", track("v1", "video"), track("v2", "video"))
        assert descriptions(bob.take()) == [("offer", 2, "offer 1")]
        await bob.update(track("b1"), track("b2", "video"))
        await bob.describe("offer", 2, "sdp audio:b1 video:b2")
        bodies = bob.take()
        assert descriptions(bodies) == []
        # The publication does not wait for media.
        assert [t["state"] for t in merged(bodies)["published"]["tracks"]] == ["ready", "ready"]
        await bob.describe("answer", 2, "sdp audio:b1")
        assert descriptions(bob.take()) == []
        await bob.describe("offer", 3, "sdp audio:b1 video:b2")
        assert descriptions(bob.take()) == [("answer", 3, "answer to sdp audio:b1 video:b2")]
        assert len(merged(alice.take())["subscribed"]["tracks"]) == 2


async def test_a_phantom_offer_is_answered_and_forgotten() -> None:
    """Section 7.2: a client that undoes simulcast offers again, as revision N + 1."""
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await bob.connect("r1", track("v1", "video"))
        await bob.describe("offer", 2, "sdp video:v1")
        assert descriptions(bob.take()) == [("answer", 2, "answer to sdp video:v1")]
        await alice.connect("r1", track("a1"), track("a2"))
        assert descriptions(bob.take()) == [("offer", 3, "offer 1")]


async def test_stale_offers_and_foreign_answers_are_ignored() -> None:
    async with world() as w:
        alice = w.client("alice")
        await alice.connect("r1", track("a1"))
        await alice.describe("offer", 1, "sdp")
        await alice.describe("answer", 2, "sdp")
        await alice.describe("pranswer", 2, "sdp")
        await alice.describe("nonsense", 2, "sdp")
        await alice.send(
            alice.update_body()
            | {
                "peer_connections": [
                    {"id": "another", "description": {"type": "offer", "revision": 2, "sdp": "s"}}
                ]
            }
        )
        assert alice.take() == []
        assert len(w.harness.node.peers) == 1


async def test_descriptions_that_come_together_are_judged_one_after_the_other() -> None:
    async with world() as w:
        alice = w.client("alice")
        await alice.connect("r1", track("a1"))

        async def send(*entries: tuple[str, str, int]) -> list[tuple[str, int, str | None]]:
            await alice.send(
                alice.update_body()
                | {
                    "peer_connections": [
                        {"id": name, "description": {"type": kind, "revision": n, "sdp": "sdp"}}
                        for name, kind, n in entries
                    ]
                }
            )
            return descriptions(alice.take())

        mine = "pc-alice"
        answers = await send((mine, "offer", 3), (mine, "offer", 2), (mine, "offer", 3))
        assert answers == [("answer", 3, "answer to sdp")]
        assert [n for _, n, _ in await send((mine, "offer", 4), (mine, "offer", 5))] == [4, 5]
        # The second peer connection has revisions of its own.
        both = await send((mine, "offer", 9), (mine, "close", 9), ("other", "offer", 1))
        assert both[-1] == ("answer", 1, "answer to sdp")
        assert len(w.harness.node.peers) == 1


async def test_an_offer_that_a_live_client_does_not_answer_ends_its_session() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await bob.connect("r1")
        await alice.connect("r1", track("v1", "video"), track("v2", "video"))
        assert descriptions(bob.take()) == [("offer", 2, "offer 1")]
        await w.advance(6.0)
        await bob.send_frame({"type": "heartbeat"})
        await w.advance(4.0)
        (error,) = bob.take()
        assert (error["type"], error["code"]) == ("error", 53402)
        (update,) = [b for b in alice.take() if "participants" in b][-1:]
        assert update["participants"][0]["state"] == "disconnected"


async def test_a_client_that_is_silent_keeps_its_unanswered_offer() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await bob.connect("r1")
        await alice.connect("r1", track("v1", "video"), track("v2", "video"))
        bob.take()
        await w.advance(12.0)
        assert bob.take() == []
        await bob.describe("answer", 2, "sdp")
        assert len(merged(bob.take())["subscribed"]["tracks"]) == 2


async def test_an_ice_restart_is_answered() -> None:
    async with world() as w:
        alice = w.client("alice")
        await alice.connect("r1", track("a1"))
        await alice.describe("offer", 2, "restart audio:a1")
        assert descriptions(alice.take()) == [("answer", 2, "answer to restart audio:a1")]


async def test_a_failed_transport_is_replaced_at_the_clients_next_offer() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", track("a1"))
        await bob.connect("r1")
        (old, other) = w.harness.node.peers
        w.harness.node.failed(old)
        await w.advance(1.0)
        assert "update" in {b["type"] for b in alice.take()}
        await alice.describe("offer", 2, "restart audio:a1")
        assert descriptions(alice.take()) == [("answer", 2, "answer to restart audio:a1")]
        assert old not in w.harness.node.peers
        assert other in w.harness.node.peers
        received = merged(bob.take())["subscribed"]["tracks"]
        assert len(received) == 1


async def test_a_receiver_that_the_client_stopped_is_taken_back_and_replaced() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", track("a1"))
        (first,) = (await bob.connect("r1"))["subscribed"]["tracks"]
        w.harness.node.lose_receiver(max(w.harness.node.peers), first["id"])
        await w.advance(0.0)
        taken, offered = bob.take()
        assert taken["subscribed"] == {"revision": 2, "tracks": []}
        ((kind, revision, _),) = descriptions([offered])
        assert kind == "offer"
        await bob.describe("answer", revision, "sdp")
        (second,) = merged(bob.take())["subscribed"]["tracks"]
        assert second["sid"] == first["sid"]
        assert second["id"] != first["id"]


async def test_a_new_transport_brings_ids_of_its_own() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", track("a1"), track("a2"))
        before = await bob.connect("r1")
        await bob.describe("answer", 2, "sdp")
        bob.take()
        (failed,) = w.harness.node.peers.keys() - {min(w.harness.node.peers)}
        w.harness.node.failed(failed)
        await w.advance(1.0)
        await bob.describe("offer", 3, "restart")
        state = merged(bob.take())
        # One slot in the first answer: the other track waits, and not under an id that is dead.
        (track_now,) = state["subscribed"]["tracks"]
        assert track_now["id"] not in [t["id"] for t in before["subscribed"]["tracks"]]


async def test_a_peer_connection_that_the_client_closes_is_freed() -> None:
    async with world() as w:
        alice = w.client("alice")
        await alice.connect("r1", track("a1"))
        await alice.describe("close", 2)
        assert w.harness.node.peers == {}
        await alice.send(
            alice.update_body()
            | {
                "peer_connections": [
                    {
                        "id": "another",
                        "description": {"type": "offer", "revision": 1, "sdp": "sdp audio:a1"},
                    }
                ]
            }
        )
        assert descriptions(alice.take()) == [("answer", 1, "answer to sdp audio:a1")]
        assert len(w.harness.node.peers) == 1


async def test_a_later_offer_that_cannot_be_applied_ends_the_session() -> None:
    async with world() as w:
        alice = w.client("alice")
        await alice.connect("r1")
        await alice.describe("offer", 2, "refuse")
        (error,) = alice.take()
        assert error["code"] == 53403
        assert w.harness.node.peers == {}


# The end.


async def test_the_older_of_two_equal_identities_is_told_why_it_goes() -> None:
    async with world() as w:
        older, newer, bob = w.client("alice"), w.client("alice"), w.client("bob")
        await bob.connect("r1")
        await older.connect("r1")
        bob.take()
        connected = await newer.connect("r1")
        (error,) = older.take()
        assert (error["type"], error["code"]) == ("error", 53205)
        assert [p["identity"] for p in connected["participants"]] == ["bob"]
        seen = [p for body in bob.take() for p in body.get("participants", [])]
        assert [(p["sid"], p["state"]) for p in seen] == [
            (older.sid, "disconnected"),
            (newer.sid, "connected"),
        ]


async def test_completing_a_room_tells_everybody() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1")
        await bob.connect("r1")
        alice.take()
        record = await w.harness.service.complete_room(alice.room_sid)
        assert record.status == "completed"
        for client in (alice, bob):
            assert client.take() == [
                {
                    "type": "disconnected",
                    "version": 2,
                    "session": client.session,
                    "status": "completed",
                }
            ]
        assert w.harness.node.peers == {}
        assert w.sessions == {}
        # What comes afterwards is ignored.
        await alice.update(track("a1"))
        assert alice.take() == []


async def test_a_removed_participant_is_disconnected_without_an_error() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1")
        await bob.connect("r1")
        record = await w.harness.service.disconnect_participant(bob.room_sid, bob.sid)
        assert (record.status, record.identity) == ("disconnected", "bob")
        assert [(b["type"], b.get("status")) for b in bob.take()] == [
            ("disconnected", "disconnected")
        ]


async def test_a_participant_whose_time_is_up_is_told() -> None:
    from signaling.rooms import RoomSettings

    async with world() as w:
        settings = RoomSettings(unique_name="r1", max_participant_duration=600)
        await w.harness.service.create_room(settings)
        alice = w.client("alice")
        await alice.connect("r1")
        await w.harness.advance(600.0)
        assert [b["code"] for b in alice.take()] == [53216]


# Resuming.


async def test_a_lost_socket_is_resumed_with_a_whole_snapshot() -> None:
    """The transcript of section 14.7: both sides change something meanwhile."""
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", track("a1"))
        await bob.connect("r1", track("b1"), track("b2", "video"))
        alice.take()
        bob.take()
        await alice.drop()
        (update,) = bob.take()
        assert update["participants"][0]["state"] == "reconnecting"
        await bob.update(track("b1", enabled=False), track("b2", "video"))
        alice.tracks = [track("a1", enabled=False)]
        alice.revision += 1
        await w.advance(3.0)
        await alice.resume()
        welcome, message = alice.take_frames()
        assert welcome["type"] == "welcome"
        synced = message["body"]
        assert synced["type"] == "synced"
        assert (synced["session"], synced["sid"]) == (alice.session, alice.room_sid)
        assert synced["participant"] == {"sid": alice.sid, "identity": "alice"}
        assert [t["enabled"] for t in synced["participants"][0]["tracks"]] == [False, True]
        assert synced["peer_connections"] == [{"id": "pc-alice"}]
        assert synced["published"]["revision"] == 1
        assert len(synced["subscribed"]["tracks"]) == 2
        assert synced["options"]["session_timeout"] == 30
        states = [p["state"] for b in bob.take() for p in b["participants"]]
        assert states[-1] == "connected"
        assert len(w.harness.node.peers) == 2


async def test_counters_only_grow_over_a_resume() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", track("a1"))
        connected = await bob.connect("r1", track("b1"))
        await alice.drop()
        await alice.resume()
        await alice.drop()
        alice.take()
        await alice.resume()
        bodies = [connected, *bob.take()]
        revisions = [p["revision"] for b in bodies for p in b.get("participants", [])]
        assert revisions == sorted(set(revisions))
        (synced,) = alice.take()
        await alice.update(track("a1"), track("a2"))
        assert merged(alice.take())["published"]["revision"] > synced["published"]["revision"]


async def test_an_offer_that_was_lost_with_the_socket_is_repeated() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await bob.connect("r1")
        bob.description = {"type": "offer", "revision": 1, "sdp": "sdp"}
        await alice.connect("r1", track("v1", "video"), track("v2", "video"))
        await bob.drop()
        bob.take()
        await w.advance(20.0)
        await bob.resume()
        bodies = bob.take()
        assert bodies[0]["type"] == "synced"
        # The first answer comes again too: the client repeats an offer that it may still hold.
        assert descriptions(bodies) == [("answer", 1, "answer to sdp"), ("offer", 2, "offer 1")]
        await bob.describe("answer", 2, "sdp")
        assert len(merged(bob.take())["subscribed"]["tracks"]) == 2


async def test_an_answer_that_was_lost_with_the_socket_is_taken_from_the_sync() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await bob.connect("r1")
        await alice.connect("r1", track("v1", "video"), track("v2", "video"))
        await bob.drop()
        bob.take()
        bob.description = {"type": "answer", "revision": 2, "sdp": "sdp"}
        await bob.resume()
        bodies = bob.take()
        assert descriptions(bodies) == []
        assert len(merged(bodies)["subscribed"]["tracks"]) == 2


async def test_an_offer_that_was_lost_with_the_socket_is_taken_from_the_sync() -> None:
    async with world() as w:
        alice = w.client("alice")
        await alice.connect("r1", track("a1"))
        await alice.drop()
        alice.revision += 1
        alice.tracks = [track("a1"), track("v1", "video")]
        alice.description = {"type": "offer", "revision": 2, "sdp": "sdp audio:a1 video:v1"}
        await alice.resume()
        (synced,) = alice.take()
        assert descriptions([synced]) == [("answer", 2, "answer to sdp audio:a1 video:v1")]
        assert [t["state"] for t in synced["published"]["tracks"]] == ["ready", "ready"]


async def test_a_new_socket_replaces_one_that_still_seems_open() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1")
        await bob.connect("r1")
        old = alice.socket
        await alice.resume()
        assert [b["type"] for b in alice.take()] == ["synced"]
        assert old.close_code == 4002
        old.connection_lost(1006)
        assert bob.take() == []


async def test_a_session_that_has_expired_cannot_be_resumed() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1", track("a1"))
        await bob.connect("r1")
        await alice.drop()
        await w.harness.advance(29.9)
        assert len(w.harness.node.peers) == 2
        await w.harness.advance(0.2)
        assert len(w.harness.node.peers) == 1
        assert set(w.sessions) == {bob.session}
        seen = [p for b in bob.take() for p in b.get("participants", [])]
        assert [p["state"] for p in seen] == ["reconnecting", "disconnected"]
        alice.take()
        await alice.resume()
        (error,) = alice.take()
        assert (error["type"], error["code"]) == ("error", 53204)


async def test_a_session_is_resumed_only_by_its_own_identity() -> None:
    async with world() as w:
        alice, mallory = w.client("alice"), w.client("mallory")
        await alice.connect("r1")
        mallory.session = alice.session
        await mallory.resume()
        assert [body["code"] for body in mallory.take()] == [53204]
        await alice.update(track("a1"))
        assert merged(alice.take())["published"]["revision"] == 2


async def test_ice_servers_are_not_asked_for_twice() -> None:
    async with world() as w:
        alice = w.client("alice")
        await alice.connect("r1")
        # Refusing its token would leave a participant behind a socket that says nothing more.
        await alice.send({"type": "ice", "version": 1, "token": "badToken"})
        assert alice.take() == []
        await alice.update(track("a1"))
        assert merged(alice.take())["published"]["revision"] == 2


async def test_a_page_that_was_closed_has_a_shorter_grace() -> None:
    async with world() as w:
        alice = w.client("alice")
        await alice.connect("r1")
        await alice.drop(1001)
        await w.harness.advance(4.9)
        assert w.harness.service.participant_count == 1
        await w.harness.advance(0.2)
        assert w.harness.service.participant_count == 0


@pytest.mark.parametrize(("accept", "answer"), [(True, "synced"), (False, "error")])
async def test_an_expired_token_resumes_as_configured(accept: bool, answer: str) -> None:
    config = ServiceConfig(account_sid=ACCOUNT_SID, accept_expired_token_on_resume=accept)
    async with world(config) as w:
        alice = w.client("alice")
        await alice.connect("r1")
        await alice.drop()
        await alice.resume(token=token("alice", now=STARTED_AT - timedelta(hours=3)))
        (body,) = alice.take()
        assert body["type"] == answer
        if not accept:
            assert body["code"] == 20104


# Admission.


async def test_a_server_that_drains_refuses_the_new_and_keeps_the_old() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1")
        w.harness.service.draining = True
        await bob.hello({"type": "ice", "token": token("bob")})
        assert bob.take_frames() == [{"type": "busy", "retryAfter": 2000, "keepAlive": True}]
        await alice.drop()
        await alice.resume()
        assert [b["type"] for b in alice.take()] == ["synced"]
        w.harness.service.draining = False
        await bob.send_frame(
            {"type": "hello", "id": "2", "version": 2, "body": {"type": "ice", "token": token("b")}}
        )
        assert [f["type"] for f in bob.take_frames()] == ["welcome", "msg"]


async def test_a_server_that_is_behind_puts_newcomers_off_and_serves_who_has_begun() -> None:
    async with world() as w:
        service = w.harness.service
        # From here on the test says how the loop does.
        service.load.close()
        alice, bob, carol = w.client("alice"), w.client("bob"), w.client("carol")
        await alice.connect("r1")
        await bob.hello({"type": "ice", "token": token("bob")})
        assert [f["type"] for f in bob.take_frames()] == ["welcome", "msg"]
        for _ in range(2):
            service.load.probe(now=9.0, due_at=8.0)
        await carol.hello({"type": "ice", "token": token("carol")})
        assert carol.take_frames() == [{"type": "busy", "retryAfter": 2000, "keepAlive": True}]
        assert service.joins_put_off == 1
        await bob.send(connect_body("bob", "r1"))
        assert [b["type"] for b in bob.take()] == ["connected"]
        await alice.drop()
        await alice.resume()
        assert "synced" in [b["type"] for b in alice.take()]
        service.load.probe(now=9.0, due_at=9.0)
        await carol.send_frame(
            {
                "type": "hello",
                "id": "2",
                "version": 2,
                "body": {"type": "ice", "token": token("carol")},
            }
        )
        assert [f["type"] for f in carol.take_frames()] == ["welcome", "msg"]
        assert service.joins_put_off == 1


async def test_a_join_is_under_way_from_hello_until_it_is_done_refused_or_given_up() -> None:
    async with world() as w:
        load = w.harness.service.load
        alice, bob, carol = w.client("alice"), w.client("bob"), w.client("carol")
        for client in (alice, bob, carol):
            await client.hello({"type": "ice", "token": token(client.identity)})
        assert load.joins == 3
        await alice.send(connect_body("alice", "r1"))
        assert load.joins == 2
        await bob.send(connect_body("bob", "r1", access_token="nonsense"))
        assert load.joins == 1
        await carol.drop()
        assert load.joins == 0
        await alice.drop()
        await alice.resume()
        assert load.joins == 0


async def test_a_server_that_is_full_tells_clients_to_come_back() -> None:
    config = ServiceConfig(account_sid=ACCOUNT_SID, max_participants=1, busy_retry_after_ms=-1)
    async with world(config) as w:
        await w.client("alice").connect("r1")
        bob = w.client("bob")
        await bob.hello(connect_body("bob"))
        assert bob.take_frames() == [{"type": "busy", "retryAfter": -1, "keepAlive": False}]


# Bad input.


@pytest.mark.parametrize(
    "body",
    [
        {"type": "connect", "version": 2},
        {"type": "connect", "token": 7, "participant": {"revision": 1}},
        {"type": "connect", "token": "t", "participant": {"revision": -1, "tracks": []}},
        {"type": "update", "session": "unknown"},
        {"type": "disconnect", "session": "unknown"},
        {"type": "sync"},
        {"no": "type"},
        [],
        "text",
        None,
    ],
)
async def test_messages_that_make_no_sense_are_answered_with_53004(body: Any) -> None:
    async with world() as w:
        alice = w.client("alice")
        await alice.hello()
        await alice.send(body)
        assert [(b["type"], b["code"]) for b in alice.take()] == [("error", 53004)]


async def test_malformed_messages_end_a_session() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await alice.connect("r1")
        await bob.connect("r1")
        await alice.send_frame('{"type":"msg","body":{"type":"update","session":')
        assert [b.get("code") for b in alice.take()][-1] == 53004
        assert w.harness.service.participant_count == 1


async def test_unknown_types_and_foreign_sessions_are_ignored() -> None:
    async with world() as w:
        alice = w.client("alice")
        await alice.connect("r1")
        await alice.send({"type": "something new", "version": 3})
        await alice.send(alice.update_body() | {"session": "another"})
        await alice.send({"type": "disconnect", "session": "another"})
        await alice.send_frame({"type": "something new"})
        await alice.send(connect_body("alice"))
        assert alice.take() == []
        assert w.harness.service.participant_count == 1


async def test_repeated_hellos_do_not_make_two_participants() -> None:
    async with world() as w:
        alice = w.client("alice")
        body = connect_body("alice")
        await alice.hello(body)
        await alice.send_frame({"type": "hello", "id": "2", "version": 2, "body": body})
        frames = alice.take_frames()
        assert [f["type"] for f in frames] == ["welcome", "msg", "welcome"]
        assert w.harness.service.participant_count == 1


async def test_a_socket_without_a_session_is_closed_after_a_while() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await bob.connect("r1")
        await alice.hello({"type": "ice", "token": token("alice")})
        for _ in range(12):
            await w.advance(4.9)
            assert alice.socket.close_code is None
            for client in (alice, bob):
                await client.send_frame({"type": "heartbeat"})
        await w.advance(2.0)
        assert alice.socket.close_code == 4003
        assert bob.socket.close_code is None


async def test_an_answer_for_a_transport_that_failed_meanwhile_is_let_go() -> None:
    async with world() as w:
        alice, bob = w.client("alice"), w.client("bob")
        await bob.connect("r1")
        (peer_id,) = w.harness.node.peers
        await alice.connect("r1", track("v1", "video"), track("v2", "video"))
        assert descriptions(bob.take()) == [("offer", 2, "offer 1")]
        w.harness.node.failed(peer_id)
        await w.advance(0.0)
        await bob.describe("answer", 2, "refuse")
        assert bob.take() == []
        await bob.describe("offer", 3, "restart")
        answers = descriptions(bob.take())
        assert answers[0] == ("answer", 3, "answer to restart")
        assert answers[1][:2] == ("offer", 4)


async def test_nothing_is_left_after_everybody_has_gone() -> None:
    async with world() as w:
        for number in range(3):
            alice, bob = w.client("alice"), w.client("bob")
            await alice.connect("r1", track("a1"), track("d1", "data"))
            await bob.connect("r1", track("b1", "video"))
            await alice.send({"type": "disconnect", "session": alice.session})
            await alice.drop(1000)
            await bob.drop(1006 if number else 1000)
            await w.harness.advance(31.0)
            assert w.harness.node.peers == {}
            assert w.sessions == {}
            assert w.harness.service.room_count == 0
            assert not w.harness.service._room_by_peer
            assert len(w.harness.service._timers) == 0


@pytest.mark.parametrize("inside", [False, True])
async def test_nonsense_of_strangers_is_not_worth_a_line(inside: bool) -> None:
    async with world() as w:
        alice = w.client("alice")
        if inside:
            await alice.connect()
        else:
            await alice.hello()
        with capture_logs() as logs:
            await alice.send({"type": "connect"})
        levels = [line["log_level"] for line in logs if line["event"] == "invalid message"]
        assert levels == ["info" if inside else "debug"]
