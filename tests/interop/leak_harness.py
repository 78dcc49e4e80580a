"""
The whole server and its clients in one fresh process, which counts what joins and leaves cost.

Run by ``test_leaks.py``; prints one JSON object.
"""

import argparse
import asyncio
import ctypes
import gc
import heapq
import json
import os
import random
import socket
import struct
import sys
import weakref
from abc import ABCMeta
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any
from unittest import mock

import aiohttp
from yarl import URL

from benchmarks.load import AudioSettings, OpusEncoder
from benchmarks.server import free_port
from router.node import MediaNode
from signaling.app import Server
from signaling.auth.account import Account, load_or_make_account
from signaling.config import load_settings
from signaling.logs import configure_logs
from signaling.storage.store import Record
from tests.support import server as server_support
from tests.support.clients import Clients, Participant

AT_A_TIME = 8
"""Guests who are there together."""
AT_A_TIME_WARMING = 12
"""In the warm-up they are more, so that memory is not taken for a new peak later."""
SETTLE_TIMEOUT = 20.0
WINDOWS = 2
RESIDENT_BYTES_MAX = 1 << 20
SAMPLES = 6
SAMPLE_INTERVAL = 0.05


@dataclass(slots=True)
class Census:
    """What there is in the process."""

    objects: dict[str, int]
    """That the garbage collector knows of, see :func:`types`."""
    descriptors: int
    timers: dict[str, int]
    """What the event loop will call."""
    tasks: int
    threads: int
    occupancy: dict[str, int]
    """Of the media node: peers, sources, and ids in use."""
    plane: dict[str, int]
    """What the data planes themselves hold."""
    rooms: int
    participants: int
    connections: int
    resident_bytes: int


