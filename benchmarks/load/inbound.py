"""One RTP stream that a client receives: continuity, loss, repair, reports, and what it carries."""

from dataclasses import dataclass, field

from router.errors import WireFormatError
from router.rtp import ReportBlock, RtpPacket, SenderReport, is_vp8_key_frame, parse_vp8

from .sequence import SequenceUnwrapper
from .synthetic import Stamp, find_stamp

NACK_INTERVAL = 0.06
"""Seconds between two requests for one packet; above the round trip of a near server."""
NACK_ATTEMPTS = 10
MAX_MISSING = 512
"""Packets that are waited for at a time; more means that repair has become pointless."""
PLAUSIBLE_GAP = 1000
"""A jump over more packets than this is not loss but a break in the numbering."""
PLAUSIBLE_PAUSE = 10
"""Seconds by which timestamps may go on from one packet to the next."""
WINDOW = 1024
"""Packets behind the highest one of which it is known whether they came."""
_WINDOW_MASK = (1 << WINDOW) - 1
MAX_FRAMES = 64
"""Incomplete frames of which the packets are counted."""


@dataclass(slots=True, kw_only=True)
class InboundCounters:
    """What was received."""

    packets: int = 0
    """First copies, retransmitted ones included."""
    bytes: int = 0
    """Payload bytes."""
    duplicates: int = 0
    reordered: int = 0
    """Came after a later packet, and unasked."""
    lost: int = 0
    """Found missing when a later packet came."""
    recovered: int = 0
    """Of these, repaired by retransmission."""
    given_up: int = 0
    nacks_sent: int = 0
    plis_sent: int = 0
    sender_reports: int = 0
    discontinuities: int = 0
    """Breaks in sequence numbers, timestamps or picture ids: what a receiver must never see."""
    malformed: int = 0
    packets_after_bye: int = 0


@dataclass(slots=True)
class FrameCounts:
    """The frames of one publisher that a stream carried."""

    first: int
    last: int
    complete: int = 0
    key_frames: int = 0
    began_with_key_frame: bool = False
    latency_us: int = 0
    """Of the last packet, from the sender's clock: valid on one machine."""

    @property
    def expected(self) -> int:
        """Frames from the first to the last."""
        return self.last - self.first + 1


@dataclass(slots=True)
class _Missing:
    since: float
    attempts: int = 0
    next_at: float = 0.0


@dataclass(slots=True)
class _Frame:
    count: int
    received: int = 0


