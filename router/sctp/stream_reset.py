"""Stream re-configuration: resetting streams in both directions (RFC 6525)."""

from collections.abc import Callable

from .chunks.reconfig import (
    AddOutgoingStreamsRequest,
    IncomingResetRequest,
    OtherRequest,
    OutgoingResetRequest,
    ReconfigMessage,
    ReconfigurationResponse,
    Result,
    serialize_reconfig,
)
from .config import SctpConfig
from .events import IncomingStreamsReset, OutgoingStreamsReset, StreamResetFailed
from .packet import COMMON_HEADER_BYTES
from .peer_parameters import PeerParameters
from .retransmission_timer import BackoffTimer, RetransmissionTimeout
from .serial_number import TSN_MASK, extend_tsn

_REQUEST_OVERHEAD_BYTES = COMMON_HEADER_BYTES + 4 + 16
ResetEvent = IncomingStreamsReset | OutgoingStreamsReset | StreamResetFailed


class StreamResetter:
    """
    Asks the peer to take note of reset streams, one request at a time, and answers its requests.

    It decides; the association moves the sequence numbers when the events come.

    :param initial_tsn: Ours, where our request sequence numbers begin (section 4.1).
    """

    def __init__(
        self,
        *,
        config: SctpConfig,
        rto: RetransmissionTimeout,
        initial_tsn: int,
        peer: PeerParameters,
    ) -> None:
        self._rto = rto
        self._max_retransmits = config.association_max_retransmits
        self._max_streams = (config.mtu - _REQUEST_OVERHEAD_BYTES) // 2
        self._inbound_limit = config.inbound_streams
        self._is_supported = peer.reconfig
        self._next_request = initial_tsn
        self._pending: dict[int, None] = {}  # insertion-ordered set
        self._request: OutgoingResetRequest | None = None
        self._retransmit_due = False
        self._timer = BackoffTimer(maximum=config.rto_max)
        # The peer's side. Its first request carries its initial TSN.
        self._last_peer_request = (peer.initial_tsn - 1) & TSN_MASK
        self._last_result: int = Result.SUCCESS_NOTHING_TO_DO
        self._deferred: OutgoingResetRequest | None = None
        self._completed: OutgoingResetRequest | None = None
        self._events: list[ResetEvent] = []
        self.inbound_streams = min(peer.outbound_streams, config.inbound_streams)
        """Streams that the peer may send on; it may ask for more."""

    @property
    def deadline(self) -> float | None:
        """When the request is sent again; None when none is outstanding."""
        return self._timer.deadline

    def is_pending(self, stream_id: int) -> bool:
        """Return whether a reset is queued and not yet requested: older messages go first."""
        return stream_id in self._pending

    def is_requested(self, stream_id: int) -> bool:
        """Return whether the peer's answer is awaited."""
        return self._request is not None and stream_id in self._request.stream_ids

    @property
    def requested_stream_ids(self) -> tuple[int, ...]:
        """The streams whose reset awaits the peer's answer."""
        return self._request.stream_ids if self._request is not None else ()

    def reset(self, stream_ids: tuple[int, ...]) -> None:
        """
        Queue the reset of streams that we send on.

        One whose answer is awaited is asked for once more: it may have been used again meanwhile.
        """
        if not self._is_supported:
            self._events.append(StreamResetFailed(stream_ids=stream_ids))
            return
        self._pending.update(dict.fromkeys(stream_ids))

    def take_events(self) -> list[ResetEvent]:
        """Return what happened, in order, and forget it."""
        events, self._events = self._events, []
        return events

    def handle_timer(self, now: float) -> bool:
        """
        Return whether the request's timer ran out; the request is then due again.

        A peer that acknowledges DATA and never answers a request loses the streams, not the
        association: whether it is alive is for T3-rtx and HEARTBEAT to find out.
        """
        if not self._timer.expire(now):
            return False
        if self._timer.expirations <= self._max_retransmits:
            self._retransmit_due = True
        elif self._request is not None:
            self._events.append(StreamResetFailed(stream_ids=self._request.stream_ids))
            self._end_request()
        return True

    def take_request(
        self, now: float, *, has_unsent: Callable[[int], bool], last_assigned_tsn: int
    ) -> bytes | None:
        """
        Return the RE-CONFIG chunk to send, or None when none is due.

        :param has_unsent: Whether a stream has messages that must go before its reset.
        :param last_assigned_tsn: Ours, extended.
        """
        if self._request is None and self._pending:
            ready = [s for s in self._pending if not has_unsent(s)][: self._max_streams]
            if not ready:
                return None
            for stream_id in ready:
                del self._pending[stream_id]
            self._request = OutgoingResetRequest(
                request_sequence_number=self._next_request & TSN_MASK,
                response_sequence_number=self._last_peer_request,
                senders_last_assigned_tsn=last_assigned_tsn & TSN_MASK,
                stream_ids=tuple(ready),
            )
            self._next_request += 1
            self._timer.start(now, self._rto.value)
            self._retransmit_due = True
        if not self._retransmit_due or self._request is None:
            return None
        self._retransmit_due = False
        return serialize_reconfig(self._request)

    def receive(
        self,
        messages: list[ReconfigMessage],
        now: float,
        *,
        cumulative_tsn: int,
        outgoing_stream_ids: tuple[int, ...],
    ) -> list[bytes]:
        """
        Take a RE-CONFIG chunk; return the chunks that answer it.

        :param cumulative_tsn: Up to where the peer's DATA has arrived, extended.
        :param outgoing_stream_ids: The streams that we have sent on, which alone need a reset.
        """
        answers = []
        for message in messages:
            if isinstance(message, ReconfigurationResponse):
                self._receive_response(message, now)
                continue
            result = self._receive_request(message, cumulative_tsn, outgoing_stream_ids)
            answers.append(self._answer(message.request_sequence_number, result))
        return answers

    def progress(self, cumulative_tsn: int) -> list[bytes]:
        """Perform a deferred reset whose DATA has all arrived; return the chunk that says so."""
        request = self._deferred
        if request is None or not _has_arrived(request, cumulative_tsn):
            return []
        self._perform(request, waited=True)
        return [self._answer(request.request_sequence_number, self._last_result)]

    def _receive_response(self, response: ReconfigurationResponse, now: float) -> None:
        request = self._request
        if request is None or response.response_sequence_number != request.request_sequence_number:
            return
        if response.result == Result.IN_PROGRESS:
            # The same request is sent again later; an answer shows that the peer is there.
            self._timer.start(now, self._rto.value)
            return
        self._end_request()
        if response.result in (Result.SUCCESS_NOTHING_TO_DO, Result.SUCCESS_PERFORMED):
            self._events.append(OutgoingStreamsReset(stream_ids=request.stream_ids))
        else:
            self._events.append(StreamResetFailed(stream_ids=request.stream_ids))

    def _end_request(self) -> None:
        self._timer.stop()
        self._request = None
        self._retransmit_due = False

    def _receive_request(
        self,
        message: "OutgoingResetRequest | IncomingResetRequest | AddOutgoingStreamsRequest"
        " | OtherRequest",
        cumulative_tsn: int,
        outgoing_stream_ids: tuple[int, ...],
    ) -> int:
        number = message.request_sequence_number
        if number == self._last_peer_request:
            # A retransmission gets the same answer, unless time has brought a better one.
            if self._deferred is not None and _has_arrived(self._deferred, cumulative_tsn):
                self._perform(self._deferred, waited=True)
            return self._last_result
        if number != (self._last_peer_request + 1) & TSN_MASK:
            return Result.ERROR_BAD_SEQUENCE_NUMBER
        self._last_peer_request = number
        if isinstance(message, OutgoingResetRequest):
            self._receive_outgoing_reset(message, cumulative_tsn)
        elif isinstance(message, IncomingResetRequest):
            asked = frozenset(message.stream_ids or outgoing_stream_ids)
            used = tuple(stream_id for stream_id in outgoing_stream_ids if stream_id in asked)
            self.reset(used)
            self._last_result = Result.SUCCESS_PERFORMED if used else Result.SUCCESS_NOTHING_TO_DO
        elif isinstance(message, AddOutgoingStreamsRequest):
            wanted = self.inbound_streams + message.new_streams
            if wanted <= self._inbound_limit:
                self.inbound_streams = wanted
                self._last_result = Result.SUCCESS_PERFORMED
            else:
                self._last_result = Result.DENIED
        else:
            self._last_result = Result.DENIED
        return self._last_result

    def _receive_outgoing_reset(self, request: OutgoingResetRequest, cumulative_tsn: int) -> None:
        if any(stream_id >= self.inbound_streams for stream_id in request.stream_ids):
            self._last_result = Result.ERROR_WRONG_SSN
            return
        if self._completed is not None and _is_same_reset(self._completed, request):
            self._last_result = Result.SUCCESS_PERFORMED
            return
        self._completed = None
        if _has_arrived(request, cumulative_tsn):
            waited = self._deferred is not None and _is_same_reset(self._deferred, request)
            self._perform(request, waited=waited)
        else:
            self._deferred = request
            self._last_result = Result.IN_PROGRESS

    def _perform(self, request: OutgoingResetRequest, *, waited: bool) -> None:
        self._deferred = None
        # Some senders number a request anew after "in progress". It must not reset the streams
        # twice: they may be in use again.
        self._completed = request if waited else None
        self._last_result = Result.SUCCESS_PERFORMED
        self._events.append(IncomingStreamsReset(stream_ids=request.stream_ids))

    def _answer(self, number: int, result: int) -> bytes:
        return serialize_reconfig(
            ReconfigurationResponse(response_sequence_number=number, result=result)
        )


def _has_arrived(request: OutgoingResetRequest, cumulative_tsn: int) -> bool:
    return extend_tsn(request.senders_last_assigned_tsn, cumulative_tsn) <= cumulative_tsn


def _is_same_reset(a: OutgoingResetRequest, b: OutgoingResetRequest) -> bool:
    return (
        a.senders_last_assigned_tsn == b.senders_last_assigned_tsn and a.stream_ids == b.stream_ids
    )
