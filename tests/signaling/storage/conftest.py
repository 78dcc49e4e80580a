"""Each test of the store runs over SQLite and over PostgreSQL."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from signaling.ids import AccountSid
from signaling.storage.sql_store import SqlStore
from tests.support.postgres import PostgresServer

from .support import empty_database, fresh_database

ACCOUNT = AccountSid("AC" + "1" * 32)


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which database."""
    return str(request.param)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Callable[[], PostgresServer]:
    """Returns the PostgreSQL server, which is started when the first test asks for it."""

    def get() -> PostgresServer:
        started: PostgresServer = request.getfixturevalue("postgres")
        return started

    return get


@pytest.fixture
async def url(kind: str, tmp_path: Path, server: Callable[[], PostgresServer]) -> str:
    """A migrated database without rows."""
    return await fresh_database(kind, tmp_path, server)


@pytest.fixture
async def empty_url(kind: str, tmp_path: Path, server: Callable[[], PostgresServer]) -> str:
    """A database that no migration has seen."""
    return await empty_database(kind, tmp_path, server)


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    """A store over it."""
    made = await SqlStore.open(url, ACCOUNT)
    yield made
    await made.close()
