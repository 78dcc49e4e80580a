"""
Synthetic encoders: payloads that look to a router like VP8 and Opus, and say what they are.

The descriptors, key frame marks and sizes are those of real encoders; behind them stands no picture
but a stamp, by which a receiver knows the publisher, the frame and the packet in it, and filler.
"""

import random
import struct
from dataclasses import dataclass

from router.rtp import Vp8Descriptor

STAMP_MAGIC = b"plsm"
_STAMP = struct.Struct("!4sIIHHQ")
STAMP_LENGTH = _STAMP.size

MAX_PAYLOAD = 1150
"""What one packet takes, in bytes, so that it fits into 1200 with header, extensions and tag."""

_FILLER = random.Random(8).randbytes(MAX_PAYLOAD)
_VP8_START_CODE = b"\x9d\x01\x2a"
_KEY_FRAME_WEIGHT = 6
"""How many times larger than other frames key frames are."""
_SIZE_VARIATION = 0.3


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a synthetic packet says of itself."""

    publisher: int
    """0..2^32-1; chosen by who publishes."""
    frame: int
    """Counts up from 0."""
    index: int
    """Place of the packet in its frame."""
    count: int
    """Packets of the frame."""
    sent_at_us: int
    """CLOCK_MONOTONIC of the sender."""

    def pack(self) -> bytes:
        """Return the stamp's bytes."""
        return _STAMP.pack(
            STAMP_MAGIC, self.publisher, self.frame, self.index, self.count, self.sent_at_us
        )


