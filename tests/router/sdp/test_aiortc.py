"""aiortc, which shares no code with ours, as the other side: no network, descriptions only."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    sdp,
)
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from router.sdp import LocalTransport, NegotiationConfig, Negotiator
from router.sdp.description import parse_session_description

from .client import VECTORS, vector

pytestmark = pytest.mark.interop

# No candidates: aiortc would open sockets to check them.
TRANSPORT = LocalTransport(
    ufrag="srvU", pwd="serverpasswordserverpw", fingerprint="sha-256 " + ":".join(["5A"] * 32)
)


def negotiator() -> Negotiator:
    return Negotiator(config=NegotiationConfig(transport=TRANSPORT), rng=random.Random(11))


@asynccontextmanager
async def peer_connection() -> AsyncIterator[Any]:
    """An aiortc peer connection that describes itself but never connects."""
    peer = RTCPeerConnection(
        RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    )

    async def nothing() -> None: ...

    # Its private connect step is what would touch the network and the clock.
    peer._RTCPeerConnection__connect = nothing
    peer._RTCPeerConnection__gather = nothing
    try:
        yield peer
    finally:
        await peer.close()


async def client_offers(peer: Any, server: Negotiator) -> str:
    await peer.setLocalDescription(await peer.createOffer())
    server.receive_offer(peer.localDescription.sdp)
    answer = server.create_answer()
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    return answer


async def server_offers(peer: Any, server: Negotiator) -> str:
    offer = server.create_offer()
    await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await peer.setLocalDescription(await peer.createAnswer())
    server.receive_answer(peer.localDescription.sdp)
    return offer


@pytest.mark.parametrize("name", sorted(path.stem for path in VECTORS.glob("*.sdp")))
def test_parsers_agree_on_captured_descriptions(name: str) -> None:
    ours = parse_session_description(vector(name))
    theirs = sdp.SessionDescription.parse(vector(name))
    assert [group.items for group in theirs.group] == [list(group.members) for group in ours.groups]
    for mine, other in zip(ours.media, theirs.media, strict=True):
        assert (other.kind, other.port, other.profile) == (mine.kind, mine.port, mine.protocol)
        assert other.rtp.muxId == mine.mid
        assert other.rtcp_mux == mine.rtcp_mux
        assert other.ice.usernameFragment == mine.transport.ice_ufrag
        assert other.ice.password == mine.transport.ice_pwd
        if not mine.is_rtp:
            continue
        assert other.direction == mine.direction.value
        assert [extension.uri for extension in other.rtp.headerExtensions] == [
            extmap.uri for extmap in mine.extmaps
        ]
        assert [(codec.payloadType, codec.name, codec.clockRate) for codec in other.rtp.codecs] == [
            (item.payload_type, item.name, item.clock_rate) for item in mine.payload_formats
        ]
        assert [(source.ssrc, source.cname) for source in other.ssrc] == [
            (source.ssrc, source.cname or None) for source in mine.ssrcs
        ]
        assert [(group.semantic, group.items) for group in other.ssrc_group] == [
            (group.semantics, list(group.ssrcs)) for group in mine.ssrc_groups
        ]


@pytest.mark.parametrize("name", ["chromium-data", "firefox-data", "chromium-rid"])
def test_aiortc_reads_our_descriptions(name: str) -> None:
    server = negotiator()
    server.receive_offer(vector(name))
    answer = sdp.SessionDescription.parse(server.create_answer())
    assert {media.dtls.role for media in answer.media} == {"server"}
    assert {media.ice.iceLite for media in answer.media} == {True}
    server.set_wanted(audio_slots=3, video_slots=3, data_channel=True)
    offer = sdp.SessionDescription.parse(server.create_offer())
    assert {media.dtls.role for media in offer.media} == {"auto"}
    assert offer.group[0].items == [media.rtp.muxId for media in offer.media]
    for media in offer.media[len(answer.media) :]:
        if media.kind != "application":
            assert media.direction == "sendonly"
            assert media.msid
            assert media.ssrc


async def test_aiortc_publishes_and_is_recycled() -> None:
    server = negotiator()
    async with peer_connection() as peer:
        peer.addTrack(AudioStreamTrack())
        track = VideoStreamTrack()
        sender = peer.addTrack(track)
        await client_offers(peer, server)
        assert [transceiver.currentDirection for transceiver in peer.getTransceivers()] == [
            "sendrecv",
            "sendrecv",
        ]
        assert server.inbound[1].track_id == track.id
        assert server.inbound[1].streams[0].ssrc == sender._ssrc
        assert server.inbound[1].streams[0].rtx_ssrc == sender._rtx_ssrc
        server.set_wanted(audio_slots=2, video_slots=2, data_channel=True)
        await server_offers(peer, server)
        assert not server.needs_offer
        assert server.sctp is not None
        assert [transceiver.currentDirection for transceiver in peer.getTransceivers()] == [
            "sendrecv",
            "sendrecv",
            "recvonly",
            "recvonly",
        ]
        receivers = {item.mid: item.receiver.track.id for item in peer.getTransceivers()}
        assert {slot.mid: slot.receiver_id for slot in server.slots} == receivers
        # A second camera goes out on a section that the server added.
        second = VideoStreamTrack()
        peer.addTrack(second)
        answer = await client_offers(peer, server)
        assert [media.track_id for media in server.inbound][2] == second.id
        assert len(parse_session_description(answer).media) == 5


async def test_aiortc_whip_publisher_and_whep_viewer() -> None:
    for direction, inbound, slots in (("sendonly", 2, 0), ("recvonly", 0, 2)):
        server = negotiator()
        async with peer_connection() as peer:
            for kind in ("audio", "video"):
                peer.addTransceiver(kind, direction=direction)
            await client_offers(peer, server)
        assert (len(server.inbound), len(server.slots)) == (inbound, slots)


async def test_aiortc_opens_the_data_channel_section() -> None:
    server = negotiator()
    async with peer_connection() as peer:
        peer.createDataChannel("chat")
        await client_offers(peer, server)
        printed = peer.localDescription.sdp
    assert server.sctp is not None
    assert f"a=sctp-port:{server.sctp.remote_port}\r\n" in printed
    assert f"a=max-message-size:{server.sctp.max_message_size}\r\n" in printed
