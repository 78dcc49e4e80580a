"""A server that is killed and started again: rooms survive, sessions do not."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.support.server import start_server

from .browsers import Browser
from .guests import BackEnd, Guests, media_flows, new_room


@pytest.mark.parametrize("browsers", ["chromium-firefox"], indirect=True)
async def test_page_is_told_that_its_session_is_gone_and_can_join_again(
    tmp_path: Path, browsers: list[Browser], guests: Guests
) -> None:
    server = await start_server(tmp_path)
    try:
        back_end = BackEnd(server)
        room = new_room()
        back_end.client.video.v1.rooms.create(unique_name=room)
        alice, bob = await guests(browsers[0], "alice"), await guests(browsers[1], "bob")
        joined = [await guest.join(back_end, room) for guest in (alice, bob)]
        await media_flows(alice, bob)
        for guest in (alice, bob):
            guest.expects_errors = True
        await server.stop(signal.SIGKILL)
        server = await start_server(
            tmp_path, port=server.port, settings={"MEDIA_PORT": str(server.media_port)}
        )
        for guest in (alice, bob):
            assert (await guest.wait("reconnecting"))["error"]["code"] == 53001
            assert (await guest.wait("disconnected"))["error"]["code"] == 53204
        again = await asyncio.gather(*(guest.join(back_end, room) for guest in (alice, bob)))
        assert {state["sid"] for state in again} == {state["sid"] for state in joined}
        await media_flows(alice, bob)
    finally:
        await server.stop()
