"""The server's own page at ``/``, as people use it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from tests.support.server import Server, running_server

from .browsers import Browser, Page, PageError
from .guests import BackEnd, Guests, new_room

PHONE = (390, 844)
WIDE = (1600, 900)
LANDSCAPE = (844, 390)

UNTIL = """async ([condition, argument]) => {
  const holds = (0, eval)(`(${condition})`);
  for (let i = 0; i < 600; i++) {
    if (holds(argument)) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`never: ${condition}\\n${document.body.innerText}`);
}"""

GEOMETRY = """() => {
  const box = (element) => {
    const { left, top, right, bottom } = element.getBoundingClientRect();
    return { left, top, right, bottom };
  };
  const root = document.scrollingElement;
  return {
    tiles: [...document.querySelectorAll('.tile')].map(box),
    captions: [...document.querySelectorAll('.tile')].map((tile) => [
      box(tile), box(tile.querySelector('.caption'))]),
    around: box(document.getElementById('tiles')),
    buttons: [...document.querySelectorAll('#stage button')].map(box),
    page: { left: 0, top: 0, right: innerWidth, bottom: innerHeight },
    scrolls: root.scrollWidth > innerWidth || root.scrollHeight > innerHeight,
  };
}"""


class RoomPage:
    """A browser's tab with the page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def until(self, condition: str, argument: Any = None) -> None:
        """Wait until a function of one argument returns something true in the page."""
        await self.page.run(UNTIL, [condition, argument])

    async def click(self, identifier: str) -> None:
        """Press a button."""
        await self.page.run(f"() => document.getElementById('{identifier}').click()")

    async def join(self) -> None:
        """Join and wait until the own tile is there."""
        await self.click("join")
        await self.until("() => document.querySelector('.tile.me')")

    async def shows(self, identity: str) -> None:
        """Wait until the tile of a participant shows moving pictures."""
        await self.until(
            """(identity) => {
              const tile = document.querySelector(`#people [data-identity="${identity}"]`);
              const video = tile?.querySelector('video');
              return video?.videoWidth > 0 && video.currentTime > 0 && !tile.matches('.no-video');
            }""",
            identity,
        )

    async def check_geometry(self, width: int, height: int) -> None:
        """Assert that nothing overflows or overlaps at this size of the page."""
        await self.page.resize(width, height)
        await self.until(
            "([width, height]) => innerWidth === width && innerHeight === height", [width, height]
        )
        # The tiles get their sizes before the next frame is drawn.
        for _ in range(2):
            await self.page.run("() => new Promise((resolve) => requestAnimationFrame(resolve))")
        found = await self.page.run(GEOMETRY)
        assert not found["scrolls"], found
        for tile in found["tiles"]:
            assert inside(tile, found["around"]), found
            shape = (tile["right"] - tile["left"]) / (tile["bottom"] - tile["top"])
            assert 0.7 < shape < 1.8, found
        for tile, caption in found["captions"]:
            assert inside(caption, tile), found
        for button in found["buttons"]:
            assert inside(button, found["page"]), found
        tiles = found["tiles"]
        for index, tile in enumerate(tiles):
            assert not any(overlap(tile, other) for other in tiles[:index]), found


def inside(inner: dict[str, float], outer: dict[str, float]) -> bool:
    """Tell whether a rectangle lies within another, to a pixel."""
    return (
        inner["left"] >= outer["left"] - 1
        and inner["top"] >= outer["top"] - 1
        and inner["right"] <= outer["right"] + 1
        and inner["bottom"] <= outer["bottom"] + 1
    )


def overlap(one: dict[str, float], other: dict[str, float]) -> bool:
    """Tell whether two rectangles share more than an edge."""
    return (
        one["left"] < other["right"] - 1
        and other["left"] < one["right"] - 1
        and one["top"] < other["bottom"] - 1
        and other["top"] < one["bottom"] - 1
    )


async def open_page(browser: Browser, server: Server, **query: str) -> RoomPage:
    """Open the page; its lobby is ready."""
    return await open_page_at(browser, f"http://localhost:{server.port}", **query)


