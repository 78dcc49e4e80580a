"""Everything here talks over real sockets to a server that runs as a user runs it."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.clients import Clients, clients_of, failures_in_log
from tests.support.server import Server, running_server

SESSION_TIMEOUT = 2
"""Seconds that the shared server gives those who lost their signaling."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this directory, and run them all on one event loop."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.interop)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """Run one server for all tests that need no other."""
    async with running_server(
        tmp_path_factory.mktemp("interop"),
        settings={"SESSION_TIMEOUT": str(SESSION_TIMEOUT), "METRICS_BIND": "http"},
    ) as running:
        yield running


@pytest.fixture
def server(shared_server: Server) -> Server:
    """Return the shared server, which is still alive."""
    assert shared_server.process.returncode is None
    return shared_server


@pytest_asyncio.fixture(loop_scope="session")
async def clients(server: Server) -> AsyncIterator[Clients]:
    """Make clients of the shared server; its log must stay free of failures."""
    before = failures_in_log(server)
    async with clients_of(server) as made:
        yield made
    assert server.process.returncode is None
    assert failures_in_log(server)[len(before) :] == []


@pytest.fixture
def room() -> str:
    """Return the name of a room that nobody else uses."""
    return f"room-{uuid.uuid4()}"
