"""Frames in bulk at an even pace, for measuring a fan-out."""

import socket
from collections.abc import Sequence
from typing import final

from router._fastpath.srtp import SrtpSession

from .capture import Capture
from .figures import SentFrame

@final
class FrameSender:
    """
    Sends frames of VP8: 4 to 14 full packets and a shorter last one, as one message to the kernel.

    Payloads are those of :func:`benchmarks.load.bursts.frame_payload`. The first frame is a key
    frame.

    :param socket: Gets connected to ``remote``.
    :param session: Keys of AEAD_AES_128_GCM; other ones raise ValueError.
    :param transport_cc_id: 1..14, of the header extension element.
    :param sequence_number: Of the first packet; likewise the others.
    :param wraps: Whether rollovers count, as SRTP wants it.
    """

    def __new__(
        cls,
        socket: socket.socket,
        remote: tuple[str, int],
        session: SrtpSession,
        *,
        publisher: int,
        ssrc: int,
        payload_type: int,
        transport_cc_id: int,
        sequence_number: int = 0,
        timestamp: int = 0,
        picture_id: int = 0,
        wraps: bool = True,
    ) -> FrameSender: ...
    transport_cc: int
    """Transport-wide number of the next packet."""
    @property
    def publisher(self) -> int: ...
    @property
    def frames(self) -> int:
        """Sent so far; likewise ``packets``."""
    @property
    def packets(self) -> int: ...
    @property
    def refused(self) -> int:
        """Packets that the kernel did not take."""
    @property
    def timestamp(self) -> int:
        """Of the last frame."""
    def send(self) -> None:
        """Send a frame."""
    def want_key_frame(self) -> None:
        """Make the next frame a key frame."""
    def sent(self, frame: int) -> SentFrame | None:
        """Return what a frame was sent as; None for those that were not, or over 2,048 ago."""

@final
class Pace:
    """Frames of several senders, spread in time."""

    def __new__(cls) -> Pace: ...
    def run(
        self,
        senders: Sequence[FrameSender],
        *,
        seconds: float,
        rate: float,
        captures: Sequence[Capture] = (),
    ) -> None:
        """
        Send ``rate`` frames a second of each, in turn, for a time, without the GIL.

        Those that come due within 1 ms go together. When 50 ms late, the schedule starts anew
        rather than catching up.

        :param captures: Are read by the same thread, every 10 ms. Nobody sleeps on their sockets,
            as whoever sends to a socket that somebody sleeps on pays for waking them: on virtual
            machines tens of microseconds where that is on another processor. Over a network the
            sender never does.
        """
    def stop(self) -> None:
        """Let :meth:`run` end, from another thread."""
