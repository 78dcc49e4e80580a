"""Two browsers over a network that loses, reorders, forgets and goes away."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from benchmarks.server import free_port
from signaling.network import own_addresses
from tests.support.relay import Impairment, UdpRelay, running_relay
from tests.support.repair import repaired_downward, repaired_upward
from tests.support.server import Server, running_server

from .browsers import Browser
from .guests import BackEnd, Guest, Guests, media_flows, messages_arrive, new_room, see_each_other

LOSSY = Impairment(loss=0.05, reorder=0.02)
RECOVERED = 0.95
"""Of the video packets that were dropped, the part that must be repaired."""
DROPPED = 15
"""Video packets that are dropped at least, for the part to say something."""


@dataclass(frozen=True, slots=True)
class Link:
    """A server that is reached only through a relay."""

    server: Server
    relay: UdpRelay

    async def counter(self, name: str) -> float:
        """Return one counter of the data plane."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self.server.url}/metrics") as answer,
        ):
            lines = (await answer.text()).splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name}_total "))

    async def reaches(self, name: str, value: float) -> None:
        """Wait until a counter of the data plane has at least this value."""
        async with asyncio.timeout(20):
            while True:
                if await self.counter(name) >= value:
                    return
                await asyncio.sleep(0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running_link(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Link]:
    """Run a server behind a relay."""
    media_port = free_port(socket.SOCK_DGRAM)
    # Firefox does not reach loopback from sockets that are bound to the machine's address.
    host = next(iter(own_addresses(ipv6=False)), "127.0.0.1")
    async with (
        running_relay(("127.0.0.1", media_port), Impairment(), seed=5, host=host) as relay,
        running_server(
            tmp_path_factory.mktemp("relayed"),
            settings={
                "MEDIA_PORT": str(media_port),
                "MEDIA_ANNOUNCED_PORT": str(relay.port),
                "MEDIA_ADDRESSES": host,
                "METRICS_BIND": "http",
                "SESSION_TIMEOUT": "10",
            },
        ) as server,
    ):
        yield Link(server, relay)


@pytest.fixture
def link(running_link: Link) -> Link:
    """Return a link that does no harm yet."""
    running_link.relay.impairment = Impairment()
    return running_link


async def meet(
    link: Link,
    guests: Guests,
    browsers: list[Browser],
    *,
    note_frames: bool = False,
    **camera: Any,
) -> tuple[Guest, Guest]:
    """Return two guests of one room who see and hear each other."""
    back_end = BackEnd(link.server)
    room = new_room()
    alice, bob = await guests(browsers[0], "alice"), await guests(browsers[1], "bob")
    for guest in (alice, bob):
        if note_frames:
            await guest.page.run("() => hooks.noteFrames()")
        microphone, picture = guest.tracks
        await guest.join(back_end, room, tracks=[microphone, picture | camera])
    await media_flows(alice, bob)
    return alice, bob


async def settle(*pair: Guest) -> list[dict[str, Any]]:
    """Pause the cameras and return the pages' statistics of video when nothing moves any more."""
    for guest in pair:
        await guest.call("pause", {"name": "camera", "on": True})
    return [await guest.call("settledVideo") for guest in pair]


@pytest.mark.parametrize("browsers", ["chromium-chromium", "chromium-firefox"], indirect=True)
async def test_loss_and_reordering_are_repaired(
    link: Link, guests: Guests, browsers: list[Browser]
) -> None:
    relay = link.relay
    pair = await meet(link, guests, browsers, note_frames=True, width=480, height=360, detail=True)
    await settle(*pair)
    for guest in pair:
        await guest.page.run("() => { hooks.frames.length = 0; }")
    relay.up.rtp.clear()
    relay.down.rtp.clear()
    for guest in pair:
        await guest.call("pause", {"name": "camera", "on": False})
    await see_each_other(*pair, seconds=1)
    relay.impairment = LOSSY
    await see_each_other(*pair, seconds=10, freeze=0.5)
    # What follows shows the receivers that the last packets are missing.
    relay.impairment = Impairment()
    await see_each_other(*pair, seconds=1)
    statistics = await settle(*pair)
    for sender, receiver in ((0, 1), (1, 0)):
        up = relay.up.rtp[statistics[sender]["outbound"]["ssrc"]]
        down = relay.down.rtp[statistics[receiver]["inbound"]["ssrc"]]
        whole = set(await pair[receiver].page.run("() => hooks.frames"))
        for repair in (repaired_upward(up, down), repaired_downward(down, whole)):
            facts = repair, statistics[sender], statistics[receiver]
            assert repair.dropped >= DROPPED, facts
            assert repair.share >= RECOVERED, facts


@pytest.mark.parametrize("browsers", ["chromium-firefox"], indirect=True)
async def test_data_arrives_whole_and_in_order_under_loss(
    link: Link, guests: Guests, browsers: list[Browser]
) -> None:
    link.relay.impairment = LOSSY
    back_end = BackEnd(link.server)
    room = new_room()
    alice, bob = await guests(browsers[0], "alice"), await guests(browsers[1], "bob")
    for guest in (alice, bob):
        await guest.join(back_end, room, tracks=[{"name": "chat", "kind": "data"}])
    dropped = link.relay.up.dropped + link.relay.down.dropped
    await asyncio.gather(
        messages_arrive(alice, bob, "chat", "down", texts=300, bytes_each=(1, 1200, 16384)),
        messages_arrive(bob, alice, "chat", "up", texts=300, bytes_each=(1, 1200, 16384)),
    )
    assert link.relay.up.dropped + link.relay.down.dropped - dropped > 10


@pytest.mark.parametrize("browsers", ["chromium-firefox"], indirect=True)
async def test_nat_that_forgets_its_bindings_is_followed(
    link: Link, guests: Guests, browsers: list[Browser]
) -> None:
    pair = await meet(link, guests, browsers)
    selected = await link.counter("parlour_media_addresses_selected")
    since = [await guest.event_count() for guest in pair]
    link.relay.move_clients()
    await link.reaches("parlour_media_addresses_selected", selected + 2)
    await media_flows(*pair)
    await see_each_other(*pair)
    for guest, count in zip(pair, since, strict=True):
        assert "reconnecting" not in await guest.event_names(count)


@pytest.mark.parametrize("browsers", ["chromium-firefox"], indirect=True)
async def test_media_that_was_cut_comes_back_with_an_ice_restart(
    link: Link, guests: Guests, browsers: list[Browser]
) -> None:
    pair = await meet(link, guests, browsers)
    fragments = [await guest.page.run("() => hooks.remoteUfrag()") for guest in pair]
    link.relay.impairment = Impairment(loss=1)
    for guest in pair:
        gone = await guest.wait("reconnecting")
        assert gone["error"]["code"] == 53405
    link.relay.impairment = Impairment()
    for guest, fragment in zip(pair, fragments, strict=True):
        await guest.wait("reconnected")
        assert await guest.page.run("() => hooks.remoteUfrag()") != fragment
    await media_flows(*pair)
    await see_each_other(*pair)
    for guest in pair:
        assert "disconnected" not in await guest.event_names(0)
