"""The main job: two browsers meet in a room, through our own stack."""

import pytest

from .browsers import Browser
from .guests import BackEnd, Guests, new_room, see_each_other


@pytest.mark.parametrize("browsers", ["chromium-chromium", "chromium-firefox"], indirect=True)
async def test_two_pages_see_and_hear_each_other(
    browsers: list[Browser], back_end: BackEnd, guests: Guests
) -> None:
    room = back_end.client.video.v1.rooms.create(unique_name=new_room(), type="group")
    alice, bob = await guests(browsers[0], "alice"), await guests(browsers[1], "bob")
    joined = await alice.join(back_end, room.unique_name)
    assert joined["sid"] == room.sid
    await bob.join(back_end, room.unique_name)
    await alice.wait("participantConnected", identity="bob")
    for watcher, other in ((alice, bob), (bob, alice)):
        for track in ("microphone", "camera"):
            await watcher.wait("trackSubscribed", identity=other.identity, track=track)
            await watcher.wait("trackStarted", identity=other.identity, track=track)
    await see_each_other(alice, bob)
