"""The page's files over HTTP, with and without the SDK's bundle."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from signaling.web import bundle
from signaling.web.routes import content_security_policy, routes

Client = TestClient[Any, Any]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the bundle somewhere else; there is none yet."""
    monkeypatch.setattr(bundle, "DIRECTORY", tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest_asyncio.fixture
async def client(directory: Path) -> AsyncIterator[Client]:
    """Serve the page."""
    application = web.Application()
    application.add_routes(routes(signaling_path="/ws", dev=True))
    async with TestClient(TestServer(application)) as running:
        yield running


async def test_page_without_the_bundle_says_how_to_get_it(client: Client) -> None:
    for path, status in (("/", 503), (f"/page/{bundle.FILE_NAME}", 404)):
        answer = await client.get(path)
        assert answer.status == status
        assert "parlour page install" in await answer.text()


async def test_page_and_all_that_it_names_are_served(client: Client, directory: Path) -> None:
    directory.mkdir()
    (directory / bundle.FILE_NAME).write_text("// the SDK")
    answer = await client.get("/")
    assert answer.content_type == "text/html"
    text = await answer.text()
    names = {part.split('"')[0] for part in text.split('="/page/')[1:]}
    assert bundle.FILE_NAME in names
    for name in names:
        answer = await client.get(f"/page/{name}")
        assert answer.status == 200, name
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    settings = await (await client.get("/page/settings.json")).json()
    assert settings == {"dev": True, "signalingPath": "/ws"}


@pytest.mark.parametrize("name", ["nothing.js", "..%2Froutes.py", "%2Fetc%2Fpasswd", ""])
async def test_no_other_file_is_served(client: Client, name: str) -> None:
    assert (await client.get(f"/page/{name}")).status == 404


@pytest.mark.parametrize(
    "host", ["example.com", "localhost:8080", "[2001:db8::1]:8443", "192.0.2.1"]
)
def test_policy_lets_sockets_reach_where_the_page_came_from(host: str) -> None:
    assert f"connect-src 'self' ws://{host} wss://{host};" in content_security_policy(host)


@pytest.mark.parametrize("host", ["", "a; script-src *", "a b", "*", "a,b", "[x]"])
def test_strange_host_adds_nothing_to_the_policy(host: str) -> None:
    assert content_security_policy(host) == content_security_policy("")
