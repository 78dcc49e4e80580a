"""The media node with aiortc as an independent peer, over real sockets on loopback."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack

from router.errors import DataPlaneError, LocalProtocolError, NegotiationError
from router.node import MediaNode, MediaNodeConfig
from router.node_events import (
    ChannelClosed,
    ChannelOpened,
    ChannelReceived,
    MediaKind,
    NegotiationNeeded,
    NodeEvent,
    PeerConnected,
    PeerFailed,
    PeerId,
    ReceiverAssigned,
    ReceiverLost,
    Source,
    SourceAdded,
    SourceRemoved,
)
from router.plane.shard import PlaneShard

pytestmark = pytest.mark.interop


@dataclass
class Watched:
    """A running node and everything that it reported."""

    node: MediaNode
    events: list[NodeEvent] = field(default_factory=list)

    async def wait_for(self, kind: type[NodeEvent], **fields: object) -> NodeEvent:
        """Wait for an event with these fields."""
        async with asyncio.timeout(20):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and all(
                        getattr(event, name) == value for name, value in fields.items()
                    ):
                        return event
                await asyncio.sleep(0.01)


@pytest_asyncio.fixture(
    params=[(1, 0), (2, 0), (3, 1)], ids=["one-plane", "two-planes", "spread-over-planes"]
)
async def watched(request: pytest.FixtureRequest) -> AsyncIterator[Watched]:
    """Run a node on ports of the kernel's choice."""
    threads, spread_peers = request.param
    node = MediaNode(
        MediaNodeConfig(
            port=0, threads=threads, spread_peers=spread_peers, addresses=("127.0.0.1",)
        ),
        rng=random.Random(7),
    )
    found = Watched(node)
    node.set_listener(found.events.append)
    await node.start()
    yield found
    await node.close()


@pytest_asyncio.fixture
async def connections() -> AsyncIterator[list[RTCPeerConnection]]:
    """Close the aiortc connections of a test at its end."""
    made: list[RTCPeerConnection] = []
    yield made
    for connection in made:
        await connection.close()


