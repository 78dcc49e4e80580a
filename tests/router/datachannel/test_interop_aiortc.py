"""Data channels against aiortc, an independent SCTP and DCEP, in both DTLS roles."""

import random
from typing import Any

import pytest

pytest.importorskip("aiortc")

from aiortc import RTCDataChannel, RTCDataChannelParameters

from router.datachannel import (
    AssociationClosed,
    ChannelClosed,
    ChannelOpened,
    DataChannelConfig,
    DataChannelTransport,
    DtlsRole,
    MessageReceived,
)

from .aiortc_peer import AiortcPeer, run_on_virtual_time

pytestmark = pytest.mark.interop

ROLES = [(DtlsRole.SERVER, "client"), (DtlsRole.CLIENT, "server")]


def _transport(role: DtlsRole) -> DataChannelTransport:
    config = DataChannelConfig(remote_max_message_size=262144)
    return DataChannelTransport(config=config, role=role, rng=random.Random(7), now=0.0)


async def _connected(role: DtlsRole, their_role: str, **link: Any) -> AiortcPeer:
    core = _transport(role)
    peer = AiortcPeer(core, role=their_role, **link)
    core.connect(peer.now)
    await peer.start()
    await peer.run(lambda: core.is_connected and peer.sctp.state == "connected")
    return peer


def _collect(peer: AiortcPeer) -> tuple[list[RTCDataChannel], list[str | bytes]]:
    """Return lists that fill with the channels and messages that aiortc reports."""
    channels: list[RTCDataChannel] = []
    messages: list[str | bytes] = []

    def on_channel(channel: RTCDataChannel) -> None:
        channels.append(channel)
        channel.on("message", messages.append)

    peer.sctp.on("datachannel", on_channel)
    return channels, messages


@pytest.mark.parametrize(("role", "their_role"), ROLES)
@pytest.mark.parametrize("we_connect", [True, False])
@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_association_comes_up_whoever_begins(
    role: DtlsRole, their_role: str, we_connect: bool, loss: float
) -> None:
    async def main() -> None:
        core = _transport(role)
        peer = AiortcPeer(core, role=their_role, loss=loss, seed=3)
        if we_connect:
            core.connect(peer.now)
        await peer.start()
        await peer.run(lambda: core.is_connected and peer.sctp.state == "connected")
        await peer.sctp.stop()

    run_on_virtual_time(main())


@pytest.mark.parametrize(("role", "their_role"), ROLES)
@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_channel_of_ours_carries_messages_and_closes(
    role: DtlsRole, their_role: str, loss: float
) -> None:
    async def main() -> None:
        peer = await _connected(role, their_role, loss=loss)
        core = peer.core
        channels, messages = _collect(peer)
        channel_id = core.open_channel(label="häuser", protocol="p1", now=peer.now)
        assert channel_id % 2 == (0 if role is DtlsRole.CLIENT else 1)
        sent: list[str | bytes] = ["text", b"binary", "", b"", "ü" * 2000, bytes(range(256)) * 40]
        for message in sent:
            core.send(channel_id, message, peer.now)
        await peer.run(lambda: len(messages) == len(sent))
        assert messages == sent
        (channel,) = channels
        assert (channel.label, channel.protocol, channel.id) == ("häuser", "p1", channel_id)
        assert channel.ordered
        await peer.run(lambda: bool(peer.events_of(ChannelOpened)))

        channel.send("back")
        channel.send(b"and forth" * 1000)
        await peer.run(lambda: len(peer.events_of(MessageReceived)) == 2)
        assert [event.data for event in peer.events_of(MessageReceived)] == [
            "back",
            b"and forth" * 1000,
        ]

        core.close_channel(channel_id, peer.now)
        await peer.run(
            lambda: channel.readyState == "closed" and bool(peer.events_of(ChannelClosed))
        )
        assert peer.events_of(ChannelClosed) == [ChannelClosed(channel_id=channel_id, error=None)]

        # The identifier can be used again at once.
        assert core.open_channel(label="second", now=peer.now) == channel_id
        core.send(channel_id, "again", peer.now)
        await peer.run(lambda: messages[-1] == "again")
        await peer.sctp.stop()

    run_on_virtual_time(main())


