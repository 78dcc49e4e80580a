"""The limit under the load of a fan-out."""

import asyncio
import socket
import subprocess
from types import TracebackType
from typing import Self

from benchmarks import limit
from benchmarks.load.bursts import FrameSender
from benchmarks.network import Link
from benchmarks.processes import cpu_time
from router._fastpath.srtp import SrtpSession
from router.srtp import AEAD_AES_128_GCM

from .drop import sinks
from .pace import pace

FIRST_PORT = 40000
DRAIN_SECONDS = 0.05


class LimitRun:
    """The program with its publishers, in the server's place."""

    def __init__(self, link: Link, *, publishers: int, subscribers: int, suite: str) -> None:
        self._sinks = sinks(FIRST_PORT, subscribers) if link.is_loopback else []
        command = [
            *link.enter,
            str(limit.build()),
            link.servers,
            link.ours,
            str(FIRST_PORT),
            str(subscribers),
            suite,
            str(publishers),
        ]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        port = int(self._ask(""))
        self._sockets = [
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(publishers)
        ]
        self._senders = []
        for index, sending in enumerate(self._sockets):
            sending.bind((link.ours, 0))
            key, salt = limit.publisher_key(index)
            self._senders.append(
                FrameSender(
                    sending,
                    (link.servers, port),
                    SrtpSession.from_session_keys(AEAD_AES_128_GCM.id, key, salt),
                    publisher=index,
                    ssrc=limit.FIRST_SSRC + index,
                    payload_type=96,
                    transport_cc_id=5,
                    wraps=False,
                )
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        for one in (*self._sockets, *self._sinks):
            one.close()

    async def run(self, seconds: float, rate: float) -> float:
        """Return nanoseconds of CPU time per forwarded packet."""
        before, spent = self._counts(), cpu_time(self._process.pid)
        senders = [sender.send for sender in self._senders]
        await asyncio.to_thread(pace, senders, seconds=seconds, rate=rate)
        await asyncio.sleep(DRAIN_SECONDS)
        after, used = self._counts(), cpu_time(self._process.pid).since(spent)
        _, forwarded, _, bad, refused = (a - b for a, b in zip(after, before, strict=True))
        if bad or refused or not forwarded:
            raise RuntimeError(f"the limit went wrong: {after}")
        return used.process / forwarded

    def _counts(self) -> list[int]:
        return [int(word) for word in self._ask("\n").split()]

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()
        return self._process.stdout.readline()