class Harness:
    """A server with one resident participant, and guests who come and go."""

    def __init__(self, server: Server, clients: Clients, node: MediaNode) -> None:
        self._server = server
        self._clients = clients
        self._node = node
        self._rng = random.Random(5)
        self._resident: Participant | None = None

    async def start(self) -> None:
        """Let the resident in."""
        self._resident = self._clients.participant("resident", "lobby")
        await self._resident.join()
        await self._resident.peer.wait_connected()

    async def run(self, joins: int, *, at_a_time: int = AT_A_TIME) -> None:
        """Let so many guests join, one half the resident's room and one half rooms of their own."""
        for first in range(0, joins, at_a_time):
            places = range(min(at_a_time, joins - first))
            await asyncio.gather(*(self._visit(first, place) for place in places))
        await self._settle()

    async def _visit(self, first: int, place: int) -> None:
        resident = self._resident
        assert resident is not None
        lobby = place % 2 == 0
        guest = self._clients.participant(
            f"guest{place}",
            "lobby" if lobby else f"own{first + place}",
            # What the resident keeps by number stays within bounds.
            number=100 + place,
        )
        await guest.join()
        await guest.peer.wait_connected()
        if lobby:
            await guest.wait_subscribed(2)
            streams = guest.peer.core.media.inbound.values()
            await guest.peer.wait_until(
                lambda: sum(1 for s in streams if s.publishers.get(resident.number)) >= 2
            )
        else:
            sent = guest.peer.core.media.outbound.values()
            await guest.peer.wait_until(lambda: all(s.counters.packets > 3 for s in sent))
        await guest.leave()
        self._clients.peers.discard(guest.peer)

    async def vanish(self, count: int) -> None:
        """
        Let guests go silent, and wait until the server has given them up.

        Of every four one does so with its media up and its socket open, one loses its socket too,
        one has not begun with ICE, and one has published over WHIP and never sends anything.
        """
        guests = [
            self._clients.participant(f"ghost{n}", "lobby", heartbeat=1.0, number=200 + n)
            for n in range(count)
            if n % 4 != 3
        ]
        for n, guest in enumerate(guests):
            await guest.join()
            if n % 3 == 2:
                await guest.vanish()
            else:
                await guest.peer.wait_connected()
        for n in range(3, count, 4):
            peer = self._clients.peer(receives=False)
            now = asyncio.get_running_loop().time()
            peer.core.publish(OpusEncoder(200 + n, AudioSettings(), self._rng), "sound", now)
            await self._clients.whip(peer, f"ghost{n}", "lobby").start()
            peer.close(silently=True)
            self._clients.peers.discard(peer)
        for n, guest in enumerate(guests):
            await guest.vanish()
            if n % 3 == 1:
                guest.abort_socket()
            self._clients.peers.discard(guest.peer)
        await self._settle()
        for guest in guests:
            # Only now, so that the server has noticed by itself.
            assert guest._websocket is not None
            await guest._websocket.close()
        await self._settle()

    async def _settle(self) -> None:
        """Wait until only the resident is left, and nothing is under way any more."""
        service = self._server.service
        assert service is not None
        deadline = monotonic() + SETTLE_TIMEOUT
        while service.participant_count > 1 or service.connection_count > 1:
            if monotonic() > deadline:
                raise TimeoutError(f"{service.participant_count} participants are left")
            await asyncio.sleep(0.05)
        await service.flush()
        # Idle HTTP connections of the client would count for the server as well.
        await asyncio.sleep(0.5)

    def _forget_frames(self) -> None:
        """Drop what the resident keeps by publisher: who was seen depends on chance."""
        assert self._resident is not None
        for stream in self._resident.peer.core.media.inbound.values():
            stream.publishers.clear()

    async def census(self) -> Census:
        """
        Count, several times within a short while.

        Of each type of objects the fewest, without what is under way; of each timer the most, as
        one that is just being handled is not there.
        """
        service = self._server.service
        assert service is not None
        loop: Any = asyncio.get_running_loop()
        self._forget_frames()
        objects, timers = None, None
        for _ in range(SAMPLES):
            await asyncio.sleep(SAMPLE_INTERVAL)
            # asyncio keeps cancelled timers until many have gathered or their time has come.
            loop._scheduled = [timer for timer in loop._scheduled if not timer.cancelled()]
            heapq.heapify(loop._scheduled)
            loop._timer_cancelled_count = 0
            gc.collect()
            # Formats that hold a count, of which a few are kept.
            struct._clearcache()  # type: ignore[attr-defined]
            # Which types were asked first whether they are of an abstract class.
            for kind in [o for o in gc.get_objects() if isinstance(o, ABCMeta)]:
                kind._abc_caches_clear()  # type: ignore[attr-defined]
            seen, due = types(), Counter(map(timer_name, loop._scheduled))
            objects = seen if objects is None else objects & seen
            timers = due if timers is None else timers | due
        assert objects is not None
        assert timers is not None
        counters = self._node.counters()
        # What is free is given back, so that what is resident is in use.
        del seen, due
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        return Census(
            objects=dict(objects),
            descriptors=len(os.listdir("/proc/self/fd")),
            timers=dict(timers),
            tasks=len(asyncio.all_tasks()),
            threads=len(os.listdir("/proc/self/task")),
            occupancy=self._node.occupancy(),
            plane={name: counters[name] for name in ("transports", "streams", "slots")},
            rooms=service.room_count,
            participants=service.participant_count,
            connections=service.connection_count,
            resident_bytes=resident_bytes(),
        )


def timer_name(timer: Any) -> str:
    """Return what a timer calls."""
    callback = timer._callback
    return str(getattr(callback, "__qualname__", callback))