@pytest.mark.parametrize(("role", "their_role"), ROLES)
@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_channel_of_theirs_carries_messages_and_closes(
    role: DtlsRole, their_role: str, loss: float
) -> None:
    async def main() -> None:
        peer = await _connected(role, their_role, loss=loss)
        core = peer.core
        channel = RTCDataChannel(
            peer.sctp,
            RTCDataChannelParameters(label="chat", protocol="x", ordered=False, maxRetransmits=3),
        )
        await peer.run(lambda: channel.readyState == "open")
        (opened,) = peer.events_of(ChannelOpened)
        assert opened.remote
        assert (opened.label, opened.parameters.protocol) == ("chat", "x")
        assert not opened.parameters.ordered
        assert opened.parameters.max_retransmits == 3
        assert opened.channel_id == channel.id

        received: list[str | bytes] = []
        channel.on("message", received.append)
        channel.send("one")
        assert core.send(opened.channel_id, "two", peer.now)
        await peer.run(lambda: bool(received) and bool(peer.events_of(MessageReceived)))
        assert received == ["two"]

        channel.close()
        await peer.run(
            lambda: channel.readyState == "closed" and bool(peer.events_of(ChannelClosed))
        )
        await peer.sctp.stop()

    run_on_virtual_time(main())


@pytest.mark.parametrize("loss", [0.0, 0.02])
def test_large_messages_arrive_whole_both_ways(loss: float) -> None:
    async def main() -> None:
        peer = await _connected(DtlsRole.SERVER, "client", loss=loss, seed=5)
        core = peer.core
        _, messages = _collect(peer)
        channel_id = core.open_channel(label="big", now=peer.now)
        rng = random.Random(1)
        sent = [rng.randbytes(size) for size in (1, 1172, 1173, 65536, 262144)]
        for message in sent:
            core.send(channel_id, message, peer.now)
        await peer.run(lambda: len(messages) == len(sent), within=300)
        assert messages == sent

        channel = RTCDataChannel(peer.sctp, RTCDataChannelParameters(label="back"))
        await peer.run(lambda: channel.readyState == "open")
        for message in sent:
            channel.send(message)
        await peer.run(lambda: len(peer.events_of(MessageReceived)) == len(sent), within=300)
        assert [event.data for event in peer.events_of(MessageReceived)] == sent
        await peer.sctp.stop()

    run_on_virtual_time(main())


def test_messages_given_up_do_not_hold_back_later_ones() -> None:
    async def main() -> None:
        peer = await _connected(DtlsRole.SERVER, "client", loss=0.3, seed=2)
        core = peer.core
        _, messages = _collect(peer)
        channel_id = core.open_channel(label="lossy", max_retransmits=0, now=peer.now)
        await peer.run(lambda: bool(peer.events_of(ChannelOpened)), within=200)
        for number in range(200):
            core.send(channel_id, f"{number}", peer.now)
            target = peer.now + 0.02
            await peer.run(lambda target=target: peer.now >= target)  # type: ignore[misc]
        await peer.run(lambda: core.send_buffer_used == 0, within=200)
        numbers = [int(message) for message in messages]
        assert numbers == sorted(set(numbers))
        assert 50 < len(numbers) < 200
        await peer.sctp.stop()

    run_on_virtual_time(main())


def test_negotiated_channel_opens_without_a_message() -> None:
    async def main() -> None:
        peer = await _connected(DtlsRole.SERVER, "client")
        theirs = RTCDataChannel(peer.sctp, RTCDataChannelParameters(negotiated=True, id=42))
        received: list[str | bytes] = []
        theirs.on("message", received.append)
        peer.core.open_channel(label="", negotiated_id=42, now=peer.now)
        peer.core.send(42, "hello", peer.now)
        theirs.send("there")
        await peer.run(lambda: bool(received) and bool(peer.events_of(MessageReceived)))
        assert received == ["hello"]
        await peer.sctp.stop()

    run_on_virtual_time(main())


def test_their_abort_closes_channels() -> None:
    async def main() -> None:
        peer = await _connected(DtlsRole.SERVER, "client")
        channel_id = peer.core.open_channel(label="x", now=peer.now)
        await peer.run(lambda: bool(peer.events_of(ChannelOpened)))
        await peer.sctp.stop()
        await peer.run(lambda: bool(peer.events_of(AssociationClosed)))
        assert [event.channel_id for event in peer.events_of(ChannelClosed)] == [channel_id]
        assert peer.core.is_closed

    run_on_virtual_time(main())


def test_our_shutdown_ends_their_association() -> None:
    async def main() -> None:
        peer = await _connected(DtlsRole.CLIENT, "server")
        peer.core.shutdown(peer.now)
        await peer.run(lambda: bool(peer.events_of(AssociationClosed)))
        assert peer.events_of(AssociationClosed) == [AssociationClosed(error=None)]
        await peer.run(lambda: peer.sctp.state == "closed")

    run_on_virtual_time(main())
