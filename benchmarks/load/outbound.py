"""One RTP stream that a client sends: numbering, retransmission, sender reports."""

import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from router.rtp import RtpPacket, SenderReport, wrap_rtx

from .synthetic import EncodedFrame, Encoder, Payload

VIDEO_HISTORY_LENGTH = 256
"""Packets that can be sent again; they hold no filler, so one costs about 300 bytes."""
AUDIO_HISTORY_LENGTH = 32
NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970."""
LATE_FRAMES_SKIPPED_AFTER = 0.5
"""Seconds behind schedule from which frames are left out rather than sent in a burst."""

Extensions = tuple[tuple[int, bytes], ...]
"""Header extension elements: id and content."""


@dataclass(slots=True, kw_only=True)
class OutboundCounters:
    """What was sent."""

    packets: int = 0
    bytes: int = 0
    """Payload bytes, without retransmissions."""
    frames: int = 0
    key_frames: int = 0
    nacks_received: int = 0
    """Sequence numbers that NACKs asked for."""
    packets_retransmitted: int = 0
    key_frame_requests: int = 0
    """PLI and FIR."""
    frames_skipped: int = 0
    """Left out because this process was too slow."""


@dataclass(frozen=True, slots=True)
class OutboundState:
    """Where a stream stands."""

    sequence_number: int
    """Of the next packet."""
    timestamp: int
    frames: int


@dataclass(frozen=True, slots=True)
class _Sent:
    marker: bool
    timestamp: int
    payload: Payload


class OutboundStream:
    """
    Sends what an encoder makes, on time.

    :param rtx_ssrc: SSRC for retransmissions, or 0.
    :param make_extensions: Returns the header extension elements of the next packet.
    """

    def __init__(
        self,
        *,
        ssrc: int,
        rtx_ssrc: int,
        encoder: Encoder,
        make_extensions: Callable[[], Extensions],
        rng: random.Random,
        now: float,
    ) -> None:
        self.ssrc = ssrc
        self.rtx_ssrc = rtx_ssrc
        self.encoder = encoder
        self.payload_type: int | None = None
        """None while nothing may be sent; likewise without RTX for ``rtx_payload_type``."""
        self.rtx_payload_type: int | None = None
        self.counters = OutboundCounters()
        self.next_frame_at = now + rng.random() * encoder.settings.frame_interval
        """When the next frame is due; streams of many clients are spread out."""
        self._make_extensions = make_extensions
        self._sequence_number = rng.randrange(1 << 15)
        self._rtx_sequence_number = rng.randrange(1 << 15)
        self._timestamp = rng.getrandbits(32)
        self._timestamp_at = now
        self._history: OrderedDict[int, _Sent] = OrderedDict()
        is_video = encoder.clock_rate == 90_000
        self._history_length = VIDEO_HISTORY_LENGTH if is_video else AUDIO_HISTORY_LENGTH

    def take_over(self) -> OutboundState:
        """Stop sending, and return where somebody else goes on; no rollover may have happened."""
        self.payload_type = None
        return OutboundState(self._sequence_number, self._timestamp, self.counters.frames)

    def packets_due(self, now: float) -> list[bytes]:
        """Return the packets of the frames that are due."""
        packets: list[bytes] = []
        interval = self.encoder.settings.frame_interval
        if now - self.next_frame_at > LATE_FRAMES_SKIPPED_AFTER:
            skipped = int((now - self.next_frame_at) / interval)
            self.counters.frames_skipped += skipped
            self._timestamp += round(skipped * interval * self.encoder.clock_rate)
            self.next_frame_at += skipped * interval
        while self.next_frame_at <= now:
            self.next_frame_at += interval
            packets += self._send(self.encoder.next_frame(now), now)
        return packets

    def packets_again(self, sequence_numbers: Sequence[int]) -> list[bytes]:
        """Return what a NACK asked for, as RTX where that is negotiated."""
        packets = []
        self.counters.nacks_received += len(sequence_numbers)
        for number in sequence_numbers:
            sent = self._history.get(number)
            if sent is None or self.payload_type is None:
                continue
            self.counters.packets_retransmitted += 1
            packet = self._packet(number, sent)
            if self.rtx_ssrc and self.rtx_payload_type is not None:
                packet = wrap_rtx(
                    packet,
                    payload_type=self.rtx_payload_type,
                    sequence_number=self._rtx_sequence_number,
                    ssrc=self.rtx_ssrc,
                )
                self._rtx_sequence_number = (self._rtx_sequence_number + 1) & 0xFFFF
            packets.append(packet.serialize())
        return packets

    def request_key_frame(self) -> None:
        """Take a PLI or FIR."""
        self.counters.key_frame_requests += 1
        self.encoder.request_key_frame()

    def sender_report(self, now: float, wall_time: float) -> SenderReport | None:
        """Return an SR without report blocks, or None when nothing was sent yet."""
        if not self.counters.packets:
            return None
        elapsed = round((now - self._timestamp_at) * self.encoder.clock_rate)
        return SenderReport(
            ssrc=self.ssrc,
            ntp=int((wall_time + NTP_EPOCH) * (1 << 32)),
            rtp_timestamp=(self._timestamp + elapsed) & 0xFFFFFFFF,
            packet_count=self.counters.packets & 0xFFFFFFFF,
            octet_count=self.counters.bytes & 0xFFFFFFFF,
        )

    def _send(self, frame: EncodedFrame, now: float) -> list[bytes]:
        self._timestamp = (self._timestamp + frame.timestamp_step) & 0xFFFFFFFF
        self._timestamp_at = now
        packets = []
        # In video the marker ends a frame; in audio it begins a talk spurt (RFC 3551 section 4.1).
        marker_at = len(frame.payloads) - 1 if self.encoder.clock_rate == 90_000 else None
        for index, payload in enumerate(frame.payloads):
            sent = _Sent(index == marker_at, self._timestamp, payload)
            packets.append(self._packet(self._sequence_number, sent).serialize())
            self._history[self._sequence_number] = sent
            if len(self._history) > self._history_length:
                self._history.popitem(last=False)
            self._sequence_number = (self._sequence_number + 1) & 0xFFFF
            self.counters.packets += 1
            self.counters.bytes += payload.size
        self.counters.frames += 1
        self.counters.key_frames += frame.is_key_frame
        return packets

    def _packet(self, sequence_number: int, sent: _Sent) -> RtpPacket:
        assert self.payload_type is not None
        return RtpPacket(
            payload_type=self.payload_type,
            marker=sent.marker,
            sequence_number=sequence_number,
            rtp_timestamp=sent.timestamp,
            ssrc=self.ssrc,
            extensions=self._make_extensions(),
            payload=bytes(sent.payload),
        )
