"""
Turns clients away at small cost, in front of the HTTP server.

Whoever is told "busy" costs the server a WebSocket and nothing else; but in aiohttp, on a transport
of the loop, that is a sixth of a whole join, so that a few times more clients than can be served
would leave no time for those who are. So while newcomers are put off, connections are met here, as
bare sockets. The handshake of RFC 6455 is made and ``hello`` is read. Everything but a client to
turn away goes to the HTTP server, which gets the connection as if it had come there first: other
requests, clients that come back to their session, newcomers when there is room, and all that is not
plain.
"""

import asyncio
import base64
import hashlib
import re
import select
import socket
import struct
from collections.abc import Callable, Hashable
from typing import Any, TypeAlias, cast

from aiohttp import WSCloseCode

from router.errors import WireFormatError
from signaling.service.room_service import RoomService

from .connection import RESUMING, busy_answer, is_put_off
from .messages import MESSAGE_MAX_BYTES, Hello, parse_frame, parse_type, serialize
from .tcmp import CLOSE_NO_HELLO, HELLO_TIMEOUT, PROTOCOL_VERSION, busy_timeout

ANSWERS_MAX = 8
"""Further ``hello`` of a client are left to signaling, which reads slowly what comes fast."""
HEAD_MAX_BYTES = 16_384
"""Longer heads are left to the HTTP server, which has limits of its own."""
OPEN_SECONDS = 5.0
"""For which connections are met here after nobody new was let in: when a server has more to do than
it can, that is so many times a second, and who came in between would be turned away further in."""
READ_MAX_BYTES = 8_192
READS_MAX = 256
"""Connections read before others have a turn."""
TICK = 1.0
"""Seconds from one look for connections that wait too long to the next."""
_Begin: TypeAlias = Callable[[asyncio.Protocol, asyncio.Transport], None]
_END = b"\r\n\r\n"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FIELD = re.compile(rb"\r\n([^:\s]+):[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)")
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_CLOSE_CODES = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))
"""Those that may be in a close frame (RFC 6455 section 7.4)."""
_TEXT = 0x81
_CLOSE = 0x88
_MASKED = 0x80
_SHORT_MAX = 125


class Door:
    """
    Meets the connections that come while newcomers are put off: an ``Entrance`` of the edge.

    :param path: Of signaling.
    """

    def __init__(self, *, service: RoomService, path: str) -> None:
        busy = busy_answer(service.config)
        text = serialize(busy).encode()
        self.service = service
        self.starts = tuple(f"GET {path}{end}".encode() for end in " ?")
        self.busy = bytes((_TEXT, len(text))) + text
        self.patience = busy_timeout(busy)
        self.loop = asyncio.get_running_loop()
        self._visitors: dict[int, _Visitor] = {}
        """By descriptor."""
        self._open_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        # Their sockets have an epoll of their own, one descriptor for the loop: most are gone after
        # three reads, and a transport for each would cost more than all that is done here.
        self._epoll = select.epoll()
        self.loop.add_reader(self._epoll.fileno(), self._read)

    @property
    def is_open(self) -> bool:
        """Return whether to be given the connections that come."""
        now = self.loop.time()
        if self.service.takes_nobody:
            self._open_until = now + OPEN_SECONDS
        return now < self._open_until

    def receive(
        self,
        connection: socket.socket,
        leave: Callable[[], None],
        pass_on: Callable[[_Begin], None],
    ) -> None:
        """Take a connection, which does not block."""
        visitor = _Visitor(self, connection, leave, pass_on)
        self._visitors[connection.fileno()] = visitor
        self._epoll.register(connection.fileno(), select.EPOLLIN)
        if self._timer is None:
            self._timer = self.loop.call_later(TICK, self._tick)

    def forget(self, connection: socket.socket) -> None:
        """Read no more from a connection."""
        del self._visitors[connection.fileno()]
        self._epoll.unregister(connection.fileno())

    def close(self) -> None:
        """Close all connections that are left."""
        for visitor in list(self._visitors.values()):
            visitor.end(WSCloseCode.SERVICE_RESTART)
        if self._timer is not None:
            self._timer.cancel()
        self.loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _read(self) -> None:
        for descriptor, _ in self._epoll.poll(0.0, READS_MAX):
            self._visitors[descriptor].read()

    def _tick(self) -> None:
        now = self.loop.time()
        for visitor in [v for v in self._visitors.values() if v.ends_at <= now]:
            visitor.end(CLOSE_NO_HELLO)
        self._timer = self.loop.call_later(TICK, self._tick) if self._visitors else None


