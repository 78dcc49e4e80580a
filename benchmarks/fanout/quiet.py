"""Sockets that are read now and then, by the clock."""

import asyncio
import select
import socket
from collections.abc import Callable

INTERVAL = 0.01
"""Seconds."""


class QuietReader:
    """
    Reads sockets every few milliseconds, so that nobody sleeps on them.

    Whoever sends to a socket that somebody sleeps on pays for waking them: on virtual machines tens
    of microseconds where that is on another processor. Over a network the sender never does.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], object]] = {}
        self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._fire)

    def add(self, receiving: socket.socket, reader: Callable[[], object]) -> None:
        """Call ``reader`` when there is something to read; nothing else may watch the socket."""
        self._readers[receiving.fileno()] = reader
        self._epoll.register(receiving, select.EPOLLIN)

    def close(self) -> None:
        """Read no more."""
        self._timer.cancel()
        self._epoll.close()

    def _fire(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._fire)
        for descriptor, _ in self._epoll.poll(0, len(self._readers) or 1):
            self._readers[descriptor]()
