"""The limit under the load of a fan-out."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from cryptography.exceptions import InvalidTag

from benchmarks import limit
from benchmarks.network import Link
from benchmarks.processes import DIES_WITH_US, cpu_time
from benchmarks.server import free_port
from router._fastpath.srtp import SrtpSession
from router.rtp import parse_packet
from router.srtp import AEAD_AES_128_GCM

from .drop import sinks
from .pace import pace
from .sampled import Continuity, WrongPacket

DRAIN_SECONDS = 0.05


class LimitRun:
    """
    The program with its publishers, in the server's place. The first subscriber's packets arrive,
    as the server's sampled one's do, and are opened and compared.

    :param processors: It stays on the last of these; empty: the scheduler chooses.
    """

    def __init__(
        self,
        link: Link,
        *,
        publishers: int,
        subscribers: int,
        suite: str,
        processors: Sequence[int] = (),
    ) -> None:
        from benchmarks.engine import Capture, FrameSender

        first_port = free_port(socket.SOCK_DGRAM, subscribers)
        self._suite = suite
        self._receiving = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._receiving.setblocking(False)
        self._capture = Capture(self._receiving)
        self._receiving.bind((link.ours, first_port))
        if link.is_loopback:
            self._sinks = sinks(first_port + 1, subscribers - 1)
        else:
            self._sinks = []
            link.let_through(first_port)
        command = [
            *DIES_WITH_US,
            *link.enter,
            str(limit.build()),
            link.servers,
            link.ours,
            str(first_port),
            str(subscribers),
            suite,
            str(publishers),
        ]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if processors:
            os.sched_setaffinity(self._process.pid, processors[-1:])
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
                    transport_cc_id=limit.INBOUND_TRANSPORT_CC_ID,
                    wraps=False,
                )
            )
        self.continuity = Continuity(dict(enumerate(self._senders)), limit.OUTBOUND_TRANSPORT_CC_ID)

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
        for one in (*self._sockets, *self._sinks, self._receiving):
            one.close()

    async def run(self, seconds: float, rate: float) -> float:
        """
        Return nanoseconds of CPU time per forwarded packet.

        :raises WrongPacket: when what the first subscriber got is not right.
        """
        before, spent = self._counts(), cpu_time(self._process.pid)
        await pace(self._senders, [self._capture], seconds=seconds, rate=rate)
        await asyncio.sleep(DRAIN_SECONDS)
        after, used = self._counts(), cpu_time(self._process.pid).since(spent)
        self._capture.read()
        self._check()
        _, forwarded, _, bad, refused = (a - b for a, b in zip(after, before, strict=True))
        if bad or refused or not forwarded:
            raise RuntimeError(f"the limit went wrong: {after}")
        return used.process / forwarded

    def _check(self) -> None:
        for data, at_ns in self._capture.take():
            try:
                packet = parse_packet(limit.open_first_subscribers(data, self._suite))
            except InvalidTag:
                raise WrongPacket("a packet of the limit does not authenticate") from None
            self.continuity.take(packet, at_ns)

    def _counts(self) -> list[int]:
        return [int(word) for word in self._ask("\n").split()]

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()
        return self._process.stdout.readline()
