"""Webhooks over a real store and real HTTP, with a receiver that keeps what it is told."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.abc import AbstractResolver

from signaling.ids import new_participant_sid, new_track_sid
from signaling.rooms import RoomSettings
from signaling.service import RoomService, ServiceConfig, SystemClock
from signaling.storage.media_records import RecordingRecord
from signaling.storage.sql_store import SqlStore
from signaling.webhooks import WebhookConfig, Webhooks
from tests.signaling.support import ACCOUNT_SID, open_store
from tests.support.fake_media_node import FakeMediaNode

AUTH_TOKEN = "12345"
CONFIG = WebhookConfig(account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, allow_loopback=True)


def make_recording(rng: random.Random, account_sid: str, room_sid: str) -> RecordingRecord:
    """Return the row of a recording of a microphone."""
    return RecordingRecord(
        sid=f"RT{rng.randbytes(16).hex()}",
        account_sid=account_sid,
        room_sid=room_sid,
        participant_sid=new_participant_sid(rng),
        source_sid=new_track_sid(rng),
        track_name="microphone",
        kind="audio",
        codec="opus",
        status="completed",
        offset_ms=0,
        created_at=datetime.now(UTC),
    )


@dataclass(frozen=True)
class Callback:
    """One request that the receiver got."""

    method: str
    url: str
    parameters: dict[str, str]
    headers: dict[str, str]

    @property
    def event(self) -> str:
        return self.parameters["StatusCallbackEvent"]


@dataclass
class Receiver:
    """An application's HTTP server."""

    port: int = 0
    callbacks: list[Callback] = field(default_factory=list)
    answer: Callable[[Callback], Awaitable[web.StreamResponse]] | None = None
    """What it answers; None: 200."""
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/hook", user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.port}{path}"

    @property
    def events(self) -> list[str]:
        return [callback.event for callback in self.callbacks]

    async def until(self, done: Callable[["Receiver"], object]) -> None:
        """Wait until something is true of what came."""
        async with asyncio.timeout(10.0):
            while not done(self):
                self.came.clear()
                await self.came.wait()

    async def until_events(self, count: int) -> list[str]:
        await self.until(lambda r: len(r.callbacks) >= count)
        return self.events

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        text = (
            await request.text() if request.method == "POST" else request.rel_url.raw_query_string
        )
        callback = Callback(
            method=request.method,
            url=f"http://{request.headers['Host']}{request.raw_path}",
            parameters=dict(parse_qsl(text, keep_blank_values=True)),
            headers=dict(request.headers),
        )
        self.callbacks.append(callback)
        self.came.set()
        return await self.answer(callback) if self.answer is not None else web.Response()


@asynccontextmanager
async def running_receiver() -> AsyncIterator[Receiver]:
    """Run a receiver on a port of its own."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver._handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()


@dataclass
class Harness:
    """A room service with webhooks."""

    service: RoomService
    store: SqlStore
    webhooks: Webhooks
    node: FakeMediaNode

    async def create(self, url: str | None, **settings: Any) -> str:
        """Make a room with a status callback and return its SID."""
        wanted = replace(RoomSettings(status_callback=url), **settings)
        return (await self.service.create_room(wanted)).sid

    async def deliveries(self, room_sid: str) -> list[tuple[str, str, int]]:
        """Return name, state and attempts of a room's events."""
        await self.service.flush()
        events, _ = await self.store.list_events(room_sid, after=-1, size=1000)
        return [(event.name, event.delivery, event.attempts) for event in events]

    async def until_settled(self, room_sid: str) -> list[tuple[str, str, int]]:
        """Wait until no event of a room waits for delivery."""
        async with asyncio.timeout(10.0):
            while any(state == "pending" for _, state, _ in await self.deliveries(room_sid)):  # noqa: ASYNC110 - the store tells nobody
                await asyncio.sleep(0.01)
        return await self.deliveries(room_sid)


async def start(
    store: SqlStore,
    *,
    config: WebhookConfig = CONFIG,
    resolver: AbstractResolver | None = None,
) -> Harness:
    """Start service and webhooks over a store, as the server does."""
    node = FakeMediaNode()
    # Two runs must not draw the same SIDs.
    rng = random.SystemRandom()
    service = RoomService(
        node=node,
        store=store,
        config=ServiceConfig(account_sid=ACCOUNT_SID),
        rng=rng,
        clock=SystemClock(),
    )
    webhooks = Webhooks(config=config, service=service, store=store, rng=rng, resolver=resolver)
    await webhooks.start()
    await service.start()
    return Harness(service, store, webhooks, node)


async def stop(harness: Harness) -> None:
    """Stop both; the store stays."""
    await harness.service.close()
    await harness.webhooks.close()


@asynccontextmanager
async def running_webhooks(
    directory: Path,
    *,
    config: WebhookConfig = CONFIG,
    resolver: AbstractResolver | None = None,
) -> AsyncIterator[Harness]:
    """Run service and webhooks over a fresh store."""
    store = await open_store(directory)
    harness = await start(store, config=config, resolver=resolver)
    try:
        yield harness
    finally:
        await stop(harness)
        await store.close()
