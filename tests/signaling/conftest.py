"""A PostgreSQL server for all tests that want one."""

from collections.abc import Iterator

import pytest

from tests.support.postgres import PostgresServer, programs


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server that runs for the whole session; its databases are the tests' own."""
    if programs() is None:
        pytest.fail("no PostgreSQL server is installed: package postgresql")
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()
