"""A room service over a real store on virtual time, for tests of its views."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from signaling.auth.access_token import TokenVerifier, mint_access_token
from signaling.ids import AccountSid, ApiKeySid
from signaling.service import RoomService, ServiceConfig
from signaling.service.media_node import MediaNode
from signaling.storage.journal import Journal
from signaling.storage.sql_store import SqlStore
from signaling.storage.store import Store
from tests.support.fake_media_node import FakeMediaNode

ACCOUNT_SID = AccountSid("AC" + "a" * 32)
KEY_SID = ApiKeySid("SK" + "b" * 32)
KEY_SECRET = "a secret of thirty-two characters"
STARTED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def utc_now(self) -> datetime:
        return STARTED_AT + timedelta(seconds=self.now - 1000.0)


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


def token(
    identity: str, room: str | None = None, *, now: datetime = STARTED_AT, secret: str = KEY_SECRET
) -> str:
    """Return a token of the test's account, valid for an hour."""
    return mint_access_token(
        account_sid=ACCOUNT_SID,
        key_sid=KEY_SID,
        secret=secret,
        identity=identity,
        room=room,
        now=now,
    )


TOKENS = TokenVerifier(account_sid=ACCOUNT_SID, keys={KEY_SID: KEY_SECRET})


class ServiceHarness:
    """A started room service with its parts at hand."""

    def __init__(
        self,
        service: RoomService,
        node: FakeMediaNode,
        store: SqlStore,
        clock: ManualClock,
    ) -> None:
        self.service = service
        self.node = node
        self.store = store
        self.clock = clock

    async def advance(self, seconds: float) -> None:
        """Let time pass, and let the service act on it."""
        self.clock.now += seconds
        self.service.handle_timer()
        await settle()


def make_service(
    node: MediaNode,
    store: Store,
    clock: ManualClock,
    config: ServiceConfig | None = None,
    *,
    journal: Journal | None = None,
) -> RoomService:
    """Return a service that is not started."""
    return RoomService(
        node=node,
        store=store,
        config=config if config is not None else ServiceConfig(account_sid=ACCOUNT_SID),
        rng=random.Random(1),
        clock=clock,
        journal=journal,
    )


_migrated: list[bytes] = []


async def place_database(path: Path) -> None:
    """Put a fresh database there, a copy of one that was migrated once: that takes a while."""
    if not _migrated:
        store = await SqlStore.open(f"sqlite:///{path}", ACCOUNT_SID)
        await store.close()
        _migrated.append(path.read_bytes())
    path.write_bytes(_migrated[0])


async def open_store(directory: Path) -> SqlStore:
    """Open a fresh SQLite file."""
    path = directory / "test.sqlite"
    await place_database(path)
    return await SqlStore.open(f"sqlite:///{path}", ACCOUNT_SID)


@asynccontextmanager
async def running_service(
    config: ServiceConfig | None = None, *, slots: int = 1
) -> AsyncIterator[ServiceHarness]:
    """Start a service over a fresh SQLite file; close it at the end."""
    clock, node = ManualClock(), FakeMediaNode(slots=slots)
    with TemporaryDirectory() as directory:
        store = await open_store(Path(directory))
        service = make_service(node, store, clock, config)
        await service.start()
        try:
            yield ServiceHarness(service, node, store, clock)
        finally:
            await service.close()
            await store.close()
