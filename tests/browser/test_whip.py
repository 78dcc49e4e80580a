"""WHIP and WHEP from a browser without any library, beside pages with the SDK."""

import json
from typing import Any

import pytest

from .browsers import Browser, Page, PageError
from .guests import BackEnd, Guests, assert_seen, new_room


async def start(page: Page, back_end: BackEnd, protocol: str, room: str, **media: Any) -> Any:
    """Offer to ``/whip/{room}`` or ``/whep/{room}``; return what the page got."""
    return await page.run(
        "(request) => plain.start(request)",
        {
            "url": f"{back_end.server.url}/{protocol}/{room}",
            "token": back_end.token(protocol, room),
            **media,
        },
    )


@pytest.fixture
def plain_url(page_url: str) -> str:
    """Return the address of the page without the SDK."""
    return page_url.replace("page.html", "plain.html")


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
async def test_viewer_plays_what_a_guest_of_the_sdk_publishes(
    browser: str,
    installed: dict[str, Browser],
    back_end: BackEnd,
    guests: Guests,
    plain_url: str,
) -> None:
    room = new_room()
    alice = await guests(installed["chromium"], "alice")
    await alice.join(back_end, room)
    page = await installed[browser].open(plain_url)
    started = await start(page, back_end, "whep", room)
    assert started["status"] == 201, started
    await alice.wait("participantConnected", identity="whep")
    seen = await page.run("(options) => plain.watch(options)", {"number": alice.number, "ms": 3000})
    assert_seen(seen, number=alice.number, frequency=alice.frequency)
    assert await page.run("(tag) => plain.trickle(tag)", started["tag"]) == 204

    assert await page.run("() => plain.end()") == 200
    await alice.wait("participantDisconnected", identity="whep")
    assert await page.run("() => plain.end()") == 404
    assert page.exceptions == []
    await page.close()


async def test_publisher_is_seen_and_heard_by_a_guest_of_the_sdk(
    chromium: Browser, firefox: Browser, back_end: BackEnd, guests: Guests, plain_url: str
) -> None:
    room = new_room()
    alice = await guests(firefox, "alice")
    await alice.join(back_end, room)
    whip = await guests(chromium, "whip", url=plain_url)
    started = await start(
        whip.page,
        back_end,
        "whip",
        room,
        picture={"number": whip.number},
        tone={"frequency": whip.frequency},
    )
    assert started["status"] == 201, started
    await alice.wait("participantConnected", identity="whip")
    await alice.sees(whip)
    rest = back_end.client.video.v1.rooms(room).participants("whip")
    assert {track.kind for track in rest.published_tracks.list()} == {"audio", "video"}

    assert await whip.page.run("() => plain.end()") == 200
    await alice.wait("trackUnsubscribed", identity="whip", track="video")
    await alice.wait("participantDisconnected", identity="whip")


async def test_answers_are_readable_from_listed_origins_alone(
    chromium: Browser, back_end: BackEnd, plain_url: str
) -> None:
    whep = {"url": f"{back_end.server.url}/whep/r", "token": "badToken"}
    rooms = f"{back_end.server.url}/v1/Rooms"
    call = """async (url) => {
      const answer = await fetch(url, { headers: { Authorization: 'Basic eDp5' } });
      return [answer.status, answer.headers.get('Twilio-Request-Id')?.length ?? 0];
    }"""
    page = await chromium.open(plain_url)
    refused = await page.run("(request) => plain.start(request)", whep)
    assert refused["status"] == 401
    assert json.loads(refused["body"])["code"] == 20101
    assert await page.run(call, rooms) == [401, 34]
    await page.close()
    # The same page under another name is of another origin, and reads nothing.
    page = await chromium.open(plain_url.replace("localhost", "127.0.0.1"))
    with pytest.raises(PageError):
        await page.run("(request) => plain.start(request)", whep)
    with pytest.raises(PageError):
        await page.run(call, rooms)
    await page.close()
