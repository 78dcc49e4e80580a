"""Round-trip estimation (RFC 9260 section 6.3) and timers that back off."""

_ALPHA = 1 / 8  # RTO.Alpha
_BETA = 1 / 4  # RTO.Beta
#: A round trip may be this much shorter than the shortest before.
_PLAUSIBLE = 0.9
#: A clock that ticks in less; keeps the variance from becoming zero (G in section 6.3.1).
_GRANULARITY = 0.001


class RetransmissionTimeout:
    """The RTO: follows the round-trip time, doubles while nothing is acknowledged."""

    def __init__(self, *, initial: float, minimum: float, maximum: float) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._rttvar = 0.0
        self._min_rtt = 0.0
        self._is_restored = False
        self.srtt: float | None = None
        """Smoothed round-trip time, or None before the first measurement."""
        self.value = initial
        """The RTO."""

    def observe(self, rtt: float) -> None:
        """Take a measurement of a chunk that was sent once (Karn's rule is the caller's)."""
        rtt = max(rtt, 0.0)
        if self.srtt is None:
            self.srtt, self._rttvar, self._min_rtt = rtt, rtt / 2, rtt
        else:
            self._rttvar += _BETA * (abs(self.srtt - rtt) - self._rttvar)
            self.srtt += _ALPHA * (rtt - self.srtt)
            self._min_rtt = min(self._min_rtt, rtt)
        self._is_restored = False
        self._compute()

    def back_off(self) -> None:
        """Double after a timeout (rule E2 of section 6.3.3)."""
        self.value = min(2 * self.value, self._maximum)

    def restore(self, elapsed: float) -> None:
        """
        Undo the doubling if the last transmission of a repeated chunk can be what was acknowledged.

        The RFC waits for a chunk that is sent once and arrives. On a path that loses a third of all
        packets that takes a long time, with the RTO at its maximum.

        :param elapsed: Seconds since that transmission. If that is less than any round trip so far,
            an earlier one arrived, late: the path is slower than we thought, so stay slow.
        """
        if self.srtt is not None and elapsed >= _PLAUSIBLE * self._min_rtt:
            self._is_restored = True
            self._compute()

    def doubt(self) -> None:
        """Double again if a needless retransmission shows that :meth:`restore` was wrong."""
        if self._is_restored:
            self.back_off()

    def _compute(self) -> None:
        assert self.srtt is not None
        rto = self.srtt + 4 * max(self._rttvar, _GRANULARITY)
        self.value = min(max(rto, self._minimum), self._maximum)


class BackoffTimer:
    """One of T1-init, T1-cookie, T2-shutdown and the re-configuration timer."""

    def __init__(self, *, maximum: float) -> None:
        self._maximum = maximum
        self._timeout = 0.0
        self.deadline: float | None = None
        """Absolute, or None when stopped."""
        self.expirations = 0
        """How often it ran out since it was started."""

    def start(self, now: float, timeout: float) -> None:
        """Start afresh."""
        self._timeout = min(timeout, self._maximum)
        self.deadline = now + self._timeout
        self.expirations = 0

    def stop(self) -> None:
        """Stop; :attr:`expirations` stays readable."""
        self.deadline = None

    def expire(self, now: float) -> bool:
        """Return whether it has run out; if so, it runs again for twice as long."""
        if self.deadline is None or now < self.deadline:
            return False
        self.expirations += 1
        self._timeout = min(2 * self._timeout, self._maximum)
        self.deadline = now + self._timeout
        return True
