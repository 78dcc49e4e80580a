"""
The sender: fragments, TSNs, acknowledgements, retransmission (RFC 9260 sections 6, 7; RFC 3758).

Every TSN that was assigned and not yet cumulatively acknowledged has an entry in ``_outstanding``.
Its fate moves from IN_FLIGHT to ACKED, or to TO_RETRANSMIT and back, or to ABANDONED when its
message's reliability is used up. Entries leave when the Cumulative TSN Ack Point passes them.
"""

import heapq
from bisect import bisect_right
from enum import Enum

from .chunks.data import (
    BEGINNING_FRAGMENT,
    DATA_HEADER_BYTES,
    ENDING_FRAGMENT,
    IMMEDIATE,
    UNORDERED,
    serialize_data,
)
from .chunks.forward_tsn import FORWARD_TSN_HEADER_BYTES, ForwardTsnChunk
from .chunks.sack import SackChunk
from .config import SctpConfig
from .congestion import CongestionControl
from .packet import COMMON_HEADER_BYTES
from .peer_parameters import PeerParameters
from .retransmission_timer import RetransmissionTimeout
from .send_queue import MESSAGE_OVERHEAD_BYTES, OutboundMessage, SendQueue
from .serial_number import TSN_MASK, extend_tsn

#: Miss indications that trigger a fast retransmission (section 7.2.4).
_MISSES = 3


class Fate(Enum):
    """What became of a TSN."""

    IN_FLIGHT = "in flight"
    ACKED = "acked"
    TO_RETRANSMIT = "to retransmit"
    ABANDONED = "abandoned"


# Looked up once per chunk; a module global is found faster than a member of the class.
_IN_FLIGHT, _ACKED = Fate.IN_FLIGHT, Fate.ACKED
_TO_RETRANSMIT, _ABANDONED = Fate.TO_RETRANSMIT, Fate.ABANDONED


class _Outstanding:
    """One DATA chunk that was sent; one placeholder for what an abandoned message still lacked."""

    __slots__ = (
        "charge",
        "fate",
        "message",
        "misses",
        "order",
        "sent_at",
        "size",
        "transmissions",
        "wire",
    )

    def __init__(
        self,
        wire: bytes,
        message: OutboundMessage,
        *,
        charge: int,
        fate: Fate,
        order: int,
        sent_at: float,
    ) -> None:
        self.wire = wire
        self.size = len(wire)
        self.message = message
        self.charge = charge
        """Bytes of the send buffer that it holds."""
        self.fate = fate
        self.misses = 0
        self.order = order
        """Of its latest transmission, among all transmissions."""
        self.sent_at = sent_at
        """Time of its latest transmission."""
        self.transmissions = 1


