"""
The media node: the one door between signaling and media.

Ids and frozen dataclasses go in, events come out. A peer is one peer connection; peers of one group
(a room) share a data plane thread. What a peer sends are sources; another peer of the group
subscribes to them and gets a receiver id, under which its browser finds the media: the msid track
id of an m-section, or the label of a data channel.

All calls are made on the asyncio thread and none blocks.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from time import monotonic
from typing import Any

from router._fastpath import plane as fastpath
from router.datachannel import ChannelParameters
from router.dtls import Certificate
from router.errors import DataPlaneError, LocalProtocolError
from router.ice import lite_candidates
from router.net import Address
from router.node_events import (
    ChannelClosed,
    ChannelOpened,
    ChannelReceived,
    MediaKind,
    NegotiationNeeded,
    NodeEvent,
    PeerConnected,
    PeerDisconnected,
    PeerFailed,
    PeerId,
    ReceiverAssigned,
    ReceiverLost,
    Source,
    SourceAdded,
    SourceId,
    SourceRemoved,
)
from router.peer.connection import OfferNeeded, PeerConnection, SlotsChanged, SourcesChanged
from router.peer.slots import Binding, SlotState
from router.peer.sources import MediaSource
from router.peer.transport import (
    DataReceived,
    DataSourceAdded,
    DataSourceRemoved,
    OwnChannelClosed,
    OwnChannelOpened,
    OwnChannelReceived,
    TransportConnected,
    TransportFailed,
)
from router.plane.copies import SourceCopies
from router.plane.shard import SPREAD_PEERS, PlaneCapacity, PlaneShard, PlaneShards
from router.sdp.codecs import DEFAULT_VIDEO_CODECS, CodecPreference
from router.sdp.config import LocalTransport, NegotiationConfig

logger = logging.getLogger(__name__)

EVENTS_PER_WAKE = 512
FREE_INTERVAL = 0.05
"""Seconds after which a plane that could not be told of a closed peer is told again."""
CERTIFICATE_BACKDATING = timedelta(days=1)
CERTIFICATE_LIFETIME = timedelta(days=365)
# A BYE changes nothing: descriptions say what ends. Nobody waits for a slot to start.
_UNUSED_EVENTS = (fastpath.EVENT_BYE, fastpath.EVENT_SLOT_STARTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaNodeConfig:
    """How a node binds, announces itself and is sized."""

    bind_address: str = "::"
    """Address of the media sockets; ``::`` is all of both families."""
    port: int = 8443
    """UDP port of the first thread; thread i uses ``port + i``; 0 lets the kernel choose."""
    threads: int = 1
    processors: tuple[int, ...] = ()
    """Thread i runs on the i-th, and over again from the first; empty: the scheduler chooses."""
    spread_peers: int = SPREAD_PEERS
    """Peers of one group on one thread, beyond which others go to another one; 0: no limit."""
    addresses: tuple[str, ...] = ("127.0.0.1",)
    """Addresses announced as ICE candidates, IPv4 and IPv6, preferred first."""
    announced_port: int = 0
    """First port to announce where a NAT maps ports; 0 announces the bound ones."""
    receive_buffer: int = 8 << 20
    """SO_RCVBUF of each media socket in bytes."""
    send_buffer: int = 8 << 20
    """SO_SNDBUF of each media socket in bytes."""
    capacity: PlaneCapacity = field(default_factory=PlaneCapacity)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFacts:
    """What signaling may want to know of a peer."""

    ufrag: str
    """Our ICE username fragment; it changes with an ICE restart."""
    pwd: str
    """Our ICE password."""
    connected: bool
    transport: Mapping[str, Any] | None
    """The data plane's statistics of the peer."""


