"""Browsers, a page with the unmodified SDK, and a server started as a user starts it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from signaling.web import bundle
from tests.support.server import Server, running_server

from .browsers import Bridge, Browser, bridge, launch
from .guests import BackEnd, Guests

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


@pytest.fixture(scope="session")
def installed(chromium: Browser, firefox: Browser) -> dict[str, Browser]:
    """Return the browsers by name."""
    return {"chromium": chromium, "firefox": firefox}


@pytest.fixture
def browsers(request: pytest.FixtureRequest, installed: dict[str, Browser]) -> list[Browser]:
    """Return a pair of browsers; the indirect parameter names them: ``chromium-firefox``."""
    return [installed[name] for name in request.param.split("-")]


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
async def server(page_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """Run one server with two plane threads for all browser tests that need no other."""
    origin = page_url.removesuffix("/page.html")
    async with running_server(
        tmp_path_factory.mktemp("server"),
        media_threads=2,
        settings={"SESSION_TIMEOUT": "5", "PAGE_CLOSED_GRACE": "1", "CORS_ORIGINS": origin},
    ) as running:
        yield running


@pytest.fixture
def back_end(server: Server) -> BackEnd:
    """Return a back end of the shared server."""
    return BackEnd(server)


@pytest_asyncio.fixture(loop_scope="session")
async def guests(page_url: str) -> AsyncIterator[Guests]:
    """Return a maker of pages."""
    made = Guests(page_url)
    yield made
    await made.close()
