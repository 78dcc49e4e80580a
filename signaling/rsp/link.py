"""Joins a signaling session to its live room, its peer in the media node, and its socket."""

from typing import Protocol

import structlog
from msgspec import Struct

from router.errors import DataPlaneError, LocalProtocolError, NegotiationError
from router.node_events import (
    ChannelClosed,
    ChannelOpened,
    NegotiationNeeded,
    NodeEvent,
    PeerConnected,
    PeerDisconnected,
    PeerFailed,
    PeerId,
)
from signaling.errors import ErrorCode
from signaling.rooms import LeaveReason, ParticipantView
from signaling.service.live_room import LiveRoom
from signaling.service.room_service import RoomService

from .media_signaling import ChannelKey
from .messages import Disconnect, Sync, Update
from .pace import Pace
from .session import (
    AnswerReceived,
    LeaveRequested,
    OfferReceived,
    OfferUnanswered,
    PeerConnectionClosed,
    RspSession,
    SessionEvent,
    SessionState,
    TracksReceived,
)
from .tcmp import CLOSE_GOING_AWAY, CLOSE_REPLACED
from .views import track_requests

_log = structlog.get_logger(__name__)

CLOSE_NORMAL = 1000


class SessionSocket(Protocol):
    """The socket that a session speaks through at the moment."""

    def send(self, body: Struct) -> None:
        """Send a message; never blocks."""

    def session_ended(self) -> None:
        """Let the client close, as its session has ended."""

    def replaced(self, code: int) -> None:
        """Close: the client has come on another socket."""

    def rearm(self) -> None:
        """Look at the session's timer again."""


