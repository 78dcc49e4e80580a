"""The processes of a crowd, and the rooms that they join."""

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any, Self

import aiohttp

from benchmarks.load import AudioSettings, ClientConfig, OpusEncoder, Peer, RspClient
from benchmarks.load.peer import make_certificate
from benchmarks.server import ServerProcess

from .outcome import Outcome

START_SECONDS = 30.0
SPEAK = AudioSettings(bitrate_bps=16_000)
"""What the publisher of each room sends, so that who joins has something to receive."""
LINE_LIMIT = 1 << 26

OPEN_TO_ONE_ADDRESS = {
    "JOINS_PER_ADDRESS": "0",
    "CONNECTIONS_PER_ADDRESS": "0",
    "REQUESTS_PER_ADDRESS": "0",
    "MAX_ROOM_PARTICIPANTS": "1000",
}
"""Settings of the server: the limits against one noisy address, which here is all the world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdConfig:
    """How a crowd behaves."""

    rooms: Sequence[str]
    """Joined in turn."""
    media: bool = True
    """Whether somebody speaks in them; a join ends with the first packet then."""
    workers: int = 2
    """Processes."""
    first_seed: int = 0
    """Of the first process; crowds of one server must not share seeds."""
    hold: float = 0.5
    """Seconds from the first packet to leaving; well below the 30 that consent lasts."""
    patience: float = 10.0
    """Seconds until a join counts as failed."""


class Crowd:
    """Use :meth:`running`."""

    def __init__(self, processes: list[asyncio.subprocess.Process]) -> None:
        self._processes = processes

    @classmethod
    @asynccontextmanager
    async def running(cls, server: ServerProcess, config: CrowdConfig) -> AsyncIterator[Self]:
        """Start the processes, and end them with the block."""
        processes: list[asyncio.subprocess.Process] = []
        try:
            for number in range(config.workers):
                processes.append(
                    await asyncio.create_subprocess_exec(
                        *(sys.executable, "-m", "benchmarks.crowd.worker"),
                        stdin=asyncio.subprocess.PIPE,
                        stdout=asyncio.subprocess.PIPE,
                        limit=LINE_LIMIT,
                    )
                )
                settings = {
                    "account": asdict(server.account),
                    "signaling_url": server.signaling_url,
                    "host": server.host,
                    "seed": config.first_seed + number,
                    **asdict(config),
                }
                await _say(processes[-1], settings)
            async with asyncio.timeout(START_SECONDS):
                await asyncio.gather(*map(_hear, processes))
            yield cls(processes)
        finally:
            for process in processes:
                if process.returncode is None:
                    process.kill()
                await process.wait()

    async def offer(self, rate: float, seconds: float) -> Outcome:
        """Begin ``rate`` joins a second in all, whatever becomes of them."""
        return await self._ask({"offer": rate / len(self._processes), "seconds": seconds})

    async def fill(self, count: int, *, at_once: int = 4) -> Outcome:
        """Let ``count`` in all join and stay; each worker has ``at_once`` under way."""
        share, rest = divmod(count, len(self._processes))
        shares = [share + (number < rest) for number in range(len(self._processes))]
        return await self._ask_each([{"fill": n, "at_once": at_once} for n in shares])

    async def await_tracks(self, count: int) -> None:
        """Wait until all that stayed have a way to receive so many tracks."""
        await self._ask({"await_tracks": count})

    async def leave(self) -> Outcome:
        """Let all that stayed leave in good order."""
        return await self._ask({"leave": True})

    async def _ask(self, command: dict[str, Any]) -> Outcome:
        return await self._ask_each([command] * len(self._processes))

    async def _ask_each(self, commands: list[dict[str, Any]]) -> Outcome:
        for process, command in zip(self._processes, commands, strict=True):
            await _say(process, command)
        return Outcome.from_messages(await asyncio.gather(*map(_hear, self._processes)))


@asynccontextmanager
async def speaking_rooms(
    server: ServerProcess, http: aiohttp.ClientSession, names: Sequence[str]
) -> AsyncIterator[None]:
    """Make the rooms, each with one participant who speaks."""
    rng = random.Random(2)
    certificate = make_certificate(rng)
    async with AsyncExitStack() as stack:
        for number, name in enumerate(names):
            await server.create_room(http, UniqueName=name, Type="group", MaxParticipants=1000)
            config = ClientConfig(certificate=certificate, video_codecs=("VP8",))
            peer = Peer(config, rng=random.Random(rng.getrandbits(64)), host=server.host)
            client = RspClient(
                http,
                peer,
                url=server.signaling_url,
                token=server.account.access_token("speaker", name),
                room=name,
                rng=random.Random(rng.getrandbits(64)),
            )
            client.publish(OpusEncoder(number, SPEAK, rng))
            stack.push_async_callback(client.leave)
            await client.join()
            await peer.wait_connected()
        yield


async def _say(process: asyncio.subprocess.Process, message: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")
    await process.stdin.drain()


async def _hear(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"a process of the crowd ended with {await process.wait()}")
    message: dict[str, Any] = json.loads(line)
    return message
