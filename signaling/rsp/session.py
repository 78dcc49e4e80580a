"""
One participant's signaling session (RSP version 2): outlives its sockets.

Sans-IO. It turns the client's messages into events for whoever owns media and room, and notes of
what changed into as few messages as possible, in order. While no socket is attached nothing is
kept: the snapshot in ``synced`` covers everything that was missed.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum

from msgspec import UNSET, Struct, UnsetType

from signaling.errors import ErrorCode
from signaling.rooms import LeaveReason, Participant, ParticipantView, Room

from .media_signaling import MediaSignaling
from .messages import (
    Connected,
    DescriptionOut,
    Disconnect,
    Disconnected,
    ErrorMessage,
    LocalParticipantOut,
    OptionsOut,
    ParticipantIn,
    ParticipantOut,
    PeerConnectionIn,
    PeerConnectionOut,
    RecordingOut,
    RoomState,
    Sync,
    Synced,
    Update,
    UpdateOut,
)
from .negotiation import (
    AnswerToApply,
    ClosedByClient,
    OfferToAnswer,
    PeerNegotiation,
)
from .views import participant_out, published_out, subscribed_out


class SessionState(Enum):
    """Where the session is."""

    JOINING = "joining"
    """The client has not been told that it is in."""
    ATTACHED = "attached"
    DETACHED = "detached"
    """The socket was lost; the client may resume."""
    RESUMING = "resuming"
    """A ``sync`` is being worked on: nothing goes out before ``synced``."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEvent:
    """Base of what the client wants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracksReceived(SessionEvent):
    """The client's full list of tracks."""

    participant: ParticipantIn


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferReceived(SessionEvent):
    """An offer to apply; answer with :meth:`RspSession.answer`."""

    revision: int
    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerReceived(SessionEvent):
    """The answer to our pending offer, to be applied."""

    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerConnectionClosed(SessionEvent):
    """The client gave its peer connection up; it may bring another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferUnanswered(SessionEvent):
    """The client is alive but did not answer our offer: it cannot apply it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveRequested(SessionEvent):
    """The client said that it leaves."""


_ERRORS = {
    LeaveReason.DUPLICATE_IDENTITY: ErrorCode.DUPLICATE_IDENTITY,
    LeaveReason.DURATION_EXCEEDED: ErrorCode.SESSION_LENGTH_EXCEEDED,
    LeaveReason.SESSION_EXPIRED: ErrorCode.PARTICIPANT_NOT_FOUND,
    LeaveReason.PROTOCOL_ERROR: ErrorCode.CLIENT_MESSAGE_INVALID,
    LeaveReason.MEDIA_FAILED: ErrorCode.MEDIA_CONNECTION_FAILED,
    LeaveReason.TOKEN_REVOKED: ErrorCode.TOKEN_INVALID,
}
_STATUSES = {
    LeaveReason.ROOM_COMPLETED: "completed",
    LeaveReason.REMOVED: "disconnected",
}


