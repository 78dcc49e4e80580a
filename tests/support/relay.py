"""A UDP relay on loopback that loses and reorders datagrams, seeded, and says what it lost."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Address = tuple[str, int]

REORDER_DELAY = 0.02
"""Seconds by which a reordered datagram comes late: a few packets of a video frame."""


@dataclass(slots=True, kw_only=True)
class Impairment:
    """What a relay does to each datagram, each way."""

    loss: float = 0.0
    reorder: float = 0.0
    delay: float = 0.0
    """Seconds, one way."""


@dataclass(slots=True)
class RtpLog:
    """The packets of one RTP stream that came to a relay: SRTP leaves headers in clear."""

    timestamps: dict[int, int] = field(default_factory=dict)
    """RTP timestamp of each sequence number, in the order of the first arrival."""
    dropped: set[int] = field(default_factory=set)
    """The sequence numbers that were dropped, at whichever sending."""
    padded: set[int] = field(default_factory=set)
    """Those with the P bit: in what browsers send, padding that probes for bandwidth."""


@dataclass(slots=True)
class RelayCounters:
    """What went through, by direction."""

    forwarded: int = 0
    dropped: int = 0
    reordered: int = 0
    rtp: defaultdict[int, RtpLog] = field(default_factory=lambda: defaultdict(RtpLog))
    """Of each SSRC, since a test last cleared it."""

    def note_rtp(self, data: bytes, *, dropped: bool) -> None:
        """Log a datagram when it is an SRTP packet (RFC 7983, RFC 5761)."""
        if len(data) < 12 or data[0] >> 6 != 2 or 64 <= data[1] & 0x7F < 96:
            return
        log = self.rtp[int.from_bytes(data[8:12], "big")]
        sequence_number = int.from_bytes(data[2:4], "big")
        log.timestamps.setdefault(sequence_number, int.from_bytes(data[4:8], "big"))
        if data[0] & 0x20:
            log.padded.add(sequence_number)
        if dropped:
            log.dropped.add(sequence_number)


class _Side(asyncio.DatagramProtocol):
    def __init__(self, relay: "UdpRelay", client: Address | None) -> None:
        self._relay = relay
        self._client = client

    def datagram_received(self, data: bytes, address: Address) -> None:
        self._relay.received(
            data, address if self._client is None else self._client, upward=self._client is None
        )

    def error_received(self, error: Exception) -> None:
        """Ignore ICMP errors: a peer that went away is what networks are like."""


class UdpRelay:
    """
    Stands between clients and one server port; every client gets a port of its own upstream.

    :param server: Address of the server.
    :param seed: Makes the losses the same in every run with the same traffic.
    :param host: Address to which clients send.
    """

    def __init__(
        self, server: Address, impairment: Impairment, *, seed: int, host: str = "127.0.0.1"
    ) -> None:
        self._server = server
        self._host = host
        self.impairment = impairment
        self._rng = random.Random(seed)
        self._downstream: asyncio.DatagramTransport | None = None
        self._upstream: dict[Address, asyncio.DatagramTransport] = {}
        self._opening: dict[Address, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.up = RelayCounters()
        self.down = RelayCounters()

    @property
    def port(self) -> int:
        """The port that clients send to."""
        assert self._downstream is not None
        port: int = self._downstream.get_extra_info("sockname")[1]
        return port

    async def start(self) -> None:
        """Bind the socket for clients."""
        loop = asyncio.get_running_loop()
        self._downstream, _ = await loop.create_datagram_endpoint(
            lambda: _Side(self, None), local_addr=(self._host, 0)
        )

    async def close(self) -> None:
        """Close all sockets."""
        for task in self._tasks:
            task.cancel()
        for transport in (self._downstream, *self._upstream.values()):
            if transport is not None:
                transport.close()

    def move_clients(self) -> None:
        """Give every client a new port upstream, as a NAT does that forgot its bindings."""
        for transport in self._upstream.values():
            transport.close()
        self._upstream.clear()

    def received(self, data: bytes, client: Address, *, upward: bool) -> None:
        """Take a datagram from a client (upward) or from the server for ``client``."""
        counters = self.up if upward else self.down
        dropped = self._rng.random() < self.impairment.loss
        counters.note_rtp(data, dropped=dropped)
        if dropped:
            counters.dropped += 1
            return
        counters.forwarded += 1
        delay = self.impairment.delay
        if self._rng.random() < self.impairment.reorder:
            counters.reordered += 1
            delay += REORDER_DELAY
        if delay:
            asyncio.get_running_loop().call_later(delay, self._send, data, client, upward)
        else:
            self._send(data, client, upward)

    def _send(self, data: bytes, client: Address, upward: bool) -> None:
        if not upward:
            if self._downstream is not None:
                self._downstream.sendto(data, client)
            return
        transport = self._upstream.get(client)
        if transport is not None:
            transport.sendto(data)
        elif client in self._opening:
            self._opening[client].append(data)
        else:
            self._opening[client] = [data]
            task = asyncio.get_running_loop().create_task(self._open(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _open(self, client: Address) -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Side(self, client), remote_addr=self._server
        )
        self._upstream[client] = transport
        for data in self._opening.pop(client):
            transport.sendto(data)


@asynccontextmanager
async def running_relay(
    server: Address, impairment: Impairment, *, seed: int = 1, host: str = "127.0.0.1"
) -> AsyncIterator[UdpRelay]:
    """Run a relay for the length of a ``with`` block."""
    relay = UdpRelay(server, impairment, seed=seed, host=host)
    await relay.start()
    try:
        yield relay
    finally:
        await relay.close()
