"""Consent to send on the selected pair (RFC 7675)."""

import random
from collections.abc import Callable

CONSENT_INTERVAL = 5.0
"""Mean seconds between two checks."""
CONSENT_RETRY_INTERVAL = 1.0
"""Mean seconds to the next check while the last one is not answered."""
CONSENT_LIFETIME = 30.0
"""Consent is over this many seconds after the last authentic answer."""


class ConsentChecker:
    """
    Keeps the right to send on one candidate pair alive.

    The owner authenticates responses before it passes them on. The checks also keep NAT bindings
    open. They are never retransmitted: the next check is a new transaction. While one is not
    answered the next comes sooner than the 5 s that RFC 7675 section 5.1 suggests: at 30 % loss
    each way the six checks of a lifetime would all be lost several times an hour, and consent with
    them.

    :param make_request: Returns a new, serialized binding request at each call.
    :param given_at: When the check was answered that made the pair valid.
    :param interval: Mean seconds between checks.
    :param lifetime: Seconds for which one answer gives consent.
    """

    def __init__(
        self,
        *,
        make_request: Callable[[], bytes],
        rng: random.Random,
        given_at: float,
        now: float,
        interval: float = CONSENT_INTERVAL,
        lifetime: float = CONSENT_LIFETIME,
    ) -> None:
        self.answered_at = given_at
        """When consent was last given."""
        self.round_trip_time: float | None = None
        """Seconds, of the last check that was answered."""
        self.is_expired = False
        self._make_request = make_request
        self._rng = rng
        self._interval = interval
        self._retry_interval = min(CONSENT_RETRY_INTERVAL, interval)
        self._lifetime = lifetime
        self._datagrams: list[bytes] = []
        # Transaction id to the time of sending. What is older than a lifetime is forgotten, so
        # that the number is bounded by lifetime / (0.8 * retry interval).
        self._outstanding: dict[bytes, float] = {}
        self._check_at = self._draw_check_time(now, interval)

    def handle_timer(self, now: float) -> None:
        """Expire, or send the next check, if it is time to."""
        if self.is_expired:
            return
        if now >= self.answered_at + self._lifetime:
            self.is_expired = True
            self._outstanding.clear()
            self._datagrams.clear()
        elif now >= self._check_at:
            request = self._make_request()
            self._datagrams.append(request)
            for transaction_id, sent_at in list(self._outstanding.items()):
                if now - sent_at >= self._lifetime:
                    del self._outstanding[transaction_id]
            self._outstanding[request[8:20]] = now
            self._check_at = self._draw_check_time(now, self._retry_interval)

    def next_timer(self) -> float | None:
        """Return when the next check or the expiry is due; None once expired."""
        if self.is_expired:
            return None
        return min(self._check_at, self.answered_at + self._lifetime)

    def datagrams_to_send(self) -> list[bytes]:
        """Return the checks to send, and forget them."""
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

    def is_outstanding(self, transaction_id: bytes) -> bool:
        """Return whether a check with this transaction id waits for its answer."""
        return transaction_id in self._outstanding

    def receive_answer(self, transaction_id: bytes, now: float) -> None:
        """Take note that an outstanding check has got an authentic success response."""
        sent_at = self._outstanding.pop(transaction_id)
        self.round_trip_time = now - sent_at
        self.answered_at = now
        self._check_at = self._draw_check_time(now, self._interval)

    def _draw_check_time(self, now: float, interval: float) -> float:
        # RFC 7675 section 5.1: 0.8 to 1.2 of the interval, drawn afresh for each check.
        return now + interval * self._rng.uniform(0.8, 1.2)
