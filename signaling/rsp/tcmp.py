"""
The connection layer of one WebSocket (TCMP version 2), seen from the server.

Text in, text out, time passed in. It shakes hands, keeps the connection alive, notices when it is
dead, and hands over the messages of the layer above. It never closes with 1000: clients take that
for their own farewell and do not resume.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from msgspec import Raw, Struct

from router.errors import WireFormatError

from .messages import (
    MESSAGE_MAX_BYTES,
    Bad,
    Busy,
    Bye,
    Heartbeat,
    Hello,
    Message,
    MessageOut,
    Welcome,
    parse_frame,
    parse_type,
    serialize,
)

TIMEOUT_MIN_MS = 1_000
TIMEOUT_MAX_MS = 30_000
SILENCE_FACTOR = 3
"""The peer is lost after this many negotiated timeouts without a frame."""
HEARTBEAT_FRACTION = 0.8
"""A heartbeat goes out when nothing was sent for this part of the negotiated timeout."""
HELLO_TIMEOUT = 15.0
"""Seconds for the first ``hello``; clients give up after as long."""
FINISH_TIMEOUT = 5.0
"""Seconds that a client has for closing by itself after its session has ended."""
PROTOCOL_VERSION = 2

CLOSE_GOING_AWAY = 1001
CLOSE_PROTOCOL_ERROR = 1002
CLOSE_TOO_BIG = 1009
CLOSE_HEARTBEATS_MISSED = 3001
CLOSE_NO_HELLO = 4001
CLOSE_REPLACED = 4002
CLOSE_ENDED = 4003
CLOSE_BACKLOG = 4004


class TcmpState(Enum):
    """Where the connection is."""

    AWAITING_HELLO = "awaiting hello"
    OPEN = "open"
    FINISHING = "finishing"
    """Everything was said; the client is expected to close."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TcmpEvent:
    """Base of the connection's events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyReceived(TcmpEvent):
    """A message of the layer above; its bytes are not looked at yet."""

    body: Raw


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidReceived(TcmpEvent):
    """The peer sent what cannot be read, on a connection that is open."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed(TcmpEvent):
    """We closed the connection; the shell does it with this code."""

    code: int


def busy_timeout(busy: Busy) -> float:
    """Return how many seconds a client that was told so has for its next ``hello``."""
    return max(0, busy.retry_after) / 1000 + HELLO_TIMEOUT


def _admit_all(_: str | None) -> Busy | None:
    return None


