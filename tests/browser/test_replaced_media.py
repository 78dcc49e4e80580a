"""Media that goes on from another place under a live session: a data plane that stopped."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.support.server import running_server

from .browsers import Browser
from .guests import BackEnd, Guests, media_flows, messages_arrive, new_room


@pytest.mark.parametrize("browsers", ["chromium-firefox"], indirect=True)
async def test_room_of_a_data_plane_that_stopped_goes_on_on_another(
    tmp_path: Path, browsers: list[Browser], guests: Guests
) -> None:
    async with running_server(
        tmp_path, media_threads=2, module="tests.support.breakable_server"
    ) as server:
        back_end = BackEnd(server)
        room = new_room()
        alice, bob = await guests(browsers[0], "alice"), await guests(browsers[1], "bob")
        pair = (alice, bob)
        for guest in pair:
            chat = {"name": "chat", "kind": "data"}
            await guest.join(back_end, room, tracks=[*guest.tracks, chat])
        await media_flows(*pair)
        await messages_arrive(alice, bob, "chat", "before")
        since = [await guest.event_count() for guest in pair]

        server.process.send_signal(signal.SIGUSR1)
        for guest, other, count in zip(pair, pair[::-1], since, strict=True):
            for track in ("microphone", "camera", "chat"):
                await guest.wait(
                    "trackSubscribed", identity=other.identity, track=track, since=count
                )
        await media_flows(*pair)
        await asyncio.gather(
            messages_arrive(alice, bob, "chat", "after"),
            messages_arrive(bob, alice, "chat", "after"),
        )
        for guest, count in zip(pair, since, strict=True):
            names = await guest.event_names(count)
            # Told at once to begin anew, a page has no time to miss anything.
            assert {"reconnecting", "disconnected"}.isdisjoint(names)
            guest.expects_errors = True  # the server goes before the pages
