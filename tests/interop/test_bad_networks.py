"""Two clients behind a relay that loses, reorders and forgets."""

import asyncio
from pathlib import Path

from router.ice import IceState
from router.net import Address
from tests.support.clients import (
    Clients,
    Participant,
    assert_both_ways,
    clients_of,
    meet,
    until_media_arrives,
)
from tests.support.relay import Impairment, UdpRelay, running_relay
from tests.support.server import Server, running_server


def address_of(relay: UdpRelay) -> Address:
    """Return where clients reach a relay."""
    return Address("127.0.0.1", relay.port)


async def publish_data(participant: Participant) -> int:
    """Publish a data track and return the id of its channel."""
    track = participant.publish_data()
    await participant.peer.wait_until(lambda: participant.peer.core.channels is not None)
    return participant.peer.open_channel(track.track_id)


def messages_to_send() -> list[str | bytes]:
    """Return texts and binaries from one byte to several packets."""
    return [f"message {i} äöü" if i % 2 else bytes([i]) * (40 * i + 1) for i in range(200)]


async def test_messages_arrive_whole_and_in_order_at_5_percent_loss(
    server: Server, clients: Clients, room: str
) -> None:
    async with running_relay(("127.0.0.1", server.media_port), Impairment(), seed=3) as relay:
        alice, bob = await meet(clients, room, via=address_of(relay))
        channels = {alice: await publish_data(alice), bob: await publish_data(bob)}
        for participant in channels:
            await participant.wait_until(lambda p=participant: len(p.subscribed) == 3)  # type: ignore[misc]
            await participant.peer.wait_until(lambda p=participant: len(p.peer.channels) == 2)  # type: ignore[misc]
        relay.impairment = Impairment(loss=0.05, reorder=0.02)
        messages = messages_to_send()
        for i, message in enumerate(messages):
            for participant, channel_id in channels.items():
                participant.peer.send(channel_id, message)
            if i % 20 == 0:
                await asyncio.sleep(0.02)
        for participant in channels:
            await participant.peer.wait_until(
                lambda p=participant: len(p.peer.messages) >= len(messages),  # type: ignore[misc]
                seconds=20,
            )
            labels, received = zip(*participant.peer.messages, strict=True)
            assert list(received) == messages
            assert set(labels) <= set(participant.subscribed.values())
        assert min(relay.up.dropped, relay.down.dropped) > 20


async def test_lost_video_is_repaired(server: Server, clients: Clients, room: str) -> None:
    async with running_relay(("127.0.0.1", server.media_port), Impairment(), seed=4) as relay:
        alice, bob = await meet(clients, room, via=address_of(relay))
        relay.impairment = Impairment(loss=0.05, reorder=0.02, delay=0.01)
        await assert_both_ways(alice, bob, seconds=5, missing=8, share=0.7)
        lost = recovered = 0
        for participant in (alice, bob):
            for stream in participant.peer.core.media.inbound.values():
                if stream.is_video:
                    lost += stream.counters.lost - stream.counters.reordered
                    recovered += stream.counters.recovered
        assert lost > 20
        assert recovered >= 0.95 * lost - 3


async def test_a_client_behind_a_nat_that_forgets_goes_on(
    server: Server, clients: Clients, room: str
) -> None:
    async with running_relay(("127.0.0.1", server.media_port), Impairment(), seed=5) as relay:
        alice, bob = await meet(clients, room, via=address_of(relay))
        for _ in range(2):
            relay.move_clients()
            await asyncio.gather(
                until_media_arrives(alice, bob, seconds=4),
                until_media_arrives(bob, alice, seconds=4),
            )
        await assert_both_ways(alice, bob)
        for participant in (alice, bob):
            assert participant.offers_sent == 1
            assert IceState.FAILED not in participant.peer.ice_states
            assert participant.failure is None


async def test_a_server_with_several_addresses_answers_from_the_one_it_was_asked_at(
    tmp_path: Path,
) -> None:
    # The kernel alone would answer from 127.0.0.1, and a full ICE agent drops such answers.
    settings = {"MEDIA_ADDRESSES": "127.0.0.2"}
    async with (
        running_server(tmp_path, settings=settings) as server,
        clients_of(server) as clients,
    ):
        alice, bob = await meet(clients, "r1")
        for participant in (alice, bob):
            path = participant.peer.core.ice.selected_path
            assert path is not None
            assert path[1].host == "127.0.0.2"
        await assert_both_ways(alice, bob, seconds=0.5)