def resident_bytes() -> int:
    """Return the memory of this process that is resident."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def types() -> Counter[str]:
    """
    Return how many objects there are of each type.

    Dead weak references are left out: sqlite3 keeps one for each cursor that it made, and drops
    them after every 200; so are the statements of which each connection keeps the last 128. And so
    are addresses: yarl keeps the last 128 that the clients parsed, and each WHIP resource has its
    own.
    """
    found = Counter(
        f"{type(o).__module__}.{type(o).__qualname__}"
        for o in gc.get_objects()
        if type(o) is not URL and (type(o) is not weakref.ReferenceType or o() is not None)
    )
    del found["sqlite3.Statement"]
    return found


async def measure(directory: Path, *, warm_up: int, joins: int, ghosts: int) -> dict[str, Any]:
    """Return the census before and after, and how long it took."""
    settings = load_settings(
        {
            "http_host": "127.0.0.1",
            "http_port": 0,
            "media_port": free_port(socket.SOCK_DGRAM, 2),
            "media_threads": 2,
            "data_dir": directory,
            "metrics_bind": "off",
            "session_timeout": 1.0,
            "whip_connect_timeout": 1.0,
            # Who is put off on a busy machine leaves nothing, and proves nothing.
            "busy_lag_ms": 0,
        }
    )
    account, _ = load_or_make_account(directory, random.Random(1))
    server = Server(settings, account=account, rng=random.Random(2))
    await server.start()
    try:
        async with aiohttp.ClientSession() as http:
            clients = Clients(
                http,
                url=f"http://127.0.0.1:{server.http_port}",
                account=as_client_account(account),
                seed=3,
            )
            assert server.service is not None
            node = server.service.node
            assert isinstance(node, MediaNode)
            harness = Harness(server, clients, node)
            async with prepared_statements(server):
                await harness.start()
                await harness.run(warm_up, at_a_time=AT_A_TIME_WARMING)
                await harness.vanish(ghosts)
            # The first one fills caches that it needs itself.
            await harness.census()
            # As text, so that it is no part of what is counted later.
            before = json.dumps(asdict(await harness.census()))
            began_at = monotonic()
            for _ in range(WINDOWS):
                await harness.run(joins)
                await harness.vanish(ghosts)
                after = await harness.census()
                grown = after.resident_bytes - json.loads(before)["resident_bytes"]
                if grown < RESIDENT_BYTES_MAX:
                    break
                # Once it may be an arena that the allocator took at a new peak; not twice.
                before = json.dumps(asdict(after))
            for peer in clients.peers:
                peer.close()
    finally:
        await server.close()
    return {
        "before": json.loads(before),
        "after": asdict(after),
        "seconds": monotonic() - began_at,
    }


@asynccontextmanager
async def prepared_statements(server: Server) -> AsyncIterator[None]:
    """
    Have the store prepare all statements by which it writes, at the end of a ``with`` block.

    There is one for a single row of each kind and one for several: which of them are needed first
    is chance, and either is kept for ever.
    """
    store = server.store
    assert store is not None
    put_all = store.put_all
    latest: dict[type[Record], dict[str, Record]] = {}

    async def noted(records: Sequence[Record]) -> None:
        for record in records:
            latest.setdefault(type(record), {})[record.sid] = record
        await put_all(records)

    with mock.patch.object(store, "put_all", noted):
        yield
    for alike in latest.values():
        some = list(alike.values())[-2:]
        await put_all(some[:1])
        await put_all(some)


def as_client_account(account: Account) -> server_support.Account:
    """Return the part of the account that clients need."""
    return server_support.Account(
        account_sid=account.account_sid,
        auth_token=account.auth_token,
        api_key_sid=account.api_key_sid,
        api_key_secret=account.api_key_secret,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--warm-up", type=int, default=100)
    parser.add_argument("--joins", type=int, default=200)
    parser.add_argument("--ghosts", type=int, default=8)
    arguments = parser.parse_args()
    configure_logs(level="warning", form="json", full_addresses=False)
    found = asyncio.run(
        measure(
            arguments.directory,
            warm_up=arguments.warm_up,
            joins=arguments.joins,
            ghosts=arguments.ghosts,
        )
    )
    json.dump(found, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
