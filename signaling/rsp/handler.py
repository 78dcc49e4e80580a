"""The aiohttp shell around a signaling connection: a reader, a writer and one timer."""

import asyncio
import contextlib
import random

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from signaling.auth.access_token import TokenVerifier
from signaling.service.room_service import RoomService

from .connection import RspConnection
from .link import RspLink
from .messages import MESSAGE_MAX_BYTES
from .tcmp import CLOSE_BACKLOG

BACKLOG_MAX_BYTES = 8 << 20
"""A client that leaves more than this unread is cut off; it resumes with a snapshot."""
CLOSE_TIMEOUT = 2.0
"""Seconds that a client has for its half of the closing handshake."""

CLOSE_ABNORMAL = 1006
"""No close frame came (RFC 6455 section 7.4.1); never on the wire."""
CLOSE_NO_STATUS = 1005
"""A close frame without a code; never on the wire."""

_log = structlog.get_logger(__name__)


class SignalingHandler:
    """
    Serves ``GET /signaling``.

    :param tokens: Checks access tokens.
    :param rng: Source of session ids.
    """

    def __init__(self, *, service: RoomService, tokens: TokenVerifier, rng: random.Random) -> None:
        self._service = service
        self._tokens = tokens
        self._rng = rng
        self.sessions: dict[str, RspLink] = {}
        """The sessions that can be resumed, by id."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one WebSocket until it is closed."""
        websocket = web.WebSocketResponse(
            # The peer's close code has to be echoed, which aiohttp's own closing does not do: it
            # answers 1000, and the SDK takes that for the end of the session.
            autoclose=False,
            compress=False,
            max_msg_size=MESSAGE_MAX_BYTES,
            timeout=CLOSE_TIMEOUT,
        )
        try:
            await websocket.prepare(request)
        except ConnectionError:
            # The client is gone, and nobody reads any answer.
            return web.Response(status=400)
        socket = _Socket(
            websocket, request.transport, self._service, self._tokens, self.sessions, self._rng
        )
        self._service.add_connection(socket)
        try:
            await socket.run()
        finally:
            self._service.remove_connection(socket)
        return websocket


class _Socket:
    """One WebSocket and the task that writes to it."""

    def __init__(
        self,
        websocket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        service: RoomService,
        tokens: TokenVerifier,
        sessions: dict[str, RspLink],
        rng: random.Random,
    ) -> None:
        self._websocket = websocket
        self._transport = transport
        self._clock = service.clock
        self._loop = asyncio.get_running_loop()
        self._outbox: list[str] = []
        self._backlog_bytes = 0
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._abort_timer: asyncio.TimerHandle | None = None
        self._done = False
        self._delayed = False
        self._connection = RspConnection(
            service=service,
            tokens=tokens,
            sessions=sessions,
            rng=rng,
            transmit=self._transmit,
            place=getattr(transport, "place", None),
        )

    async def run(self) -> None:
        """Read until the socket closes."""
        self._transmit()
        writer = asyncio.create_task(self._write(), name="signaling writer")
        code = CLOSE_ABNORMAL
        try:
            code = await self._read()
        except Exception:
            # A fault of ours. The session stays, and the client resumes it on another socket.
            _log.exception("a signaling connection failed")
            await self._close_websocket(WSCloseCode.INTERNAL_ERROR)
        finally:
            self._done = True
            self._wake.set()
            for timer in (self._timer, self._abort_timer):
                if timer is not None:
                    timer.cancel()
            self._connection.connection_lost(code)
            # It may be in the closing handshake, which has a time limit of its own.
            await asyncio.wait({writer}, timeout=CLOSE_TIMEOUT)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def close(self, code: int) -> None:
        """Close from our side."""
        self._connection.close(code)
        await self._close_websocket(code)

    async def _read(self) -> int:
        """Return the code with which the socket was closed."""
        while True:
            message = await self._websocket.receive()
            match message.type:
                case WSMsgType.TEXT:
                    await self._connection.receive_text(message.data)
                    await self._pause_after(len(message.data))
                case WSMsgType.BINARY:
                    await self._connection.receive_binary()
                    await self._pause_after(len(message.data))
                case WSMsgType.CLOSE:
                    # A close frame without a code arrives as 0 or None.
                    code = int(message.data or CLOSE_NO_STATUS)
                    echo = int(WSCloseCode.GOING_AWAY) if code == CLOSE_NO_STATUS else code
                    await self._close_websocket(echo)
                    return code
                case _:
                    # The transport broke, the message was too large, or we closed ourselves.
                    return CLOSE_ABNORMAL

    async def _pause_after(self, length: int) -> None:
        pause = self._connection.pause_after(length)
        if pause > 0.0 and not self._delayed:
            self._delayed = True
            _log.info("a client sends faster than it is read")
        # Even without a pause others come first: much may have arrived at once.
        await asyncio.sleep(pause)

    async def _close_websocket(self, code: int) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError, TimeoutError):
            await self._websocket.close(code=code)

    async def _write(self) -> None:
        while not self._done:
            await self._wake.wait()
            self._wake.clear()
            outbox, self._outbox = self._outbox, []
            try:
                for text in outbox:
                    await self._websocket.send_str(text)
                    self._backlog_bytes -= len(text)
            except (ConnectionError, RuntimeError):
                # The reader notices by itself that the socket is gone.
                return
            code = self._connection.close_code
            if code is not None and not self._outbox:
                await self._close_websocket(code)
                return

    def _transmit(self) -> None:
        if self._done:
            return
        for text in self._connection.tcmp.frames_to_send():
            self._outbox.append(text)
            self._backlog_bytes += len(text)
        if self._backlog_bytes > BACKLOG_MAX_BYTES and self._connection.close_code is None:
            _log.warning("a client does not read: cut off")
            self._connection.close(CLOSE_BACKLOG)
            return
        if self._connection.close_code is not None and self._abort_timer is None:
            # The writer may be stuck behind a client that no longer reads.
            self._abort_timer = self._loop.call_later(CLOSE_TIMEOUT, self._abort)
        if self._outbox or self._connection.close_code is not None:
            self._wake.set()
        self._rearm()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _rearm(self) -> None:
        at = self._connection.next_timer()
        if at == self._timer_at:
            return
        if at is not None and self._timer_at is not None and at > self._timer_at:
            # Every message moves it on. What fires early looks again.
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = at
        if at is not None:
            delay = max(0.0, at - self._clock.monotonic())
            self._timer = self._loop.call_later(delay, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = self._timer_at = None
        self._connection.handle_timer()
        if not self._done:
            self._rearm()
