"""
Messages that wait to be sent, and which of them is next.

Streams share the association by weighted fair queueing of whole messages (RFC 8260 section 3.6;
RFC 8831 section 6.4 asks for the weights). Fragments of one message stay together, since without
I-DATA a receiver cannot take them interleaved.
"""

import heapq
from collections import deque

#: Charged per message beside its bytes, so that many small ones cannot hold much memory.
MESSAGE_OVERHEAD_BYTES = 200
DEFAULT_WEIGHT = 256


class OutboundMessage:
    """One user message from ``send`` until its last fragment is acknowledged."""

    __slots__ = (
        "abandoned",
        "data",
        "expires_at",
        "first_tsn",
        "max_retransmits",
        "offset",
        "ordered",
        "ppid",
        "ssn",
        "stream_id",
    )

    def __init__(
        self,
        stream_id: int,
        ppid: int,
        data: bytes,
        ordered: bool,
        expires_at: float | None,
        max_retransmits: int | None,
    ) -> None:
        self.stream_id = stream_id
        self.ppid = ppid
        self.data = data
        self.ordered = ordered
        self.expires_at = expires_at
        self.max_retransmits = max_retransmits
        self.ssn = 0
        self.offset = 0
        """Bytes that fragments have been made of."""
        self.first_tsn = 0
        """Valid when ``offset`` is not zero."""
        self.abandoned = False


class _Stream:
    """The sending side of one stream."""

    __slots__ = (
        "buffered",
        "messages",
        "next_ssn",
        "paused",
        "ticket",
        "virtual_finish",
        "weight",
    )

    def __init__(self) -> None:
        self.messages: deque[OutboundMessage] = deque()
        # Names the one valid entry of the stream among the ready ones.
        self.ticket = 0
        self.buffered = 0
        self.next_ssn = 0
        self.paused = False
        self.weight = DEFAULT_WEIGHT
        self.virtual_finish = 0.0


class SendQueue:
    """
    All messages of an association that are not wholly in flight.

    ``used_bytes`` also counts what is in flight: whoever gets the fragments acknowledged calls
    :meth:`release`.
    """

    def __init__(self) -> None:
        self.used_bytes = 0
        self._streams: dict[int, _Stream] = {}
        self._current: OutboundMessage | None = None
        # (virtual finish time, ticket, stream id) of streams with messages, not paused.
        self._ready: list[tuple[float, int, int]] = []
        self._count = 0
        self._virtual_time = 0.0

    def push(self, message: OutboundMessage) -> None:
        """Append a message to its stream."""
        size = len(message.data)
        self.used_bytes += size + MESSAGE_OVERHEAD_BYTES
        stream = self._stream(message.stream_id)
        stream.buffered += size
        stream.messages.append(message)
        if len(stream.messages) == 1 and not stream.paused:
            self._make_ready(message.stream_id, stream)

    def current(self, now: float) -> OutboundMessage | None:
        """
        Return the message whose fragment is to be sent next, or None.

        Messages that expired before their first fragment are dropped here; they have neither
        TSN nor stream sequence number, so the peer need not be told.
        """
        if self._current is not None:
            return self._current
        while self._ready:
            finish, ticket, stream_id = heapq.heappop(self._ready)
            stream = self._streams[stream_id]
            if ticket != stream.ticket or stream.paused or not stream.messages:
                continue
            message = stream.messages.popleft()
            if message.expires_at is not None and now >= message.expires_at:
                stream.buffered -= len(message.data)
                self.release(len(message.data) + MESSAGE_OVERHEAD_BYTES)
                if stream.messages:
                    self._make_ready(stream_id, stream)
                continue
            self._virtual_time = finish
            if message.ordered:
                message.ssn = stream.next_ssn
                stream.next_ssn = (stream.next_ssn + 1) & 0xFFFF
            self._current = message
            return message
        return None

    def advance(self, message: OutboundMessage, count: int) -> None:
        """Note that ``count`` more bytes of the current message became a fragment."""
        stream = self._streams[message.stream_id]
        stream.buffered -= count
        message.offset += count
        if message.offset == len(message.data):
            self._finish_current(message.stream_id, stream)

    def drop_rest(self, message: OutboundMessage) -> None:
        """Forget the unsent rest of the current message, which was abandoned."""
        stream = self._streams[message.stream_id]
        rest = len(message.data) - message.offset
        stream.buffered -= rest
        self.release(rest)
        self._finish_current(message.stream_id, stream)

    def release(self, count: int) -> None:
        """Give back bytes that are acknowledged or abandoned."""
        self.used_bytes -= count
        assert self.used_bytes >= 0

    def buffered_amount(self, stream_id: int) -> int:
        """Return how many bytes of the stream's messages have not been sent once."""
        stream = self._streams.get(stream_id)
        return stream.buffered if stream is not None else 0

    def has_unsent(self, stream_id: int) -> bool:
        """Return whether a message of the stream is not wholly sent."""
        if self._current is not None and self._current.stream_id == stream_id:
            return True
        stream = self._streams.get(stream_id)
        return stream is not None and bool(stream.messages)

    @property
    def is_empty(self) -> bool:
        """Whether every message has been wholly sent; paused streams count too."""
        return self._current is None and not any(s.messages for s in self._streams.values())

    def stream_ids(self) -> tuple[int, ...]:
        """Return the streams that a message was ever queued on, in ascending order."""
        return tuple(sorted(self._streams))

    def set_weight(self, stream_id: int, weight: int) -> None:
        """Set the stream's share; 256 is usual, twice as much gets twice the bytes."""
        self._stream(stream_id).weight = weight

    def pause(self, stream_id: int) -> None:
        """Hold messages of the stream back, the current one excepted."""
        self._stream(stream_id).paused = True

    def resume(self, stream_id: int, *, reset: bool) -> None:
        """Undo :meth:`pause`; with ``reset`` stream sequence numbers begin at 0 again."""
        stream = self._stream(stream_id)
        if reset:
            stream.next_ssn = 0
        if stream.paused:
            stream.paused = False
            if stream.messages:
                self._make_ready(stream_id, stream)

    def discard(self, stream_id: int) -> None:
        """Forget the stream's messages of which nothing has been sent."""
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        for message in stream.messages:
            stream.buffered -= len(message.data)
            self.release(len(message.data) + MESSAGE_OVERHEAD_BYTES)
        stream.messages.clear()
        stream.ticket = 0

    def _stream(self, stream_id: int) -> _Stream:
        stream = self._streams.get(stream_id)
        if stream is None:
            stream = self._streams[stream_id] = _Stream()
        return stream

    def _make_ready(self, stream_id: int, stream: _Stream) -> None:
        """Schedule the stream's first message."""
        start = max(self._virtual_time, stream.virtual_finish)
        stream.virtual_finish = start + len(stream.messages[0].data) / stream.weight
        self._count += 1
        stream.ticket = self._count
        heapq.heappush(self._ready, (stream.virtual_finish, stream.ticket, stream_id))

    def _finish_current(self, stream_id: int, stream: _Stream) -> None:
        self._current = None
        if stream.messages and not stream.paused:
            self._make_ready(stream_id, stream)
