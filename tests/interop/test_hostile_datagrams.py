"""
What strangers and a forger on the path send to the media port while a call goes on.

The call is not affected, nothing crashes, what is refused is counted, and an address that ICE has
not validated never gets more bytes than it sent.
"""

import asyncio
import hashlib
import hmac
import random
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from benchmarks.load.peer import Peer
from router.net import Address, DatagramKind, datagram_kind
from tests.support.clients import (
    Clients,
    Participant,
    arrived,
    assert_both_ways,
    join_all,
    until_media_arrives,
)
from tests.support.server import Server

SAMPLES_PER_KIND = 24
QUIET = 0.15
"""Seconds without a reply after which none is waited for any more."""
STUN_COOKIE = 0x2112A442


class Tap:
    """Keeps samples of what a client sends. :param peer: From before it has sent anything."""

    def __init__(self, peer: Peer) -> None:
        self.samples: dict[DatagramKind | None, list[bytes]] = {}
        self._take = peer.core.datagrams_to_send
        peer.core.datagrams_to_send = self._tapped  # type: ignore[method-assign]

    def _tapped(self) -> list[tuple[bytes, Address]]:
        taken = self._take()
        for data, _ in taken:
            kept = self.samples.setdefault(datagram_kind(data), [])
            if len(kept) < SAMPLES_PER_KIND:
                kept.append(data)
        return taken


class Stranger:
    """A socket that no peer knows of, and the sum of what went each way."""

    def __init__(self, server: Address) -> None:
        self.sent = 0
        self.received = 0
        self._server = server
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    async def send(self, datagrams: Iterable[bytes]) -> None:
        """Send all, and take what comes back."""
        for number, data in enumerate(datagrams):
            self._socket.sendto(data, self._server)
            self.sent += len(data)
            if number % 32 == 31:
                await asyncio.sleep(0.001)
                self._receive()
        loop = asyncio.get_running_loop()
        quiet_at = loop.time() + QUIET
        while loop.time() < quiet_at:
            await asyncio.sleep(0.01)
            if self._receive():
                quiet_at = loop.time() + QUIET

    def _receive(self) -> bool:
        before = self.received
        try:
            while True:
                self.received += len(self._socket.recv(2048))
        except BlockingIOError:
            return self.received > before


@dataclass
class Call:
    """A call of two, one of whom is tapped."""

    alice: Participant
    bob: Participant
    tap: Tap
    server: Address
    rng: random.Random
    metrics: "Metrics"

    @property
    def samples(self) -> list[bytes]:
        """Some of everything that the tapped client sent."""
        return [data for kept in self.tap.samples.values() for data in kept]

    def spoof(self, datagrams: Iterable[bytes]) -> None:
        """Send from the tapped client's own address."""
        for data in datagrams:
            self.alice.peer._socket.sendto(data, self.server)