class _Visitor:
    """One connection, until it is closed or passed on."""

    def __init__(
        self,
        door: Door,
        connection: socket.socket,
        leave: Callable[[], None],
        pass_on: Callable[[_Begin], None],
    ) -> None:
        self._door = door
        self._connection = connection
        self._leave = leave
        self._pass_on = pass_on
        self._is_here = True
        self._head = b""
        """What opened the WebSocket; empty until then."""
        self._buffer = bytearray()
        self._needed = 0
        """Bytes without which there is nothing to look at."""
        self._answers = 0
        self._place: Hashable | None = None
        """The join that was let begin."""
        self.ends_at = door.loop.time() + HELLO_TIMEOUT
        """When to close the connection if nothing comes."""

    def read(self) -> None:
        """Take what has come."""
        try:
            data = self._connection.recv(READ_MAX_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._close()
            return
        searched = max(0, len(self._buffer) - len(_END))
        self._buffer += data
        if not self._head and not self._open(searched):
            return
        while self._is_here and len(self._buffer) >= max(2, self._needed):
            if not self._read_frame():
                return

    def end(self, code: int) -> None:
        """Close from our side."""
        if self._head:
            self._write(_close_frame(code))
        self._close()

    async def close(self, code: int) -> None:
        """Close together with the service."""
        self.end(code)

    def _open(self, searched: int) -> bool:
        """Make the handshake when the request is there; return whether it was made."""
        buffer = self._buffer
        if not any(buffer.startswith(start[: len(buffer)]) for start in self._door.starts):
            self._hand_on()
            return False
        end = buffer.find(_END, searched)
        if end < 0 and len(buffer) <= HEAD_MAX_BYTES:
            return False
        head = bytes(buffer[: end + len(_END)])
        key = _key_of(head) if 0 <= end <= HEAD_MAX_BYTES else None
        if key is None:
            self._hand_on()
            return False
        del buffer[: len(head)]
        self._head = head
        self._door.service.add_connection(self)
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        self._write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\nServer: parlour" + _END
        )
        return True

    def _read_frame(self) -> bool:
        """Act on the first frame; return whether to look for another one."""
        buffer = self._buffer
        first, length, at = buffer[0], buffer[1] & ~_MASKED, 2
        if first not in (_TEXT, _CLOSE) or not buffer[1] & _MASKED:
            self._hand_on()
            return False
        if length > _SHORT_MAX:
            at = 4 if length == _SHORT_MAX + 1 else 10
            if len(buffer) < at:
                self._needed = at
                return False
            length = int.from_bytes(buffer[2:at], "big")
        if length > (MESSAGE_MAX_BYTES if first == _TEXT else _SHORT_MAX):
            self._hand_on()
            return False
        end = at + 4 + length
        if len(buffer) < end:
            self._needed = end
            return False
        payload = _unmask(buffer[at : at + 4], buffer[at + 4 : end])
        if first == _CLOSE:
            self._closed_by_peer(payload)
            return False
        if self._answers == ANSWERS_MAX or not self._turns_away(payload):
            self._hand_on()
            return False
        self._answers += 1
        del buffer[:end]
        self._needed = 0
        self._write(self._door.busy)
        self.ends_at = self._door.loop.time() + self._door.patience
        return True

    def _turns_away(self, text: bytes) -> bool:
        """Return whether a message is the ``hello`` of somebody to turn away."""
        try:
            frame = parse_frame(text)
            if not isinstance(frame, Hello) or frame.version != PROTOCOL_VERSION:
                return False
            body_type = parse_type(frame.body) if bytes(frame.body) else None
        except WireFormatError:
            return False
        service = self._door.service
        if is_put_off(service, body_type):
            return True
        if body_type != RESUMING:
            # Counted here, or all who come at once would be let pass for one place.
            self._place = object()
            service.load.join_begins(self._place)
        return False

    def _closed_by_peer(self, payload: bytes) -> None:
        if len(payload) == 1:
            self._hand_on()
            return
        # Not 1000 for a close without a code: the SDK would take that for the end of its session.
        code = int.from_bytes(payload[:2], "big") if payload else int(WSCloseCode.GOING_AWAY)
        if code in _CLOSE_CODES:
            self.end(code)
        else:
            self._hand_on()

    def _hand_on(self) -> None:
        """Let the HTTP server have the connection, and what has come."""
        self._forget()
        self._pass_on(self._go_on)

    def _go_on(self, protocol: asyncio.Protocol, transport: asyncio.Transport) -> None:
        """Let a protocol be where this visitor was."""
        opened = _Opened(transport, place=self._place) if self._head else transport
        protocol.connection_made(cast("asyncio.Transport", opened))
        data = self._head + bytes(self._buffer)
        self._buffer.clear()
        protocol.data_received(data)

    def _write(self, data: bytes) -> None:
        try:
            sent = self._connection.send(data)
        except OSError:
            sent = 0
        if sent < len(data):
            # It is gone, or has not even read these few bytes.
            self._close()

    def _close(self) -> None:
        if self._is_here:
            self._forget()
            self._connection.close()
            self._leave()

    def _forget(self) -> None:
        self._is_here = False
        self._door.forget(self._connection)
        self._door.service.remove_connection(self)