class TcmpConnection:
    """
    One connection.

    :param admit: Asked at each ``hello`` with the type of the message that it carries, if any;
        answers None to let the client in. Without side effects.
    """

    def __init__(self, *, admit: Callable[[str | None], Busy | None], now: float) -> None:
        self._admit = admit
        self._state = TcmpState.AWAITING_HELLO
        self._events: deque[TcmpEvent] = deque()
        self._frames: list[str] = []
        self._timeout = 0.0
        self._last_received_at = now
        self._last_sent_at = now
        self._deadline: float | None = now + HELLO_TIMEOUT
        self.ignored = 0
        """Frames of unknown types, and frames that came too late."""

    @property
    def state(self) -> TcmpState:
        """Return where the connection is."""
        return self._state

    @property
    def last_received_at(self) -> float:
        """Return when the peer was last heard of."""
        return self._last_received_at

    # In.

    def receive_text(self, text: str, now: float) -> None:
        """Take a text frame."""
        if self._state is TcmpState.CLOSED:
            self.ignored += 1
            return
        self._last_received_at = now
        # Each character has one byte at least, so most texts need no second look.
        if len(text) > MESSAGE_MAX_BYTES or len(text.encode(errors="replace")) > MESSAGE_MAX_BYTES:
            self._close(CLOSE_TOO_BIG)
            return
        try:
            frame = parse_frame(text)
            self._receive_frame(frame, now)
        except WireFormatError as error:
            self._invalid(str(error), now)

    def receive_binary(self, now: float) -> None:
        """Take note of a binary frame, which no client sends."""
        if self._state is not TcmpState.CLOSED:
            self._last_received_at = now
            self._invalid("binary frames are not part of the protocol", now)

    def _receive_frame(self, frame: object, now: float) -> None:
        match frame:
            case Hello():
                self._receive_hello(frame, now)
            case Message() if self._state is TcmpState.OPEN:
                self._events.append(BodyReceived(body=frame.body))
            case Message() if self._state is TcmpState.AWAITING_HELLO:
                raise WireFormatError("a message came before the handshake")
            case Heartbeat() | Bye():
                pass
            case _:
                self.ignored += 1

    def _receive_hello(self, hello: Hello, now: float) -> None:
        if self._state is TcmpState.FINISHING:
            self.ignored += 1
            return
        if self._state is TcmpState.OPEN:
            # The client did not see our welcome in time and repeats itself, body and all.
            self._send(Welcome(round(self._timeout * 1000)), now)
            return
        if hello.version != PROTOCOL_VERSION:
            raise WireFormatError(f"version is {hello.version}, must be {PROTOCOL_VERSION}")
        busy = self._admit(parse_type(hello.body) if bytes(hello.body) else None)
        if busy is not None:
            self._send(busy, now)
            self._deadline = now + busy_timeout(busy)
            return
        timeout_ms = min(max(hello.timeout, TIMEOUT_MIN_MS), TIMEOUT_MAX_MS)
        self._timeout = round(timeout_ms) / 1000
        self._state = TcmpState.OPEN
        self._deadline = None
        self._send(Welcome(round(timeout_ms)), now)
        if bytes(hello.body):
            self._events.append(BodyReceived(body=hello.body))

    def _invalid(self, reason: str, now: float) -> None:
        if self._state is TcmpState.AWAITING_HELLO:
            self._send(Bad(reason), now)
            self._close(CLOSE_PROTOCOL_ERROR)
        elif self._state is TcmpState.OPEN:
            self._events.append(InvalidReceived(reason=reason))
        else:
            self.ignored += 1

    # Out.

    def send(self, body: Struct, now: float) -> None:
        """Send a message of the layer above; before the handshake and after the end do nothing."""
        if self._state is TcmpState.OPEN:
            self._send(MessageOut(body), now)

    def finish(self, now: float) -> None:
        """Wait for the client to close, but not for long: its session has ended."""
        if self._state is TcmpState.OPEN:
            self._state = TcmpState.FINISHING
            self._deadline = now + FINISH_TIMEOUT

    def close(self, code: int) -> None:
        """Close now. :param code: Anything but 1000."""
        assert code != 1000, "clients do not resume after 1000"
        if self._state is not TcmpState.CLOSED:
            self._close(code)

    def connection_lost(self) -> None:
        """Take note that the socket is gone."""
        self._state = TcmpState.CLOSED
        self._deadline = None
        self._frames.clear()
        self._admit = _admit_all  # which asks nobody: a circle would end here otherwise

    def frames_to_send(self) -> list[str]:
        """Return the text frames to send, in order, and forget them."""
        frames, self._frames = self._frames, []
        return frames

    def next_event(self) -> TcmpEvent | None:
        """Return the next event and forget it, or None when there is none."""
        return self._events.popleft() if self._events else None

    # Time.

    def next_timer(self) -> float | None:
        """Return the absolute time of the next timer, or None when nothing is pending."""
        if self._state is not TcmpState.OPEN:
            return self._deadline
        return min(self._heartbeat_at, self._silent_at)

    def handle_timer(self, now: float) -> None:
        """Act on all timers that are due; an early or repeated call changes nothing."""
        if self._state is TcmpState.OPEN:
            if now >= self._silent_at:
                self._close(CLOSE_HEARTBEATS_MISSED)
            elif now >= self._heartbeat_at:
                self._send(Heartbeat(), now)
        elif self._deadline is not None and now >= self._deadline:
            finished = self._state is TcmpState.FINISHING
            self._close(CLOSE_ENDED if finished else CLOSE_NO_HELLO)

    @property
    def _heartbeat_at(self) -> float:
        return self._last_sent_at + HEARTBEAT_FRACTION * self._timeout

    @property
    def _silent_at(self) -> float:
        return self._last_received_at + SILENCE_FACTOR * self._timeout

    def _send(self, frame: Struct, now: float) -> None:
        self._last_sent_at = now
        self._frames.append(serialize(frame))

    def _close(self, code: int) -> None:
        self._state = TcmpState.CLOSED
        self._deadline = None
        self._events.append(Closed(code=code))
