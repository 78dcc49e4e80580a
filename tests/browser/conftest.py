"""Browsers, a page with the unmodified SDK, and a server started as a user starts it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import VideoGrant
from twilio.rest import Client

from signaling.web import bundle
from tests.support.server import Server, running_server

from .browsers import Bridge, Browser, Page, bridge, launch

PAGE_DIRECTORY = Path(__file__).parent / "page"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this directory, and run them all on one event loop."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser_bridge() -> AsyncIterator[Bridge]:
    """Run the program that drives the browsers."""
    async with bridge() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(browser_bridge: Bridge) -> Browser:
    """Run Chromium."""
    return await launch(browser_bridge, "chromium")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def firefox(browser_bridge: Bridge) -> Browser:
    """Run Firefox."""
    return await launch(browser_bridge, "firefox")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def page_url() -> AsyncIterator[str]:
    """Serve the test page and the SDK's bundle on an origin of their own."""
    found = bundle.path()
    assert found is not None, "the SDK's bundle is missing: run `parlour page install`"

    async def sdk(request: web.Request) -> web.FileResponse:
        return web.FileResponse(found)

    application = web.Application()
    application.router.add_get("/twilio-video.min.js", sdk)
    application.router.add_static("/", PAGE_DIRECTORY)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://localhost:{port}/page.html"
    await runner.cleanup()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """Run one server with two plane threads for all browser tests that need no other."""
    async with running_server(
        tmp_path_factory.mktemp("server"), media_threads=2, settings={"SESSION_TIMEOUT": "10"}
    ) as running:
        yield running


class BackEnd:
    """A back end as a customer writes it: the unmodified ``twilio`` library."""

    def __init__(self, server: Server) -> None:
        self.server = server
        account = self._account = server.account
        self.client = Client(account.api_key_sid, account.api_key_secret, account.account_sid)
        self.client.video.base_url = server.url

    def token(self, identity: str, room: str | None = None, **claims: Any) -> str:
        """Mint an access token."""
        token = AccessToken(
            self._account.account_sid,
            self._account.api_key_sid,
            self._account.api_key_secret,
            identity=identity,
            **claims,
        )
        token.add_grant(VideoGrant(room=room) if room else VideoGrant())
        return str(token.to_jwt())


@pytest.fixture
def back_end(server: Server) -> BackEnd:
    """Return a back end of the shared server."""
    return BackEnd(server)


class Guest:
    """One page in one room."""

    def __init__(self, page: Page, identity: str, number: int, frequency: int) -> None:
        self.page = page
        self.identity = identity
        self.number = number
        self.frequency = frequency

    @property
    def tracks(self) -> list[dict[str, Any]]:
        """The microphone and camera that this guest publishes, recognisable by others."""
        return [
            {"name": "microphone", "kind": "audio", "frequency": self.frequency},
            {"name": "camera", "kind": "video", "number": self.number},
        ]

    async def connect(
        self,
        back_end: BackEnd,
        room: str,
        *,
        tracks: list[dict[str, Any]] | None = None,
        token: str | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Connect; return the lab's state or ``{"error": ...}``."""
        result: dict[str, Any] = await self.call(
            "connect",
            {
                "token": token or back_end.token(self.identity, room),
                "url": back_end.server.signaling_url,
                "tracks": self.tracks if tracks is None else tracks,
                "options": {"name": room, **options},
            },
        )
        return result

    async def call(self, method: str, argument: Any = None) -> Any:
        """Call a method of the page's lab."""
        return await self.page.run(f"(argument) => window.lab.{method}(argument)", argument)

    async def state(self) -> dict[str, Any]:
        """Return the page's view of the room."""
        found: dict[str, Any] = await self.call("state")
        return found

    async def wait(self, name: str, *, within: float = 20, since: int = 0, **match: Any) -> Any:
        """Wait for an event of the SDK."""
        return await self.call(
            "waitFor",
            {"name": name, "match": match, "timeout": within * 1000, "since": since},
        )

    async def event_count(self) -> int:
        """Return how many events there were, to wait only for later ones."""
        count: int = await self.page.run("() => window.lab.events.length")
        return count

    async def sees(
        self,
        other: "Guest",
        *,
        seconds: float = 5,
        frames_per_second: float = 15,
        freeze: float | None = None,
        video: bool = True,
        audio: bool = True,
        number: int | None = None,
        track: str | None = None,
    ) -> dict[str, Any]:
        """
        Assert that media flows from ``other`` to this page: its number, a counter that advances,
        and its tone, on the track objects that the SDK attributes to it.
        """
        seen: dict[str, Any] = await self.call(
            "watch",
            {
                "identity": other.identity,
                "ms": seconds * 1000,
                "video": video,
                "audio": audio,
                "name": track,
            },
        )
        context = f"{self.identity} watching {other.identity}: {seen}"
        if video:
            assert list(seen["numbers"]) == [str(number or other.number)], context
            assert seen["frames"] >= frames_per_second * seen["seconds"], context
            if freeze is not None:
                assert seen["longestFreeze"] <= freeze * 1000, context
        if audio:
            expected = str(round(other.frequency / 50) * 50)
            assert seen["tones"], context
            assert max(seen["tones"], key=seen["tones"].__getitem__) == expected, context
        return seen


class Guests:
    """Makes pages and closes them after the test."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._made: list[Guest] = []

    async def __call__(self, browser: Browser, identity: str) -> Guest:
        """Open a page for a guest with a number and a tone of its own."""
        page = await browser.open(self._url)
        index = len(self._made)
        guest = Guest(page, identity, number=37 + 29 * index, frequency=600 + 350 * index)
        self._made.append(guest)
        return guest

    async def close(self) -> None:
        """Close all pages."""
        for guest in self._made:
            await guest.page.close()


@pytest_asyncio.fixture(loop_scope="session")
async def guests(page_url: str) -> AsyncIterator[Guests]:
    """Return a maker of pages."""
    made = Guests(page_url)
    yield made
    await made.close()
