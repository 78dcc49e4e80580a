"""
A stand-in for the media node, for tests of signaling that need no media.

It knows peers, sources, slots and the rules of its face: unknown ids raise, one offer at a time,
events come later and never from inside a call. Its descriptions are not SDP but a few words:
``audio:a1 video:v1 data:d1`` is what a client sends, and anything with ``refuse`` in it cannot be
applied. Nothing flows.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from router.errors import DataPlaneError, LocalProtocolError, NegotiationError
from router.node_events import (
    ChannelClosed,
    ChannelOpened,
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

if TYPE_CHECKING:
    from router.node import PeerFacts


@dataclass
class FakePeer:
    """What the stand-in holds for a peer."""

    group: str
    sources: dict[str, Source] = field(default_factory=dict)
    subscriptions: dict[SourceId, str | None] = field(default_factory=dict)
    """Receiver id by source; None while it waits for a slot."""
    free_slots: dict[MediaKind, list[str]] = field(default_factory=dict)
    offered_slots: dict[MediaKind, list[str]] | None = None
    """The slots of our pending offer."""
    restarts: int = 0
    channels: dict[str, list[str]] = field(default_factory=dict)
    """What was sent on the channels of signaling, by label."""


class FakeMediaNode:
    """
    See the module.

    :param slots: How many slots of each kind the first answer allocates.
    """

    def __init__(self, *, slots: int = 1) -> None:
        self.slots = slots
        self.peers: dict[PeerId, FakePeer] = {}
        self.offers_made = 0
        self.calls: Counter[str] = Counter()
        self.overloaded: set[str] = set()
        """Names of the calls that the data plane refuses."""
        self._ids = count(1)
        self._kinds: dict[SourceId, MediaKind] = {}
        self._outbox: list[NodeEvent] = []
        self._listener: Callable[[NodeEvent], None] = lambda event: None

    def set_listener(self, listener: Callable[[NodeEvent], None]) -> None:
        self._listener = listener

    def create_peer(
        self, *, group: str, video_codecs: tuple[str, ...] = (), replaces: PeerId | None = None
    ) -> PeerId:
        self._command("create_peer")
        if replaces is not None:
            self._peer(replaces)
        peer_id = PeerId(next(self._ids))
        self.peers[peer_id] = FakePeer(group)
        return peer_id

    def close_peer(self, peer_id: PeerId) -> None:
        peer = self.peers.pop(peer_id, None)
        if peer is not None:
            for source in peer.sources.values():
                self._end(source)

    def handle_offer(self, peer_id: PeerId, sdp: str) -> str:
        self._command("handle_offer")
        peer = self._peer(peer_id)
        if peer.offered_slots is not None:
            raise LocalProtocolError("our offer is pending")
        first = not peer.free_slots
        self._take(peer_id, sdp)
        if first:
            self._allocate(peer, self._new_slots({MediaKind.AUDIO, MediaKind.VIDEO}))
            peer.free_slots.setdefault(MediaKind.DATA, [])
            self._assign(peer_id)
        if "restart" in sdp:
            peer.restarts += 1
        return f"answer to {sdp}"

    def create_offer(self, peer_id: PeerId) -> str:
        self._command("create_offer")
        peer = self._peer(peer_id)
        if peer.offered_slots is not None:
            raise LocalProtocolError("our offer is pending")
        self.offers_made += 1
        peer.offered_slots = self._new_slots({self._kinds[s] for s in self._waiting(peer)})
        return f"offer {self.offers_made}"

    def handle_answer(self, peer_id: PeerId, sdp: str) -> None:
        self._command("handle_answer")
        peer = self._peer(peer_id)
        if peer.offered_slots is None:
            raise LocalProtocolError("no offer is pending")
        self._take(peer_id, sdp)
        self._allocate(peer, peer.offered_slots)
        peer.offered_slots = None
        self._assign(peer_id)

    def rollback_offer(self, peer_id: PeerId) -> None:
        self._peer(peer_id).offered_slots = None

    def needs_offer(self, peer_id: PeerId) -> bool:
        return bool(self._waiting(self._peer(peer_id)))

    def sources(self, peer_id: PeerId) -> tuple[Source, ...]:
        return tuple(self._peer(peer_id).sources.values())

    def subscribe(self, peer_id: PeerId, source_id: SourceId) -> str | None:
        self._command("subscribe")
        peer = self._peer(peer_id)
        if source_id not in self._kinds:
            raise LocalProtocolError(f"there is no source {source_id}")
        self.calls["subscribe"] += 1
        peer.subscriptions[source_id] = None
        self._assign_quietly(peer, source_id)
        if peer.subscriptions[source_id] is None:
            self._emit(NegotiationNeeded(peer_id=peer_id))
        return peer.subscriptions[source_id]

    def unsubscribe(self, peer_id: PeerId, source_id: SourceId) -> None:
        self.calls["unsubscribe"] += 1
        self._release(self._peer(peer_id), source_id)

    def open_channel(self, peer_id: PeerId, label: str) -> None:
        self._command("open_channel")
        peer = self._peer(peer_id)
        if label in peer.channels:
            raise LocalProtocolError(f"{label} was used before")
        peer.channels[label] = []

    def send_message(self, peer_id: PeerId, label: str, data: str) -> None:
        self._peer(peer_id).channels[label].append(data)

    def session_facts(self, peer_id: PeerId) -> "PeerFacts":
        # Here, because it needs the compiled plane, which signaling alone does not.
        from router.node import PeerFacts

        peer = self._peer(peer_id)
        return PeerFacts(
            ufrag=f"ufrag{peer.restarts}", pwd="p" * 24, connected=True, transport=None
        )

    def counters(self) -> Mapping[str, int]:
        return {}

    # What a test lets happen.

    def connected(self, peer_id: PeerId) -> None:
        """Let the media connect."""
        self._emit(PeerConnected(peer_id=peer_id))

    def disconnected(self, peer_id: PeerId) -> None:
        """Let consent be lost."""
        self._emit(PeerDisconnected(peer_id=peer_id))

    def failed(self, peer_id: PeerId) -> None:
        """Let the transport fail for good."""
        self._emit(PeerFailed(peer_id=peer_id, reason="test"))

    def client_opens_channel(self, peer_id: PeerId, label: str) -> None:
        """Let a client's data channel open."""
        self._add_source(peer_id, "data", label)

    def channel_opened(self, peer_id: PeerId, label: str) -> None:
        """Let the client have a channel of signaling."""
        self._emit(ChannelOpened(peer_id=peer_id, label=label))

    def channel_closed(self, peer_id: PeerId, label: str) -> None:
        """Let a channel of signaling end."""
        self._emit(ChannelClosed(peer_id=peer_id, label=label))

    def lose_receiver(self, peer_id: PeerId, receiver_id: str) -> None:
        """Let the peer stop the section that has this id."""
        subscriptions = self._peer(peer_id).subscriptions
        source_id = next(s for s, found in subscriptions.items() if found == receiver_id)
        subscriptions[source_id] = None
        self._emit(ReceiverLost(peer_id=peer_id, source_id=source_id))
        self._emit(NegotiationNeeded(peer_id=peer_id))

    # Inside.

    def _command(self, call: str) -> None:
        if call in self.overloaded:
            raise DataPlaneError("the data plane's command ring is full")

    def _peer(self, peer_id: PeerId) -> FakePeer:
        if peer_id not in self.peers:
            raise LocalProtocolError(f"there is no peer {peer_id}")
        return self.peers[peer_id]

    def _take(self, peer_id: PeerId, sdp: str) -> None:
        if "refuse" in sdp:
            raise NegotiationError("refused")
        peer = self.peers[peer_id]
        sent = dict(word.split(":")[::-1] for word in sdp.split() if ":" in word)
        for track_id, source in list(peer.sources.items()):
            if track_id not in sent and source.kind is not MediaKind.DATA:
                del peer.sources[track_id]
                self._end(source)
        for track_id, kind in sent.items():
            if track_id not in peer.sources:
                self._add_source(peer_id, kind, track_id)

    def _add_source(self, peer_id: PeerId, kind: str, track_id: str) -> None:
        source = Source(
            source_id=SourceId(next(self._ids)),
            peer_id=peer_id,
            kind=MediaKind(kind),
            track_id=track_id,
        )
        self.peers[peer_id].sources[track_id] = source
        self._kinds[source.source_id] = source.kind
        self._emit(SourceAdded(peer_id=peer_id, source=source))

    def _end(self, source: Source) -> None:
        for peer in self.peers.values():
            self._release(peer, source.source_id)
        del self._kinds[source.source_id]
        self._emit(SourceRemoved(peer_id=source.peer_id, source=source))

    def _release(self, peer: FakePeer, source_id: SourceId) -> None:
        receiver_id = peer.subscriptions.pop(source_id, None)
        if receiver_id is not None and self._kinds[source_id] is not MediaKind.DATA:
            peer.free_slots[self._kinds[source_id]].append(receiver_id)

    def _new_slots(self, kinds: set[MediaKind]) -> dict[MediaKind, list[str]]:
        return {
            kind: [f"slot-{kind.value}-{next(self._ids)}" for _ in range(self.slots)]
            for kind in kinds
        }

    def _allocate(self, peer: FakePeer, slots: dict[MediaKind, list[str]]) -> None:
        for kind, receiver_ids in slots.items():
            peer.free_slots.setdefault(kind, []).extend(receiver_ids)

    def _waiting(self, peer: FakePeer) -> list[SourceId]:
        return [s for s, receiver_id in peer.subscriptions.items() if receiver_id is None]

    def _assign(self, peer_id: PeerId) -> None:
        peer = self.peers[peer_id]
        for source_id in self._waiting(peer):
            self._assign_quietly(peer, source_id)
            receiver_id = peer.subscriptions[source_id]
            if receiver_id is not None:
                self._emit(
                    ReceiverAssigned(peer_id=peer_id, source_id=source_id, receiver_id=receiver_id)
                )

    def _assign_quietly(self, peer: FakePeer, source_id: SourceId) -> None:
        free = peer.free_slots.get(self._kinds[source_id], [])
        if self._kinds[source_id] is MediaKind.DATA:
            peer.subscriptions[source_id] = f"label-{source_id}"
        elif free:
            peer.subscriptions[source_id] = free.pop(0)

    def _emit(self, event: NodeEvent) -> None:
        self._outbox.append(event)
        asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        while self._outbox:
            self._listener(self._outbox.pop(0))