class OutboundData:
    """
    Sends what a queue holds to a peer whose parameters are known.

    Not a core: it returns chunks for the association to bundle, and keeps the T3-rtx deadline.
    """

    def __init__(
        self,
        *,
        config: SctpConfig,
        queue: SendQueue,
        rto: RetransmissionTimeout,
        initial_tsn: int,
        peer: PeerParameters,
    ) -> None:
        self._queue = queue
        self._rto = rto
        self._next_tsn = initial_tsn
        self._cumulative_ack = initial_tsn - 1
        self._advanced_ack = initial_tsn - 1
        self._outstanding: dict[int, _Outstanding] = {}
        self._retransmit: list[int] = []  # heap of TSNs, some of which may have been acked since
        self._flight_size = 0
        self._peer_rwnd = peer.a_rwnd
        self._peer_forward_tsn = peer.forward_tsn
        self._gap_blocks: list[tuple[int, int]] = []
        self._transmissions = 0
        # What one SACK newly acknowledged: bytes; the latest order and time of sending among the
        # chunks sent once; the latest time of sending among those sent again.
        self._acked_bytes = 0
        self._acked_order = 0
        self._acked_sent_at: float | None = None
        self._acked_again_at: float | None = None
        self._burst_credit = 0
        self._fast_retransmit_due = False
        self._forward_tsn_due = False
        self._forward_tsn_sent_at = 0.0
        room = config.mtu - COMMON_HEADER_BYTES
        self._mtu = config.mtu
        self._max_payload = (room - DATA_HEADER_BYTES) & ~3
        self._max_forward_streams = (room - FORWARD_TSN_HEADER_BYTES) // 4
        self._max_burst = config.max_burst_packets * config.mtu
        self.congestion = CongestionControl(
            mtu=config.mtu,
            initial_cwnd=config.initial_cwnd_packets * config.mtu,
            ssthresh=peer.a_rwnd,
        )
        self.t3_deadline: float | None = None
        """When T3-rtx runs out; None when nothing is outstanding."""
        self.timeouts = 0
        """Times that T3-rtx ran out since the peer last acknowledged anything."""

    @property
    def last_assigned_tsn(self) -> int:
        """The highest TSN used so far, extended."""
        return self._next_tsn - 1

    @property
    def flight_size(self) -> int:
        """Bytes sent and neither acknowledged nor given up."""
        return self._flight_size

    @property
    def is_drained(self) -> bool:
        """Whether all messages are sent and acknowledged or abandoned."""
        return not self._outstanding and self._queue.is_empty

    def handle_timer(self, now: float) -> bool:
        """
        Act on T3-rtx (section 6.3.3); return whether it ran out.

        All that is in flight is taken for lost; :meth:`transmit` sends what one packet holds.
        """
        if self.t3_deadline is None or now < self.t3_deadline:
            return False
        self.timeouts += 1
        self._rto.back_off()
        self.congestion.on_timeout()
        for tsn, chunk in list(self._outstanding.items()):
            if chunk.fate is _IN_FLIGHT:
                self._lose(tsn, chunk, now)
        self._fast_retransmit_due = False
        self._advance_peer_ack_point()
        self._forward_tsn_due = self._advanced_ack > self._cumulative_ack
        self.t3_deadline = now + self._rto.value
        return True

    def handle_sack(self, sack: SackChunk, now: float) -> None:
        """Take a SACK; one that is older than another, or that makes no sense, changes nothing."""
        cumulative = extend_tsn(sack.cumulative_tsn_ack, self._cumulative_ack)
        if self._cumulative_ack <= cumulative < self._next_tsn:
            blocks = self._valid_blocks(sack.gap_ack_blocks, cumulative)
            self._acknowledge(cumulative, blocks, now)
            if sack.duplicate_tsns:
                self._rto.doubt()
            self._peer_rwnd = max(0, sack.a_rwnd - self._flight_size)

    def handle_cumulative_ack(self, tsn: int, now: float) -> None:
        """Take the Cumulative TSN Ack of a SHUTDOWN chunk."""
        cumulative = extend_tsn(tsn, self._cumulative_ack)
        if self._cumulative_ack < cumulative < self._next_tsn:
            self._acknowledge(cumulative, [b for b in self._gap_blocks if b[0] > cumulative], now)

    def forget_streams(self, stream_ids: tuple[int, ...]) -> None:
        """
        Name these streams no more in FORWARD TSN for what was sent on them so far.

        To be called when their reset is requested. A FORWARD TSN that arrives after the reset was
        performed would skip messages of the stream's next life; one sent before the request is
        out of date by then, since the reset waits for all TSNs up to it.
        """
        streams = frozenset(stream_ids)
        for chunk in self._outstanding.values():
            if chunk.message.stream_id in streams:
                chunk.message.ordered = False

    def transmit(self, now: float) -> list[bytes]:
        """Return the chunks that the windows allow to send now: FORWARD TSN, old DATA, new DATA."""
        chunks: list[bytes] = []
        # What has left the network may be replaced, and Max.Burst on top (section 6.1 rule D).
        budget = self._max_burst + self._burst_credit
        self._burst_credit = 0
        if self._retransmit:
            budget -= self._transmit_lost(chunks, budget, now)
        if budget > 0:
            self._transmit_new(chunks, budget, now)
        if self._forward_tsn_due:
            self._forward_tsn_due = False
            self._forward_tsn_sent_at = now
            chunks.insert(0, self._make_forward_tsn())
        if self.t3_deadline is None and self._outstanding:
            self.t3_deadline = now + self._rto.value
        return chunks

    def _transmit_lost(self, chunks: list[bytes], budget: int, now: float) -> int:
        """Send chunks again, lowest TSN first; return their bytes."""
        sent = 0
        # The first packet of a fast retransmission goes out whatever the window says (7.2.4).
        allowance = self._mtu - COMMON_HEADER_BYTES if self._fast_retransmit_due else 0
        while self._retransmit and sent < budget:
            tsn = self._retransmit[0]
            chunk = self._outstanding.get(tsn)
            if chunk is None or chunk.fate is not _TO_RETRANSMIT:
                heapq.heappop(self._retransmit)
                continue
            if (
                self._flight_size
                and self._flight_size + chunk.size > self.congestion.cwnd
                and sent + chunk.size > allowance
            ):
                break
            heapq.heappop(self._retransmit)
            chunk.fate = _IN_FLIGHT
            chunk.transmissions += 1
            chunk.sent_at = now
            self._transmissions += 1
            chunk.order = self._transmissions
            if tsn == self._cumulative_ack + 1:
                self.t3_deadline = now + self._rto.value  # rule R5 of section 6.3.2
            self._flight_size += chunk.size
            self._peer_rwnd -= chunk.size
            sent += chunk.size
            chunks.append(chunk.wire)
        self._fast_retransmit_due = False
        return sent

    def _transmit_new(self, chunks: list[bytes], budget: int, now: float) -> None:
        queue = self._queue
        cwnd = self.congestion.cwnd
        while budget > 0 and (message := queue.current(now)) is not None:
            offset = message.offset
            if offset and message.expires_at is not None and now >= message.expires_at:
                self._abandon(message)
                self._advance_peer_ack_point()
                continue
            data = message.data
            length = min(len(data) - offset, self._max_payload)
            size = (length + DATA_HEADER_BYTES + 3) & ~3
            flight = self._flight_size
            # With nothing in flight one chunk may probe a closed receive window (6.1 rule A).
            if flight and (flight + size > cwnd or length > self._peer_rwnd):
                break
            tsn = self._next_tsn
            self._next_tsn = tsn + 1
            flags = 0 if message.ordered else UNORDERED
            charge = length
            if not offset:
                flags |= BEGINNING_FRAGMENT
                message.first_tsn = tsn
            if offset + length == len(data):
                flags |= ENDING_FRAGMENT
                charge += MESSAGE_OVERHEAD_BYTES
            if cwnd <= self._mtu:
                # The window has room for nothing else, so a delayed SACK would stall us.
                flags |= IMMEDIATE
            fragment = data if length == len(data) else data[offset : offset + length]
            wire = serialize_data(
                flags, tsn & TSN_MASK, message.stream_id, message.ssn, message.ppid, fragment
            )
            self._transmissions += 1
            self._outstanding[tsn] = _Outstanding(
                wire,
                message,
                charge=charge,
                fate=_IN_FLIGHT,
                order=self._transmissions,
                sent_at=now,
            )
            self._flight_size = flight + size
            self._peer_rwnd -= length
            queue.advance(message, length)
            chunks.append(wire)
            budget -= size

    def _valid_blocks(
        self, gap_ack_blocks: list[tuple[int, int]], cumulative: int
    ) -> list[tuple[int, int]]:
        """Return the leading blocks that are ascending, disjoint and about TSNs that were sent."""
        blocks = []
        previous = cumulative
        for start, end in gap_ack_blocks:
            first, last = cumulative + start, cumulative + end
            if not previous < first <= last < self._next_tsn:
                break
            blocks.append((first, last))
            previous = last
        return blocks

    def _acknowledge(self, cumulative: int, blocks: list[tuple[int, int]], now: float) -> None:
        self.timeouts = 0
        flight_before = self._flight_size
        has_advanced = cumulative > self._cumulative_ack
        self._acked_bytes = self._acked_order = 0
        self._acked_sent_at = self._acked_again_at = None
        for tsn in range(self._cumulative_ack + 1, cumulative + 1):
            chunk = self._outstanding.pop(tsn)
            self._queue.release(chunk.charge)
            self._ack(chunk)
        self._cumulative_ack = cumulative
        if blocks or self._gap_blocks:
            self._acknowledge_gaps(blocks)
        self._update_rto(now)
        self._burst_credit += self._acked_bytes
        if has_advanced:
            self.congestion.on_cumulative_ack(
                cumulative_tsn=cumulative,
                acked_bytes=self._acked_bytes,
                flight_size=flight_before,
                outstanding=bool(self._outstanding),
            )
        if blocks and self._acked_order:
            self._strike_holes(blocks, now)
        if not self._outstanding:
            self.t3_deadline = None
        elif has_advanced:
            self.t3_deadline = now + self._rto.value
        if self._advanced_ack > cumulative or self._peer_forward_tsn:
            moved = self._advance_peer_ack_point()
            if self._advanced_ack > cumulative and (
                moved or now - self._forward_tsn_sent_at >= (self._rto.srtt or self._rto.value)
            ):
                self._forward_tsn_due = True

    def _ack(self, chunk: _Outstanding) -> None:
        """Note that a chunk was acknowledged for the first time, or was by a gap ack block."""
        if chunk.fate is _IN_FLIGHT:
            self._flight_size -= chunk.size
            if chunk.transmissions == 1:
                self._acked_order = max(self._acked_order, chunk.order)
                self._acked_sent_at = max(self._acked_sent_at or 0.0, chunk.sent_at)
            else:
                # Which of the transmissions arrived is not known (Karn's rule).
                self._acked_again_at = max(self._acked_again_at or 0.0, chunk.sent_at)
        elif chunk.fate is not _TO_RETRANSMIT:
            return
        # One that was taken for lost says nothing about the round trip: most likely it arrived
        # long ago and the SACK was lost.
        self._acked_bytes += chunk.size

    def _update_rto(self, now: float) -> None:
        if self._acked_sent_at is not None:
            self._rto.observe(now - self._acked_sent_at)
        elif self._acked_again_at is not None:
            self._rto.restore(now - self._acked_again_at)

    def _acknowledge_gaps(self, blocks: list[tuple[int, int]]) -> None:
        known = dict(self._gap_blocks)
        for first, last in blocks:
            # A block that only grew is not walked again, or long windows would cost their square.
            known_last = known.get(first, first - 1)
            for tsn in range(max(first, min(known_last, last) + 1), last + 1):
                chunk = self._outstanding[tsn]
                if chunk.fate is _IN_FLIGHT or chunk.fate is _TO_RETRANSMIT:
                    self._ack(chunk)
                    chunk.fate = _ACKED
        if self._gap_blocks:
            self._take_back(blocks)
        self._gap_blocks = blocks

    def _take_back(self, blocks: list[tuple[int, int]]) -> None:
        """Send again what the peer had acknowledged in a gap ack block and has since dropped."""
        starts = [first for first, _ in blocks]
        # A full SACK leaves out its last blocks; they say nothing about TSNs beyond it.
        limit = blocks[-1][1] if blocks else self._next_tsn
        for first, last in self._gap_blocks:
            first = max(first, self._cumulative_ack + 1)
            index = bisect_right(starts, first) - 1
            if first > last or (index >= 0 and last <= blocks[index][1]):
                continue
            for tsn in range(first, min(last, limit) + 1):
                index = bisect_right(starts, tsn) - 1
                chunk = self._outstanding[tsn]
                if chunk.fate is _ACKED and (index < 0 or blocks[index][1] < tsn):
                    chunk.fate = _TO_RETRANSMIT
                    heapq.heappush(self._retransmit, tsn)

    def _strike_holes(self, blocks: list[tuple[int, int]], now: float) -> None:
        """
        Count a miss for each chunk in a hole that was sent before one newly acknowledged.

        For chunks sent once this is section 7.2.4 with its "highest TSN newly acknowledged". It
        also finds retransmissions that are lost again, which the RFC leaves to T3-rtx.
        """
        after = self._cumulative_ack + 1
        lost = False
        for first, last in blocks:
            for tsn in range(after, first):
                chunk = self._outstanding[tsn]
                if chunk.fate is _IN_FLIGHT and chunk.order < self._acked_order:
                    chunk.misses += 1
                    if chunk.misses >= _MISSES:
                        self._lose(tsn, chunk, now)
                        lost = True
            after = last + 1
        if lost:
            self._fast_retransmit_due = True
            self.congestion.on_fast_retransmit(self._next_tsn - 1)

    def _lose(self, tsn: int, chunk: _Outstanding, now: float) -> None:
        """Schedule a chunk for retransmission, or abandon its message if that is due."""
        message = chunk.message
        if self._peer_forward_tsn and (
            (message.max_retransmits is not None and chunk.transmissions > message.max_retransmits)
            or (message.expires_at is not None and now >= message.expires_at)
        ):
            self._abandon(message)
            return
        self._flight_size -= chunk.size
        chunk.fate = _TO_RETRANSMIT
        chunk.misses = 0
        heapq.heappush(self._retransmit, tsn)

    def _abandon(self, message: OutboundMessage) -> None:
        """Give up a message of which at least one fragment has a TSN (RFC 3758 section 3.5)."""
        message.abandoned = True
        tsn = max(message.first_tsn, self._cumulative_ack + 1)
        while (chunk := self._outstanding.get(tsn)) is not None and chunk.message is message:
            if chunk.fate is _IN_FLIGHT:
                self._flight_size -= chunk.size
            chunk.fate = _ABANDONED
            chunk.wire = b""
            tsn += 1
        if message.offset < len(message.data):
            # The rest gets a TSN that is never sent: if all fragments so far are acknowledged,
            # there must be something for FORWARD TSN to skip, or an ordered peer waits for ever.
            self._queue.drop_rest(message)
            self._outstanding[self._next_tsn] = _Outstanding(
                b"",
                message,
                charge=MESSAGE_OVERHEAD_BYTES,
                fate=_ABANDONED,
                order=0,
                sent_at=0.0,
            )
            self._next_tsn += 1

    def _advance_peer_ack_point(self) -> bool:
        """Move the Advanced.Peer.Ack.Point over abandoned TSNs; return whether it moved."""
        before = self._advanced_ack
        point = max(before, self._cumulative_ack)
        while (chunk := self._outstanding.get(point + 1)) is not None:
            if chunk.fate is not _ABANDONED:
                break
            point += 1
        self._advanced_ack = point
        if point > before and point > self._cumulative_ack:
            self._forward_tsn_due = True
            return True
        return False

    def _make_forward_tsn(self) -> bytes:
        """Return the FORWARD TSN chunk up to the Advanced.Peer.Ack.Point, or as far as it fits."""
        skipped: dict[int, int] = {}
        point = self._cumulative_ack
        for tsn in range(self._cumulative_ack + 1, self._advanced_ack + 1):
            message = self._outstanding[tsn].message
            if message.ordered:
                if message.stream_id not in skipped and len(skipped) == self._max_forward_streams:
                    break
                skipped[message.stream_id] = message.ssn
            point = tsn
        chunk = ForwardTsnChunk(new_cumulative_tsn=point & TSN_MASK, streams=tuple(skipped.items()))
        return chunk.serialize()
