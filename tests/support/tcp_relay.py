"""A TCP relay on loopback that stalls, cuts and refuses connections when a test says so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class TcpRelay:
    """
    Stands between a client and a server.

    :param port: Port of the server on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.accepted = 0
        """Connections so far."""

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def close(self) -> None:
        """Cut everything and listen no more."""
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stall(self) -> None:
        """Keep all connections open, and new ones too, and pass nothing on."""
        self._flows.clear()

    def resume(self) -> None:
        """Pass on what came meanwhile, and what comes."""
        self._flows.set()

    def cut(self) -> None:
        """End all connections."""
        for task in self._tasks:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._flows.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass(reader, back))
                    group.create_task(self._pass(there, writer))
            finally:
                back.transport.abort()
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            # Whatever ends one side ends the other: that is what a relay is for.
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            await self._flows.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


@asynccontextmanager
async def tcp_relay(port: int) -> AsyncIterator[TcpRelay]:
    """Run a relay in front of a port until the block ends."""
    relay = TcpRelay(port)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.close()