async def open_page_at(browser: Browser, origin: str, **query: str) -> RoomPage:
    """Open the page of any server; its lobby is ready."""
    room_page = RoomPage(await browser.open(f"{origin}/?{urlencode(query)}"))
    await room_page.until("() => document.body.dataset.ready")
    return room_page


async def test_two_people_meet_mute_share_and_leave(
    chromium: Browser, firefox: Browser, server: Server
) -> None:
    room = new_room()
    zoe = await open_page(chromium, server, identity="zoe", room=room)
    yan = await open_page(firefox, server, identity="yan", room=room)
    await zoe.join()
    await yan.join()
    await asyncio.gather(zoe.shows("yan"), yan.shows("zoe"), zoe.shows("zoe"))
    await zoe.until("() => document.getElementById('status').innerText === '2 people'")

    await zoe.click("mute")
    muted = "(name) => document.querySelector(`[data-identity=${name}] .muted`).checkVisibility()"
    await asyncio.gather(zoe.until(muted, "zoe"), yan.until(muted, "zoe"))
    await zoe.click("camera-off")
    dark = "(name) => document.querySelector(`[data-identity=${name}]`).matches('.no-video')"
    await asyncio.gather(zoe.until(dark, "zoe"), yan.until(dark, "zoe"))
    await zoe.click("camera-off")
    await yan.shows("zoe")

    await zoe.click("share")
    screen = """(name) => {
      const video = document.querySelector(`#screens [data-identity=${name}] video`);
      return video?.videoWidth > 0 && video.currentTime > 0;
    }"""
    await asyncio.gather(zoe.until(screen, "zoe"), yan.until(screen, "zoe"))
    for size in (PHONE, WIDE, LANDSCAPE):
        await zoe.check_geometry(*size)
    await zoe.click("share")
    none = "() => !document.querySelector('.screen')"
    await asyncio.gather(zoe.until(none), yan.until(none))

    media = await zoe.page.run(
        """() => {
          const tracks = [...parlour.room.localParticipant.tracks.values()];
          window.media = tracks.map((publication) => publication.track.mediaStreamTrack);
          return window.media.length;
        }"""
    )
    assert media == 2
    await zoe.click("leave")
    await yan.until("() => document.querySelectorAll('.tile').length === 1")
    left = await zoe.page.run(
        """() => ({
          state: document.body.dataset.state,
          media: window.media.map((track) => track.readyState),
          elements: document.querySelectorAll('.tile, video, audio').length,
          pressed: document.querySelectorAll('[aria-pressed=true]').length,
        })"""
    )
    assert left == {
        "state": "lobby",
        "media": ["ended", "ended"],
        "elements": 0,
        "pressed": 0,
    }
    # And in again.
    await zoe.join()
    await asyncio.gather(zoe.shows("yan"), yan.shows("zoe"))
    for page in (zoe.page, yan.page):
        assert page.errors == []
        await page.close()


