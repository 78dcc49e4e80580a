"""The real server in a process of its own, for the length of a scenario."""

import argparse
import asyncio
import itertools
import json
import os
import random
import signal
import socket
import sys
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.processes import DIES_WITH_US
from signaling.auth.access_token import mint_access_token
from signaling.ids import AccountSid, ApiKeySid

START_TIMEOUT = 120.0
"""Seconds. The start takes one of CPU time, which a busy machine may give it bit by bit."""
ANSWER_TIMEOUT = 10.0
STOP_TIMEOUT = 15.0
PORTS = range(20000, 30000)
"""Ports are looked for here, below those that the kernel gives to clients."""
_places = itertools.count(random.SystemRandom().randrange(len(PORTS)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The credentials of the server's one account."""

    account_sid: str
    auth_token: str
    api_key_sid: str
    api_key_secret: str

    def access_token(self, identity: str, room: str | None = None) -> str:
        """Return a token as a customer's back end makes it."""
        return mint_access_token(
            account_sid=AccountSid(self.account_sid),
            key_sid=ApiKeySid(self.api_key_sid),
            secret=self.api_key_secret,
            identity=identity,
            room=room,
            now=datetime.now(UTC),
        )

    def back_end(self) -> dict[str, str]:
        """Return the header by which a back end is known to REST."""
        pair = f"{self.api_key_sid}:{self.api_key_secret}"
        return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProcess:
    """A server that is ready."""

    process: asyncio.subprocess.Process
    host: str
    """Where HTTP, metrics and media are reached."""
    http_port: int
    media_port: int
    metrics_port: int
    account: Account

    @property
    def pid(self) -> int:
        """Of the server itself, also where it stands in a namespace."""
        return self.process.pid

    @property
    def url(self) -> str:
        """The base URL of REST."""
        return f"http://{self.host}:{self.http_port}"

    @property
    def signaling_url(self) -> str:
        """What a page gives as ``wsServer``."""
        return f"ws://{self.host}:{self.http_port}/signaling"

    def cpu_seconds(self) -> float:
        """Return the CPU time that the process has used so far, user and system."""
        stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    async def metrics(self, http: aiohttp.ClientSession) -> dict[str, float]:
        """Return what Prometheus would scrape: values by name with labels."""
        async with http.get(f"http://{self.host}:{self.metrics_port}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    async def create_room(self, http: aiohttp.ClientSession, **fields: Any) -> dict[str, Any]:
        """Make a room over REST, as a back end does, and return its resource."""
        async with http.post(
            f"{self.url}/v1/Rooms", data=fields, headers=self.account.back_end()
        ) as answer:
            room: dict[str, Any] = await answer.json()
            if answer.status != 201:
                raise RuntimeError(f"the room was refused: {room}")
            return room


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM, count: int = 1) -> int:
    """
    Return the first of ``count`` consecutive ports of this machine that nobody uses now.

    A process is given no port again before it was given all of :data:`PORTS`: two that are asked
    for before either is used are never the same.
    """
    for _ in range(200):
        ports = [PORTS[next(_places) % len(PORTS)] for _ in range(count)]
        if ports[-1] - ports[0] != count - 1:
            continue
        try:
            for port in ports:
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return ports[0]
    raise RuntimeError(f"found no {count} consecutive free ports")


def add_pin_argument(parser: argparse.ArgumentParser) -> None:
    """Declare ``--pin`` and ``--no-pin``."""
    parser.add_argument(
        "--pin",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="keep each plane thread (MEDIA_CPUS) on a processor of its own, the last ones",
    )


def last_processors(count: int) -> tuple[int, ...]:
    """Return that many of those that we may use, fewer when there are fewer."""
    return tuple(sorted(os.sched_getaffinity(0))[-count:])


def media_cpus(processors: Sequence[int]) -> dict[str, str]:
    """Return the setting that keeps plane threads there; none: the scheduler chooses."""
    return {"MEDIA_CPUS": ",".join(map(str, processors))}


@asynccontextmanager
async def running_server(
    *,
    media_threads: int = 1,
    host: str = "127.0.0.1",
    command_prefix: Sequence[str] = (),
    settings: dict[str, str] | None = None,
    account: Account | None = None,
) -> AsyncIterator[ServerProcess]:
    """
    Run ``parlour serve`` with a data directory of its own, and stop it as an operator would.

    :param host: Address to serve HTTP on and to announce for media; where it is not of this network
        namespace, ``command_prefix`` has to enter one that has it.
    :param command_prefix: Put before the command, such as ``nsenter --net=... --``; it has to
        execute the command in its own place.
    :param settings: Further settings, upper-case names without the ``PARLOUR_`` prefix.
    :param account: The account to use; the server makes one by itself when there is none.
    :raises RuntimeError: when it does not become ready; the log is in the message.
    """
    http_port, metrics_port = free_port(), free_port()
    media_port = free_port(socket.SOCK_DGRAM, media_threads)
    with tempfile.TemporaryDirectory(prefix="parlour-bench-") as directory:
        data_dir = Path(directory)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PARLOUR_")
        } | {
            "PARLOUR_HTTP_HOST": host,
            "PARLOUR_HTTP_PORT": str(http_port),
            "PARLOUR_MEDIA_HOST": host,
            "PARLOUR_MEDIA_ADDRESSES": host,
            "PARLOUR_MEDIA_PORT": str(media_port),
            "PARLOUR_MEDIA_THREADS": str(media_threads),
            "PARLOUR_DATA_DIR": str(data_dir),
            "PARLOUR_METRICS_BIND": f"{host}:{metrics_port}",
            **{
                f"PARLOUR_{name.upper()}": getattr(account, name)
                for name in Account.__slots__
                if account is not None
            },
            **{f"PARLOUR_{name}": value for name, value in (settings or {}).items()},
        }
        command = (
            *DIES_WITH_US,
            *command_prefix,
            str(Path(sys.executable).parent / "parlour"),
            "serve",
        )
        log = data_dir / "server.log"
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command, env=environment, stdout=output, stderr=output
            )
        try:
            await _wait_ready(process, f"http://{host}:{http_port}/readyz", log)
            if account is None:
                stored = json.loads((data_dir / "account.json").read_text())
                account = Account(**{name: stored[name] for name in Account.__slots__})
            yield ServerProcess(
                process=process,
                host=host,
                http_port=http_port,
                media_port=media_port,
                metrics_port=metrics_port,
                account=account,
            )
        finally:
            await _stop(process)


async def _wait_ready(process: asyncio.subprocess.Process, url: str, log: Path) -> None:
    deadline = asyncio.get_running_loop().time() + START_TIMEOUT
    timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        while True:
            try:
                async with http.get(url) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            if process.returncode is not None:
                raise RuntimeError(f"the server ended ({process.returncode}):\n{_end_of(log)}")
            if asyncio.get_running_loop().time() > deadline:
                raise RuntimeError(
                    f"the server was not ready in {START_TIMEOUT:.0f} s:\n{_end_of(log)}"
                )
            await asyncio.sleep(0.05)


def _end_of(log: Path) -> str:
    return log.read_text()[-4000:]


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
    except BaseException:
        process.kill()
        await process.wait()
        raise
