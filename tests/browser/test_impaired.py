"""Two browsers over a network that loses, reorders and forgets."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.support.relay import Impairment, UdpRelay, running_relay
from tests.support.server import Server, free_udp_ports, running_server

from .browsers import Browser
from .conftest import BackEnd, Guest, Guests

INBOUND_VIDEO = """async () => {
  const connection = hooks.connections.at(-1);
  const found = [];
  for (const report of (await connection.getStats()).values()) {
    if (report.type === 'inbound-rtp' && report.kind === 'video') found.push({ ...report });
  }
  return found;
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def relayed(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Server, UdpRelay]]:
    """Run a server that is reached only through a relay, which does no harm yet."""
    media_port = free_udp_ports(1)
    async with (
        running_relay(("127.0.0.1", media_port), Impairment(), seed=5) as relay,
        running_server(
            tmp_path_factory.mktemp("relayed"),
            settings={
                "MEDIA_PORT": str(media_port),
                "MEDIA_ANNOUNCED_PORT": str(relay.port),
                "MEDIA_ADDRESSES": "127.0.0.1",
            },
        ) as server,
    ):
        yield server, relay


async def two_guests(server: Server, guests: Guests, browsers: list[Browser]) -> list[Guest]:
    """Return two guests who see and hear each other."""
    back_end = BackEnd(server)
    room = f"impaired-{uuid4()}"
    pair = [await guests(browsers[0], "alice"), await guests(browsers[1], "bob")]
    for guest in pair:
        joined = await guest.connect(back_end, room)
        assert joined.get("error") is None, joined
    await asyncio.gather(
        pair[0].sees(pair[1], seconds=1, frames_per_second=5),
        pair[1].sees(pair[0], seconds=1, frames_per_second=5),
    )
    return pair


async def test_loss_and_reordering_are_repaired(
    relayed: tuple[Server, UdpRelay], guests: Guests, chromium: Browser
) -> None:
    server, relay = relayed
    pair = await two_guests(server, guests, [chromium, chromium])
    before: list[list[dict[str, Any]]] = [await g.page.run(INBOUND_VIDEO) for g in pair]
    relay.down.dropped_by_ssrc.clear()
    relay.impairment = Impairment(loss=0.05, reorder=0.02)
    await asyncio.gather(
        pair[0].sees(pair[1], seconds=15, frames_per_second=15, freeze=0.5),
        pair[1].sees(pair[0], seconds=15, frames_per_second=15, freeze=0.5),
    )
    relay.impairment = Impairment()
    await asyncio.sleep(1)
    after: list[list[dict[str, Any]]] = [await g.page.run(INBOUND_VIDEO) for g in pair]
    for old, new in zip(before, after, strict=True):
        earlier = {report["ssrc"]: report for report in old}
        for report in new:
            dropped = relay.down.dropped_by_ssrc[report["ssrc"]]
            if report["framesDecoded"] < 100:
                continue
            assert dropped > 20, "the relay did its work"
            base = earlier.get(report["ssrc"], {}).get("retransmittedPacketsReceived", 0)
            recovered = report["retransmittedPacketsReceived"] - base
            assert recovered >= 0.95 * dropped, (recovered, dropped, report)


async def test_a_nat_that_forgets_its_bindings_is_followed(
    relayed: tuple[Server, UdpRelay], guests: Guests, chromium: Browser
) -> None:
    server, relay = relayed
    alice, bob = await two_guests(server, guests, [chromium, chromium])
    since = await alice.event_count()
    relay.move_clients()
    await asyncio.sleep(4)
    await asyncio.gather(alice.sees(bob), bob.sees(alice))
    events = await alice.page.run("(since) => lab.events.slice(since).map((e) => e.name)", since)
    assert "reconnecting" not in events
