"""The engine's thread and its Python face."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self, final

from typing_extensions import Buffer

from .figures import (
    AudioPattern,
    InboundCounters,
    Latency,
    OutboundCounters,
    Totals,
    VideoPattern,
)

@final
class Engine:
    """
    Sends and receives the media of many sockets on a thread without the GIL.

    Use it as a context manager. All methods may be called from any thread.

    :param tick_us: How long datagrams may wait in their sockets, in microseconds; the kernel has
        noted when each one came. Sound and RTCP that is due wait as long for whatever else wakes
        the thread.
    """

    def __new__(cls, *, tick_us: int = 4000, seed: int = 1) -> Self: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    def share(self, fd: int) -> None:
        """
        Let several connections use an IPv4 socket that is bound to all addresses, until the engine
        ends: it is read at once for all of them.

        :raises ValueError: when there are too many.
        :raises OSError: when it cannot be watched.
        """
    def add_connection(
        self,
        fd: int,
        remote: tuple[str, int],
        *,
        profile: int,
        send_key: bytes,
        send_salt: bytes,
        receive_key: bytes,
        receive_salt: bytes,
        extensions: Mapping[str, int],
        cname: str = "load",
        rtcp_index: int = 1 << 16,
        consent: tuple[bytes, bytes] | None = None,
        consent_interval: float = 5.0,
        sampled: float = 0.0,
        reads: bool = True,
        source: str | None = None,
    ) -> int:
        """
        Take over a UDP socket, which stays the caller's, and return the connection's number. Unless
        it is shared, the socket is connected: from then on it takes datagrams of ``remote`` only.

        :param remote: Numeric address and port of the server.
        :param profile: Of DTLS-SRTP (RFC 5764): 7 or 1.
        :param send_key: Master key, 16 bytes; salts have 12 bytes for profile 7 and 14 for 1.
        :param extensions: Ids (1..14) of the header extensions agreed on, by URI.
        :param rtcp_index: SRTCP index to begin with, above those already used with these keys.
        :param consent: USERNAME and password of binding requests, which then go out about every
            ``consent_interval`` seconds; the answers are counted, and not handed on.
        :param sampled: How often of all times (0..1) that the socket is read, all that waits is
            opened and checked, and its latency noted. What is read anyway to the end is opened too.
        :param reads: Look at the socket; somebody else does otherwise.
        :param source: Of a socket that is shared: the connection's own address, of which no other
            one may have the last 16 bits. Datagrams to it are taken from anybody.
        :raises ValueError: for what cannot be.
        :raises OSError: when the socket cannot be connected or watched.
        """
    def remove_connection(self, connection: int) -> None:
        """Forget a connection and its streams; after that its socket may be closed."""
    def add_outbound(
        self,
        connection: int,
        *,
        ssrc: int,
        payload_type: int,
        rtx_ssrc: int = 0,
        rtx_payload_type: int = 0,
        mid: str = "",
        publisher: int,
        pattern: VideoPattern | AudioPattern,
    ) -> int:
        """Begin to send a stream and return its number."""
    def set_pattern(self, stream: int, pattern: VideoPattern | AudioPattern) -> None:
        """Go on at another rate; a bitrate of 0 pauses."""
    def add_inbound(
        self,
        connection: int,
        *,
        ssrc: int,
        kind: str,
        rtx_ssrc: int = 0,
        highest: int | None = None,
    ) -> int:
        """
        Count a stream of kind ``audio`` or ``video`` and return its number.

        :param highest: Extended sequence number behind which it goes on; None begins with what
            comes.
        """
    def assume_sent(self, stream: int, packets: int, timestamp: int) -> int:
        """
        Report packets as sent that somebody else sent, in place of a stream that is paused.

        :param timestamp: RTP timestamp of the last one, which was sent just now.
        :returns: How many key frames were asked for so far.
        """
    def assume_received(
        self, connection: int, packets: Mapping[int, int], first: int, arrivals_us: Buffer
    ) -> None:
        """
        Report packets as received that were dropped on purpose on the way.

        :param packets: How many more of each inbound stream.
        :param first: Transport-wide number (0..65535) of the first of them.
        :param arrivals_us: When each came, as signed 64-bit numbers. Feedback goes out at once.
        """
    def request_key_frame(self, stream: int) -> None:
        """Send a PLI for an inbound stream, at most one in half a second."""
    def remove(self, stream: int) -> None:
        """Forget a stream, inbound or outbound."""
    def drop(self, connection: int, share: float) -> None:
        """
        Lose this share (0..1) of the RTP packets that come from now on. Messages are read whole, of
        a socket that is shared those of all.
        """
    def set_consent_interval(self, connection: int, seconds: float) -> None:
        """Ask for consent more often, or less."""
    def fileno(self) -> int:
        """Return a descriptor that is readable when :meth:`datagrams` has some."""
    def datagrams(self) -> list[tuple[int, bytes, tuple[str, int]]]:
        """Return and forget what is neither RTP nor RTCP: connection, bytes and source."""
    def outbound(self, stream: int) -> OutboundCounters: ...
    def inbound(self, stream: int) -> InboundCounters: ...
    def totals(self) -> Totals: ...
    def latency(self) -> Latency:
        """Return and forget the latencies of the sampled connections."""
    def cpu_ns(self) -> int:
        """CPU time of the engine's thread, in ns."""
