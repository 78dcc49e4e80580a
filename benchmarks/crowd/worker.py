"""
One process of a crowd: reads commands from stdin, a JSON object in each line, and answers likewise.

``{"offer": rate, "seconds": s}`` begins joins at an even rate for a time, whatever becomes of them;
``{"fill": count, "at_once": n}`` joins and stays; ``{"await_tracks": n}`` waits until each of those
has a way to receive so many tracks; ``{"leave": true}`` lets them leave. The process ends with its
stdin.
"""

import asyncio
import json
import os
import random
import sys
from collections.abc import Callable, Coroutine
from time import perf_counter, process_time
from typing import Any

import aiohttp

from benchmarks.load import ClientConfig, Peer, PeerFailed, RspClient, SignalingFailed
from benchmarks.load.peer import make_certificate
from benchmarks.server import Account

from .outcome import Outcome

BUSY = 53006
TRACKS_SECONDS = 120.0
NICENESS = 5
"""The server goes first where processors are few."""


class Worker:
    """See the module; ``settings`` is what :class:`benchmarks.crowd.CrowdConfig` says."""

    def __init__(self, settings: dict[str, Any], http: aiohttp.ClientSession) -> None:
        self._settings, self._http = settings, http
        self._account = Account(**settings["account"])
        self._rng = random.Random(settings["seed"])
        self._certificate = make_certificate(self._rng)
        self._joins = 0
        self._staying: list[RspClient] = []
        self._leaving: set[asyncio.Task[None]] = set()

    async def handle(self, command: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked and return the answer."""
        cpu, began = process_time(), perf_counter()
        outcome = Outcome()
        match command:
            case {"offer": rate, "seconds": seconds}:
                await self._offer(outcome, rate, seconds, self._visit)
            case {"fill": count, "at_once": at_once}:
                await self._fill(outcome, count, at_once)
            case {"await_tracks": tracks}:
                waiting = (c.wait_subscribed(tracks, seconds=TRACKS_SECONDS) for c in self._staying)
                await asyncio.gather(*waiting)
            case {"leave": True}:
                await asyncio.gather(*(self._leave(client, 0.0) for client in self._staying))
                self._staying.clear()
        outcome.seconds = perf_counter() - began
        outcome.cpu_seconds = process_time() - cpu
        return outcome.as_message()

    async def _offer(
        self,
        outcome: Outcome,
        rate: float,
        seconds: float,
        begin: Callable[[Outcome], Coroutine[Any, Any, None]],
    ) -> None:
        tasks = []
        began = due = perf_counter()
        while due < began + seconds:
            await asyncio.sleep(max(0.0, due - perf_counter()))
            tasks.append(asyncio.create_task(begin(outcome)))
            due += 1 / rate
        outcome.offering_seconds = max(seconds, perf_counter() - began)
        await asyncio.gather(*tasks)

    async def _visit(self, outcome: Outcome) -> None:
        client = await self._join(outcome)
        if client is not None:
            task = asyncio.create_task(self._leave(client, self._settings["hold"]))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _fill(self, outcome: Outcome, count: int, at_once: int) -> None:
        turns = asyncio.Semaphore(at_once)

        async def join() -> None:
            async with turns:
                client = await self._join(outcome)
            if client is not None:
                self._staying.append(client)

        await asyncio.gather(*(join() for _ in range(count)))

    async def _join(self, outcome: Outcome) -> RspClient | None:
        """Return a participant that has joined and received, or None."""
        number, self._joins = self._joins, self._joins + 1
        rooms = self._settings["rooms"]
        room = rooms[number % len(rooms)]
        identity = f"crowd-{self._settings['seed']}-{number}"
        config = ClientConfig(certificate=self._certificate, video_codecs=("VP8",))
        peer = Peer(config, rng=self._random(), host=self._settings["host"])
        client = RspClient(
            self._http,
            peer,
            url=self._settings["signaling_url"],
            token=self._account.access_token(identity, room),
            room=room,
            rng=self._random(),
            heartbeat=30.0,
        )
        outcome.offered += 1
        began, patience = perf_counter(), self._settings["patience"]
        try:
            async with asyncio.timeout(patience):
                await client.join(seconds=patience)
                await peer.wait_connected(seconds=patience)
                if self._settings["media"]:
                    await peer.wait_until(lambda: _has_received(peer), seconds=patience)
        except SignalingFailed as error:
            if error.code == BUSY:
                outcome.busy += 1
            else:
                outcome.failed[f"signaling: {error}"] += 1
        except PeerFailed as error:
            outcome.failed[f"media: {error}"] += 1
        except TimeoutError:
            outcome.failed["nothing received in time"] += 1
        except (aiohttp.ClientError, OSError) as error:
            outcome.failed[type(error).__name__] += 1
        else:
            outcome.joined += 1
            outcome.latencies_ms.append(1000 * (perf_counter() - began))
            if self._settings["media"]:
                peer.stop_reading()
            return client
        await client.leave()
        return None

    async def _leave(self, client: RspClient, delay: float) -> None:
        await asyncio.sleep(delay)
        await client.leave()

    def _random(self) -> random.Random:
        return random.Random(self._rng.getrandbits(64))


def _has_received(peer: Peer) -> bool:
    return any(stream.counters.packets for stream in peer.core.media.inbound.values())


async def main() -> None:
    """Serve stdin until it ends."""
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    settings = json.loads(await reader.readline())
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        worker = Worker(settings, http)
        print("{}", flush=True)
        while line := await reader.readline():
            print(json.dumps(await worker.handle(json.loads(line))), flush=True)


if __name__ == "__main__":
    os.nice(NICENESS)
    asyncio.run(main())
