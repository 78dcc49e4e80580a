"""Tracks that are published, muted, replaced and taken away, and who sees them."""

import asyncio

import pytest

from .browsers import Browser
from .guests import BackEnd, Guests, messages_arrive, new_room, see_each_other


async def test_mute_and_unmute_are_seen(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    await alice.join(back_end, room)
    await bob.join(back_end, room)
    await bob.wait("trackSubscribed", identity="alice", track="camera")
    await alice.call("setEnabled", {"name": "camera", "enabled": False})
    await bob.wait("trackDisabled", identity="alice", track="camera")
    await alice.call("setEnabled", {"name": "camera", "enabled": True})
    await bob.wait("trackEnabled", identity="alice", track="camera")
    await bob.sees(alice)


@pytest.mark.parametrize("browsers", ["chromium-firefox"], indirect=True)
async def test_publish_later_unpublish_and_republish_in_another_size(
    browsers: list[Browser], back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob = await guests(browsers[0], "alice"), await guests(browsers[1], "bob")
    await alice.join(back_end, room, tracks=[])
    await bob.join(back_end, room)
    first = await alice.call("publish", {"name": "camera", "kind": "video", "number": 91})
    await bob.wait("trackPublished", identity="alice", track="camera")
    await bob.wait("trackSubscribed", identity="alice", track="camera")
    await bob.sees(alice, audio=False, number=91)

    before = await bob.event_count()
    await alice.call("unpublish", "camera")
    await bob.wait("trackUnsubscribed", identity="alice", track="camera")
    await bob.wait("trackUnpublished", identity="alice", track="camera")

    second = await alice.call(
        "publish", {"name": "camera", "kind": "video", "number": 92, "width": 480, "height": 360}
    )
    assert second["sid"] != first["sid"]
    await bob.wait("trackSubscribed", identity="alice", track="camera", since=before)
    seen = await bob.sees(alice, audio=False, number=92)
    assert (seen["width"], seen["height"]) == (480, 360)
    await alice.sees(bob)


async def test_third_participant_joins_and_leaves(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob, carol = [await guests(chromium, name) for name in ("alice", "bob", "carol")]
    for guest in (alice, bob, carol):
        await guest.join(back_end, room)
    await see_each_other(alice, bob, carol)

    left_at = await carol.call("leave")
    await alice.wait("trackUnsubscribed", identity="carol", track="camera")
    gone = await alice.wait("participantDisconnected", identity="carol")
    assert gone["at"] - left_at < 1000
    await see_each_other(alice, bob)

    # The place that carol left is taken again.
    dora = await guests(chromium, "dora")
    await dora.join(back_end, room)
    await see_each_other(alice, bob, dora)


async def test_joins_within_the_slots_exchange_no_descriptions(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob, carol = [await guests(chromium, name) for name in ("alice", "bob", "carol")]
    for guest in (alice, bob, carol):
        await guest.join(back_end, room)
    await asyncio.gather(alice.sees(carol), alice.sees(bob))
    await alice.page.run("() => { hooks.descriptions = 0; }")
    dora = await guests(chromium, "dora")
    await dora.join(back_end, room)
    await alice.sees(dora)
    await carol.call("leave")
    await alice.wait("participantDisconnected", identity="carol")
    eve = await guests(chromium, "eve")
    await eve.join(back_end, room)
    await asyncio.gather(alice.sees(eve), alice.sees(bob))
    assert await alice.page.run("() => hooks.descriptions") == 0


@pytest.mark.parametrize("browsers", ["chromium-firefox"], indirect=True)
async def test_glare_loses_no_negotiation(
    browsers: list[Browser], back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob = await guests(browsers[0], "alice"), await guests(browsers[1], "bob")
    await alice.join(back_end, room, tracks=[])
    await bob.join(back_end, room, tracks=[])
    # Both publish more than the first slots hold, at the same moment: offers cross.
    for index in range(3):
        await asyncio.gather(
            *(
                guest.call(
                    "publish", {"name": f"camera{index}", "kind": "video", "number": base + index}
                )
                for guest, base in ((alice, 100), (bob, 120))
            )
        )
    await asyncio.gather(
        *(
            watcher.sees(other, audio=False, track=f"camera{index}", number=base + index)
            for index in range(3)
            for watcher, other, base in ((alice, bob, 120), (bob, alice, 100))
        )
    )


@pytest.mark.parametrize("browsers", ["chromium-chromium", "chromium-firefox"], indirect=True)
async def test_data_tracks_carry_text_and_binary_in_order_both_ways(
    browsers: list[Browser], back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    data = {"name": "chat", "kind": "data"}
    alice, bob = await guests(browsers[0], "alice"), await guests(browsers[1], "bob")
    await alice.join(back_end, room, tracks=[data])
    await bob.join(back_end, room, tracks=[data])
    for sender, receiver in ((alice, bob), (bob, alice)):
        await messages_arrive(sender, receiver, "chat", "before")
    await alice.call("publish", alice.tracks[1])
    await bob.sees(alice, audio=False)
    for sender, receiver in ((alice, bob), (bob, alice)):
        await messages_arrive(sender, receiver, "chat", "after")

    await alice.call(
        "publish", {"name": "lossy", "kind": "data", "ordered": False, "maxRetransmits": 3}
    )
    await bob.wait("trackSubscribed", identity="alice", track="lossy")
    lossy = await bob.page.run(
        "() => { const t = lab.remote('alice', 'data', 'lossy');"
        " return [t.ordered, t.maxRetransmits, t.maxPacketLifeTime, t.reliable]; }"
    )
    assert lossy == [False, 3, None, False]
