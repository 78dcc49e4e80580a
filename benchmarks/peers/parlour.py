"""Parlour itself: publishers by WHIP, subscribers by signaling, as the SDK does it."""

import argparse
import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import aiohttp

from benchmarks.load import Peer, RspClient, SignalingFailed, WhipFailed, WhipSession
from benchmarks.peers import ServerFailed
from benchmarks.server import ServerProcess, running_server

NAME = "parlour"
ROOM = "compare"
JOIN_SECONDS = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare no options."""


@asynccontextmanager
async def running(
    arguments: argparse.Namespace, *, host: str, publishers: int
) -> AsyncIterator["Parlour"]:
    """Run the server of this checkout with one room."""
    settings = {"MAX_ROOM_PARTICIPANTS": "1000"}
    connector = aiohttp.TCPConnector(limit=0)  # each subscriber holds one
    async with (
        running_server(host=host, settings=settings) as server,
        aiohttp.ClientSession(connector=connector) as http,
    ):
        await server.create_room(http, UniqueName=ROOM, Type="group", MaxParticipants=1000)
        parlour = Parlour(server, http, publishers)
        try:
            yield parlour
        finally:
            await parlour.close()


class Parlour:
    """A server that is ready."""

    def __init__(self, server: ServerProcess, http: aiohttp.ClientSession, publishers: int) -> None:
        self.version = version("parlour")
        self.notes: tuple[str, ...] = ()
        self._server, self._http, self._publishers = server, http, publishers
        self._clients: list[RspClient] = []
        self._rng = random.Random(1)
        self._joined = 0

    @property
    def pid(self) -> int:
        """Of the server."""
        return self._server.pid

    async def publish(self, peer: Peer) -> None:
        """Let a peer, which has one section to send, publish it."""
        whip = WhipSession(
            self._http, peer, endpoint=f"{self._server.url}/whip/{ROOM}", token=self._token()
        )
        try:
            await whip.start()
        except WhipFailed as error:
            raise ServerFailed(str(error)) from error

    async def subscribe(self, peer: Peer) -> None:
        """Let a peer receive all that is published."""
        client = RspClient(
            self._http,
            peer,
            url=self._server.signaling_url,
            token=self._token(),
            room=ROOM,
            rng=random.Random(self._rng.getrandbits(64)),
        )
        try:
            await client.join(seconds=JOIN_SECONDS)
            self._clients.append(client)
            await client.wait_subscribed(self._publishers, seconds=JOIN_SECONDS)
        except SignalingFailed as error:
            raise ServerFailed(str(error)) from error

    async def close(self) -> None:
        """Let everybody go."""
        await asyncio.gather(*(client.vanish() for client in self._clients))

    def _token(self) -> str:
        self._joined += 1
        return self._server.account.access_token(f"participant-{self._joined}", ROOM)