class RspSession:
    """
    One session.

    :param session_id: Unguessable; the client resumes with it.
    :param room: Read to build messages, never changed here.
    :param media_signaling: The session's channels beside this one.
    :param options: What the client is told of timeouts and regions.
    """

    def __init__(
        self,
        *,
        session_id: str,
        room: Room,
        participant: Participant,
        options: OptionsOut,
        media_signaling: MediaSignaling,
    ) -> None:
        self.session_id = session_id
        self.media_signaling = media_signaling
        self._room = room
        self._participant = participant
        self._options = options
        self._state = SessionState.JOINING
        # A description is judged only when its turn comes: those before it change what it means.
        self._events: deque[SessionEvent | PeerConnectionIn] = deque()
        self._messages: list[Struct] = []
        self._negotiation: PeerNegotiation | None = None
        self._closed: list[PeerConnectionOut] = []
        """Peer connections that the client has to be told to close."""
        self._descriptions: list[DescriptionOut] = []
        self._participants: dict[str, ParticipantOut] = {}
        self._published_changed = False
        self._subscribed_changed = False
        self._grants_changed = False
        self._last_heard_at = 0.0
        self.ignored = 0
        """Messages and descriptions that were stale, foreign or came after the end."""

    @property
    def state(self) -> SessionState:
        """Return where the session is."""
        return self._state

    @property
    def participant_sid(self) -> str:
        """Return whose session it is."""
        return self._participant.sid

    @property
    def identity(self) -> str:
        """Return who the participant is."""
        return self._participant.identity

    @property
    def may_offer(self) -> bool:
        """Return whether our offer would be taken now."""
        attached = self._state is SessionState.ATTACHED
        return attached and self._negotiation is not None and self._negotiation.may_offer

    # What comes from the client.

    def receive_update(self, update: Update, now: float) -> None:
        """Take an ``update``."""
        if self._state is not SessionState.ATTACHED or update.session != self.session_id:
            self.ignored += 1
            return
        self._last_heard_at = now
        self._receive_state(update.participant, update.peer_connections)

    def receive_disconnect(self, disconnect: Disconnect) -> None:
        """Take a ``disconnect``."""
        if self._state is SessionState.ENDED or disconnect.session != self.session_id:
            self.ignored += 1
            return
        self._events.append(LeaveRequested())

    def receive_peer_connections(self, entries: list[PeerConnectionIn]) -> None:
        """Take the peer connections of ``connect``."""
        self._receive_state(None, entries)

    def begin_resume(self, sync: Sync, now: float) -> None:
        """Take a ``sync`` on a new socket; carry out its events, then :meth:`finish_resume`."""
        assert self._state is not SessionState.ENDED
        self._state = SessionState.RESUMING
        self._forget_changes()
        self._last_heard_at = now
        self._receive_state(sync.participant, sync.peer_connections)
        negotiation = self._negotiation
        if negotiation is None:
            return
        for entry in sync.peer_connections:
            if entry.id == negotiation.peer_connection_id and entry.description is not None:
                missed = negotiation.answer_again(entry.description)
                if missed is not None:
                    self._descriptions.append(missed)

    def finish_resume(self, now: float) -> None:
        """Say everything, after what the client brought was carried out."""
        if self._state is not SessionState.RESUMING:
            return
        self._state = SessionState.ATTACHED
        if self._negotiation is not None and self._negotiation.unanswered is not None:
            self._negotiation.asked_again(now)
            self._descriptions.append(self._negotiation.unanswered)
        self._messages.append(self._snapshot(Synced))

    def heard(self, now: float) -> None:
        """Take note that the client is alive."""
        self._last_heard_at = now

    def detach(self) -> None:
        """Take note that the socket was lost."""
        if self._state is not SessionState.ENDED:
            self._state = SessionState.DETACHED
            self._forget_changes()
            self._messages.clear()

    def _receive_state(
        self, participant: ParticipantIn | None, entries: list[PeerConnectionIn]
    ) -> None:
        if participant is not None:
            self._events.append(TracksReceived(participant=participant))
        # Entries without a description bring candidates: we are ICE-lite and wait for the checks.
        self._events += (entry for entry in entries if entry.description is not None)

    def _judge(self, entry: PeerConnectionIn) -> SessionEvent | None:
        description = entry.description
        assert description is not None
        negotiation = self._negotiation
        if negotiation is None or (
            negotiation.is_closed and entry.id != negotiation.peer_connection_id
        ):
            negotiation = self._negotiation = PeerNegotiation(entry.id)
        if entry.id == negotiation.peer_connection_id:
            match negotiation.receive(description):
                case OfferToAnswer(revision=revision, sdp=sdp):
                    return OfferReceived(revision=revision, sdp=sdp)
                case AnswerToApply(sdp=sdp):
                    return AnswerReceived(sdp=sdp)
                case ClosedByClient():
                    return PeerConnectionClosed()
        self.ignored += 1
        return None

    # What media and room say.

    def answer(self, revision: int, sdp: str) -> None:
        """Answer the offer of an :class:`OfferReceived`."""
        assert self._negotiation is not None
        self._descriptions.append(self._negotiation.answer(revision, sdp))

    def offer(self, sdp: str, now: float) -> None:
        """Make an offer; :attr:`may_offer` must be true."""
        assert self._negotiation is not None
        self._descriptions.append(self._negotiation.offer(sdp, now))

    def request_offer(self, now: float) -> None:
        """Ask the client for an offer; :attr:`may_offer` must be true."""
        assert self._negotiation is not None
        self._descriptions.append(self._negotiation.request_offer(now))

    def replace_peer_connection(self, peer_connection_id: str, now: float) -> None:
        """
        Let the client build another peer connection and close the one that it has.

        :param peer_connection_id: An id of ours, new in this session.
        """
        old = self._negotiation
        self._descriptions.clear()
        if old is not None and not old.is_closed:
            self._closed.append(PeerConnectionOut(old.peer_connection_id, old.close()))
        self._negotiation = PeerNegotiation(peer_connection_id)
        self._descriptions.append(self._negotiation.begin(now))

    def participant_changed(self, view: ParticipantView) -> None:
        """Take note that another participant has a new revision."""
        if self._state in (SessionState.ATTACHED, SessionState.JOINING):
            self._participants[view.sid] = participant_out(view)

    def publications_changed(self) -> None:
        """Take note that the own publications have a new revision."""
        self._published_changed = True

    def subscriptions_changed(self) -> None:
        """Take note that the subscriptions have a new revision."""
        self._subscribed_changed = True

    def grants_changed(self) -> None:
        """Take note that media-signaling channels have other labels now."""
        self._grants_changed = True

    def end(self, reason: LeaveReason) -> None:
        """Say why it ends; nothing is said afterwards."""
        if self._state is SessionState.ENDED:
            return
        if reason in _ERRORS:
            self._end_with_error(_ERRORS[reason])
        elif reason in _STATUSES:
            self._messages.append(Disconnected(self.session_id, _STATUSES[reason]))
            self._state = SessionState.ENDED
        else:
            self._state = SessionState.ENDED

    def fail(self, code: ErrorCode) -> None:
        """End with an error of our own choice."""
        if self._state is not SessionState.ENDED:
            self._end_with_error(code)

    def flush(self) -> None:
        """Put everything that changed into one message."""
        if self._state is SessionState.JOINING:
            self._state = SessionState.ATTACHED
            self._messages.append(self._snapshot(Connected))
        if self._state is not SessionState.ATTACHED or not self._has_changes():
            return
        update = UpdateOut(session=self.session_id)
        if self._participants:
            update.participants = list(self._participants.values())
        if self._published_changed:
            update.published = published_out(self._participant)
        if self._subscribed_changed:
            update.subscribed = subscribed_out(self._participant)
        if self._grants_changed:
            update.media_signaling = self.media_signaling.grants
        descriptions = self._descriptions
        if descriptions:
            # The new one first: a client without any would think that its media is lost.
            update.peer_connections = [
                *self._peer_connections_out(descriptions[0]),
                *self._closed,
            ]
        self._messages.append(update)
        # One description in each message: clients work on one at a time.
        for description in descriptions[1:]:
            entries = self._peer_connections_out(description)
            self._messages.append(UpdateOut(session=self.session_id, peer_connections=entries))
        self._forget_changes()

    def messages_to_send(self) -> list[Struct]:
        """Return the messages to send, in order, and forget them."""
        messages, self._messages = self._messages, []
        return messages

    def next_event(self) -> SessionEvent | None:
        """
        Return the next event and forget it, or None when there is none.

        Carry it out before the next one is asked for.
        """
        while self._events:
            event = self._events.popleft()
            found = self._judge(event) if isinstance(event, PeerConnectionIn) else event
            if found is not None:
                return found
        return None

    # Time. It stands still while no socket is attached: the room's grace period runs then.

    def next_timer(self) -> float | None:
        """Return the absolute time of the next timer, or None."""
        if self._state is not SessionState.ATTACHED or self._negotiation is None:
            return None
        return self._negotiation.next_timer()

    def handle_timer(self, now: float) -> None:
        """Act on all timers that are due; an early or repeated call changes nothing."""
        if (
            self._state is SessionState.ATTACHED
            and self._negotiation is not None
            and self._negotiation.handle_timer(now, last_heard_at=self._last_heard_at)
        ):
            self._events.append(OfferUnanswered())

    # Building messages.

    def _end_with_error(self, code: ErrorCode) -> None:
        self._messages.append(ErrorMessage(int(code), code.message))
        self._state = SessionState.ENDED

    def _has_changes(self) -> bool:
        return bool(
            self._participants
            or self._published_changed
            or self._subscribed_changed
            or self._grants_changed
            or self._descriptions
        )

    def _forget_changes(self) -> None:
        self._participants.clear()
        self._descriptions = []
        self._closed = []
        self._published_changed = self._subscribed_changed = self._grants_changed = False

    def _snapshot(self, message: type[RoomState]) -> RoomState:
        participant = self._participant
        state = message(
            session=self.session_id,
            sid=self._room.sid,
            name=self._room.name,
            participant=LocalParticipantOut(participant.sid, participant.identity),
            participants=[participant_out(view) for view in self._room.others(participant.sid)],
            peer_connections=self._peer_connections_out(next(iter(self._descriptions), UNSET)),
            published=published_out(participant),
            subscribed=subscribed_out(participant),
            recording=RecordingOut(),
            media_signaling=self.media_signaling.grants,
            options=self._options,
        )
        later = self._descriptions[1:]
        self._forget_changes()
        self._descriptions = later
        return state

    def _peer_connections_out(
        self, description: DescriptionOut | UnsetType
    ) -> list[PeerConnectionOut]:
        negotiation = self._negotiation
        if negotiation is None or negotiation.is_closed:
            return []
        # Listed even without a description: a client closes those that a snapshot leaves out.
        return [PeerConnectionOut(negotiation.peer_connection_id, description)]