def connection_of(connections: list[RTCPeerConnection]) -> RTCPeerConnection:
    """Return a new connection without STUN servers."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connections.append(connection)
    return connection


async def negotiate(node: MediaNode, peer_id: PeerId, connection: RTCPeerConnection) -> None:
    """Let the connection offer and the node answer."""
    await connection.setLocalDescription(await connection.createOffer())
    answer = node.handle_offer(peer_id, connection.localDescription.sdp)
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))


async def answer_offer(node: MediaNode, peer_id: PeerId, connection: RTCPeerConnection) -> None:
    """Let the node offer and the connection answer."""
    await connection.setRemoteDescription(
        RTCSessionDescription(node.create_offer(peer_id), "offer")
    )
    await connection.setLocalDescription(await connection.createAnswer())
    node.handle_answer(peer_id, connection.localDescription.sdp)


async def publish(watched: Watched, connections: list[RTCPeerConnection]) -> dict[str, Source]:
    """Publish a camera and a microphone; return their sources by kind."""
    connection = connection_of(connections)
    connection.addTrack(AudioStreamTrack())
    connection.addTrack(VideoStreamTrack())
    peer_id = watched.node.create_peer(group="room")
    await negotiate(watched.node, peer_id, connection)
    await watched.wait_for(PeerConnected, peer_id=peer_id)
    return {source.kind.value: source for source in watched.node.sources(peer_id)}


async def frames_of(track: MediaStreamTrack, count: int) -> None:
    """Receive so many frames."""
    async with asyncio.timeout(20):
        for _ in range(count):
            await track.recv()


async def test_media_of_one_peer_reaches_another(
    watched: Watched, connections: list[RTCPeerConnection]
) -> None:
    node = watched.node
    sources = await publish(watched, connections)
    assert set(sources) == {"audio", "video"}

    viewer = connection_of(connections)
    viewer.addTransceiver("audio", "recvonly")
    viewer.addTransceiver("video", "recvonly")
    tracks: list[MediaStreamTrack] = []
    viewer.on("track", tracks.append)
    viewer_id = node.create_peer(group="room")
    await negotiate(node, viewer_id, viewer)
    for source in sources.values():
        assert node.subscribe(viewer_id, source.source_id) is not None
    await asyncio.gather(*(frames_of(track, 10) for track in tracks))
    assert len(tracks) == 2
    counters = node.counters()
    assert counters["rtp_in"] > 0


async def test_group_that_outgrows_a_plane_spreads_and_packets_cross_once(
    connections: list[RTCPeerConnection],
) -> None:
    config = MediaNodeConfig(port=0, threads=2, spread_peers=1, addresses=("127.0.0.1",))
    node = MediaNode(config, rng=random.Random(7))
    watched = Watched(node)
    node.set_listener(watched.events.append)
    await node.start()
    try:
        before = node.occupancy()
        sources = await publish(watched, connections)
        home = node._peers[sources["video"].peer_id].connection.shard
        tracks: list[MediaStreamTrack] = []
        viewers = []
        for _ in range(3):
            viewer = connection_of(connections)
            viewer.addTransceiver("video", "recvonly")
            viewer.on("track", tracks.append)
            viewers.append(node.create_peer(group="room"))
            await negotiate(node, viewers[-1], viewer)
            assert node.subscribe(viewers[-1], sources["video"].source_id) is not None
            node.subscribe(viewers[-1], sources["video"].source_id)
        shards = [node._peers[viewer].connection.shard for viewer in viewers]
        assert [shard is home for shard in shards] == [False, True, False]
        away = shards[0]
        await asyncio.gather(*(frames_of(track, 10) for track in tracks))
        assert len(away.streams) == 1
        assert home.plane.counters()["link_out"] <= home.plane.counters()["rtp_in"]

        node.close_peer(viewers[0])
        await frames_of(tracks[2], 5)
        node.unsubscribe(viewers[2], sources["video"].source_id)
        assert len(away.streams) == 0
        assert node.subscribe(viewers[2], sources["video"].source_id) is not None
        await frames_of(tracks[2], 5)
        for peer_id in list(node._peers):
            node.close_peer(peer_id)
        async with asyncio.timeout(10):
            while node.counters()["streams"]:  # noqa: ASYNC110 - nothing else tells it
                await asyncio.sleep(0.01)
        assert node.occupancy() == before
        assert node.counters()["commands_refused"] == 0
    finally:
        await node.close()


async def test_streams_that_no_description_announces_are_told_apart_by_mid(
    watched: Watched, connections: list[RTCPeerConnection]
) -> None:
    node = watched.node
    publisher = connection_of(connections)
    publisher.addTrack(AudioStreamTrack())
    publisher.addTrack(VideoStreamTrack())
    publisher_id = node.create_peer(group="room")
    await publisher.setLocalDescription(await publisher.createOffer())
    lines = publisher.localDescription.sdp.splitlines(keepends=True)
    offer = "".join(line for line in lines if not line.startswith("a=ssrc"))
    answer = node.handle_offer(publisher_id, offer)
    await publisher.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    viewer = connection_of(connections)
    viewer.addTransceiver("audio", "recvonly")
    viewer.addTransceiver("video", "recvonly")
    tracks: list[MediaStreamTrack] = []
    viewer.on("track", tracks.append)
    viewer_id = node.create_peer(group="room")
    await negotiate(node, viewer_id, viewer)
    for source in node.sources(publisher_id):
        assert node.subscribe(viewer_id, source.source_id) is not None
    await asyncio.gather(*(frames_of(track, 10) for track in tracks))


async def test_further_sources_wait_for_slots_and_are_assigned_after_an_offer(
    watched: Watched, connections: list[RTCPeerConnection]
) -> None:
    node = watched.node
    first = await publish(watched, connections)
    second = await publish(watched, connections)
    viewer = connection_of(connections)
    viewer.addTransceiver("audio", "recvonly")
    viewer.addTransceiver("video", "recvonly")
    tracks: list[MediaStreamTrack] = []
    viewer.on("track", tracks.append)
    viewer_id = node.create_peer(group="room")
    await negotiate(node, viewer_id, viewer)
    for source in first.values():
        assert node.subscribe(viewer_id, source.source_id)
    for source in second.values():
        assert node.subscribe(viewer_id, source.source_id) is None
    await watched.wait_for(NegotiationNeeded, peer_id=viewer_id)
    assert node.needs_offer(viewer_id)
    await answer_offer(node, viewer_id, viewer)
    assert not node.needs_offer(viewer_id)
    for source in second.values():
        await watched.wait_for(ReceiverAssigned, peer_id=viewer_id, source_id=source.source_id)
    by_kind = [track for track in tracks if track.kind == "video"]
    await asyncio.gather(*(frames_of(track, 5) for track in by_kind[:2]))

    # A source that leaves frees its slot for the next, without an offer.
    node.unsubscribe(viewer_id, first["video"].source_id)
    again = node.subscribe(viewer_id, first["video"].source_id)
    assert again is not None
    assert not node.needs_offer(viewer_id)


async def test_a_section_that_stops_receiving_is_reported_and_replaced(
    watched: Watched, connections: list[RTCPeerConnection]
) -> None:
    node = watched.node
    first = await publish(watched, connections)
    second = await publish(watched, connections)
    viewer = connection_of(connections)
    viewer.addTransceiver("audio", "recvonly")
    video = viewer.addTransceiver("video", "recvonly")
    tracks: list[MediaStreamTrack] = []
    viewer.on("track", tracks.append)
    viewer_id = node.create_peer(group="room")
    await negotiate(node, viewer_id, viewer)
    before = node.subscribe(viewer_id, first["video"].source_id)
    assert before is not None

    # No other slot is free: the subscription waits until an offer of ours brings more.
    video.direction = "inactive"
    await negotiate(node, viewer_id, viewer)
    await watched.wait_for(ReceiverLost, peer_id=viewer_id, source_id=first["video"].source_id)
    await watched.wait_for(NegotiationNeeded, peer_id=viewer_id)
    await answer_offer(node, viewer_id, viewer)
    assigned = await watched.wait_for(
        ReceiverAssigned, peer_id=viewer_id, source_id=first["video"].source_id
    )
    assert isinstance(assigned, ReceiverAssigned)
    assert assigned.receiver_id != before
    await frames_of(tracks[-1], 5)

    # Two pairs, one of them free: nothing has to wait when a section stops.
    node.subscribe(viewer_id, second["video"].source_id)
    await watched.wait_for(NegotiationNeeded, peer_id=viewer_id)
    await answer_offer(node, viewer_id, viewer)
    node.unsubscribe(viewer_id, second["video"].source_id)
    watched.events.clear()
    receiving = next(t for t in viewer.getTransceivers() if t.mid == "2")
    receiving.direction = "inactive"
    await negotiate(node, viewer_id, viewer)
    again = await watched.wait_for(
        ReceiverAssigned, peer_id=viewer_id, source_id=first["video"].source_id
    )
    assert isinstance(again, ReceiverAssigned)
    assert again.receiver_id not in (before, assigned.receiver_id)
    assert not any(isinstance(event, ReceiverLost) for event in watched.events)


async def test_data_channels_are_forwarded(
    watched: Watched, connections: list[RTCPeerConnection]
) -> None:
    node = watched.node
    sender = connection_of(connections)
    channel = sender.createDataChannel("chat", ordered=False, maxRetransmits=5)
    sender_id = node.create_peer(group="room")
    await negotiate(node, sender_id, sender)
    added = await watched.wait_for(SourceAdded, peer_id=sender_id)
    assert isinstance(added, SourceAdded)
    assert added.source.kind is MediaKind.DATA
    assert added.source.track_id == "chat"

    receiver = connection_of(connections)
    receiver.addTransceiver("audio", "recvonly")
    channels: asyncio.Queue[RTCDataChannel] = asyncio.Queue()
    messages: asyncio.Queue[str | bytes] = asyncio.Queue()

    def opened(found: RTCDataChannel) -> None:
        found.on("message", messages.put_nowait)
        channels.put_nowait(found)

    receiver.on("datachannel", opened)
    receiver_id = node.create_peer(group="room")
    await negotiate(node, receiver_id, receiver)
    label = node.subscribe(receiver_id, added.source.source_id)
    await watched.wait_for(NegotiationNeeded, peer_id=receiver_id)
    await answer_offer(node, receiver_id, receiver)
    async with asyncio.timeout(20):
        found = await channels.get()
    assert (found.label, found.ordered, found.maxRetransmits) == (label, False, 5)
    channel.send("text")
    channel.send(b"\x00\x01\xff")
    async with asyncio.timeout(20):
        received = {await messages.get(), await messages.get()}
    assert received == {"text", b"\x00\x01\xff"}

    channel.close()
    await watched.wait_for(SourceRemoved, source=added.source)


async def test_channels_of_signaling_work_both_ways_and_tell_of_their_end(
    watched: Watched, connections: list[RTCPeerConnection]
) -> None:
    node = watched.node
    client = connection_of(connections)
    client.addTransceiver("audio", "recvonly")
    channels: asyncio.Queue[RTCDataChannel] = asyncio.Queue()
    received: asyncio.Queue[str | bytes] = asyncio.Queue()

    def opened(channel: RTCDataChannel) -> None:
        channel.on("message", received.put_nowait)
        channels.put_nowait(channel)

    client.on("datachannel", opened)
    peer_id = node.create_peer(group="room")
    await negotiate(node, peer_id, client)
    node.open_channel(peer_id, "signals")
    node.send_message(peer_id, "signals", "lost: not open yet")
    await watched.wait_for(NegotiationNeeded, peer_id=peer_id)
    await answer_offer(node, peer_id, client)
    await watched.wait_for(ChannelOpened, peer_id=peer_id, label="signals")
    async with asyncio.timeout(10):
        channel = await channels.get()
        assert channel.label == "signals"
        node.send_message(peer_id, "signals", "hello")
        assert await received.get() == "hello"
        channel.send("ready")
        await watched.wait_for(ChannelReceived, peer_id=peer_id, label="signals", data="ready")
        channel.close()
        await watched.wait_for(ChannelClosed, peer_id=peer_id, label="signals")
        # The next one may well get the same stream: what is sent by the old label is lost.
        node.open_channel(peer_id, "more signals")
        await watched.wait_for(ChannelOpened, peer_id=peer_id, label="more signals")
        node.send_message(peer_id, "signals", "lost: closed")
        node.send_message(peer_id, "more signals", "again")
        assert (await channels.get()).label == "more signals"
        assert await received.get() == "again"


async def test_what_is_forwarded_already_is_not_begun_anew(
    watched: Watched, connections: list[RTCPeerConnection]
) -> None:
    node = watched.node
    sources = await publish(watched, connections)
    viewer = connection_of(connections)
    viewer.addTransceiver("video", "recvonly")
    viewer_id = node.create_peer(group="room")
    await negotiate(node, viewer_id, viewer)
    receiver_id = node.subscribe(viewer_id, sources["video"].source_id)
    await watched.wait_for(PeerConnected, peer_id=viewer_id)
    await asyncio.sleep(0.1)
    before = node.counters()["commands"]
    # Each bind would wait for a key frame.
    assert node.subscribe(viewer_id, sources["video"].source_id) == receiver_id
    await asyncio.sleep(0.1)
    assert node.counters()["commands"] - before <= 1  # a DTLS datagram perhaps


async def test_closing_peers_frees_everything(
    watched: Watched, connections: list[RTCPeerConnection]
) -> None:
    node = watched.node
    before = node.occupancy()
    sources = await publish(watched, connections)
    viewer = connection_of(connections)
    viewer.addTransceiver("video", "recvonly")
    viewer_id = node.create_peer(group="room")
    await negotiate(node, viewer_id, viewer)
    node.subscribe(viewer_id, sources["video"].source_id)
    publisher_id = sources["video"].peer_id
    node.close_peer(publisher_id)
    node.close_peer(viewer_id)
    node.close_peer(viewer_id)
    assert node.occupancy() == before
    with pytest.raises(LocalProtocolError):
        node.sources(publisher_id)


async def test_a_plane_that_hangs_takes_nothing_with_it(
    connections: list[RTCPeerConnection],
) -> None:
    node = MediaNode(MediaNodeConfig(port=0, addresses=("127.0.0.1",)), rng=random.Random(7))
    watched = Watched(node)
    node.set_listener(watched.events.append)
    await node.start()
    before = node.occupancy()
    sources = await publish(watched, connections)
    viewer = connection_of(connections)
    viewer.addTransceiver("video", "recvonly")
    viewer_id = node.create_peer(group="room")
    await negotiate(node, viewer_id, viewer)

    assert node._shards is not None
    (shard,) = node._shards
    await hang(shard)
    with pytest.raises(DataPlaneError):
        node.subscribe(viewer_id, sources["video"].source_id)
    with pytest.raises(DataPlaneError):
        node.create_peer(group="room")
    for peer_id in (sources["video"].peer_id, viewer_id):
        node.close_peer(peer_id)
    # Nobody may get these ids before the plane has heard that they are free.
    assert node.occupancy()["peers"] == 0
    assert node.occupancy()["transports"] == 2

    node._shards.start()
    async with asyncio.timeout(5):
        while node.occupancy() != before:  # noqa: ASYNC110 - nothing else tells it
            await asyncio.sleep(0.01)
    await node.close()


async def test_group_of_a_plane_that_stopped_goes_on_elsewhere(
    connections: list[RTCPeerConnection],
) -> None:
    config = MediaNodeConfig(port=0, threads=2, addresses=("127.0.0.1",))
    node = MediaNode(config, rng=random.Random(7))
    watched = Watched(node)
    node.set_listener(watched.events.append)
    await node.start()
    try:
        before = node.occupancy()
        sources = await publish(watched, connections)
        old = sources["video"].peer_id
        elsewhere = node.create_peer(group="other")
        await stop(node, node._peers[old].connection.shard)
        await watched.wait_for(PeerFailed, peer_id=old)
        assert not node.lost.is_set()
        assert node.failure is not None
        ended = [e.source for e in watched.events if isinstance(e, SourceRemoved)]
        assert set(ended) == set(sources.values())
        assert PeerFailed(peer_id=elsewhere, reason="the data plane stopped") not in watched.events

        # One comes back, the other has not noticed yet.
        again = await publish(watched, connections)
        assert node._peers[again["video"].peer_id].connection.shard.failure is None
        with pytest.raises(DataPlaneError):
            node.subscribe(old, again["video"].source_id)
        viewer = connection_of(connections)
        viewer.addTransceiver("video", "recvonly")
        tracks: list[MediaStreamTrack] = []
        viewer.on("track", tracks.append)
        viewer_id = node.create_peer(group="room", replaces=old)
        node.close_peer(old)
        await negotiate(node, viewer_id, viewer)
        assert node.subscribe(viewer_id, again["video"].source_id) is not None
        await frames_of(tracks[0], 5)

        await stop(node, node._peers[viewer_id].connection.shard)
        await watched.wait_for(PeerFailed, peer_id=viewer_id)
        assert node.lost.is_set()
        with pytest.raises(DataPlaneError):
            node.create_peer(group="room")
        for peer_id in list(node._peers):
            node.close_peer(peer_id)
        assert node.occupancy() == before
    finally:
        await node.close()


async def stop(node: MediaNode, shard: PlaneShard) -> None:
    """Let a plane's loop end as by a fault of its socket."""
    assert shard.thread is not None
    shard.plane.stop()
    await asyncio.to_thread(shard.thread.join)
    shard.failure = OSError("gone")
    node._plane_failed(shard, shard.failure)