class RspLink:
    """
    What a participant of the SDK is told through.

    :param session: The protocol.
    :param sessions: The live sessions by id; the link takes itself out at its end.
    """

    def __init__(
        self,
        *,
        session: RspSession,
        live: LiveRoom,
        service: RoomService,
        peer_id: PeerId | None,
        socket: SessionSocket,
        sessions: "dict[str, RspLink]",
    ) -> None:
        self.session = session
        self.live = live
        self._service = service
        self._node = service.node
        self._clock = service.clock
        self._peer_id = peer_id
        self._peer_failed = False
        self._peer_was_connected = False
        self._media_deadline: float | None = None
        """When to give the client up whose media failed, unless it is back by then."""
        self._offer_wanted = False
        self.pace = Pace(service.config.messages_per_session)
        """How fast the client's messages are taken, on whatever socket they come."""
        self._socket: SessionSocket | None = socket
        self._sessions = sessions
        sessions[session.session_id] = self
        self._log = _log.bind(room_sid=live.sid, participant_sid=session.participant_sid)
        if peer_id is not None:
            self._open_channels(peer_id)

    # What the room says.

    def participant_changed(self, view: ParticipantView) -> None:
        """Take note that another participant has a new revision."""
        self.session.participant_changed(view)

    def publications_changed(self) -> None:
        """Take note that the own publications have a new revision."""
        self.session.publications_changed()

    def subscriptions_changed(self) -> None:
        """Take note that the subscriptions have a new revision."""
        self.session.subscriptions_changed()

    def ended(self, reason: LeaveReason) -> None:
        """Say why it ends, and forget the session."""
        self._sessions.pop(self.session.session_id, None)
        self._peer_id = self._media_deadline = None
        self.session.end(reason)

    def peer_event(self, event: NodeEvent) -> None:
        """Act on what the media node reports of the peer."""
        match event:
            case NegotiationNeeded():
                self._offer_wanted = True
            case PeerFailed():
                self._log.info("media failed", reason=event.reason)
                self._media_failed()
            case PeerConnected():
                self._peer_failed = False
                self._peer_was_connected = True
                self._media_deadline = None
                self._log.debug("media connected")
            case PeerDisconnected():
                self._log.debug("media consent lost")
            case ChannelOpened(label=label):
                self.session.media_signaling.opened(label)
            case ChannelClosed(peer_id=peer_id, label=label):
                self._replace_channel(peer_id, label)

    def signal(self, channel: str, text: str) -> bool:
        """Send a message on a media-signaling channel; tell whether the client has it open."""
        label = self.session.media_signaling.label_of(ChannelKey(channel))
        if label is None or self._peer_id is None:
            return False
        self._node.send_message(self._peer_id, label, text)
        return True

    def flush(self) -> None:
        """Make an offer if one is wanted and allowed, and send what there is to say."""
        if self._offer_wanted and self.session.may_offer:
            self._make_offer()
        self.session.flush()
        self._send()

    # What the client says.

    def receive_update(self, update: Update) -> None:
        """Take an ``update``."""
        self.session.receive_update(update, self._clock.monotonic())
        self._carry_out()
        self.live.pump(self.session.participant_sid)

    def receive_disconnect(self, disconnect: Disconnect) -> None:
        """Take a ``disconnect``."""
        self.session.receive_disconnect(disconnect)
        self._carry_out()

    def receive_invalid(self) -> None:
        """Take note that the client broke the protocol."""
        self._end(LeaveReason.PROTOCOL_ERROR, ErrorCode.CLIENT_MESSAGE_INVALID)

    def heard(self) -> None:
        """Take note that the client is alive."""
        self.session.heard(self._clock.monotonic())

    def resume(self, sync: Sync, socket: SessionSocket) -> None:
        """Go on with another socket, whether or not the loss of the old one was noticed."""
        old, self._socket = self._socket, None
        if old is not None:
            old.replaced(CLOSE_REPLACED)
        self.session.begin_resume(sync, self._clock.monotonic())
        self._socket = socket
        self._carry_out()
        self.live.restore_connection(self.session.participant_sid)
        self.session.finish_resume(self._clock.monotonic())
        # What was wanted while nobody could be asked.
        self._offer_wanted = True
        self.live.pump(self.session.participant_sid)

    def socket_lost(self, socket: SessionSocket, code: int) -> None:
        """
        Take note that a socket is gone.

        :param code: Its WebSocket close code; 1006 when it broke.
        """
        if socket is not self._socket:
            return
        self._socket = None
        if self.session.state is SessionState.ENDED:
            return
        participant_sid = self.session.participant_sid
        self.session.detach()
        if code == CLOSE_NORMAL:
            # Only a client that leaves on purpose closes like that, and none resumes after it.
            self.live.leave(participant_sid, LeaveReason.LEFT)
            return
        config = self._service.config
        grace = config.session_timeout
        if code == CLOSE_GOING_AWAY:
            grace = min(grace, config.page_closed_grace)
        self.live.lose_connection(participant_sid, grace=grace)

    # Time.

    def next_timer(self) -> float | None:
        """Return the absolute time of the session's next timer, or None."""
        at, deadline = self.session.next_timer(), self._media_deadline
        return deadline if at is None or (deadline is not None and deadline < at) else at

    def handle_timer(self) -> None:
        """Act on the session's timers that are due."""
        now = self._clock.monotonic()
        self.session.handle_timer(now)
        self._carry_out()
        if self._media_deadline is not None and now >= self._media_deadline:
            self._media_deadline = None
            self._end(LeaveReason.MEDIA_FAILED, ErrorCode.MEDIA_CONNECTION_FAILED)
        if self._offer_wanted and self.session.may_offer:
            # The client left our wish for an offer of its own unheard: ours need not wait for it.
            self.live.pump(self.session.participant_sid)

    # Carrying out what the client wants.

    def _carry_out(self) -> None:
        while (event := self.session.next_event()) is not None:
            self._carry_out_one(event)

    def _carry_out_one(self, event: SessionEvent) -> None:
        participant_sid = self.session.participant_sid
        if self.session.state is SessionState.ENDED:
            return
        match event:
            case TracksReceived(participant=participant):
                self.live.update_tracks(
                    participant_sid, track_requests(participant), revision=participant.revision
                )
            case OfferReceived(revision=revision, sdp=sdp):
                self._answer(revision, sdp)
            case AnswerReceived(sdp=sdp):
                self._apply_answer(sdp)
            case PeerConnectionClosed():
                self._peer_id = self._media_deadline = None
                self.live.set_peer(participant_sid, None)
            case OfferUnanswered():
                self._end(LeaveReason.MEDIA_FAILED, ErrorCode.CLIENT_REMOTE_DESCRIPTION_FAILED)
            case LeaveRequested():
                self.live.leave(participant_sid, LeaveReason.LEFT)

    def _media_failed(self) -> None:
        now = self._clock.monotonic()
        self._peer_failed = True
        if self._media_deadline is None:
            self._media_deadline = now + self._service.config.session_timeout
        if self._peer_was_connected:
            # Not every browser begins another DTLS association in a peer connection, and none tells
            # which data channels it goes on with: a new one has neither question.
            self._peer_was_connected = False
            self._peer_id = None
            self.session.replace_peer_connection(self._service.rng.randbytes(16).hex(), now)
            self.live.set_peer(self.session.participant_sid, None)
        # One that never was up: the client notices, and its ICE restart is answered from a new
        # peer; should that not come up either, the client is told to reconnect.

    def _answer(self, revision: int, sdp: str) -> None:
        try:
            if self._peer_id is None or self._peer_failed:
                answer = self._answer_from_new_peer(sdp)
            else:
                answer = self._node.handle_offer(self._peer_id, sdp)
        except NegotiationError as error:
            self._log.info("offer refused", error=str(error))
            self._end(LeaveReason.MEDIA_FAILED, ErrorCode.SERVER_REMOTE_DESCRIPTION_FAILED)
            return
        except (DataPlaneError, LocalProtocolError) as error:
            self._log.warning("no media for an offer", error=str(error))
            self._end(LeaveReason.MEDIA_FAILED, ErrorCode.SERVER_LOCAL_DESCRIPTION_FAILED)
            return
        self.session.answer(revision, sdp=answer)
        self._offer_wanted = True

    def _answer_from_new_peer(self, sdp: str) -> str:
        peer_id = self._node.create_peer(
            group=self.live.sid,
            video_codecs=self.live.record.settings.video_codecs,
            replaces=self._peer_id,
        )
        try:
            answer = self._node.handle_offer(peer_id, sdp)
        except Exception:
            self._node.close_peer(peer_id)
            raise
        self._peer_id, self._peer_failed = peer_id, False
        self._open_channels(peer_id)
        self.live.set_peer(self.session.participant_sid, peer_id)
        return answer

    def _open_channels(self, peer_id: PeerId) -> None:
        """Grant the media-signaling channels on a new peer."""
        for label in self.session.media_signaling.grant_all():
            self._open_channel(peer_id, label)

    def _replace_channel(self, peer_id: PeerId, label: str) -> None:
        new = self.session.media_signaling.closed(label)
        if new is not None and peer_id == self._peer_id:
            self._open_channel(peer_id, new)

    def _open_channel(self, peer_id: PeerId, label: str) -> None:
        self.session.grants_changed()
        try:
            self._node.open_channel(peer_id, label)
        except (DataPlaneError, LocalProtocolError) as error:
            self._log.warning("no channel could be opened", error=str(error))

    def _apply_answer(self, sdp: str) -> None:
        if self._peer_id is None or self._peer_failed:
            # The client's restart makes a new peer soon; nothing is lost with this answer.
            return
        try:
            self._node.handle_answer(self._peer_id, sdp)
        except (DataPlaneError, NegotiationError, LocalProtocolError) as error:
            self._log.info("answer refused", error=str(error))
            self._end(LeaveReason.MEDIA_FAILED, ErrorCode.SERVER_REMOTE_DESCRIPTION_FAILED)
            return
        self._offer_wanted = True

    def _make_offer(self) -> None:
        self._offer_wanted = False
        if self._peer_id is None or self._peer_failed:
            return
        try:
            if self._node.needs_offer(self._peer_id):
                sdp = self._node.create_offer(self._peer_id)
                self.session.offer(sdp, self._clock.monotonic())
        except (DataPlaneError, NegotiationError, LocalProtocolError) as error:
            self._log.warning("no offer could be made", error=str(error))

    def _end(self, reason: LeaveReason, code: ErrorCode) -> None:
        self.session.fail(code)
        self._send()
        self.live.leave(self.session.participant_sid, reason)

    def _send(self) -> None:
        socket = self._socket
        if socket is None:
            return
        for message in self.session.messages_to_send():
            socket.send(message)
        if self.session.state is SessionState.ENDED:
            self._socket = None
            socket.session_ended()
        else:
            socket.rearm()
