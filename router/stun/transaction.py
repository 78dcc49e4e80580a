"""A client's request over an unreliable transport (RFC 8489 section 6.2.1)."""

import enum

RTO_INITIAL = 0.5
"""Seconds from the first transmission to the second, when nothing is known of the path."""
RC = 7
"""How many times a request is sent."""
RM = 16
"""The last transmission is given ``RM * RTO`` seconds to be answered."""


class TransactionState(enum.Enum):
    """What has become of a request."""

    RUNNING = "running"
    CANCELLED = "cancelled"
    """No longer sent again, but an answer is still welcome until the time is over."""
    ANSWERED = "answered"
    TIMED_OUT = "timed out"


class ClientTransaction:
    """
    Sends one request until it is answered or the schedule of RFC 8489 is through.

    The request goes out at once, then after RTO, 2 RTO, 4 RTO and so on, ``rc`` times in all, and
    has failed ``rm * rto`` after the last: 39.5 s in all with the defaults. The owner matches
    responses by ``transaction_id``, authenticates them, and calls :meth:`set_answered`.

    :param request: The serialized request; each transmission has the same bytes.
    :param rto: Retransmission timeout in seconds.
    :param rc: Number of transmissions, at least 1.
    :param rm: Multiple of ``rto`` to wait after the last one.
    """

    def __init__(
        self,
        request: bytes,
        *,
        now: float,
        rto: float = RTO_INITIAL,
        rc: int = RC,
        rm: float = RM,
    ) -> None:
        self.transaction_id = request[8:20]
        self.started_at = now
        self.state = TransactionState.RUNNING
        self._request = request
        self._rto = rto
        self._rc = rc
        self._rm = rm
        self._transmissions = 1
        self._due_at = now + self._timeout()
        self._datagrams = [request]

    @property
    def is_retransmitted(self) -> bool:
        """Whether the request was sent more than once, so that a round trip time is ambiguous."""
        return self._transmissions > 1

    def handle_timer(self, now: float) -> None:
        """Retransmit or give up, if it is time to."""
        while self._is_pending() and now >= self._due_at:
            if self._transmissions >= self._rc:
                self.state = TransactionState.TIMED_OUT
                return
            # A timer that comes late does not catch up on the transmissions that it missed.
            if self.state is TransactionState.RUNNING and not self._datagrams:
                self._datagrams.append(self._request)
            self._transmissions += 1
            self._due_at += self._timeout()

    def next_timer(self) -> float | None:
        """Return when to retransmit or give up, or None when it is over."""
        return self._due_at if self._is_pending() else None

    def datagrams_to_send(self) -> list[bytes]:
        """Return the request if it is due, and forget it."""
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

    def cancel(self) -> None:
        """Stop retransmission; the time in which an answer counts stays the same."""
        if self.state is TransactionState.RUNNING:
            self.state = TransactionState.CANCELLED
            self._datagrams.clear()

    def set_answered(self) -> None:
        """Take note that an authentic response has come."""
        self.state = TransactionState.ANSWERED
        self._datagrams.clear()

    def _is_pending(self) -> bool:
        return self.state in (TransactionState.RUNNING, TransactionState.CANCELLED)

    def _timeout(self) -> float:
        if self._transmissions >= self._rc:
            return self._rto * self._rm
        return float(self._rto * 2 ** (self._transmissions - 1))
