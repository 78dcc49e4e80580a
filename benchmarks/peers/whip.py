"""Any server with WHIP and WHEP endpoints, which somebody else runs."""

import argparse
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from benchmarks.load import Peer, WhipFailed, WhipSession
from benchmarks.peers import ServerFailed

NAME = "whip"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--whip-url", metavar="URL", help="endpoint to publish to")
    parser.add_argument("--whep-url", metavar="URL", help="endpoint to watch what is published")
    parser.add_argument(
        "--whip-token",
        nargs="+",
        default=[""],
        metavar="TOKEN",
        help="bearer tokens, which the publisher and then subscribers take in turn",
    )
    parser.add_argument(
        "--whip-pid", type=int, metavar="PID", help="of the server, on this machine"
    )


@asynccontextmanager
async def running(
    arguments: argparse.Namespace, *, host: str, publishers: int
) -> AsyncIterator["Endpoints"]:
    """Use endpoints that are there. :raises ServerFailed: without the options."""
    if not (arguments.whip_url and arguments.whep_url and arguments.whip_pid):
        raise ServerFailed("--peer whip needs --whip-url, --whep-url and --whip-pid")
    if publishers != 1:
        raise ServerFailed("a WHEP session receives one stream: --peer whip takes one publisher")
    name = _name_of(arguments.whip_pid)
    async with aiohttp.ClientSession() as http:
        yield Endpoints(arguments, name, http)


class Endpoints:
    """A server behind its endpoints."""

    def __init__(
        self, arguments: argparse.Namespace, version: str, http: aiohttp.ClientSession
    ) -> None:
        self.pid: int = arguments.whip_pid
        self.version = version
        self.notes = ("Whatever else that server does meanwhile is in its figure.",)
        self._arguments, self._http = arguments, http
        self._tokens = itertools.cycle(arguments.whip_token)

    async def publish(self, peer: Peer) -> None:
        """Let a peer, which has one section to send, publish it."""
        await self._start(peer, self._arguments.whip_url)

    async def subscribe(self, peer: Peer) -> None:
        """Let a peer receive what is published."""
        peer.core.add_section("video")
        await self._start(peer, self._arguments.whep_url)

    async def _start(self, peer: Peer, endpoint: str) -> None:
        whip = WhipSession(self._http, peer, endpoint=endpoint, token=next(self._tokens))
        try:
            await whip.start()
        except (WhipFailed, aiohttp.ClientError) as error:
            raise ServerFailed(f"{endpoint}: {error}") from error


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        raise ServerFailed(f"there is no process {pid}") from None