@dataclass(slots=True)
class _SourceState:
    source: Source
    owner: "_Peer"
    media: MediaSource | None = None
    """None for data."""
    parameters: ChannelParameters | None = None
    """Reliability of a data channel; None for media."""
    copies: SourceCopies | None = None
    """None for data."""
    subscribers: set[PeerId] = field(default_factory=set)

    def add_subscriber(self, peer: "_Peer") -> None:
        """Note a subscriber; a second time changes nothing."""
        if peer.peer_id not in self.subscribers:
            self.subscribers.add(peer.peer_id)
            if self.copies is not None:
                self.copies.joined(peer.connection.shard)

    def drop_subscriber(self, peer: "_Peer") -> None:
        """Forget a subscriber; a second time changes nothing."""
        if peer.peer_id in self.subscribers:
            self.subscribers.remove(peer.peer_id)
            if self.copies is not None:
                self.copies.left(peer.connection.shard)


@dataclass(slots=True)
class _Peer:
    peer_id: PeerId
    group: str
    connection: PeerConnection
    connected: bool = False
    sources: dict[SourceId, _SourceState] = field(default_factory=dict)
    subscriptions: set[SourceId] = field(default_factory=set)
    data_labels: dict[SourceId, str] = field(default_factory=dict)
    timer: asyncio.TimerHandle | None = None
    deadline: float | None = None


def _log_shedding(shard: PlaneShard, *, shed: bool) -> None:
    if shed:
        logger.warning(
            "data plane %d cannot keep up: some subscribers are sent less video", shard.index
        )
    else:
        logger.info("data plane %d keeps up again: all video is sent", shard.index)


