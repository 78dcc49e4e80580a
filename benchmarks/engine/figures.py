"""What goes into the engine and comes out of it: patterns and counters."""

from collections.abc import Sequence
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPattern:
    """Frames of VP8, each in packets of about equal size."""

    bitrate_bps: int = 1_000_000
    """0 pauses."""
    frames_per_second: float = 30.0
    variation: float = 0.3
    """Frames vary in size by this share of it, 0..1."""
    key_frame_weight: float = 6.0
    """How many times larger key frames are; the frames after them pay it back."""
    payload_bytes: int = 1150
    """Of a packet at most, 40..1400."""

    @property
    def interval_ns(self) -> int:
        """Between two frames; 0 when paused."""
        return round(1e9 / self.frames_per_second) if self.bitrate_bps else 0

    @property
    def frame_bytes(self) -> float:
        """Of a frame on average."""
        return self.bitrate_bps / 8 / self.frames_per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioPattern:
    """Frames of Opus, one in each packet."""

    bitrate_bps: int = 32_000
    """0 pauses."""
    frame_interval: float = 0.02
    """Seconds."""
    variation: float = 0.3

    key_frame_weight = 1.0
    payload_bytes = 1150

    @property
    def interval_ns(self) -> int:
        """Between two frames; 0 when paused."""
        return round(1e9 * self.frame_interval) if self.bitrate_bps else 0

    @property
    def frame_bytes(self) -> float:
        """Of a frame on average."""
        return self.bitrate_bps / 8 * self.frame_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundCounters:
    """Of a stream that is sent."""

    packets: int
    """Without retransmissions; likewise ``bytes``, of payload."""
    bytes: int
    frames: int
    key_frames: int
    nacked: int
    """Packets that NACKs asked for."""
    retransmitted: int
    key_frame_requests: int
    """PLI and FIR."""
    late_frames: int
    """Left out, because the engine was too slow."""
    transport_cc: int
    """Feedback packets; counted at a connection's latest stream."""
    fraction_lost: float
    """0..1, of the last report."""
    first_us: int
    """CLOCK_MONOTONIC of the first packet in microseconds; 0: none yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundCounters:
    """Of a stream that is received."""

    packets: int
    """First copies, repaired ones included."""
    bytes: int
    """Of whole packets."""
    duplicates: int
    lost: int
    """Found missing when a later packet came."""
    reordered: int
    """Of these, how many came by themselves."""
    recovered: int
    """Of these, how many came by retransmission."""
    given_up: int
    nacks: int
    """Packets that NACKs asked for."""
    plis: int
    sender_reports: int
    highest: int
    """Sequence number, extended; 65536 and more."""
    first_us: int
    """CLOCK_MONOTONIC of the first packet and the last; 0: none yet."""
    last_us: int

    @property
    def missing(self) -> int:
        """What never came."""
        return self.lost - self.reordered - self.recovered


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Of all streams, those that are gone too."""

    sent: int
    retransmitted: int
    send_failed: int
    received: int
    lost: int
    reordered: int
    recovered: int
    given_up: int
    duplicates: int
    dropped: int
    """On purpose."""
    unknown_ssrc: int
    failed_auth: int
    bad_payload: int
    """Of sampled packets: not what was sent."""
    rtcp_sent: int
    rtcp_received: int
    queue_overflows: int
    consent_sent: int
    """Binding requests; likewise their answers."""
    consent_answered: int
    receive_drops: int
    """Datagrams that the engine's own sockets had no room for."""

    @property
    def missing(self) -> int:
        """What never came."""
        return self.lost - self.reordered - self.recovered

    def since(self, before: "Totals") -> "Totals":
        """Return what happened in between."""
        return Totals(
            **{f.name: getattr(self, f.name) - getattr(before, f.name) for f in fields(self)}
        )


class Latency:
    """
    A histogram.

    :param buckets: Counts; those of ``steps`` buckets have one width, which doubles from then on.
    """

    def __init__(self, buckets: Sequence[int], steps: int, max_us: int) -> None:
        self.count = sum(buckets)
        self.max_ms = max_us / 1000
        self._buckets, self._steps = list(buckets), steps

    def __add__(self, other: "Latency") -> "Latency":
        together = [a + b for a, b in zip(self._buckets, other._buckets, strict=True)]
        return Latency(together, self._steps, round(max(self.max_ms, other.max_ms) * 1000))

    def quantile(self, share: float) -> float:
        """Return the ms below which a share (0..1) of the packets stayed, 3 % too much at most."""
        left = share * self.count
        for bucket, count in enumerate(self._buckets):
            left -= count
            if left < 0 or (count and left == 0):
                octave = max(0, bucket // self._steps - 1)
                upper_us = (bucket - octave * self._steps + 1) << octave
                return min(upper_us / 1000, self.max_ms)
        return self.max_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFrame:
    """The numbers by which a frame of a burst went out."""

    at_ns: int
    """Wall-clock time."""
    sequence_number: int
    """Of its first packet."""
    timestamp: int
    picture_id: int
    """Of 15 bits."""
    packets: int
