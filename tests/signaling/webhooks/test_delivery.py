"""Callbacks over real HTTP, to a receiver that does what receivers do."""

import asyncio
import socket
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from twilio.request_validator import RequestValidator

from signaling.errors import OutcomeUnknown, StorageError, StoreUnavailable
from signaling.webhooks import deliverer, retry
from tests.signaling.support import open_store
from tests.signaling.webhooks.support import (
    AUTH_TOKEN,
    CONFIG,
    Callback,
    running_receiver,
    running_webhooks,
    start,
    stop,
)


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAYS", (0.02, 0.03, 0.04))
    monkeypatch.setattr(retry, "BACK_OFF", 1.0)
    monkeypatch.setattr(deliverer, "STORE_RETRY", 0.02)


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_callbacks_are_signed_and_in_order(tmp_path: Path, method: str) -> None:
    async with running_receiver() as receiver, running_webhooks(tmp_path) as h:
        url = receiver.url("/x?tenant=7&y=a%20b", user="u:p@") + "#rc=2"
        sid = await h.create(url, status_callback_method=method, unique_name="ä&=+%/ ü")
        await h.service.complete_room(sid)
        assert await receiver.until_events(2) == ["room-created", "room-ended"]
        for number, callback in enumerate(receiver.callbacks):
            assert callback.method == method
            assert callback.parameters["SequenceNumber"] == str(number)
            assert callback.parameters["RoomName"] == "ä&=+%/ ü"
            assert callback.url.startswith(receiver.url("/x?tenant=7&y=a%20b"))
            assert callback.headers["Authorization"].startswith("Basic ")
            signed = callback.parameters if method == "POST" else {}
            signature = callback.headers["X-Twilio-Signature"]
            assert RequestValidator(AUTH_TOKEN).validate(callback.url, signed, signature)
        assert await h.until_settled(sid) == [
            ("room-created", "delivered", 1),
            ("room-ended", "delivered", 1),
        ]


async def test_a_failure_is_tried_again_as_it_was_before_what_follows(tmp_path: Path) -> None:
    async with running_receiver() as receiver, running_webhooks(tmp_path) as h:
        statuses = [500, 503, 429, 204]

        async def answer(_: Callback) -> web.Response:
            return web.Response(status=statuses.pop(0) if statuses else 200)

        receiver.answer = answer
        sid = await h.create(receiver.url())
        await h.service.complete_room(sid)
        assert await receiver.until_events(5) == ["room-created"] * 4 + ["room-ended"]
        tries = receiver.callbacks[:4]
        names = ("X-Twilio-Signature", "I-Twilio-Idempotency-Token")
        for name in names:
            assert len({callback.headers[name] for callback in tries}) == 1
            assert tries[0].headers[name] != receiver.callbacks[4].headers[name]
        assert all(callback.parameters == tries[0].parameters for callback in tries)
        assert (await h.until_settled(sid))[0] == ("room-created", "delivered", 4)


async def test_a_receiver_that_is_away_is_tried_again(tmp_path: Path) -> None:
    async with running_webhooks(tmp_path) as h:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            sid = await h.create(f"http://127.0.0.1:{probe.getsockname()[1]}/#rc=2")
            assert await h.until_settled(sid) == [("room-created", "dead", 3)]
        [event], _ = await h.store.list_events(sid, after=-1, size=9)
        assert event.error is not None
        assert event.settled_at is not None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(tmp_path: Path, status: int) -> None:
    async with running_receiver() as other, running_receiver() as receiver:

        async def answer(_: Callback) -> web.Response:
            return web.Response(status=status, headers={"Location": other.url()})

        receiver.answer = answer
        async with running_webhooks(tmp_path) as h:
            sid = await h.create(receiver.url())
            assert await h.until_settled(sid) == [("room-created", "dead", 1)]
            assert other.callbacks == []


async def test_one_event_that_is_dead_does_not_hold_up_the_next(tmp_path: Path) -> None:
    async with running_receiver() as receiver, running_webhooks(tmp_path) as h:

        async def answer(callback: Callback) -> web.Response:
            return web.Response(status=404 if callback.event == "room-created" else 200)

        receiver.answer = answer
        sid = await h.create(receiver.url())
        await h.service.complete_room(sid)
        assert await h.until_settled(sid) == [
            ("room-created", "dead", 1),
            ("room-ended", "delivered", 1),
        ]


