"""Congestion control: slow start, congestion avoidance, fast recovery (RFC 9260 section 7.2)."""


class CongestionControl:
    """
    Keeps the congestion window. All sizes are bytes of DATA chunks, headers included.

    :param mtu: What the RFC calls PMDCS, the most that one packet carries.
    :param ssthresh: Slow start threshold at the start: the peer's first a_rwnd.
    """

    def __init__(self, *, mtu: int, initial_cwnd: int, ssthresh: int) -> None:
        self._mtu = mtu
        self._partial_bytes_acked = 0
        self._exit_point: int | None = None
        self.cwnd = initial_cwnd
        self.ssthresh = max(ssthresh, 4 * mtu)

    @property
    def in_fast_recovery(self) -> bool:
        """Whether a loss is being repaired that the window has already paid for."""
        return self._exit_point is not None

    def on_cumulative_ack(
        self, *, cumulative_tsn: int, acked_bytes: int, flight_size: int, outstanding: bool
    ) -> None:
        """
        Grow the window after the Cumulative TSN Ack Point advanced.

        :param acked_bytes: Newly acknowledged, by the point or by gap ack blocks.
        :param flight_size: Bytes in flight before the SACK came.
        :param outstanding: Whether anything is still unacknowledged.
        """
        if self._exit_point is not None:
            if cumulative_tsn < self._exit_point:
                return
            self._exit_point = None
        is_full = flight_size + self._mtu > self.cwnd
        if self.cwnd <= self.ssthresh:
            if is_full:
                self.cwnd += min(acked_bytes, self._mtu)
        else:
            self._partial_bytes_acked += acked_bytes
            if self._partial_bytes_acked >= self.cwnd and is_full:
                self._partial_bytes_acked -= self.cwnd
                self.cwnd += self._mtu
        if not outstanding:
            self._partial_bytes_acked = 0

    def on_fast_retransmit(self, exit_point: int) -> None:
        """
        Halve the window for the first loss of a round trip.

        :param exit_point: The highest TSN outstanding; recovery ends when it is acknowledged.
        """
        if self._exit_point is not None:
            return
        self.ssthresh = max(self.cwnd // 2, 4 * self._mtu)
        self.cwnd = self.ssthresh
        self._partial_bytes_acked = 0
        self._exit_point = exit_point

    def on_timeout(self) -> None:
        """Begin again with one packet after T3-rtx ran out."""
        self.ssthresh = max(self.cwnd // 2, 4 * self._mtu)
        self.cwnd = self._mtu
        self._partial_bytes_acked = 0
        self._exit_point = None
