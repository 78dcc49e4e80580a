"""
Turns clients away at small cost, in front of the HTTP server.

Whoever is told "busy" costs the server a WebSocket and nothing else; but in aiohttp that is a sixth
of a whole join, so that a few times more clients than can be served would leave no time for those
who are. So connections that come while nobody new is let in meet this protocol first. It makes the
handshake of RFC 6455 and reads ``hello``. Everything but a client to turn away goes to the HTTP
server, which gets the connection as if it had come there first: other requests, clients that come
back to their session, newcomers when there is room again, and all that is not plain.
"""

import asyncio
import base64
import hashlib
import re
import struct
from collections.abc import Callable
from typing import Any, cast

from aiohttp import WSCloseCode

from router.errors import WireFormatError
from signaling.service.room_service import RoomService

from .connection import busy_answer, is_put_off
from .messages import MESSAGE_MAX_BYTES, Hello, parse_frame, parse_type, serialize
from .tcmp import CLOSE_NO_HELLO, HELLO_TIMEOUT, PROTOCOL_VERSION, busy_timeout

ANSWERS_MAX = 8
"""Further ``hello`` of a client are left to signaling, which reads slowly what comes fast."""
HEAD_MAX_BYTES = 16_384
"""Longer heads are left to the HTTP server, which has limits of its own."""
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
    Makes the protocol of each connection: that of the HTTP server, unless nobody new is let in.

    :param inner: Makes the HTTP server's protocols.
    :param path: Of signaling.
    """

    def __init__(
        self, *, service: RoomService, inner: Callable[[], asyncio.Protocol], path: str
    ) -> None:
        busy = busy_answer(service.config)
        text = serialize(busy).encode()
        self.service = service
        self.inner = inner
        self.starts = tuple(f"GET {path}{end}".encode() for end in " ?")
        self.busy = bytes((_TEXT, len(text))) + text
        self.patience = busy_timeout(busy)

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return _Visitor(self) if self.service.takes_nobody else self.inner()


class _Visitor(asyncio.Protocol):
    """One connection. Whoever passes is handed on, and what it does from then on, too."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._transport: asyncio.Transport | None = None
        self._inner: asyncio.Protocol | None = None
        self._head = b""
        """What opened the WebSocket; empty until then."""
        self._buffer = bytearray()
        self._needed = 0
        """Bytes without which there is nothing to look at."""
        self._answers = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._wait(HELLO_TIMEOUT)

    def data_received(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.data_received(data)
            return
        if self._transport is None:
            return  # it is closed already
        searched = max(0, len(self._buffer) - len(_END))
        self._buffer += data
        if not self._head and not self._open(searched):
            return
        while self._inner is None and len(self._buffer) >= max(2, self._needed):
            if not self._read_frame():
                return

    def eof_received(self) -> bool | None:
        return None if self._inner is None else self._inner.eof_received()

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        if self._inner is not None:
            self._inner.connection_lost(exc)
        self._transport = None

    async def close(self, code: int) -> None:
        """Close from our side."""
        self._end(code)

    def _open(self, searched: int) -> bool:
        """Make the handshake when the request is there; return whether it was made."""
        transport, buffer = self._transport, self._buffer
        assert transport is not None
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
        transport.write(
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
        assert self._transport is not None
        self._transport.write(self._door.busy)
        self._wait(self._door.patience)
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
        return is_put_off(self._door.service, body_type)

    def _closed_by_peer(self, payload: bytes) -> None:
        if len(payload) == 1:
            self._hand_on()
            return
        # Not 1000 for a close without a code: the SDK would take that for the end of its session.
        code = int.from_bytes(payload[:2], "big") if payload else int(WSCloseCode.GOING_AWAY)
        if code in _CLOSE_CODES:
            self._end(code)
        else:
            self._hand_on()

    def _hand_on(self) -> None:
        """Let the HTTP server have the connection, and what has come."""
        transport, data = self._transport, self._head + bytes(self._buffer)
        assert transport is not None
        self._forget()
        self._buffer.clear()
        inner = self._inner = self._door.inner()
        inner.connection_made(
            cast("asyncio.Transport", _Opened(transport)) if self._head else transport
        )
        inner.data_received(data)

    def _end(self, code: int) -> None:
        self._forget()
        transport, self._transport = self._transport, None
        if transport is not None:
            if self._head:
                transport.write(_close_frame(code))
            transport.close()

    def _wait(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._end, CLOSE_NO_HELLO)

    def _forget(self) -> None:
        self._door.service.remove_connection(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Opened:
    """
    A transport whose WebSocket is open already: it does not carry the answer to the handshake.

    A request that the HTTP server refuses after all is closed with 1013, to be tried again later.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
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