async def test_a_slow_receiver_delays_no_other_and_no_room(tmp_path: Path) -> None:
    config = replace(CONFIG, concurrency=8, concurrency_per_receiver=4)
    async with (
        running_receiver() as slow,
        running_receiver() as quick,
        running_webhooks(tmp_path, config=config) as h,
    ):
        never = asyncio.Event()

        async def answer(_: Callback) -> web.Response:
            await never.wait()
            return web.Response()

        slow.answer = answer
        for _ in range(20):
            await h.create(slow.url("/hook"))
        await slow.until_events(4)
        sids = [await h.create(quick.url()) for _ in range(10)]
        for sid in sids:
            await h.service.complete_room(sid)
        await quick.until_events(20)
        assert len(slow.callbacks) == 4


async def test_time_and_body_of_an_answer_are_bounded(tmp_path: Path) -> None:
    async with running_webhooks(tmp_path) as h:
        sent = 0
        endless = web.Application()

        async def pour(request: web.Request) -> web.StreamResponse:
            nonlocal sent
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"x" * 65536)
                sent += 65536

        async def drip(request: web.Request) -> web.StreamResponse:
            await asyncio.sleep(60)
            return web.Response()

        async def dribble(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.02)

        endless.router.add_post("/dribble", dribble)
        endless.router.add_post("/pour", pour)
        endless.router.add_post("/drip", drip)
        runner = web.AppRunner(endless, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        try:
            poured = await h.create(f"http://127.0.0.1:{port}/pour")
            dripped = await h.create(f"http://127.0.0.1:{port}/drip#rc=0&tt=200")
            assert await h.until_settled(poured) == [("room-created", "delivered", 1)]
            assert await h.until_settled(dripped) == [("room-created", "dead", 1)]
            # The status is all that counts, and that came.
            dribbled = await h.create(f"http://127.0.0.1:{port}/dribble#tt=300")
            assert await h.until_settled(dribbled) == [("room-created", "delivered", 1)]
            assert sent < 20_000_000
        finally:
            await runner.cleanup()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://localhost:{port}/",
        "http://127.1:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f000001:{port}/",
        "http://0:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
    ],
)
async def test_what_only_the_server_reaches_is_refused(tmp_path: Path, url: str) -> None:
    config = replace(CONFIG, allow_loopback=False)
    async with running_receiver() as receiver, running_webhooks(tmp_path, config=config) as h:
        sid = await h.create(url.format(port=receiver.port) + "#rc=0")
        assert await h.until_settled(sid) == [("room-created", "dead", 1)]
        [event], _ = await h.store.list_events(sid, after=-1, size=9)
        assert event.error is not None
        # The last is aiohttp's own, for spellings that it does not take for a name.
        refusals = ("may not be called", "is not an address", "not a canonical IPv4 address")
        assert any(refusal in event.error for refusal in refusals)
        assert receiver.callbacks == []