async def test_tiles_fill_phones_and_wide_screens_without_overflow(
    chromium: Browser, server: Server, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    page = await open_page(chromium, server, identity="zoe", room=room)
    await page.page.run(
        """() => {
          navigator.mediaDevices.getUserMedia = async () => {
            throw new DOMException('none', 'NotFoundError');
          };
        }"""
    )
    await page.join()
    await page.until(
        "() => document.getElementById('notices').innerText.includes('microphone and camera')"
    )
    disabled = await page.page.run(
        "() => [...document.querySelectorAll('nav button:disabled')].map((button) => button.id)"
    )
    assert disabled == ["mute", "camera-off"]
    names = ["bob", "Maximiliane-" * 10, "李雷", "<script>alert(1)</script>"]
    for number, name in enumerate([None, *names], start=1):
        if name is not None:
            guest = await guests(chromium, name)
            await guest.join(back_end, room, tracks=[])
        await page.until("(n) => document.querySelectorAll('.tile').length === n", number)
        if number in (1, 2, 3, 5):
            for size in (PHONE, WIDE, LANDSCAPE):
                await page.check_geometry(*size)
    heard = await page.page.accessible()
    assert [name for role, name in heard if role == "button"] == [
        "Copy link to this room",
        "Mute microphone",
        "Turn camera off",
        "Share your screen",
        "Leave",
    ]
    assert [name for role, name in heard if role == "heading"] == [room]
    shown = await page.page.run(
        "() => [...document.querySelectorAll('.name')].map((name) => name.textContent)"
    )
    assert shown == ["zoe (you)", *names]
    assert page.page.errors == []
    await page.page.close()


async def test_layout_has_room_for_every_number_of_tiles(chromium: Browser, server: Server) -> None:
    page = await open_page(chromium, server)
    wrong = await page.page.run(
        """async () => {
          const { fit, split, GAP } = await import('/page/layout.js');
          const wrong = [];
          const check = (n, width, height) => {
            const { width: w, height: h, columns } = fit(n, width, height);
            const rows = Math.ceil(n / columns);
            const across = columns * w + (columns - 1) * GAP;
            const down = rows * h + (rows - 1) * GAP;
            const readable = w >= Math.min(120, width);
            if (across > width || w < 1 || h < 1 || (down > height && w > 250) || !readable) {
              wrong.push([n, width, height, w, h, columns]);
            }
          };
          for (const [width, height] of [[370, 700], [824, 290], [1580, 770], [300, 300]]) {
            const { screens, people } = split(width, height);
            for (let n = 1; n <= 60; n++) {
              check(n, width, height);
              check(n, ...screens);
              check(n, ...people);
            }
          }
          return wrong;
        }"""
    )
    assert wrong == []
    await page.page.close()


@pytest_asyncio.fixture(loop_scope="session")
async def strict_server(tmp_path: Path) -> AsyncIterator[Server]:
    """Run a server that is not in development mode."""
    settings = {"SIGNALING_PATH": "/a/b"}
    async with running_server(tmp_path, dev=False, settings=settings) as running:
        yield running


async def test_page_asks_for_a_token_outside_development_mode(
    chromium: Browser, strict_server: Server
) -> None:
    room = new_room()
    page = await open_page(chromium, strict_server, room=room)
    fill = "(text) => { document.getElementById('token').value = text; }"
    visible = await page.page.run(
        "() => ['token', 'identity'].map((id) => document.getElementById(id).checkVisibility())"
    )
    assert visible == [True, False]
    heard = await page.page.accessible()
    assert [name for role, name in heard if role == "textbox"] == ["Room", "Access token"]
    await page.page.run(fill, "nonsense")
    await page.click("join")
    await page.until("() => document.getElementById('lobby-message').innerText.includes('20101')")
    await page.page.run(fill, BackEnd(strict_server).token("zoe", room))
    await page.join()
    await page.shows("zoe")
    await page.page.close()


async def test_page_reaches_its_own_server_only(
    chromium: Browser, server: Server, page_url: str
) -> None:
    page = await open_page(chromium, server)
    with pytest.raises(PageError, match="Failed to fetch"):
        await page.page.run("(url) => fetch(url, { mode: 'no-cors' })", page_url)
    injected = await page.page.run(
        """async (url) => {
          const script = document.createElement('script');
          script.src = url;
          return await new Promise((resolve) => {
            script.onload = () => resolve('loaded');
            script.onerror = () => resolve('refused');
            document.head.append(script);
          });
        }""",
        page_url.replace("page.html", "hooks.js"),
    )
    assert injected == "refused"
    inline = await page.page.run(
        """() => {
          const script = document.createElement('script');
          script.textContent = 'window.ran = true';
          document.head.append(script);
          document.body.insertAdjacentHTML('beforeend', '<img src="x:" onerror="ran = true">');
          return window.ran ?? null;
        }"""
    )
    assert inline is None
    assert all("Content Security Policy" in line for line in page.page.errors)
    await page.page.close()
