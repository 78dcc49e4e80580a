"""One whole server for the REST tests: real media node, real SQLite, HTTP on a port of its own."""

import asyncio
import random
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import pytest
import requests
from twilio.rest import Client

from signaling.app import Server
from signaling.auth.account import Account, make_account
from signaling.config import Settings, load_settings
from signaling.service import RoomService
from signaling.storage.sql_store import SqlStore

T = TypeVar("T")


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

    def close(self) -> None:
        self.run(self._server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(
        load_settings(
            {
                "http_port": 0,
                "media_host": "127.0.0.1",
                "media_port": 0,
                "media_threads": 1,
                "metrics_bind": "off",
                "data_dir": tmp_path_factory.mktemp("rest"),
            }
        )
    )
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