class _Opened:
    """
    A transport whose WebSocket is open already: it does not carry the answer to the handshake.

    A request that the HTTP server refuses after all is closed with 1013, to be tried again later.
    """

    def __init__(self, transport: asyncio.Transport, *, place: Hashable | None) -> None:
        self._transport = transport
        self.place = place
        """By what ``load`` knows the join that the client was let begin."""
        self._answer: bytearray | None = bytearray()
        """What the server has answered so far; None when the answer is over."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._answer is None:
            self._transport.write(data)
            return
        self._answer += data
        head, end, rest = bytes(self._answer).partition(_END)
        if not end:
            return
        self._answer = None
        if not head.startswith(b"HTTP/1.1 101 "):
            self._transport.write(_close_frame(WSCloseCode.TRY_AGAIN_LATER))
            self._transport.close()
        elif rest:
            self._transport.write(rest)

    def writelines(self, parts: Any) -> None:
        self.write(b"".join(parts))


def _key_of(head: bytes) -> bytes | None:
    """Return the key of a WebSocket's handshake, or None when the request is anything else."""
    fields = {name.lower(): value for name, value in _FIELD.findall(head)}
    key: bytes | None = fields.get(b"sec-websocket-key")
    if (
        key is not None
        and _KEY.fullmatch(key)
        and head.partition(b"\r\n")[0].endswith(b" HTTP/1.1")
        and fields.get(b"upgrade", b"").lower() == b"websocket"
        and b"upgrade" in fields.get(b"connection", b"").lower()
        and fields.get(b"sec-websocket-version") == b"13"
        and b"content-length" not in fields
        and b"transfer-encoding" not in fields
    ):
        return key
    return None


def _unmask(mask: bytearray, payload: bytearray) -> bytes:
    length = len(payload)
    pattern = (bytes(mask) * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(length, "big")


def _close_frame(code: int) -> bytes:
    return struct.pack("!BBH", _CLOSE, 2, code)
