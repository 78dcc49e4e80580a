"""Subscriptions that the application decides by REST, on the unmodified SDK (Chromium)."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import requests

from .browsers import Browser
from .guests import BackEnd, Guest, Guests

IN_TIME_MS = 1000
"""From the application's request until the page's event, far above the 200 ms that are wanted."""


async def post_rules(back_end: BackEnd, room: str, identity: str, *rules: dict[str, Any]) -> None:
    """Replace somebody's subscribe rules as an application does."""
    participant = back_end.client.video.v1.rooms(room).participants(identity)
    await asyncio.to_thread(participant.subscribe_rules.update, rules=list(rules))


async def test_rules_take_tracks_from_a_page_and_give_them(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = f"rules-{uuid4()}"
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    await alice.join(back_end, room)
    await bob.join(back_end, room, tracks=[])
    await bob.sees(alice)
    for rule, event in (("exclude", "trackUnsubscribed"), ("include", "trackSubscribed")) * 2:
        since = await bob.event_count()
        # The browser's clock, as its events have it.
        began = time.time() * 1000
        await post_rules(back_end, room, "bob", {"type": rule, "all": True})
        for track in ("camera", "microphone"):
            found = await bob.wait(event, since=since, track=track)
            assert found["at"] - began < IN_TIME_MS
        if rule == "include":
            await bob.sees(alice, seconds=1)


async def test_without_automatic_subscription_a_page_gets_single_tracks(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = f"rules-{uuid4()}"
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    await alice.join(back_end, room)
    await bob.join(back_end, room, tracks=[], automaticSubscription=False)
    people = back_end.client.video.v1.rooms(room).participants
    rules = await asyncio.to_thread(people("bob").subscribe_rules.fetch)
    assert [(rule["type"], rule["all"]) for rule in rules.rules] == [("exclude", True)]
    assert await asyncio.to_thread(people("bob").subscribed_tracks.list) == []
    await post_rules(back_end, room, "bob", {"type": "include", "track": "camera"})
    await bob.wait("trackSubscribed")
    [given] = await asyncio.to_thread(people("bob").subscribed_tracks.list)
    assert (given.name, given.kind) == ("camera", "video")
    assert "trackSubscriptionFailed" not in await bob.event_names(0)


async def received(guest: Guest, kind: str) -> int:
    """Return how many RTP packets of a kind the browser has had."""
    counts: dict[str, int] = await guest.call("received")
    return counts[kind]


async def stands_still(guest: Guest, kind: str) -> None:
    """Wait until no RTP comes any more: none for a second, in which a track brings dozens."""
    async with asyncio.timeout(10):
        before = -1
        while (now := await received(guest, kind)) != before:
            before = now
            await asyncio.sleep(1)


async def test_rtp_stops_and_starts_as_single_tracks_are_taken_and_given(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = f"rules-{uuid4()}"
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    await alice.join(back_end, room)
    await bob.join(back_end, room, tracks=[])
    await bob.sees(alice, seconds=1)
    person = back_end.client.video.v1.rooms(room).participants("bob")
    given = await asyncio.to_thread(person.subscribed_tracks.list)
    [camera] = (track for track in given if track.kind == "video")
    account = back_end.server.account

    def override(status: str) -> int:
        answer = requests.post(
            f"{back_end.server.url}/v1/Rooms/{room}/Participants/bob/SubscribedTracks",
            data={"Track": sid, "Status": status},
            auth=(account.api_key_sid, account.api_key_secret),
            timeout=10,
        )
        return answer.status_code

    publisher = back_end.client.video.v1.rooms(room).participants("alice")
    [sid] = (
        track.sid
        for track in await asyncio.to_thread(publisher.published_tracks.list)
        if track.name == camera.name
    )
    since = await bob.event_count()
    assert await asyncio.to_thread(override, "unsubscribe") == 202
    await bob.wait("trackUnsubscribed", since=since, track="camera")
    await stands_still(bob, "video")
    await bob.sees(alice, seconds=1, video=False)
    since = await bob.event_count()
    assert await asyncio.to_thread(override, "subscribe") == 202
    await bob.wait("trackSubscribed", since=since, track="camera")
    await bob.sees(alice, seconds=1)
    await post_rules(back_end, room, "bob", {"type": "exclude", "all": True})
    await stands_still(bob, "video")
    await stands_still(bob, "audio")
    await post_rules(back_end, room, "bob", {"type": "include", "all": True})
    await bob.sees(alice, seconds=1)
