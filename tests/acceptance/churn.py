"""
Guests who come and go as they like, in a process of their own so that the canary is not slowed.

Run by ``test_churn.py``; prints one JSON object at the end.
"""

import argparse
import asyncio
import contextlib
import json
import random
import socket
from collections import Counter

import aiohttp

from benchmarks.load import (
    AudioSettings,
    OpusEncoder,
    PeerFailed,
    SignalingFailed,
    VideoSettings,
    Vp8Encoder,
    WhipFailed,
)
from tests.support.clients import Clients, Participant
from tests.support.server import Account

ROOMS = 3
GUESTS = 5
"""Who are there at a time, each in a loop of its own."""
VIDEO = VideoSettings(bitrate_bps=150_000, frames_per_second=10.0)
LATEST_JOIN = 15.0
"""Seconds that a join may take on a busy machine."""


class Churn:
    """Runs the guests, and counts what they did."""

    def __init__(self, clients: Clients, *, seconds: float, seed: int) -> None:
        self._clients = clients
        self._rng = random.Random(seed)
        self._loop = asyncio.get_running_loop()
        self._end = self._loop.time() + seconds
        self._names = 0
        self._lingering: list[Participant] = []
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []

    async def run(self) -> None:
        """Let guests come and go until the end."""
        await asyncio.gather(*(self._guest() for _ in range(GUESTS)))
        for guest in self._lingering:
            self._cut_socket(guest)

    async def _guest(self) -> None:
        while self._loop.time() < self._end:
            visit = self._rng.choices((self._participant, self._whip), (5, 1))[0]
            try:
                await visit()
            except (PeerFailed, SignalingFailed, TimeoutError, WhipFailed, OSError) as error:
                self.failures.append(f"{visit.__name__}: {error!r}")

    def _name(self) -> tuple[str, str]:
        self._names += 1
        return f"guest{self._names}", f"churn{self._rng.randrange(ROOMS)}"

    async def _participant(self) -> None:
        rng = self._rng
        guest = self._clients.participant(
            *self._name(), video=VIDEO, publishes=rng.random() < 0.7, heartbeat=2.0
        )
        joining = asyncio.create_task(guest.join(seconds=LATEST_JOIN))
        if rng.random() < 0.15:  # gone before it was in
            await asyncio.sleep(rng.uniform(0, 0.3))
            joining.cancel()
            await asyncio.gather(joining, return_exceptions=True)
            self._cut(guest)
            return
        await joining
        if rng.random() < 0.85:
            await guest.peer.wait_connected(seconds=LATEST_JOIN)
        for _ in range(rng.randrange(4)):
            await asyncio.sleep(rng.uniform(0, 1.0))
            await self._act(guest)
        await asyncio.sleep(rng.uniform(0, 2.0))
        await rng.choice((self._leave, self._leave, self._vanish, self._crash))(guest)

    async def _act(self, guest: Participant) -> None:
        rng = self._rng
        tracks = list(guest.tracks.values())
        match rng.randrange(6):
            case 0 if tracks:
                guest.unpublish(rng.choice(tracks))
                self.done["unpublished"] += 1
            case 1 if hasattr(guest, "camera") and not any(t.kind == "video" for t in tracks):
                guest.publish(guest.camera)
                self.done["published"] += 1
            case 2:
                guest.publish_data()
                self.done["data"] += 1
            case 3 if guest.peer.connected:
                guest.restart_ice()
                self.done["ice restarts"] += 1
            case 4:
                await guest.resume(seconds=LATEST_JOIN)
                self.done["resumed"] += 1
            case 5 if tracks:
                guest.set_enabled(rng.choice(tracks), enabled=rng.random() < 0.5)
                self.done["muted"] += 1

    async def _leave(self, guest: Participant) -> None:
        await guest.leave()
        self.done["left"] += 1

    async def _vanish(self, guest: Participant) -> None:
        await guest.vanish()
        self._lingering.append(guest)
        if len(self._lingering) > 20:
            self._cut_socket(self._lingering.pop(0))
        self.done["vanished"] += 1

    async def _crash(self, guest: Participant) -> None:
        self._cut(guest)
        await guest._stop_tasks()
        self.done["crashed"] += 1

    def _cut(self, guest: Participant) -> None:
        guest.peer.close(silently=True)
        self._clients.peers.discard(guest.peer)
        self._cut_socket(guest)

    def _cut_socket(self, guest: Participant) -> None:
        websocket = guest._websocket
        connection = websocket.get_extra_info("socket") if websocket is not None else None
        if connection is not None:
            with contextlib.suppress(OSError):  # The server was quicker.
                connection.shutdown(socket.SHUT_RDWR)

    async def _whip(self) -> None:
        rng = self._rng
        protocol = rng.choice(("whip", "whep"))
        peer = self._clients.peer()
        if protocol == "whip":
            now = self._loop.time()
            peer.core.publish(OpusEncoder(1, AudioSettings(), rng), "sound", now)
            peer.core.publish(Vp8Encoder(1, VIDEO, rng), "picture", now)
        else:
            peer.core.descriptions.section_to_send("audio")
            peer.core.descriptions.section_to_send("video")
        session = self._clients.whip(peer, *self._name(), protocol=protocol)
        await session.start()
        await peer.wait_connected(seconds=LATEST_JOIN)
        await asyncio.sleep(rng.uniform(0, 2.0))
        if rng.random() < 0.5:
            await session.stop()
        else:
            peer.close(silently=True)
        self._clients.peers.discard(peer)
        self.done[protocol] += 1


