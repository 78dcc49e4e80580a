"""One WHIP publisher or WHEP viewer: an ordinary participant without a signaling session."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from router.node_events import NodeEvent, PeerConnected, PeerDisconnected, PeerFailed, PeerId
from signaling.rooms import LeaveReason, ParticipantView
from signaling.service.live_room import LiveRoom
from signaling.service.room_service import RoomService

RESTART_INTERVAL = 2.0
"""Seconds for each ICE restart, on average: a client that changes its network needs one."""
RESTARTS_TOGETHER = 5
"""So many may come at once."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceKey:
    """Where a resource is found."""

    protocol: str
    """``whip`` or ``whep``."""
    room: str
    """As in the path, decoded."""
    resource_id: str


class WhipResource:
    """
    What the room tells such a participant through; it has nothing to say, only to end.

    :param bearer_digest: Hash of the access token that made it; the same token is asked for again.
    :param offer: The client's offer, from which an ICE restart is made.
    :param forget: Called once at the end.
    """

    def __init__(
        self,
        *,
        key: ResourceKey,
        participant_sid: str,
        live: LiveRoom,
        service: RoomService,
        peer_id: PeerId,
        bearer_digest: bytes,
        offer: str,
        forget: Callable[[ResourceKey], None],
    ) -> None:
        self.key = key
        self.participant_sid = participant_sid
        self.live = live
        self.peer_id = peer_id
        self.bearer_digest = bearer_digest
        self.offer = offer
        self._service = service
        self._forget = forget
        self._ended = False
        # When the budget of ICE restarts is whole again.
        self._rested_at = 0.0
        now = service.clock.monotonic()
        service.set_timer(key, now + service.config.whip_connect_timeout, self._never_connected)

    @property
    def entity_tag(self) -> str:
        """Return the tag of the ICE session; it changes with a restart."""
        return f'"{self._service.node.session_facts(self.peer_id).ufrag}"'

    def spend_restart(self) -> float:
        """Count an ICE restart and return 0.0, or in how many seconds there may be one again."""
        now = self._service.clock.monotonic()
        rested_at = max(now, self._rested_at) + RESTART_INTERVAL
        wait = rested_at - now - RESTARTS_TOGETHER * RESTART_INTERVAL
        if wait > 0.0:
            return wait
        self._rested_at = rested_at
        return 0.0

    def leave(self) -> None:
        """Leave the room."""
        self.live.leave(self.participant_sid, LeaveReason.LEFT)

    # ParticipantLink.

    def participant_changed(self, view: ParticipantView) -> None:
        """Take note that another participant has a new revision: nobody is told."""

    def publications_changed(self) -> None:
        """Take note that the own publications have a new revision: nobody is told."""

    def subscriptions_changed(self) -> None:
        """Take note that the subscriptions have a new revision: the media simply comes."""

    def signal(self, channel: str, text: str) -> bool:
        """Send a message on a media-signaling channel: there are none."""
        return False

    def ended(self, reason: LeaveReason) -> None:
        """Forget the resource: its address answers 404 from now on."""
        self._ended = True
        self._service.set_timer(self.key, None, self._never_connected)
        self._forget(self.key)

    def peer_event(self, event: NodeEvent) -> None:
        """Let the participant's state follow its media, the only thing it has."""
        match event:
            case PeerConnected():
                self._service.set_timer(self.key, None, self._never_connected)
                self.live.restore_connection(self.participant_sid)
            case PeerDisconnected():
                grace = self._service.config.session_timeout
                self.live.lose_connection(self.participant_sid, grace=grace)
            case PeerFailed():
                self.live.leave(self.participant_sid, LeaveReason.MEDIA_FAILED)

    def flush(self) -> None:
        """Say nothing: there is no channel to say it on."""

    def _never_connected(self) -> None:
        if not self._ended:
            _log.info("media never connected", participant_sid=self.participant_sid)
            self.live.leave(self.participant_sid, LeaveReason.SESSION_EXPIRED)
