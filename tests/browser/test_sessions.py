"""Sessions that are interrupted, resumed, replaced, ended, or whose page is gone."""

import asyncio

import pytest

from .browsers import Bridge, Browser, launch
from .guests import BackEnd, Guests, new_room, see_each_other


@pytest.mark.parametrize("browsers", ["chromium-firefox", "firefox-chromium"], indirect=True)
async def test_signaling_drop_is_resumed_and_media_never_stops(
    browsers: list[Browser], back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob = await guests(browsers[0], "alice"), await guests(browsers[1], "bob")
    await alice.join(back_end, room)
    await bob.join(back_end, room)
    await see_each_other(alice, bob, seconds=1)

    watching = asyncio.gather(
        alice.sees(bob, seconds=3, freeze=1, audio=False),
        bob.sees(alice, seconds=3, freeze=1, video=False),
    )
    await alice.lose_signaling()
    reconnecting = await alice.wait("reconnecting")
    assert reconnecting["error"]["code"] == 53001
    await bob.wait("participantReconnecting", identity="alice")
    # Both sides change something while they cannot tell each other.
    await bob.call("setEnabled", {"name": "microphone", "enabled": False})
    await alice.call("setEnabled", {"name": "camera", "enabled": False})
    await alice.find_signaling()
    await alice.wait("reconnected")
    await bob.wait("participantReconnected", identity="alice")
    await alice.wait("trackDisabled", identity="bob", track="microphone")
    await bob.wait("trackDisabled", identity="alice", track="camera")
    await watching
    await alice.call("setEnabled", {"name": "camera", "enabled": True})
    await bob.sees(alice)


async def test_session_expires_while_signaling_is_away(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    await alice.join(back_end, room, tracks=[])
    await bob.join(back_end, room, tracks=[])
    await alice.lose_signaling()
    gone, _ = await asyncio.gather(
        alice.wait("disconnected"), bob.wait("participantDisconnected", identity="alice")
    )
    assert gone["error"]["code"] == 53001


async def test_missed_heartbeats_lead_to_a_resume(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    await alice.join(back_end, room)
    await bob.join(back_end, room)
    alice.expects_errors = True
    # The page stops sending without closing: for the server only the heartbeats are missing.
    await alice.page.run("() => { hooks.sockets.at(-1).send = () => {}; }")
    await alice.wait("reconnecting", within=30)
    await alice.wait("reconnected")
    await see_each_other(alice, bob)


async def test_older_session_of_an_identity_ends_with_53205(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    older, newer, bob = [await guests(chromium, name) for name in ("alice", "alice", "bob")]
    await bob.join(back_end, room)
    await older.join(back_end, room)
    await newer.join(back_end, room)
    gone = await older.wait("disconnected")
    assert gone["error"]["code"] == 53205
    await see_each_other(newer, bob)


@pytest.mark.parametrize("browsers", ["chromium-firefox", "firefox-chromium"], indirect=True)
async def test_completed_room_and_removed_participant(
    browsers: list[Browser], back_end: BackEnd, guests: Guests
) -> None:
    rooms = back_end.client.video.v1.rooms
    room = rooms.create(unique_name=new_room())
    alice, bob = await guests(browsers[0], "alice"), await guests(browsers[1], "bob")
    await alice.join(back_end, room.unique_name, tracks=[])
    await bob.join(back_end, room.unique_name, tracks=[])
    rooms(room.sid).participants("bob").update(status="disconnected")
    kicked = await bob.wait("disconnected")
    assert kicked["error"] is None
    await alice.wait("participantDisconnected", identity="bob")
    rooms(room.sid).update(status="completed")
    ended = await alice.wait("disconnected")
    assert ended["error"]["code"] == 53118


async def test_vanished_pages_leave_after_their_grace_period(
    browser_bridge: Bridge, chromium: Browser, firefox: Browser, back_end: BackEnd, guests: Guests
) -> None:
    doomed = await launch(browser_bridge, "chromium")
    room = back_end.client.video.v1.rooms.create(unique_name=new_room())
    alice = await guests(chromium, "alice")
    tab, window, crash = [
        await guests(browser, identity)
        for browser, identity in ((chromium, "tab"), (firefox, "window"), (doomed, "crash"))
    ]
    for guest in (alice, tab, window, crash):
        await guest.join(back_end, room.unique_name)
    await alice.sees(crash, seconds=1)
    await tab.page.close()
    await window.page.close()
    await doomed.kill()
    for guest in (tab, window, crash):
        await alice.wait("participantReconnecting", identity=guest.identity)
    for guest in (tab, window, crash):
        await alice.wait("participantDisconnected", identity=guest.identity)
    participants = back_end.client.video.v1.rooms(room.sid).participants
    assert [p.identity for p in participants.list(status="connected")] == ["alice"]
