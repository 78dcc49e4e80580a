"""
Takes connections: bounded for each address, over TLS where asked for.

The loop's own servers know one TLS context and no addresses until the handshake is over; so
connections are accepted here and handed to the loop one by one.
"""

import asyncio
import errno
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeAlias, cast

import structlog

from signaling.edge.clients import ClientFinder, limit_key, plain_address

HANDSHAKE_TIMEOUT = 10.0
"""Seconds for the TLS handshake."""
UNREAD_TIMEOUT = 60.0
"""Seconds after which a connection ends whose peer acknowledges nothing, or reads nothing."""
ACCEPT_BATCH = 256
"""Connections accepted before others have a turn."""
ACCEPT_PAUSE = 1.0
"""Seconds until the next connection is accepted when there are no descriptors left."""
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Begin: TypeAlias = Callable[[asyncio.Protocol, asyncio.Transport], None]
"""Tells a protocol that its connection is made, and of what came on it before."""

_log = structlog.get_logger(__name__)


class Entrance(Protocol):
    """Meets connections as bare sockets, before there are transports and protocols for them."""

    @property
    def is_open(self) -> bool:
        """Return whether to give it the connections that come."""

    def receive(
        self,
        connection: socket.socket,
        leave: Callable[[], None],
        pass_on: Callable[[Begin], None],
    ) -> None:
        """
        Take a connection.

        :param connection: Does not block.
        :param leave: To be called when it was closed.
        :param pass_on: Gives the connection to a protocol of the listener, instead of closing it.
        """


class ConnectionGate:
    """
    Bounds the connections of each address, of all listeners together.

    :param most: Connections; 0: no limit.
    :param finder: Proxies that it trusts bring many clients, and are not bounded.
    """

    def __init__(self, *, most: int, finder: ClientFinder) -> None:
        self._most = most
        self._finder = finder
        self._open: Counter[str] = Counter()
        self.refused = 0
        """Connections that were refused."""

    def enter(self, address: str) -> Callable[[], None] | None:
        """
        Count a connection.

        :return: What ends it, once, however often it is called; None when there are too many.
        """
        key = limit_key(address)
        if self._most and self._open[key] >= self._most and not self._finder.trusts(address):
            self.refused += 1
            return None
        self._open[key] += 1
        counted = True

        def leave() -> None:
            nonlocal counted
            if counted:
                counted = False
                self._open[key] -= 1
                if not self._open[key]:
                    del self._open[key]

        return leave

    def __len__(self) -> int:
        """Return the number of addresses that have connections."""
        return len(self._open)


class _Counted(asyncio.Protocol):
    """Passes everything to another protocol, and tells when the connection is gone."""

    def __init__(self, inner: asyncio.Protocol, leave: Callable[[], None], begin: Begin) -> None:
        self._inner = inner
        self._leave = leave
        self._begin = begin
        self.data_received = inner.data_received  # type: ignore[method-assign]
        self.eof_received = inner.eof_received  # type: ignore[method-assign]
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._begin(self._inner, cast("asyncio.Transport", transport))

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._inner.connection_lost(exc)


def _begin(protocol: asyncio.Protocol, transport: asyncio.Transport) -> None:
    protocol.connection_made(transport)


class Listener:
    """
    Listens on an address and makes a protocol for each connection.

    :param factory: Makes the protocols.
    :param entrance: Meets the connections while it is open, but for those over TLS.
    :param tls: Returns the context for a new connection; None serves without TLS.
    """

    def __init__(
        self,
        factory: Callable[[], asyncio.Protocol],
        *,
        host: str,
        port: int,
        backlog: int,
        gate: ConnectionGate,
        entrance: Entrance | None = None,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._factory = factory
        self._host = host
        self._port = port
        self._backlog = backlog
        self._gate = gate
        self._entrance = None if tls is not None else entrance
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """
        Bind and listen; return the port of the first socket.

        :raises OSError: when an address cannot be bound. ``UnicodeError`` when a name cannot be.
        """
        found = await self._loop.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        try:
            for family, kind, protocol, _, address in dict.fromkeys(found):
                bound = socket.socket(family, kind, protocol)
                self._sockets.append(bound)
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                # Connections inherit these.
                bound.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD_TIMEOUT * 1000)
                )
                bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if family == socket.AF_INET6:
                    # "::" is every address of this machine, IPv4 too.
                    only = int(self._host != "::")
                    bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
                bound.bind(address)
                bound.listen(self._backlog)
                bound.setblocking(False)
        except OSError:
            self._close_sockets()
            raise
        for bound in self._sockets:
            self._loop.add_reader(bound, self._accept, bound)
        port: int = self._sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Take no more connections; those that are open stay."""
        for bound in self._sockets:
            self._loop.remove_reader(bound)
        self._close_sockets()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _close_sockets(self) -> None:
        for bound in self._sockets:
            bound.close()
        self._sockets.clear()

    def _accept(self, bound: socket.socket) -> None:
        for _ in range(ACCEPT_BATCH):
            try:
                connection, address = bound.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    _log.error("no connection can be accepted", reason=error.strerror)
                    self._loop.remove_reader(bound)
                    self._loop.call_later(ACCEPT_PAUSE, self._accept_again, bound)
                return
            leave = self._gate.enter(plain_address(str(address[0])))
            if leave is None:
                connection.close()
                continue
            connection.setblocking(False)
            if self._entrance is not None and self._entrance.is_open:
                pass_on = partial(self._serve_soon, connection, leave)
                self._entrance.receive(connection, leave, pass_on)
            else:
                self._serve_soon(connection, leave, _begin)

    def _accept_again(self, bound: socket.socket) -> None:
        if bound in self._sockets:
            self._loop.add_reader(bound, self._accept, bound)

    def _serve_soon(
        self, connection: socket.socket, leave: Callable[[], None], begin: Begin
    ) -> None:
        task = self._loop.create_task(self._serve(connection, leave, begin))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(
        self, connection: socket.socket, leave: Callable[[], None], begin: Begin
    ) -> None:
        """Hand a connection to the loop; over TLS, wait for the end of the handshake."""
        handed = False
        try:
            protocol = _Counted(self._factory(), leave, begin)
            context = None if self._tls is None else self._tls()
            handed = True
            await self._loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=context,
                ssl_handshake_timeout=None if context is None else HANDSHAKE_TIMEOUT,
            )
        except OSError as error:
            # Timeouts and faults of TLS are such, too. Anybody can cause as many as they like.
            leave()
            _log.debug("a connection failed", reason=type(error).__name__)
        except BaseException:
            leave()
            raise
        finally:
            if not handed:
                connection.close()
