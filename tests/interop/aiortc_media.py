"""Pictures with a number and sound of one pitch for aiortc, and how to recognise them again."""

import asyncio
import math
from fractions import Fraction
from typing import Any

from aiortc.mediastreams import MediaStreamTrack, VideoStreamTrack
from av import AudioFrame, VideoFrame

WIDTH, HEIGHT = 256, 144
BITS = 16
_BLOCK = WIDTH // BITS
_MARK = 0b1010
"""The first four blocks, by which a picture is known as one of ours."""
SAMPLE_RATE = 48_000
_SAMPLES = 960


class NumberedCamera(VideoStreamTrack):  # type: ignore[misc]
    """Writes the frame's number in black and white blocks over the whole height."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0

    async def recv(self) -> Any:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        word = _MARK << (BITS - 4) | self.number & 0xFFF
        row = b"".join(
            bytes([235 if word >> (BITS - 1 - bit) & 1 else 16]) * _BLOCK for bit in range(BITS)
        )
        luma, *chroma = frame.planes
        luma.update(row.ljust(luma.line_size, b"\0") * HEIGHT)
        for plane in chroma:
            plane.update(b"\x80" * plane.buffer_size)
        frame.pts, frame.time_base = pts, time_base
        self.number += 1
        return frame


def number_in(frame: Any) -> int | None:
    """Return the number in a picture, or None when it is none of ours."""
    luma = frame.planes[0]
    data = bytes(luma)
    word = 0
    for bit in range(BITS):
        x = (2 * bit + 1) * frame.width // (2 * BITS)
        word = word << 1 | (data[frame.height // 2 * luma.line_size + x] > 125)
    return word & 0xFFF if word >> (BITS - 4) == _MARK else None


class ToneMicrophone(MediaStreamTrack):  # type: ignore[misc]
    """Plays a sine in real time. :param hertz: Its pitch, a multiple of 50."""

    kind = "audio"

    def __init__(self, hertz: int) -> None:
        super().__init__()
        self._start = 0.0
        self._at = 0
        samples = (
            round(12_000 * math.sin(2 * math.pi * hertz * n / SAMPLE_RATE)) for n in range(_SAMPLES)
        )
        self._data = b"".join(value.to_bytes(2, "little", signed=True) for value in samples)

    async def recv(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._at == 0:
            self._start = loop.time()
        await asyncio.sleep(max(0.0, self._start + self._at / SAMPLE_RATE - loop.time()))
        frame = AudioFrame(format="s16", layout="mono", samples=_SAMPLES)
        frame.planes[0].update(self._data)
        frame.sample_rate = SAMPLE_RATE
        frame.pts, frame.time_base = self._at, Fraction(1, SAMPLE_RATE)
        self._at += _SAMPLES
        return frame


def power_at(frame: Any, hertz: int) -> float:
    """Return the part of a frame's power that is at one pitch, 0..1 (Goertzel)."""
    channels = len(frame.layout.channels)
    data = memoryview(bytes(frame.planes[0])).cast("h")[: frame.samples * channels : channels]
    samples = data.tolist()
    coefficient = 2 * math.cos(2 * math.pi * hertz / frame.sample_rate)
    first = second = 0.0
    for sample in samples:
        first, second = sample + coefficient * first - second, first
    power = first * first + second * second - coefficient * first * second
    energy = sum(sample * sample for sample in samples)
    return 2 * power / (len(samples) * energy) if energy else 0.0
