"""What a page must show, step by step, on the unmodified SDK (Chromium)."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import aiohttp
import jwt
import pytest

from .browsers import Browser
from .conftest import BackEnd, Guest, Guests


def new_room() -> str:
    """Return a room name that no other test uses."""
    return f"ladder-{uuid4()}"


async def join(guest: Guest, back_end: BackEnd, room: str, **arguments: Any) -> dict[str, Any]:
    """Connect a guest that must get in."""
    joined = await guest.connect(back_end, room, **arguments)
    assert joined.get("error") is None, joined
    return joined


def forged(back_end: BackEnd, code: int) -> str:
    """Return a token that must be refused with ``code``."""
    good = back_end.token("mallory", "r")
    header = jwt.get_unverified_header(good)
    claims = jwt.decode(good, options={"verify_signature": False})
    secret = back_end.server.account.api_key_secret
    if code == 20101:
        return "badToken"
    if code == 20103:
        claims["iss"] = "SK" + "0" * 32
    if code == 20104:
        claims |= {"iat": 1000, "nbf": 1000, "exp": 2000}
    if code == 20106:
        claims["grants"] = {"identity": "mallory"}
    if code == 20107:
        secret = "x" * len(secret)
    return jwt.encode(claims, secret, algorithm="HS256", headers=header)


@pytest.mark.parametrize("code", [20101, 20103, 20104, 20106, 20107])
async def test_bad_token_is_refused_with_its_code(
    code: int, chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    guest = await guests(chromium, "mallory")
    started = time.monotonic()
    refused = await guest.connect(back_end, new_room(), tracks=[], token=forged(back_end, code))
    assert refused["error"]["code"] == code
    assert time.monotonic() - started < 5


async def test_connect_without_tracks(chromium: Browser, back_end: BackEnd, guests: Guests) -> None:
    name = new_room()
    guest = await guests(chromium, "alice")
    joined = await join(guest, back_end, name, tracks=[])
    assert str(joined["sid"]).startswith("RM")
    assert joined["name"] == name
    assert joined["state"] == "connected"
    assert joined["me"]["identity"] == "alice"
    assert joined["me"]["sid"].startswith("PA")
    assert joined["mediaRegion"]
    assert joined["signalingRegion"]


async def test_tracks_published_at_connect_get_sids(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    guest = await guests(chromium, "alice")
    joined = await join(guest, back_end, new_room())
    published = {track["name"]: track["sid"] for track in joined["me"]["tracks"]}
    assert set(published) == {"microphone", "camera"}
    assert all(sid.startswith("MT") for sid in published.values())
    await guest.page.run(
        """async () => {
          for (let i = 0; i < 200; i++) {
            if (hooks.connections.at(-1).iceConnectionState === 'connected') return;
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
          throw new Error(hooks.connections.at(-1).iceConnectionState);
        }"""
    )


async def test_mute_and_unmute_are_seen(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    await join(alice, back_end, room)
    await join(bob, back_end, room)
    await bob.wait("trackSubscribed", identity="alice", track="camera")
    await alice.call("setEnabled", {"name": "camera", "enabled": False})
    await bob.wait("trackDisabled", identity="alice", track="camera")
    await alice.call("setEnabled", {"name": "camera", "enabled": True})
    await bob.wait("trackEnabled", identity="alice", track="camera")
    await bob.sees(alice, seconds=2)


async def test_publish_later_unpublish_and_republish_in_another_size(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    await join(alice, back_end, room, tracks=[])
    await join(bob, back_end, room)
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


async def test_data_tracks_carry_text_and_binary_in_order_both_ways(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    await exchange_data(chromium, chromium, back_end, guests)


async def test_data_tracks_between_chromium_and_firefox(
    chromium: Browser, firefox: Browser, back_end: BackEnd, guests: Guests
) -> None:
    await exchange_data(chromium, firefox, back_end, guests)


async def exchange_data(one: Browser, other: Browser, back_end: BackEnd, guests: Guests) -> None:
    """Data tracks before and after audio and video exist, text and binary, both directions."""
    room = new_room()
    data = {"name": "chat", "kind": "data"}
    alice, bob = await guests(one, "alice"), await guests(other, "bob")
    await join(alice, back_end, room, tracks=[data])
    await join(bob, back_end, room, tracks=[data])
    await asyncio.gather(
        bob.wait("trackSubscribed", identity="alice", track="chat"),
        alice.wait("trackSubscribed", identity="bob", track="chat"),
    )
    for sender, receiver in ((alice, bob), (bob, alice)):
        await messages_arrive(sender, receiver, "chat", "before")
    await alice.call("publish", alice.tracks[1])
    await bob.sees(alice, audio=False, seconds=2)
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


async def messages_arrive(sender: Guest, receiver: Guest, track: str, prefix: str) -> None:
    """Assert that 50 texts and a binary message arrive, in order."""
    since = await receiver.event_count()
    # The receiver's channel opens a moment after the track is announced; a first message that
    # is repeated until it arrives shows when.
    for _ in range(100):
        await sender.call("send", {"name": track, "data": f"{prefix}-ready"})
        try:
            await receiver.wait("message", within=0.3, since=since, data=f"{prefix}-ready")
            break
        except Exception:
            continue
    texts = [f"{prefix}-{index}" for index in range(50)]
    for text in texts:
        await sender.call("send", {"name": track, "data": text})
    await sender.call("send", {"name": track, "data": [1, 2, 255]})
    await receiver.wait("message", since=since, binary=True)
    received = await receiver.page.run(
        "(since) => lab.events.slice(since).filter((e) => e.name === 'message').map((e) => e.data)",
        since,
    )
    assert [data for data in received if data != f"{prefix}-ready"] == [*texts, [1, 2, 255]]


async def test_third_participant_joins_and_leaves(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    everybody = [await guests(chromium, identity) for identity in ("alice", "bob", "carol")]
    alice, bob, carol = everybody
    for guest in everybody:
        await join(guest, back_end, room)
    await asyncio.gather(
        *(guest.sees(other) for guest in everybody for other in everybody if other is not guest)
    )

    since = await alice.event_count()
    started = time.monotonic()
    await carol.call("leave")
    await alice.wait("trackUnsubscribed", identity="carol", since=since)
    await alice.wait("participantDisconnected", identity="carol", since=since)
    assert time.monotonic() - started < 5
    await asyncio.gather(alice.sees(bob), bob.sees(alice))

    # The place that carol left is taken again.
    dora = await guests(chromium, "dora")
    await join(dora, back_end, room)
    await asyncio.gather(alice.sees(dora), dora.sees(bob), bob.sees(alice))


async def test_joins_within_the_slots_exchange_no_descriptions(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob, carol = [await guests(chromium, name) for name in ("alice", "bob", "carol")]
    for guest in (alice, bob, carol):
        await join(guest, back_end, room)
    await alice.sees(carol, seconds=1)
    await alice.sees(bob, seconds=1)
    await alice.page.run("() => { hooks.descriptions = 0; }")
    dora = await guests(chromium, "dora")
    await join(dora, back_end, room)
    await alice.sees(dora)
    await carol.call("leave")
    await alice.wait("participantDisconnected", identity="carol")
    eve = await guests(chromium, "eve")
    await join(eve, back_end, room)
    await alice.sees(eve)
    await alice.sees(bob, seconds=2)
    assert await alice.page.run("() => hooks.descriptions") == 0


async def test_glare_loses_no_negotiation(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    await join(alice, back_end, room, tracks=[])
    await join(bob, back_end, room, tracks=[])
    # Both publish more than the first slots hold, at the same moment: offers cross.
    for index in range(3):
        await asyncio.gather(
            *(
                guest.call(
                    "publish",
                    {"name": f"camera{index}", "kind": "video", "number": base + index},
                )
                for guest, base in ((alice, 100), (bob, 120))
            )
        )
    for index in range(3):
        await asyncio.gather(
            alice.sees(
                bob,
                audio=False,
                seconds=1,
                track=f"camera{index}",
                number=120 + index,
                frames_per_second=10,
            ),
            bob.sees(
                alice,
                audio=False,
                seconds=1,
                track=f"camera{index}",
                number=100 + index,
                frames_per_second=10,
            ),
        )


async def test_signaling_drop_is_resumed_and_media_never_stops(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    await join(alice, back_end, room)
    await join(bob, back_end, room)
    await asyncio.gather(alice.sees(bob, seconds=1), bob.sees(alice, seconds=1))

    watching = asyncio.create_task(bob.sees(alice, seconds=4, freeze=1))
    await alice.page.run("() => { hooks.blocked = true; hooks.sockets.at(-1).close(4001); }")
    reconnecting = await alice.wait("reconnecting")
    assert reconnecting["error"]["code"] == 53001
    await bob.wait("participantReconnecting", identity="alice")
    await bob.call("setEnabled", {"name": "microphone", "enabled": False})
    await alice.call("setEnabled", {"name": "camera", "enabled": False})
    await alice.page.run("() => { hooks.blocked = false; }")
    await alice.wait("reconnected")
    await bob.wait("participantReconnected", identity="alice")
    await alice.wait("trackDisabled", identity="bob", track="microphone")
    await bob.wait("trackDisabled", identity="alice", track="camera")
    await alice.call("setEnabled", {"name": "camera", "enabled": True})
    # A muted camera sends black pictures: only the reading after it is on again counts.
    watching.cancel()
    await bob.sees(alice, seconds=2)


async def test_session_expires_while_signaling_is_away(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    await join(alice, back_end, room)
    await join(bob, back_end, room)
    await alice.page.run("() => { hooks.blocked = true; hooks.sockets.at(-1).close(4001); }")
    gone = await alice.wait("disconnected", within=30)
    assert gone["error"]["code"] == 53001
    await bob.wait("participantDisconnected", identity="alice", within=30)


async def test_missed_heartbeats_lead_to_a_resume(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    # The page stops sending without closing: for the server only the heartbeats are missing.
    await join(alice, back_end, room)
    await join(bob, back_end, room)
    await alice.page.run("() => { hooks.sockets.at(-1).send = () => {}; }")
    await alice.wait("reconnecting", within=30)
    await alice.wait("reconnected", within=30)
    await asyncio.gather(alice.sees(bob, seconds=1), bob.sees(alice, seconds=1))


async def test_older_session_of_an_identity_ends_with_53205(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    older, newer, bob = [await guests(chromium, name) for name in ("alice", "alice", "bob")]
    await join(bob, back_end, room)
    await join(older, back_end, room)
    await join(newer, back_end, room)
    gone = await older.wait("disconnected")
    assert gone["error"]["code"] == 53205
    await asyncio.gather(newer.sees(bob, seconds=2), bob.sees(newer, seconds=2))


async def test_limits_have_their_codes(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    rooms = back_end.client.video.v1.rooms
    small = rooms.create(unique_name=new_room(), max_participants=1)
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    await join(alice, back_end, small.unique_name, tracks=[])
    refused = await bob.connect(back_end, small.unique_name, tracks=[])
    assert refused["error"]["code"] == 53105
    refused = await bob.connect(back_end, "RM" + "0" * 32, tracks=[])
    assert refused["error"]["code"] == 53106
    done = rooms.create(unique_name=new_room())
    rooms(done.sid).update(status="completed")
    refused = await bob.connect(back_end, done.sid, tracks=[])
    assert refused["error"]["code"] == 53118


async def test_completed_room_and_removed_participant(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    rooms = back_end.client.video.v1.rooms
    room = rooms.create(unique_name=new_room())
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    await join(alice, back_end, room.unique_name, tracks=[])
    await join(bob, back_end, room.unique_name, tracks=[])
    rooms(room.sid).participants("bob").update(status="disconnected")
    kicked = await bob.wait("disconnected")
    assert kicked["error"] is None
    await alice.wait("participantDisconnected", identity="bob")
    rooms(room.sid).update(status="completed")
    ended = await alice.wait("disconnected")
    assert ended["error"]["code"] == 53118


async def test_participants_and_tracks_are_seen_over_rest(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = back_end.client.video.v1.rooms.create(unique_name=new_room())
    alice = await guests(chromium, "alice")
    joined = await join(alice, back_end, room.unique_name)
    found = back_end.client.video.v1.rooms(room.sid).participants.list()
    assert [(p.sid, p.identity, p.status) for p in found] == [
        (joined["me"]["sid"], "alice", "connected")
    ]
    tracks = back_end.client.video.v1.rooms(room.sid).participants("alice").published_tracks.list()
    assert {(track.kind, track.name) for track in tracks} == {
        ("audio", "microphone"),
        ("video", "camera"),
    }


async def test_development_token_opens_the_servers_own_page(
    chromium: Browser, back_end: BackEnd
) -> None:
    async with aiohttp.ClientSession() as http:
        answer = await http.post(
            f"{back_end.server.url}/dev/token", json={"identity": "zoe", "room": "own-page"}
        )
        assert answer.status == 200
        assert jwt.get_unverified_header((await answer.json())["token"])["typ"] == "JWT"
    pages = [
        await chromium.open(
            f"http://localhost:{back_end.server.port}/?identity={name}&room=own-page"
        )
        for name in ("zoe", "yan")
    ]
    for page in pages:
        await page.run("() => document.getElementById('join').click()")
    for page, other in zip(pages, ("yan", "zoe"), strict=True):
        await page.run(
            """async (other) => {
              for (let i = 0; i < 400; i++) {
                const tile = document.querySelector(`.tile[data-identity="${other}"] video`);
                if (tile && tile.videoWidth > 0 && tile.currentTime > 0) return;
                await new Promise((resolve) => setTimeout(resolve, 50));
              }
              throw new Error('no video of ' + other + ': ' + document.body.innerText);
            }""",
            other,
        )
    for page in pages:
        await page.run("() => document.getElementById('leave').click()")
        await page.close()