class Noise:
    """Sends nonsense to the media ports from many addresses."""

    def __init__(self, ports: list[int], *, seed: int) -> None:
        self._ports = ports
        self._rng = random.Random(seed)
        self.sent = 0

    async def run(self) -> None:
        """Send a thousand datagrams a second, until cancelled."""
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
        try:
            while True:
                for _ in range(50):
                    sender = self._rng.choice(sockets)
                    sender.sendto(self._datagram(), ("127.0.0.1", self._rng.choice(self._ports)))
                    self.sent += 1
                await asyncio.sleep(0.05)
        finally:
            for sender in sockets:
                sender.close()

    def _datagram(self) -> bytes:
        rng = self._rng
        size = rng.choice((1, 11, 20, 60, 200, 1200))
        match rng.randrange(4):
            case 0:  # STUN, with attributes of any kind
                body = rng.randbytes(size & ~3)
                return (
                    b"\0\1"
                    + len(body).to_bytes(2, "big")
                    + b"\x21\x12\xa4\x42"
                    + rng.randbytes(12)
                    + body
                )
            case 1:  # DTLS
                return b"\x16\xfe\xfd" + rng.randbytes(size)
            case 2:  # RTP and RTCP
                return bytes([0x80 | rng.randrange(64), rng.randrange(256)]) + rng.randbytes(size)
            case _:
                return rng.randbytes(size)


async def main(arguments: argparse.Namespace) -> None:
    """Run guests and noise against a server."""
    account = Account(**json.loads(arguments.account))
    async with aiohttp.ClientSession() as http:
        clients = Clients(http, url=arguments.url, account=account, seed=arguments.seed)
        churn = Churn(clients, seconds=arguments.seconds, seed=arguments.seed)
        noise = Noise(arguments.media_ports, seed=arguments.seed)
        noisy = asyncio.create_task(noise.run())
        await churn.run()
        noisy.cancel()
        await asyncio.gather(noisy, return_exceptions=True)
        for peer in clients.peers:
            peer.close(silently=True)
    print(json.dumps({"done": churn.done, "failures": churn.failures, "noise": noise.sent}))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--account", required=True)
    parser.add_argument("--media-ports", type=int, nargs="+", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(parse_arguments()))
