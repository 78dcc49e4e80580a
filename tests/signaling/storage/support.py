"""Fresh databases of both kinds, and a look into them past the store."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from signaling.ids import AccountSid
from signaling.storage.engines import parse_url
from signaling.storage.sql_store import SqlStore
from tests.signaling.support import place_database
from tests.support.postgres import PostgresServer

T = TypeVar("T")
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}

_templates: dict[PostgresServer, str] = {}


async def fresh_database(kind: str, directory: Path, postgres: Callable[[], PostgresServer]) -> str:
    """Return the URL of a migrated database without rows."""
    if kind == "sqlite":
        await place_database(directory / "parlour.db")
        return f"sqlite:///{directory / 'parlour.db'}"
    server = postgres()
    if server not in _templates:
        name = await server.create_database()
        store = await SqlStore.open(server.url(name), AccountSid("AC" + "0" * 32))
        await store.close()
        _templates[server] = name
    return server.url(await server.create_database(_templates[server]))


async def empty_database(kind: str, directory: Path, postgres: Callable[[], PostgresServer]) -> str:
    """Return the URL of a database that no migration has seen."""
    if kind == "sqlite":
        return f"sqlite:///{directory / 'empty.db'}"
    server = postgres()
    return server.url(await server.create_database())


async def look(url: str, work: Callable[[Connection], T]) -> T:
    """Do something in a transaction on a database."""
    parsed = parse_url(url)
    engine = create_async_engine(parsed.set(drivername=DRIVERS[parsed.get_backend_name()]))
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()
