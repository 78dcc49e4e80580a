"""
A whole server for the REST tests on each database: real media node, HTTP on a port of its own.

What a module has to do with the store runs over SQLite and over PostgreSQL, the others over SQLite.
"""

import asyncio
import random
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
import requests
from twilio.rest import Client

from signaling.app import Server
from signaling.auth.account import Account, make_account
from signaling.config import Settings, load_settings
from signaling.service import RoomService
from signaling.storage.sql_store import SqlStore
from tests.support.postgres import PostgresServer

T = TypeVar("T")
STORELESS = {"test_transport", "test_traversal_tokens", "test_quotas"}
"""Modules whose tests ask little or nothing of the store."""


@dataclass(frozen=True)
class Key:
    """An API key."""

    sid: str
    secret: str


class RunningServer:
    """A server on a thread of its own, so that tests can call it as blocking clients do."""

    def __init__(self, settings: Settings) -> None:
        self.account: Account = make_account(random.Random(5))
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self._server = self.run(self._make(settings))
        self.run(self._server.start())
        self.url = f"http://127.0.0.1:{self._server.http_port}"

    async def _make(self, settings: Settings) -> Server:
        return Server(settings, account=self.account, rng=random.Random(6))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's loop."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return future.result(timeout=20)

    @property
    def service(self) -> RoomService:
        assert self._server.service is not None
        return self._server.service

    @property
    def store(self) -> SqlStore:
        assert self._server.store is not None
        return self._server.store

    @property
    def key(self) -> Key:
        """The account's first API key."""
        return Key(self.account.api_key_sid, self.account.api_key_secret)

    def close(self) -> None:
        self.run(self._server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose the databases of each test."""
    if "server" in metafunc.fixturenames:
        stored = metafunc.module.__name__.rpartition(".")[2] not in STORELESS
        kinds = ["sqlite", "postgresql"] if stored else ["sqlite"]
        metafunc.parametrize("server", kinds, indirect=True, scope="session")


@pytest.fixture(scope="session")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    given = {
        "http_port": 0,
        "media_host": "127.0.0.1",
        "media_port": 0,
        "media_threads": 1,
        "metrics_bind": "off",
        "data_dir": tmp_path_factory.mktemp("rest"),
    }
    if request.param == "postgresql":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        given["database_url"] = postgres.url(asyncio.run(postgres.create_database()))
    running = RunningServer(load_settings(given))
    yield running
    running.close()


@pytest.fixture(scope="session")
def client(server: RunningServer) -> Any:
    """The unmodified helper library, told where the server is."""
    made = Client(
        server.account.api_key_sid, server.account.api_key_secret, server.account.account_sid
    )
    made.video.base_url = server.url
    return made.video.v1


@pytest.fixture(scope="session")
def http(server: RunningServer) -> Iterator[requests.Session]:
    """A session that has the API key."""
    with requests.Session() as session:
        session.auth = (server.account.api_key_sid, server.account.api_key_secret)
        yield session