class MediaNode:
    """
    See the module. Unknown and stale ids raise :class:`LocalProtocolError`.

    :param rng: ``random.SystemRandom()`` in service.
    """

    def __init__(self, config: MediaNodeConfig, *, rng: random.Random) -> None:
        self._config = config
        self._rng = rng
        self._certificate = self._new_certificate()
        self._peers: dict[PeerId, _Peer] = {}
        self._by_transport: dict[tuple[int, int], _Peer] = {}
        self._sources: dict[SourceId, _SourceState] = {}
        self._last_peer = 0
        self._last_source = 0
        self._outbox: deque[NodeEvent] = deque()
        self._delivery: asyncio.Handle | None = None
        self._leaving: list[PeerConnection] = []
        self._freeing: asyncio.TimerHandle | None = None
        self._listener: Callable[[NodeEvent], None] = lambda event: None
        self._shards: PlaneShards | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.failure: BaseException | None = None
        """Why a data plane stopped by itself, if one did."""
        self.lost = asyncio.Event()
        """Set when the last data plane has stopped by itself: only a new process mends that."""

    def set_listener(self, listener: Callable[[NodeEvent], None]) -> None:
        """Send events to ``listener``, on the loop and never from inside one of our calls."""
        self._listener = listener

    async def start(self) -> None:
        """
        Bind the media ports and start the threads.

        :raises OSError: when a port is in use.
        """
        loop = self._loop = asyncio.get_running_loop()
        config = self._config
        self._shards = PlaneShards(
            count=config.threads,
            processors=config.processors,
            spread_peers=config.spread_peers,
            address=config.bind_address,
            base_port=config.port,
            receive_buffer=config.receive_buffer,
            send_buffer=config.send_buffer,
            capacity=config.capacity,
            on_failure=self._plane_failed,
        )
        for shard in self._shards:
            loop.add_reader(shard.plane.fileno(), self._read_events, shard)
        self._shards.start()

    async def close(self) -> None:
        """Close all peers, stop the threads and close the sockets."""
        for peer_id in list(self._peers):
            self.close_peer(peer_id)
        if self._shards is not None:
            assert self._loop is not None
            for shard in self._shards:
                if shard.failure is None:
                    self._loop.remove_reader(shard.plane.fileno())
            await asyncio.to_thread(self._shards.stop)
            self._shards = None
        for handle in (self._delivery, self._freeing):
            if handle is not None:
                handle.cancel()

    # Peers and their descriptions.

    def create_peer(
        self,
        *,
        group: str,
        video_codecs: tuple[str, ...] = (),
        replaces: PeerId | None = None,
    ) -> PeerId:
        """
        Make a peer.

        :param group: Peers of one group can subscribe to each other.
        :param video_codecs: Names of the video codecs that may be negotiated; empty allows all.
        :param replaces: A peer that failed, whose client goes on with this one in the same peer
            connection: its m-sections keep their receiver ids, and DTLS begins anew.
        :raises DataPlaneError: when the node is full or not running.
        """
        if self._shards is None:
            raise DataPlaneError("the media node is not running")
        replaced = self._peer(replaces).connection if replaces is not None else None
        shard = self._shards.acquire(group)
        self._last_peer += 1
        peer_id = PeerId(self._last_peer)
        codecs = _video_codecs(video_codecs)

        def make_negotiation(transport: LocalTransport) -> NegotiationConfig:
            return NegotiationConfig(transport=transport, video_codecs=codecs)

        try:
            connection = PeerConnection(
                peer_id=peer_id,
                shard=shard,
                # With the fingerprint that it knows, a client would go on with its old keys.
                certificate=self._certificate if replaced is None else self._new_certificate(),
                candidates=self._candidates(shard),
                make_negotiation=make_negotiation,
                new_source_id=self._new_source_id,
                rng=self._rng,
                heritage=replaced.heritage if replaced is not None else None,
            )
        except BaseException:
            self._shards.release(shard, group)
            raise
        peer = _Peer(peer_id, group, connection)
        self._peers[peer_id] = peer
        self._by_transport[shard.index, connection.transport_id] = peer
        return peer_id

    def close_peer(self, peer_id: PeerId) -> None:
        """Forget a peer, its sources and its subscriptions; a second call does nothing."""
        peer = self._peers.pop(peer_id, None)
        if peer is None:
            return
        if peer.timer is not None:
            peer.timer.cancel()
        connection = peer.connection
        # First, and at once: the plane drops all that belongs to a transport together with it. A
        # room that ends would otherwise need several commands for each pair of its participants.
        connection.close()
        self._leaving.append(connection)
        self._free_leaving()
        del self._by_transport[connection.shard.index, connection.transport_id]
        assert self._shards is not None
        self._shards.release(connection.shard, peer.group)
        for source_id in peer.subscriptions:
            self._sources[source_id].drop_subscriber(peer)
        for state in list(peer.sources.values()):
            self._remove_source(state)

    def _free_leaving(self) -> None:
        """Give the ids of closed peers back; a plane whose command ring is full gets more time."""
        self._leaving = [connection for connection in self._leaving if not connection.free()]
        if self._leaving and self._freeing is None:
            assert self._loop is not None
            self._freeing = self._loop.call_later(FREE_INTERVAL, self._free_again)

    def _free_again(self) -> None:
        self._freeing = None
        self._free_leaving()

    def handle_offer(self, peer_id: PeerId, sdp: str) -> str:
        """
        Apply the peer's offer and return our answer.

        :raises NegotiationError: when it cannot be applied; the peer is as it was.
        """
        peer = self._peer(peer_id)
        answer = peer.connection.handle_offer(sdp, monotonic())
        self._pump(peer)
        return answer

    def create_offer(self, peer_id: PeerId) -> str:
        """Return our offer; one at a time."""
        return self._peer(peer_id).connection.create_offer()

    def handle_answer(self, peer_id: PeerId, sdp: str) -> None:
        """Apply the answer to our offer. :raises NegotiationError: when it does not fit."""
        peer = self._peer(peer_id)
        peer.connection.handle_answer(sdp, monotonic())
        self._pump(peer)

    def rollback_offer(self, peer_id: PeerId) -> None:
        """Forget our pending offer."""
        self._peer(peer_id).connection.rollback_offer()

    def needs_offer(self, peer_id: PeerId) -> bool:
        """Whether an offer of ours would gain something."""
        return self._peer(peer_id).connection.needs_offer

    # Sources and subscriptions.

    def sources(self, peer_id: PeerId) -> tuple[Source, ...]:
        """Return what the peer sends now: audio, video and data alike."""
        return tuple(state.source for state in self._peer(peer_id).sources.values())

    def subscribe(self, peer_id: PeerId, source_id: SourceId) -> str | None:
        """
        Send a source to a peer; return the receiver id under which it arrives.

        None: there is no free slot yet; :class:`ReceiverAssigned` follows after a negotiation.
        Should the peer stop the section later, :class:`ReceiverLost` says so, or a second
        :class:`ReceiverAssigned` with another id.
        """
        peer = self._peer(peer_id)
        state = self._sources.get(source_id)
        if state is None or state.owner is peer or state.owner.group != peer.group:
            raise LocalProtocolError(f"peer {peer_id} cannot subscribe to source {source_id}")
        for concerned in (state.owner, peer):
            if concerned.connection.shard.failure is not None:
                raise DataPlaneError(f"the data plane of peer {concerned.peer_id} has stopped")
        peer.subscriptions.add(source_id)
        state.add_subscriber(peer)
        receiver_id: str | None
        if state.parameters is not None:
            receiver_id = self._attach_data(peer, state)
        else:
            slot = peer.connection.request_slot(
                Binding(source_id, state.owner.peer_id, state.source.kind)
            )
            try:
                if slot is not None:
                    self._point(peer, slot, state)
            except DataPlaneError:
                peer.connection.slots.release(source_id)
                peer.subscriptions.discard(source_id)
                state.drop_subscriber(peer)
                raise
            receiver_id = slot.receiver_id if slot is not None else None
        self._pump(peer)
        return receiver_id

    def unsubscribe(self, peer_id: PeerId, source_id: SourceId) -> None:
        """Stop sending a source to a peer; unknown subscriptions are ignored."""
        peer = self._peers.get(peer_id)
        if peer is not None and source_id in peer.subscriptions:
            self._detach(peer, source_id)
            self._pump(peer)

    # Channels for messages between signaling and the peer.

    def open_channel(self, peer_id: PeerId, label: str) -> None:
        """
        Open a reliable, ordered data channel to a peer: :class:`ChannelOpened` follows.

        It may take a negotiation first. The channel ends with the peer, or with
        :class:`ChannelClosed`.

        :param label: Used for nothing else on this peer, before or after.
        """
        peer = self._peer(peer_id)
        peer.connection.want_data_channel()
        peer.connection.transport.open_channel(
            label, ChannelParameters(), monotonic(), two_way=True
        )
        self._pump(peer)

    def send_message(self, peer_id: PeerId, label: str, data: str) -> None:
        """
        Send a text on a channel that :meth:`open_channel` asked for.

        It is lost while the channel is not open, or when it is larger than the peer takes.
        """
        peer = self._peer(peer_id)
        peer.connection.transport.send(label, data, monotonic())
        self._pump(peer)

    # Facts.

    def session_facts(self, peer_id: PeerId) -> PeerFacts:
        """Return what is known of a peer."""
        peer = self._peer(peer_id)
        connection = peer.connection
        return PeerFacts(
            ufrag=connection.ufrag,
            pwd=connection.pwd,
            connected=peer.connected,
            transport=connection.shard.plane.transport_stats(connection.transport_id),
        )

    def counters(self) -> dict[str, int]:
        """Return the planes' counters, summed."""
        total: dict[str, int] = {}
        for shard in self._shards or ():
            for name, value in shard.plane.counters().items():
                total[name] = total.get(name, 0) + value
        return total

    def loads(self) -> tuple[float, ...]:
        """Return for each plane the share of the last half second in which it had work, 0 to 1."""
        return tuple(shard.plane.load() for shard in self._shards or ())

    def occupancy(self) -> dict[str, int]:
        """Return how many ids of each kind are in use: what a leak would make grow."""
        shards = list(self._shards or ())
        return {
            "peers": len(self._peers),
            "sources": len(self._sources),
            "transports": sum(len(shard.transports) for shard in shards),
            "streams": sum(len(shard.streams) for shard in shards),
            "slots": sum(len(shard.slots) for shard in shards),
        }

    @property
    def ports(self) -> tuple[int, ...]:
        """The UDP ports of the planes."""
        return tuple(shard.port for shard in self._shards or ())

    # Inside: ids.

    def _new_certificate(self) -> Certificate:
        today = datetime.now(UTC)
        return Certificate.generate(
            serial_number=self._rng.getrandbits(158) + 1,
            not_before=today - CERTIFICATE_BACKDATING,
            not_after=today + CERTIFICATE_LIFETIME,
        )

    def _peer(self, peer_id: PeerId) -> _Peer:
        peer = self._peers.get(peer_id)
        if peer is None:
            raise LocalProtocolError(f"there is no peer {peer_id}")
        return peer

    def _candidates(self, shard: PlaneShard) -> tuple[str, ...]:
        announced = self._config.announced_port
        port = announced + shard.index if announced else shard.port
        return _announced(self._config.addresses, port)

    def _new_source_id(self) -> SourceId:
        self._last_source += 1
        return SourceId(self._last_source)

    # Inside: events of planes and peers.

    def _read_events(self, shard: PlaneShard) -> None:
        now = monotonic()
        touched: dict[PeerId, _Peer] = {}
        for event in shard.plane.next_events(EVENTS_PER_WAKE):
            kind, identifier = event[:2]
            if kind in _UNUSED_EVENTS:
                continue
            if kind == fastpath.EVENT_SHED:
                _log_shedding(shard, shed=identifier > 0)
                continue
            if kind == fastpath.EVENT_STREAM_STARTED:
                identifier = shard.stream_transports.get(identifier, 0)
            peer = self._by_transport.get((shard.index, identifier))
            if peer is not None:
                touched[peer.peer_id] = peer
                self._guarded(peer, self._plane_event, peer, event, now)
        for peer in touched.values():
            if peer.peer_id in self._peers:
                self._guarded(peer, self._pump, peer)

    def _guarded(self, peer: _Peer, call: Callable[..., None], *arguments: object) -> None:
        """Let what goes wrong with one peer concern no other one's events."""
        try:
            call(*arguments)
        except DataPlaneError as error:
            # The plane does not have all that it should have for this peer.
            peer.connected = False
            self._emit(PeerFailed(peer_id=peer.peer_id, reason=str(error)))
        except Exception as error:
            logger.exception("peer %d failed", peer.peer_id)
            self._emit(PeerFailed(peer_id=peer.peer_id, reason=repr(error)))

    def _plane_event(self, peer: _Peer, event: tuple[Any, ...], now: float) -> None:
        match event:
            case (fastpath.EVENT_DATAGRAM, _, _, data):
                peer.connection.transport.receive_datagram(data, now)
            case (fastpath.EVENT_VALIDATED, *_):
                if not peer.connected and peer.connection.transport.connected:
                    peer.connected = True
                    self._emit(PeerConnected(peer_id=peer.peer_id))
            case (fastpath.EVENT_SSRC, _, _, ssrc, payload_type, mid, _, _):
                peer.connection.ssrc_discovered(ssrc, payload_type, mid.decode("ascii", "replace"))
            case (fastpath.EVENT_STREAM_STARTED, stream_id, _):
                peer.connection.stream_started(stream_id)
            case (fastpath.EVENT_CONSENT_LOST, *_):
                if peer.connected:
                    peer.connected = False
                    self._emit(PeerDisconnected(peer_id=peer.peer_id))

    def _pump(self, peer: _Peer) -> None:
        while (event := peer.connection.next_event()) is not None:
            match event:
                case SourcesChanged(added=added, removed=removed, restreamed=restreamed):
                    self._media_changed(peer, added, removed, restreamed)
                case SlotsChanged(lost=lost):
                    self._assign_waiting(peer)
                    self._report_lost(peer, lost)
                case OfferNeeded():
                    self._emit(NegotiationNeeded(peer_id=peer.peer_id))
                case TransportConnected():
                    if not peer.connected:
                        peer.connected = True
                        self._emit(PeerConnected(peer_id=peer.peer_id))
                case TransportFailed(reason=reason):
                    peer.connected = False
                    self._emit(PeerFailed(peer_id=peer.peer_id, reason=reason))
                case DataSourceAdded(source_id=source_id, label=label, parameters=parameters):
                    source = Source(
                        source_id=source_id,
                        peer_id=peer.peer_id,
                        kind=MediaKind.DATA,
                        track_id=label,
                    )
                    self._add_source(_SourceState(source, peer, parameters=parameters))
                case DataSourceRemoved(source_id=source_id):
                    state = peer.sources.get(source_id)
                    if state is not None:
                        self._remove_source(state)
                case DataReceived(source_id=source_id, data=data):
                    self._forward_data(source_id, data)
                case OwnChannelOpened(label=label):
                    self._emit(ChannelOpened(peer_id=peer.peer_id, label=label))
                case OwnChannelReceived(label=label, data=data):
                    self._emit(ChannelReceived(peer_id=peer.peer_id, label=label, data=data))
                case OwnChannelClosed(label=label):
                    self._emit(ChannelClosed(peer_id=peer.peer_id, label=label))
        self._arm(peer)

    def _arm(self, peer: _Peer) -> None:
        deadline = peer.connection.transport.next_timer()
        if deadline == peer.deadline:
            return
        if peer.timer is not None:
            peer.timer.cancel()
            peer.timer = None
        peer.deadline = deadline
        if deadline is not None:
            assert self._loop is not None
            peer.timer = self._loop.call_later(
                max(0.0, deadline - monotonic()), self._timer_fired, peer, deadline
            )

    def _timer_fired(self, peer: _Peer, deadline: float) -> None:
        peer.timer = None
        peer.deadline = None
        self._guarded(peer, self._handle_timer, peer, max(deadline, monotonic()))

    def _handle_timer(self, peer: _Peer, now: float) -> None:
        peer.connection.transport.handle_timer(now)
        self._pump(peer)

    def _plane_failed(self, shard: PlaneShard, error: BaseException) -> None:
        """Runs on the plane's thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._shard_lost, shard, error)

    def _shard_lost(self, shard: PlaneShard, error: BaseException) -> None:
        assert self._loop is not None
        self.failure = error
        logger.error("data plane %d stopped: %r", shard.index, error)
        if self._shards is None:
            return
        self._loop.remove_reader(shard.plane.fileno())
        lost = [peer for peer in self._peers.values() if peer.connection.shard is shard]
        # All sources first: whoever is told that it failed may come back at once, on another plane,
        # and could not have what is still here.
        for peer in lost:
            peer.connected = False
            for state in list(peer.sources.values()):
                self._remove_source(state)
        for peer in lost:
            self._emit(PeerFailed(peer_id=peer.peer_id, reason="the data plane stopped"))
        if all(other.failure is not None for other in self._shards):
            self.lost.set()

    # Inside: media.

    def _media_changed(
        self,
        peer: _Peer,
        added: Iterable[MediaSource],
        removed: Iterable[MediaSource],
        restreamed: Iterable[MediaSource],
    ) -> None:
        for media in removed:
            state = peer.sources.get(media.source.source_id)
            if state is not None:
                self._remove_source(state)
        for media in added:
            copies = SourceCopies(peer.connection.shard, video=media.source.kind is MediaKind.VIDEO)
            self._add_source(_SourceState(media.source, peer, media=media, copies=copies))
        for media in restreamed:
            state = peer.sources.get(media.source.source_id)
            if state is None:
                continue
            for subscriber_id in state.subscribers:
                subscriber = self._peers[subscriber_id]
                slot = subscriber.connection.slots.of_source(media.source.source_id)
                if slot is not None:
                    self._guarded(subscriber, self._point, subscriber, slot, state)

    def _point(self, peer: _Peer, slot: SlotState, state: _SourceState) -> None:
        assert state.media is not None
        assert state.copies is not None
        shard = peer.connection.shard
        stream = state.media.preferred
        stream_id = state.copies.stream_on(shard, stream.stream_id if stream is not None else 0)
        if slot.stream_id == stream_id:
            return  # To bind again would wait for a key frame again.
        shard.command(shard.plane.bind_slot(slot.slot_id, stream_id))
        slot.stream_id = stream_id

    def _assign_waiting(self, peer: _Peer) -> None:
        for binding in peer.connection.slots.waiting():
            slot = peer.connection.slots.request(binding)
            if slot is None:
                continue
            self._point(peer, slot, self._sources[binding.source_id])
            self._emit(
                ReceiverAssigned(
                    peer_id=peer.peer_id,
                    source_id=binding.source_id,
                    receiver_id=slot.receiver_id,
                )
            )

    def _report_lost(self, peer: _Peer, lost: Iterable[SourceId]) -> None:
        for source_id in lost:
            waits = peer.connection.slots.of_source(source_id) is None
            if waits and source_id in peer.subscriptions:
                self._emit(ReceiverLost(peer_id=peer.peer_id, source_id=source_id))

    def _add_source(self, state: _SourceState) -> None:
        state.owner.sources[state.source.source_id] = state
        self._sources[state.source.source_id] = state
        self._emit(SourceAdded(peer_id=state.owner.peer_id, source=state.source))

    def _remove_source(self, state: _SourceState) -> None:
        source_id = state.source.source_id
        for subscriber_id in list(state.subscribers):
            subscriber = self._peers[subscriber_id]
            self._guarded(subscriber, self._detach, subscriber, source_id)
        del state.owner.sources[source_id]
        del self._sources[source_id]
        self._emit(SourceRemoved(peer_id=state.owner.peer_id, source=state.source))

    def _detach(self, peer: _Peer, source_id: SourceId) -> None:
        peer.subscriptions.discard(source_id)
        state = self._sources.get(source_id)
        if state is not None:
            state.drop_subscriber(peer)
        label = peer.data_labels.pop(source_id, None)
        if label is not None:
            peer.connection.transport.close_channel(label, monotonic())
            self._arm(peer)
        slot = peer.connection.slots.release(source_id)
        if slot is not None:
            # Should the ring be full, the slot goes on until it is pointed elsewhere.
            if peer.connection.shard.plane.bind_slot(slot.slot_id, 0):
                slot.stream_id = 0
            # Somebody may have waited for exactly this slot.
            self._assign_waiting(peer)

    # Inside: data.

    def _attach_data(self, peer: _Peer, state: _SourceState) -> str:
        label = peer.data_labels.get(state.source.source_id)
        if label is None:
            assert state.parameters is not None
            label = self._rng.randbytes(16).hex()
            peer.data_labels[state.source.source_id] = label
            peer.connection.want_data_channel()
            peer.connection.transport.open_channel(label, state.parameters, monotonic())
        return label

    def _forward_data(self, source_id: SourceId, data: str | bytes) -> None:
        state = self._sources.get(source_id)
        if state is None:
            return
        now = monotonic()
        for subscriber_id in state.subscribers:
            subscriber = self._peers[subscriber_id]
            subscriber.connection.transport.send(subscriber.data_labels[source_id], data, now)
            self._arm(subscriber)

    # Inside: events to signaling.

    def _emit(self, event: NodeEvent) -> None:
        self._outbox.append(event)
        if self._delivery is None:
            assert self._loop is not None
            self._delivery = self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._delivery = None
        while self._outbox:
            try:
                self._listener(self._outbox.popleft())
            except Exception:
                logger.exception("an event was not taken")


@lru_cache(maxsize=64)
def _announced(hosts: tuple[str, ...], port: int) -> tuple[str, ...]:
    """Return our candidates as descriptions say them: the same for all peers of a plane."""
    addresses = [Address(host, port) for host in hosts]
    return tuple(candidate.serialize() for candidate in lite_candidates(addresses))


@lru_cache(maxsize=16)
def _video_codecs(names: tuple[str, ...]) -> tuple[CodecPreference, ...]:
    allowed = {name.lower() for name in names}
    return tuple(
        codec for codec in DEFAULT_VIDEO_CODECS if not allowed or codec.name.lower() in allowed
    )