class Rebinding(AbstractResolver):
    """A DNS whose answers change from question to question."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        address = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None: ...


async def test_a_name_that_resolves_to_this_machine_is_refused(tmp_path: Path) -> None:
    config = replace(CONFIG, allow_loopback=False)
    resolver = Rebinding("127.0.0.1")
    async with (
        running_receiver() as receiver,
        running_webhooks(tmp_path, config=config, resolver=resolver) as h,
    ):
        sid = await h.create(f"http://rebind.example:{receiver.port}/")
        assert await h.until_settled(sid) == [("room-created", "dead", 1)]
        assert receiver.callbacks == []


async def test_the_address_that_was_checked_is_the_one_connected_to(tmp_path: Path) -> None:
    resolver = Rebinding("127.0.0.1", "10.0.0.1")
    async with (
        running_receiver() as receiver,
        running_webhooks(tmp_path, resolver=resolver) as h,
    ):
        sid = await h.create(f"http://rebind.example:{receiver.port}/")
        assert await h.until_settled(sid) == [("room-created", "delivered", 1)]
        assert resolver.asked == 1
        assert receiver.callbacks[0].headers["Host"] == f"rebind.example:{receiver.port}"


async def test_a_name_that_does_not_resolve_is_tried_again(tmp_path: Path) -> None:
    class Absent(Rebinding):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            if self.asked < 2:
                self.asked += 1
                raise socket.gaierror("no such name")
            return await super().resolve(host, port, family)

    async with (
        running_receiver() as receiver,
        running_webhooks(tmp_path, resolver=Absent("127.0.0.1")) as h,
    ):
        sid = await h.create(f"http://late.example:{receiver.port}/")
        assert await h.until_settled(sid) == [("room-created", "delivered", 3)]


async def test_what_was_not_delivered_is_delivered_by_the_next_run(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    async with running_receiver() as receiver:
        first = await start(store)

        async def answer(_: Callback) -> web.Response:
            return web.Response(status=500)

        receiver.answer = answer
        sid = await first.create(receiver.url())
        other = await first.create(receiver.url(), unique_name="other")
        await receiver.until_events(4)
        await first.service.complete_room(sid)
        await first.service.flush()
        await stop(first)
        receiver.answer = None
        before = len(receiver.callbacks)
        second = await start(store)
        await second.until_settled(sid)
        await second.until_settled(other)
        mine = [c for c in receiver.callbacks[before:] if c.parameters["RoomSid"] == sid]
        assert [c.event for c in mine] == ["room-created", "room-ended"]
        await second.service.complete_room(other)
        settled = await second.until_settled(other)
        assert [name for name, _, _ in settled] == ["room-created", "room-ended"]
        await stop(second)
    await store.close()


async def test_the_wait_for_the_next_attempt_outlives_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_DELAYS", (1.0, 0.02, 0.02))
    store = await open_store(tmp_path)
    loop = asyncio.get_running_loop()
    came: list[float] = []
    async with running_receiver() as receiver:

        async def answer(_: Callback) -> web.Response:
            came.append(loop.time())
            return web.Response(status=503 if len(came) < 3 else 200)

        receiver.answer = answer
        first = await start(store)
        sid = await first.create(receiver.url())
        await receiver.until_events(1)
        async with asyncio.timeout(10.0):
            while await first.deliveries(sid) != [("room-created", "pending", 1)]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await stop(first)
        second = await start(store)
        # Counted on: the second delay comes after the second attempt.
        assert await second.until_settled(sid) == [("room-created", "delivered", 3)]
        assert came[1] - came[0] > 0.9
        await stop(second)
    await store.close()


async def test_an_event_of_yesterday_has_one_more_attempt_and_is_dead(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    async with running_receiver() as receiver:

        async def answer(_: Callback) -> web.Response:
            return web.Response(status=503)

        receiver.answer = answer
        first = await start(store)
        sid = await first.create(receiver.url())
        await receiver.until_events(2)
        await stop(first)
        # In a thread: the last write of the first one may still need the loop to end.
        await asyncio.to_thread(_make_events_a_day_older, tmp_path / "test.sqlite")
        before = len(receiver.callbacks)
        second = await start(store)
        [(name, state, attempts)] = await second.until_settled(sid)
        assert (name, state, len(receiver.callbacks) - before) == ("room-created", "dead", 1)
        assert attempts >= 3
        await stop(second)
    await store.close()


async def test_nothing_is_told_that_is_not_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_receiver() as receiver, running_webhooks(tmp_path) as h:
        sid = await h.create(receiver.url())
        await h.until_settled(sid)
        put_all, down = h.store.put_all, True

        async def fails(records: object) -> None:
            if down:
                raise OutcomeUnknown("the disk is full")
            await put_all(records)  # type: ignore[arg-type]

        monkeypatch.setattr(h.store, "put_all", fails)
        with pytest.raises(StoreUnavailable):
            await h.service.complete_room(sid)
        await asyncio.sleep(0.15)
        assert receiver.events == ["room-created"]
        down = False
        assert await receiver.until_events(2) == ["room-created", "room-ended"]


async def test_a_callback_whose_row_cannot_be_updated_is_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_receiver() as receiver, running_webhooks(tmp_path) as h:
        update, down = h.store.update_delivery, True

        async def fails(event: object) -> None:
            if down:
                raise StorageError("the disk is full")
            await update(event)  # type: ignore[arg-type]

        monkeypatch.setattr(h.store, "update_delivery", fails)
        sid = await h.create(receiver.url())
        await receiver.until_events(1)
        await asyncio.sleep(0.1)
        assert receiver.events == ["room-created"]
        down = False
        assert await h.until_settled(sid) == [("room-created", "delivered", 1)]


def _make_events_a_day_older(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        a_day = 24 * 3600 * 1_000_000
        database.execute("UPDATE events SET created_at = created_at - ?", [a_day])
