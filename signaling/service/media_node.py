"""The part of the media node's face that the service uses."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from router.node_events import NodeEvent, PeerId, Source, SourceId

if TYPE_CHECKING:
    from router.node import PeerFacts


class MediaNode(Protocol):
    """
    The door to media: ids and frozen dataclasses in, events out.

    All calls are made on the loop and none blocks; ids that are stale or unknown raise
    ``LocalProtocolError``.
    """

    def set_listener(self, listener: Callable[[NodeEvent], None]) -> None:
        """Let events go to ``listener``, on the loop and never from inside a call."""

    def create_peer(
        self, *, group: str, video_codecs: tuple[str, ...] = (), replaces: PeerId | None = None
    ) -> PeerId:
        """Make a peer, perhaps in place of one; peers of one group share a plane thread."""

    def close_peer(self, peer_id: PeerId) -> None:
        """Free everything that the peer holds."""

    def handle_offer(self, peer_id: PeerId, sdp: str) -> str:
        """Return the answer; a NegotiationError leaves the peer as it was."""

    def create_offer(self, peer_id: PeerId) -> str:
        """Return our offer; one at a time."""

    def handle_answer(self, peer_id: PeerId, sdp: str) -> None:
        """Complete our offer."""

    def rollback_offer(self, peer_id: PeerId) -> None:
        """Forget our pending offer."""

    def needs_offer(self, peer_id: PeerId) -> bool:
        """Tell whether the m-sections do not suffice for what the peer is subscribed to."""

    def sources(self, peer_id: PeerId) -> tuple[Source, ...]:
        """Return what the peer sends now."""

    def subscribe(self, peer_id: PeerId, source_id: SourceId) -> str | None:
        """Forward a source; return the receiver id, or None when it follows by an event."""

    def unsubscribe(self, peer_id: PeerId, source_id: SourceId) -> None:
        """Stop forwarding a source."""

    def open_channel(self, peer_id: PeerId, label: str) -> None:
        """Open a data channel to the peer, for signaling; events tell of its opening and end."""

    def send_message(self, peer_id: PeerId, label: str, data: str) -> None:
        """Send a text on such a channel; it is lost while that is not open."""

    def session_facts(self, peer_id: PeerId) -> "PeerFacts":
        """Return the peer's ICE credentials and whether it is connected."""

    def counters(self) -> Mapping[str, int]:
        """Return sums over all planes."""