@dataclass(frozen=True, slots=True)
class Payload:
    """An RTP payload; what follows ``head`` is filler, the same in all packets."""

    head: bytes
    size: int
    """Bytes in all."""

    def __bytes__(self) -> bytes:
        return self.head + _FILLER[: self.size - len(self.head)]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedFrame:
    """One picture, or one packet of sound."""

    payloads: tuple[Payload, ...]
    is_key_frame: bool
    timestamp_step: int
    """From the frame before, in units of the clock rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSettings:
    """How a synthetic camera behaves."""

    bitrate_bps: int = 500_000
    frames_per_second: float = 30.0
    width: int = 640
    height: int = 360
    temporal_layers: int = 1
    """1 or 2; with 2 the descriptors carry TL0PICIDX and TID."""

    @property
    def frame_interval(self) -> float:
        """Seconds."""
        return 1 / self.frames_per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioSettings:
    """How a synthetic microphone behaves."""

    bitrate_bps: int = 32_000
    frame_interval: float = 0.02
    """Seconds; 0.02 as browsers have it."""


class Vp8Encoder:
    """
    Makes frames with the descriptor of RFC 7741 and the frame header of RFC 6386 section 9.1.

    :param publisher: Goes into every stamp.
    """

    clock_rate = 90_000

    def __init__(self, publisher: int, settings: VideoSettings, rng: random.Random) -> None:
        self.settings = settings
        self.frames = 0
        """Frames made; likewise ``key_frames``."""
        self.key_frames = 0
        self._publisher = publisher
        self._rng = rng
        self._picture_id = rng.randrange(1 << 15)
        self._tl0_picture_index = rng.randrange(256)
        self._key_frame_wanted = True
        self._owed_bytes = 0.0
        self._timestamp_error = 0.0

    def request_key_frame(self) -> None:
        """Let the next frame be a key frame."""
        self._key_frame_wanted = True

    def next_frame(self, now: float) -> EncodedFrame:
        """Return the next frame."""
        is_key_frame, self._key_frame_wanted = self._key_frame_wanted, False
        payloads = self._packetise(self._next_size(is_key_frame), is_key_frame, now)
        exact = self.clock_rate * self.settings.frame_interval + self._timestamp_error
        step = round(exact)
        self._timestamp_error = exact - step
        self.frames += 1
        self.key_frames += is_key_frame
        self._picture_id = (self._picture_id + 1) & 0x7FFF
        return EncodedFrame(payloads=payloads, is_key_frame=is_key_frame, timestamp_step=step)

    def _next_size(self, is_key_frame: bool) -> int:
        mean = self.settings.bitrate_bps * self.settings.frame_interval / 8
        size = mean * self._rng.uniform(1 - _SIZE_VARIATION, 1 + _SIZE_VARIATION)
        if is_key_frame:
            size *= _KEY_FRAME_WEIGHT
        # As rate control does, pay back over the next frames what a key frame took too much.
        repayment = min(self._owed_bytes, mean * 0.2)
        self._owed_bytes += size - repayment - mean
        return max(int(size - repayment), 40)

    def _packetise(self, size: int, is_key_frame: bool, now: float) -> tuple[Payload, ...]:
        is_base_layer = self.settings.temporal_layers < 2 or is_key_frame or self.frames % 2 == 0
        if is_base_layer:
            self._tl0_picture_index = (self._tl0_picture_index + 1) & 0xFF
        header = self._frame_header(size, is_key_frame)
        overhead = len(self._descriptor(is_base_layer, is_start=True)) + STAMP_LENGTH + len(header)
        room = MAX_PAYLOAD - overhead
        count = max(1, -(-size // room))
        sent_at_us = int(now * 1e6)
        payloads = []
        for index in range(count):
            head = self._descriptor(is_base_layer, is_start=index == 0)
            if index == 0:
                head += header
            head += Stamp(self._publisher, self.frames, index, count, sent_at_us).pack()
            payloads.append(Payload(head, len(head) + min(size // count, room)))
        return tuple(payloads)

    def _descriptor(self, is_base_layer: bool, *, is_start: bool) -> bytes:
        layers = self.settings.temporal_layers > 1
        return Vp8Descriptor(
            start_of_partition=is_start,
            non_reference=not is_base_layer,
            picture_id=self._picture_id,
            tl0_picture_index=self._tl0_picture_index if layers else None,
            temporal_id=(0 if is_base_layer else 1) if layers else None,
            layer_sync=layers,
        ).serialize()

    def _frame_header(self, size: int, is_key_frame: bool) -> bytes:
        tag = (size << 5 | 0x10 | (0 if is_key_frame else 1)) & 0xFFFFFF
        header = tag.to_bytes(3, "little")
        if is_key_frame:
            header += _VP8_START_CODE
            header += struct.pack("<HH", self.settings.width, self.settings.height)
        return header


class OpusEncoder:
    """Makes 20 ms frames of full-band stereo, one in each packet (RFC 7587)."""

    clock_rate = 48_000

    def __init__(self, publisher: int, settings: AudioSettings, rng: random.Random) -> None:
        self.settings = settings
        self.frames = 0
        self.key_frames = 0
        self._publisher = publisher
        self._rng = rng

    def request_key_frame(self) -> None:
        """Do nothing: every packet of sound stands alone."""

    def next_frame(self, now: float) -> EncodedFrame:
        """Return the next frame."""
        mean = self.settings.bitrate_bps * self.settings.frame_interval / 8
        size = int(mean * self._rng.uniform(1 - _SIZE_VARIATION, 1 + _SIZE_VARIATION))
        # Configuration 31, stereo, one frame (RFC 6716 section 3.1).
        head = b"\xfc" + Stamp(self._publisher, self.frames, 0, 1, int(now * 1e6)).pack()
        self.frames += 1
        return EncodedFrame(
            payloads=(Payload(head, min(max(size, len(head)), MAX_PAYLOAD)),),
            is_key_frame=False,
            timestamp_step=round(self.clock_rate * self.settings.frame_interval),
        )


Encoder = Vp8Encoder | OpusEncoder


def find_stamp(payload: bytes) -> Stamp | None:
    """Return the stamp of a synthetic payload, or None for media of another origin."""
    at = payload.find(STAMP_MAGIC, 0, 32)
    if at < 0 or len(payload) < at + STAMP_LENGTH:
        return None
    return Stamp(*_STAMP.unpack_from(payload, at)[1:])