class Metrics:
    """Reads the server's metrics."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    async def read(self) -> dict[str, float]:
        """Return all values by name with labels."""
        async with self._clients.http.get(f"{self._clients.url}/metrics") as answer:
            assert answer.status == 200
            text = await answer.text()
        lines = (line for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in (x.rpartition(" ") for x in lines)}


@pytest_asyncio.fixture(loop_scope="session")
async def call(server: Server, clients: Clients, room: str) -> AsyncIterator[Call]:
    """Let two clients meet."""
    alice, bob = clients.participant("alice", room), clients.participant("bob", room)
    tap = Tap(alice.peer)
    await join_all(alice, bob)
    await asyncio.gather(until_media_arrives(alice, bob), until_media_arrives(bob, alice))
    kinds = (DatagramKind.STUN, DatagramKind.DTLS, DatagramKind.RTP, DatagramKind.RTCP)
    await alice.peer.wait_until(lambda: all(tap.samples.get(kind) for kind in kinds))
    yield Call(
        alice,
        bob,
        tap,
        Address("127.0.0.1", server.media_port),
        random.Random(11),
        Metrics(clients),
    )
    # It is the same call that it was: nobody had to start anything anew.
    for participant in (alice, bob):
        assert participant.failure is None
        assert participant.offers_sent == 1
    await assert_both_ways(alice, bob, seconds=1)
    await alice.leave()
    await bob.leave()


def random_datagrams(rng: random.Random, count: int) -> Iterator[bytes]:
    """Yield noise of all lengths, with first bytes of all protocols."""
    for number in range(count):
        data = bytearray(rng.randbytes(rng.choice((0, 1, 2, 11, 12, 13, 19, 20, 60, 300, 1400))))
        if data:
            data[0] = number & 0xFF
        yield bytes(data)


def truncated(rng: random.Random, samples: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the beginnings of datagrams."""
    for data in samples:
        lengths = {1, 2, 11, 12, 13, 19, 20, 21, len(data) - 1, len(data) // 2}
        lengths |= {rng.randrange(1, len(data)) for _ in range(6)}
        for length in sorted(lengths):
            if 0 < length < len(data):
                yield data[:length]


def altered(rng: random.Random, samples: Iterable[bytes]) -> Iterator[bytes]:
    """Yield datagrams with one to four bits changed, the checksums of STUN made right again."""
    for data in samples:
        for _ in range(8):
            changed = bytearray(data)
            for _ in range(rng.choice((1, 1, 2, 4))):
                at = rng.randrange(len(changed))
                changed[at] ^= 1 << rng.randrange(8)
            if bytes(changed) == data:
                continue
            if datagram_kind(bytes(changed)) is DatagramKind.STUN:
                changed[-4:] = fingerprint(bytes(changed[:-8]))
            yield bytes(changed)


def fingerprint(message: bytes) -> bytes:
    """Return the value of STUN's FINGERPRINT over what stands before it."""
    return struct.pack("!I", zlib.crc32(message) ^ 0x5354554E)


def binding_request(username: bytes, password: bytes | None, rng: random.Random) -> bytes:
    """Return a check as ICE sends it, signed with a password or not at all."""
    body = struct.pack("!HH", 0x0006, len(username)) + username + bytes(-len(username) % 4)
    body += struct.pack("!HHI", 0x0024, 4, 1) + struct.pack("!HHQ", 0x802A, 8, 1)
    body += struct.pack("!HH", 0x0025, 0)

    def head(length: int) -> bytes:
        return struct.pack("!HHI", 1, length, STUN_COOKIE) + transaction_id

    transaction_id = rng.randbytes(12)
    if password is not None:
        mac = hmac.new(password, head(len(body) + 24) + body, hashlib.sha1).digest()
        body += struct.pack("!HH", 0x0008, 20) + mac
    message = head(len(body) + 8) + body
    return message + struct.pack("!HH", 0x8028, 4) + fingerprint(message)


def forged_checks(call: Call) -> Iterator[bytes]:
    """Yield checks with the right and with other user names, never with the right password."""
    agent = call.alice.peer.core.ice
    ours = agent.local_credentials.username_fragment
    descriptions = call.alice.peer.core._server
    assert descriptions is not None
    for username in (
        f"{descriptions.ufrag}:{ours}",
        f"{descriptions.ufrag}:",
        descriptions.ufrag,
        f"{ours}:{descriptions.ufrag}",
        "nobody:here",
        "",
        "x" * 500,
    ):
        for password in (None, b"", b"guess", agent.local_credentials.password.encode()):
            yield binding_request(username.encode(), password, call.rng)


STRANGE: dict[str, Callable[[Call], Iterable[bytes]]] = {
    "noise": lambda call: random_datagrams(call.rng, 1024),
    "truncated": lambda call: truncated(call.rng, call.samples),
    "altered": lambda call: altered(call.rng, call.samples),
    "forged-checks": forged_checks,
    # Without a check of its own, not even what is authentic opens anything.
    "replayed": lambda call: [
        data for data in call.samples if datagram_kind(data) is not DatagramKind.STUN
    ],
}


@pytest.mark.parametrize("what", STRANGE)
async def test_strangers_change_nothing_and_get_no_more_than_they_bring(
    call: Call, what: str
) -> None:
    before = await call.metrics.read()
    stranger = Stranger(call.server)
    await stranger.send(STRANGE[what](call))
    stranger.close()
    assert stranger.sent > 1000
    assert stranger.received <= stranger.sent
    if what in ("noise", "truncated", "replayed"):
        # Nothing in them can be answered.
        assert stranger.received == 0
    assert counted(before, await call.metrics.read()) > 0


async def test_a_forger_on_the_path_changes_nothing(call: Call) -> None:
    before = await call.metrics.read()
    missing = arrived(call.bob, call.alice).missing_frames
    ours = call.tap.samples
    for _ in range(3):
        call.spoof(truncated(call.rng, call.samples))
        await asyncio.sleep(0.05)
        call.spoof(altered(call.rng, call.samples))
        await asyncio.sleep(0.05)
        # All of it again, as it was: SRTP and SCTP know it, and DTLS has its windows.
        call.spoof(data for kind in ours for data in ours[kind])
        await asyncio.sleep(0.05)
    # Alerts in the clear: fatal ones, and a goodbye.
    for description in (0, 10, 20, 40, 80):
        record = bytes.fromhex("15fefd") + bytes(7) + b"\x7f" + b"\0\x02\x02" + bytes([description])
        call.spoof([record])
    await assert_both_ways(call.alice, call.bob, seconds=1)
    assert arrived(call.bob, call.alice).missing_frames <= missing + 2
    after = await call.metrics.read()
    assert counted(before, after) > 0
    for participant in (call.alice, call.bob):
        frames = arrived(participant, call.bob if participant is call.alice else call.alice)
        assert frames.problems == (), frames.problems


def counted(before: dict[str, float], after: dict[str, float]) -> float:
    """Return by how much the counters of refused input have grown."""
    words = ("refused", "malformed", "unknown", "unauthenticated", "unvalidated", "ignored")
    return sum(
        value - before.get(name, 0.0)
        for name, value in after.items()
        if any(word in name for word in words)
    )