@dataclass(slots=True)
class InboundStream:
    """
    Watches one SSRC.

    :param is_video: Repairs by NACK, and reads VP8 where :attr:`is_vp8`.
    """

    ssrc: int
    clock_rate: int
    is_video: bool
    is_vp8: bool = False
    counters: InboundCounters = field(default_factory=InboundCounters)
    publishers: dict[int, FrameCounts] = field(default_factory=dict)
    """By publisher's number, in order of appearance, for synthetic media."""
    last_packet_at: float | None = None
    last_problem: str = ""
    """What the last discontinuity was."""
    ended: bool = False
    """A BYE came."""
    first_is_key_frame: bool = False
    """The first packet began a VP8 key frame."""

    _unwrapper: SequenceUnwrapper = field(default_factory=lambda: SequenceUnwrapper(16))
    _base: int | None = None
    _highest: int = -1
    _highest_timestamp: int = 0
    _missing: dict[int, _Missing] = field(default_factory=dict)
    _window: int = 0
    """Bit i: the packet i below the highest one came."""
    _frames: dict[tuple[int, int], _Frame] = field(default_factory=dict)
    _picture_id: int | None = None
    _picture_timestamp: int = 0
    _transit: float | None = None
    _jitter: float = 0.0
    _expected_prior: int = 0
    _received_prior: int = 0
    _last_sr: int = 0
    _last_sr_at: float = 0.0
    _wants_key_frame: bool = False

    def receive(self, packet: RtpPacket, now: float, *, repaired: bool = False) -> bool:
        """
        Take a packet.

        :param repaired: It came by RTX.
        :returns: Whether it is the first copy.
        """
        index = self._unwrapper.unwrap(packet.sequence_number)
        if self._base is None:
            self._base = self._highest = index
            self._highest_timestamp = packet.rtp_timestamp
        elif index > self._highest:
            self._advance(index, packet.rtp_timestamp, now)
        elif not self._accept_late(index, repaired=repaired):
            self.counters.duplicates += 1
            return False
        self.last_packet_at = now
        self.counters.packets += 1
        self.counters.bytes += len(packet.payload)
        self.counters.packets_after_bye += self.ended
        self._window |= 1 << (self._highest - index)
        if not repaired:
            self._measure_jitter(packet.rtp_timestamp, now)
        self._read_payload(packet, index, now)
        return True

    @property
    def highest(self) -> int | None:
        """The largest extended sequence number that came, counted from 2^16; None before any."""
        return None if self._base is None else self._highest

    def sender_report(self, report: SenderReport, now: float) -> None:
        """Take an SR of this stream."""
        self.counters.sender_reports += 1
        self._last_sr = report.ntp >> 16 & 0xFFFFFFFF
        self._last_sr_at = now
        distance = (report.rtp_timestamp - self._highest_timestamp) & 0xFFFFFFFF
        distance = min(distance, (1 << 32) - distance)
        if self._base is not None and distance > PLAUSIBLE_PAUSE * self.clock_rate:
            self._break(f"sender report is {distance} units away from the media")

    def sequence_numbers_to_request(self, now: float) -> list[int]:
        """Return what a NACK shall ask for now."""
        due = []
        for index, missing in list(self._missing.items()):
            if missing.next_at > now:
                continue
            if missing.attempts >= NACK_ATTEMPTS:
                del self._missing[index]
                self.counters.given_up += 1
                self._wants_key_frame = True
                continue
            missing.attempts += 1
            missing.next_at = now + NACK_INTERVAL
            due.append(index & 0xFFFF)
        self.counters.nacks_sent += len(due)
        return due

    def next_nack_at(self) -> float | None:
        """Return when :meth:`sequence_numbers_to_request` has something to say, or None."""
        if not self.is_video or not self._missing:
            return None
        return min(missing.next_at for missing in self._missing.values())

    def take_key_frame_request(self) -> bool:
        """Return whether a PLI is due, once: something could not be repaired."""
        wanted, self._wants_key_frame = self._wants_key_frame, False
        self.counters.plis_sent += wanted
        return wanted

    def report_block(self, now: float) -> ReportBlock | None:
        """Return what an RR says (RFC 3550 A.3), or None before the first packet."""
        if self._base is None:
            return None
        expected = self._highest - self._base + 1
        lost = expected - self.counters.packets - self.counters.duplicates
        expected_interval = expected - self._expected_prior
        lost_interval = expected_interval - (self.counters.packets - self._received_prior)
        self._expected_prior, self._received_prior = expected, self.counters.packets
        fraction = 0
        if expected_interval > 0 and lost_interval > 0:
            fraction = min(255, (lost_interval << 8) // expected_interval)
        delay = round((now - self._last_sr_at) * 65536) if self._last_sr else 0
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=fraction,
            packets_lost=lost,
            highest_sequence_number=(self._highest - (1 << 16)) & 0xFFFFFFFF,
            jitter=round(self._jitter),
            last_sr=self._last_sr,
            delay_since_last_sr=min(delay, 0xFFFFFFFF),
        )

    # Inside.

    def _advance(self, index: int, timestamp: int, now: float) -> None:
        gap = index - self._highest - 1
        step = (timestamp - self._highest_timestamp) & 0xFFFFFFFF
        if gap > PLAUSIBLE_GAP:
            self._break(f"sequence numbers jump by {gap + 1}")
            self._missing.clear()
        else:
            for lost in range(self._highest + 1, index):
                self._missing[lost] = _Missing(since=now)
            self.counters.lost += gap
            while len(self._missing) > MAX_MISSING:
                del self._missing[next(iter(self._missing))]
                self.counters.given_up += 1
        if step >= 1 << 31:
            self._break(f"timestamps go back by {(1 << 32) - step}")
        elif step > PLAUSIBLE_PAUSE * self.clock_rate:
            self._break(f"timestamps jump by {step}")
        shift = index - self._highest
        self._window = self._window << shift & _WINDOW_MASK if shift < WINDOW else 0
        self._highest = index
        self._highest_timestamp = timestamp

    def _accept_late(self, index: int, *, repaired: bool) -> bool:
        offset = self._highest - index
        if offset >= WINDOW or self._window >> offset & 1:
            return False
        missing = self._missing.pop(index, None)
        if missing is None:
            return self._base is not None and index < self._base
        if repaired or missing.attempts:
            self.counters.recovered += 1
        else:
            self.counters.reordered += 1
        return True

    def _measure_jitter(self, timestamp: int, now: float) -> None:
        # RFC 3550 section 6.4.1; a wrapped timestamp spoils one sample.
        transit = now * self.clock_rate - timestamp
        if self._transit is not None:
            difference = abs(transit - self._transit)
            if difference < PLAUSIBLE_PAUSE * self.clock_rate:
                self._jitter += (difference - self._jitter) / 16
        self._transit = transit

    def _read_payload(self, packet: RtpPacket, index: int, now: float) -> None:
        if not packet.payload:
            return
        is_key_frame = False
        if self.is_vp8:
            try:
                descriptor, _ = parse_vp8(packet.payload)
                is_key_frame = is_vp8_key_frame(packet.payload)
            except WireFormatError:
                self.counters.malformed += 1
                return
            if self.counters.packets == 1:
                self.first_is_key_frame = is_key_frame
            if index == self._highest and descriptor.picture_id is not None:
                self._check_picture_id(descriptor.picture_id, packet.rtp_timestamp)
        stamp = find_stamp(packet.payload)
        if stamp is not None:
            self._count_frame(stamp, is_key_frame=is_key_frame, now=now)

    def _check_picture_id(self, picture_id: int, timestamp: int) -> None:
        before, self._picture_id = self._picture_id, picture_id
        before_timestamp, self._picture_timestamp = self._picture_timestamp, timestamp
        if before is None:
            return
        step = (picture_id - before) & 0x7FFF
        if (step == 0) != (timestamp == before_timestamp) or step > PLAUSIBLE_GAP:
            self._break(f"picture id goes from {before} to {picture_id}")

    def _count_frame(self, stamp: Stamp, *, is_key_frame: bool, now: float) -> None:
        counts = self.publishers.get(stamp.publisher)
        if counts is None:
            counts = FrameCounts(stamp.frame, stamp.frame)
            self.publishers[stamp.publisher] = counts
        counts.first = min(counts.first, stamp.frame)
        counts.last = max(counts.last, stamp.frame)
        counts.latency_us = int(now * 1e6) - stamp.sent_at_us
        counts.key_frames += is_key_frame
        if is_key_frame and stamp.frame == counts.first:
            counts.began_with_key_frame = True
        key = (stamp.publisher, stamp.frame)
        frame = self._frames.get(key)
        if frame is None:
            frame = self._frames[key] = _Frame(stamp.count)
            if len(self._frames) > MAX_FRAMES:
                del self._frames[next(iter(self._frames))]
        frame.received += 1
        if frame.received == frame.count:
            counts.complete += 1
            del self._frames[key]

    def _break(self, problem: str) -> None:
        self.counters.discontinuities += 1
        self.last_problem = problem