async def hang(shard: PlaneShard) -> None:
    """Stop a plane's thread, and fill its command ring."""
    assert shard.thread is not None
    shard.plane.stop()
    await asyncio.to_thread(shard.thread.join)
    while shard.plane.bind_slot(1 << 16, 0):
        pass


async def test_what_one_peer_causes_costs_no_other_its_events(
    watched: Watched, connections: list[RTCPeerConnection]
) -> None:
    node = watched.node
    failing = node.create_peer(group="room")
    watched.events.clear()

    def listen(event: NodeEvent) -> None:
        watched.events.append(event)
        raise RuntimeError("a bug in whoever listens")

    node.set_listener(listen)
    peer = node._peers[failing]

    def fail(data: bytes, now: float) -> None:
        raise DataPlaneError("the data plane's command ring is full")

    peer.connection.transport.receive_datagram = fail  # type: ignore[method-assign]
    doomed = connection_of(connections)
    doomed.addTrack(AudioStreamTrack())
    await negotiate(node, failing, doomed)
    await publish(watched, connections)
    await watched.wait_for(PeerFailed, peer_id=failing)


async def test_a_bad_offer_leaves_the_peer_as_it_was(
    watched: Watched, connections: list[RTCPeerConnection]
) -> None:
    node = watched.node
    peer_id = node.create_peer(group="room")
    for nonsense in ("", "v=0\r\n", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"):
        with pytest.raises(NegotiationError):
            node.handle_offer(peer_id, nonsense)
    connection = connection_of(connections)
    connection.addTrack(AudioStreamTrack())
    await negotiate(node, peer_id, connection)
    await watched.wait_for(PeerConnected, peer_id=peer_id)


async def test_peers_of_different_groups_cannot_subscribe_to_each_other(
    watched: Watched, connections: list[RTCPeerConnection]
) -> None:
    sources = await publish(watched, connections)
    stranger = watched.node.create_peer(group="other")
    with pytest.raises(LocalProtocolError):
        watched.node.subscribe(stranger, sources["audio"].source_id)
