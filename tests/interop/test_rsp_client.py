"""Two clients of our own meet in a room of a server process."""

import asyncio
import json
import time
from pathlib import Path

import aiohttp
import pytest

from benchmarks.load import SignalingFailed
from router.ice import IceState
from tests.support.clients import (
    Clients,
    access_token,
    arrived,
    assert_both_ways,
    assert_media_flows,
    basic_authorization,
    clients_of,
    failures_in_log,
    meet,
)
from tests.support.server import Server, running_server

from .conftest import SESSION_TIMEOUT


async def test_two_participants_see_and_hear_each_other(clients: Clients, room: str) -> None:
    alice, bob = await meet(clients, room)
    await assert_both_ways(alice, bob, seconds=2.5)
    for participant in (alice, bob):
        media = participant.peer.core.media
        assert all(item["state"] == "ready" for item in participant.published.values())
        # Reports in both directions, and feedback for what is sent.
        assert all(stream.counters.sender_reports for stream in media.inbound.values())
        assert set(media.fraction_lost_reported) == set(media.outbound)
        assert media.transport_cc_received > 10
    assert [p.identity for p in alice.participants.values()] == ["bob"]
    await alice.leave()
    await bob.wait_until(lambda: not bob.participants and not bob.subscribed, seconds=2)
    await bob.leave()


async def test_a_track_is_muted_unpublished_and_published_again(
    clients: Clients, room: str
) -> None:
    alice, bob = await meet(clients, room)
    camera = next(track for track in alice.tracks.values() if track.kind == "video")
    sid = alice.published[camera.track_id]["sid"]

    def seen_by_bob() -> dict[str, bool]:
        return {
            track.sid: track.enabled
            for other in bob.participants.values()
            for track in other.tracks.values()
        }

    alice.set_enabled(camera, enabled=False)
    await bob.wait_until(lambda: seen_by_bob()[sid] is False)
    alice.unpublish(camera)
    await bob.wait_until(lambda: sid not in seen_by_bob() and sid not in bob.subscribed)

    alice.number = 77
    alice.camera = type(alice.camera)(77, alice.camera.settings, clients.rng)
    alice.microphone = type(alice.microphone)(77, alice.microphone.settings, clients.rng)
    again = alice.publish(alice.camera)
    alice.publish(alice.microphone)
    await bob.wait_until(lambda: len(bob.receiver_ids()) == 3)
    assert alice.published[again.track_id]["sid"] != sid
    await assert_media_flows(bob, alice)


async def test_a_third_participant_comes_and_goes(clients: Clients, room: str) -> None:
    alice, bob = await meet(clients, room)
    for turn in range(3):
        offers = (alice.offers_received, bob.offers_received)
        carol = clients.participant(f"carol{turn}", room)
        await carol.join()
        await carol.peer.wait_connected()
        for participant in (alice, bob, carol):
            await participant.wait_subscribed(4)
        await asyncio.gather(
            *(
                assert_media_flows(receiver, sender, seconds=1)
                for receiver in (alice, bob, carol)
                for sender in (alice, bob, carol)
                if receiver is not sender
            )
        )
        if turn:
            # The sections of the first carol serve those who come after her.
            assert (alice.offers_received, bob.offers_received) == offers
        await carol.leave()
        for participant in (alice, bob):
            await participant.wait_until(
                lambda p=participant: len(p.subscribed) == 2  # type: ignore[misc]
            )
    await assert_both_ways(alice, bob, seconds=1)


async def test_an_ice_restart_is_answered(clients: Clients, room: str) -> None:
    alice, bob = await meet(clients, room)
    before = alice.peer.core.ice.local_credentials
    association = alice.peer.core.dtls
    alice.restart_ice()
    await alice.peer.wait_until(
        lambda: alice.peer.ice_states[-2:] == [IceState.CHECKING, IceState.CONNECTED]
    )
    assert alice.offers_sent == 2
    assert alice.peer.core.ice.local_credentials != before
    await assert_both_ways(alice, bob)
    # The same keys serve on: no frame was lost.
    assert alice.peer.core.dtls is association
    assert arrived(bob, alice).missing_frames <= 2


async def test_signaling_is_resumed_while_media_flows(clients: Clients, room: str) -> None:
    alice, bob = await meet(clients, room)
    frames = arrived(alice, bob).video_frames
    await alice.resume()
    assert alice.room_sid == bob.room_sid
    assert len(alice.receiver_ids()) == 2
    await bob.wait_until(lambda: [p.state for p in bob.participants.values()] == ["connected"])
    await assert_both_ways(alice, bob)
    assert arrived(alice, bob).video_frames > frames
    assert len(alice.peer.core.media.inbound) == 2


