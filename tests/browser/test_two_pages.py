"""The main job: two browsers meet in a room, through our own stack."""

import asyncio
from uuid import uuid4

import pytest

from .browsers import Browser
from .conftest import BackEnd, Guests


@pytest.mark.parametrize("pair", ["chromium-chromium", "chromium-firefox"])
async def test_two_pages_see_and_hear_each_other(
    pair: str, back_end: BackEnd, guests: Guests, chromium: Browser, firefox: Browser
) -> None:
    installed = {"chromium": chromium, "firefox": firefox}
    browsers = [installed[name] for name in pair.split("-")]
    room = back_end.client.video.v1.rooms.create(unique_name=f"pair-{uuid4()}", type="group")
    alice = await guests(browsers[0], "alice")
    bob = await guests(browsers[1], "bob")

    joined = await alice.connect(back_end, room.unique_name)
    assert joined.get("error") is None, joined
    assert joined["sid"] == room.sid
    joined = await bob.connect(back_end, room.unique_name)
    assert joined.get("error") is None, joined
    await alice.wait("participantConnected", identity="bob")

    await asyncio.gather(alice.sees(bob), bob.sees(alice))