async def test_rooms_are_spread_over_the_plane_threads(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, media_threads=2) as server,
        clients_of(server) as clients,
    ):
        pairs = [await meet(clients, f"room{i}") for i in range(4)]
        ports = []
        for pair in pairs:
            paths = [participant.peer.core.ice.selected_path for participant in pair]
            assert all(path is not None for path in paths)
            used = {path[1].port for path in paths if path is not None}
            assert len(used) == 1, "the members of a room share a thread"
            ports.append(used.pop())
        assert sorted(ports) == sorted([server.media_port, server.media_port + 1] * 2)
        await asyncio.gather(*(assert_both_ways(*pair) for pair in pairs))
    assert failures_in_log(server) == []


async def test_a_peer_that_vanishes_is_gone_after_its_grace_period(
    clients: Clients, room: str
) -> None:
    alice, bob = await meet(clients, room, heartbeat=1.0)
    vanished_at = time.monotonic()
    await alice.vanish()
    await bob.wait_until(
        lambda: [p.state for p in bob.participants.values()] == ["reconnecting"], seconds=6
    )
    await bob.wait_until(lambda: not bob.participants, seconds=6)
    # Three heartbeats are missed, then the grace period runs.
    assert 2 + SESSION_TIMEOUT <= time.monotonic() - vanished_at <= 6 + SESSION_TIMEOUT
    await bob.wait_until(lambda: not bob.subscribed, seconds=2)
    await bob.leave()


async def test_tokens_that_do_not_admit_are_refused(
    server: Server, clients: Clients, room: str
) -> None:
    for token, code in (
        (access_token(server.account, "mallory", "elsewhere"), 20106),
        ("nonsense", 20101),
    ):
        mallory = clients.participant("mallory", room, token=token)
        with pytest.raises(SignalingFailed) as refused:
            await mallory.join()
        assert refused.value.code == code


async def test_the_dev_token_lets_a_client_in(server: Server, clients: Clients, room: str) -> None:
    body = json.dumps({"identity": "dave", "room": room})
    headers = {aiohttp.hdrs.CONTENT_TYPE: "application/json"}
    async with clients.http.post(f"{server.url}/dev/token", data=body, headers=headers) as answer:
        assert answer.status == 200
        token = (await answer.json())["token"]
    dave = clients.participant("dave", room, token=token)
    await dave.join()
    erin = clients.participant("erin", room)
    await erin.join()
    assert [p.identity for p in erin.participants.values()] == ["dave"]


async def test_transcriptions_arrive_also_after_the_channel_was_replaced(
    server: Server, clients: Clients, room: str
) -> None:
    alice = clients.participant("alice", room, channels=("extension_transcriptions",))
    await alice.join()
    headers = basic_authorization(server.account)
    path = f"{server.url}/v1/Rooms/{alice.room_sid}/Transcriptions"
    async with clients.http.post(path, headers=headers) as answer:
        url = (await answer.json())["url"] + "/Messages"
    message = {
        "participant": alice.participant_sid,
        "track": "MT" + "0" * 32,
        "transcription": "hello",
        "language_code": "en-US",
        "timestamp": "2026-11-26T12:00:00Z",
        "partial_results": False,
        "sequence_number": 1,
    }
    label = alice.channels["extension_transcriptions"]
    channel = await alice.peer.wait_channel(label)
    alice.peer.send(channel, json.dumps({"type": "ready"}))
    async with clients.http.post(url, json=message, headers=headers) as answer:
        assert (answer.status, await answer.json()) == (202, {"participants": 1})
    await alice.peer.wait_until(lambda: bool(alice.peer.messages))
    [(came_by, text)] = alice.peer.messages
    assert came_by == label
    assert json.loads(text) == message | {"type": "extension_transcriptions"}
    # Closed by the client: it is granted another one.
    alice.peer.close_channel(channel)
    await alice.wait_until(lambda: alice.channels["extension_transcriptions"] != label)
    await alice.peer.wait_channel(alice.channels["extension_transcriptions"])
    async with clients.http.post(url, json=message, headers=headers) as answer:
        assert await answer.json() == {"participants": 1}
    await alice.peer.wait_until(lambda: len(alice.peer.messages) == 2)
    await alice.leave()
