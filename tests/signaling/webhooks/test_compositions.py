"""Callbacks of compositions: with every parameter, in queues of their own."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from twilio.request_validator import RequestValidator

from signaling.compositions import CompositionPlan
from signaling.errors import ErrorCode
from signaling.ids import new_composition_hook_sid, new_composition_sid
from signaling.service.compositions import CompositionService
from signaling.storage.event_records import EventRecord
from signaling.storage.media_records import CompositionHookRecord, CompositionRecord
from tests.signaling.support import ACCOUNT_SID
from tests.signaling.webhooks.support import (
    AUTH_TOKEN,
    Callback,
    Harness,
    Receiver,
    make_recording,
    running_receiver,
    running_webhooks,
)

rng = random.Random(3)


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Harness]:
    """Run what the server runs for compositions."""
    async with running_webhooks(directory) as harness:
        compositions = CompositionService(
            service=harness.service,
            store=harness.store,
            rng=rng,
            recorded=harness.webhooks.notice,
        )
        await compositions.start()
        try:
            yield harness
        finally:
            await compositions.close()


def plan(url: str, *, method: str = "POST", audio: str = "*") -> CompositionPlan:
    return CompositionPlan(
        audio_sources=(audio,), status_callback=url, status_callback_method=method
    )


async def waiting(harness: Harness, room_sid: str, made_of: CompositionPlan) -> str:
    """Add a composition as the API does."""
    composition = CompositionRecord(
        sid=new_composition_sid(rng),
        account_sid=ACCOUNT_SID,
        room_sid=room_sid,
        hook_sid=None,
        plan=made_of,
        status="enqueued",
        created_at=datetime.now(UTC),
    )
    await harness.store.add_composition(composition)
    return composition.sid


async def hook(harness: Harness, made_of: CompositionPlan) -> CompositionHookRecord:
    """Add a hook as the API does."""
    added = CompositionHookRecord(
        sid=new_composition_hook_sid(rng),
        account_sid=ACCOUNT_SID,
        friendly_name="every room & more",
        enabled=True,
        plan=made_of,
        created_at=datetime.now(UTC),
    )
    await harness.store.add_hook(added)
    return added


async def record(harness: Harness, room_sid: str) -> None:
    """Add a recording, as if there were a recorder."""
    await harness.store.add_recording(make_recording(rng, ACCOUNT_SID, room_sid))


def assert_signed(callback: Callback) -> None:
    signed = callback.parameters if callback.method == "POST" else {}
    validator = RequestValidator(AUTH_TOKEN)
    assert validator.validate(callback.url, signed, callback.headers["X-Twilio-Signature"])


def of(receiver: Receiver, path: str) -> list[Callback]:
    return [callback for callback in receiver.callbacks if path in callback.url]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_composition_without_recordings_is_told_to_have_failed(
    tmp_path: Path, method: str
) -> None:
    async with running_receiver() as receiver, running(tmp_path) as harness:
        room_sid = await harness.create(receiver.url("/room"))
        sid = await waiting(harness, room_sid, plan(receiver.url("/made"), method=method))
        await harness.service.complete_room(room_sid)
        await receiver.until(lambda r: of(r, "/made") and len(of(r, "/room")) == 2)
        [told] = of(receiver, "/made")
        assert told.method == method
        assert_signed(told)
        moment = told.parameters.pop("Timestamp")
        assert datetime.strptime(moment, "%Y-%m-%dT%H:%M:%S.%f%z")
        assert told.parameters == {
            "AccountSid": ACCOUNT_SID,
            "RoomSid": room_sid,
            "StatusCallbackEvent": "composition-failed",
            "CompositionSid": sid,
            "CompositionUri": f"/v1/Compositions/{sid}",
            "FailedOperation": "CompositionProcessing",
            "ErrorMessage": f"53630 {ErrorCode.NO_SOURCE_LEFT.message}",
        }
        found = await harness.until_settled(room_sid)
        assert [name for name, *_ in found] == ["room-created", "room-ended", "composition-failed"]


async def test_hook_tells_what_it_enqueued_and_what_became_of_it(tmp_path: Path) -> None:
    async with running_receiver() as receiver, running(tmp_path) as harness:
        made_by = await hook(harness, plan(receiver.url("/hook"), audio="nobody"))
        room_sid, silent = await harness.create(None), await harness.create(None)
        await record(harness, room_sid)
        for each in (silent, room_sid):
            await harness.service.complete_room(each)
        await receiver.until_events(2)
        await harness.until_settled(room_sid)
        [made] = await harness.store.compositions_of_room(room_sid)
        assert (made.status, made.hook_sid, made.failure_code) == ("failed", made_by.sid, 53630)
        enqueued, failed = receiver.callbacks
        assert_signed(enqueued)
        del enqueued.parameters["Timestamp"]
        assert enqueued.parameters == {
            "AccountSid": ACCOUNT_SID,
            "RoomSid": room_sid,
            "StatusCallbackEvent": "composition-enqueued",
            "HookSid": made_by.sid,
            "HookUri": f"/v1/CompositionHooks/{made_by.sid}",
            "HookFriendlyName": "every room & more",
            "CompositionSid": made.sid,
            "CompositionUri": f"/v1/Compositions/{made.sid}",
        }
        assert failed.event == "composition-failed"
        assert failed.parameters["CompositionSid"] == made.sid
        # A room of which nothing was recorded makes no composition.
        assert await harness.store.compositions_of_room(silent) == ()


async def test_hook_that_cannot_make_its_composition_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(composition: CompositionRecord, told: Sequence[EventRecord] = ()) -> None:
        raise ValueError("test")

    async with running_receiver() as receiver, running(tmp_path) as harness:
        made_by = await hook(harness, plan(receiver.url("/hook")))
        room_sid = await harness.create(None)
        await record(harness, room_sid)
        monkeypatch.setattr(harness.store, "add_composition", broken)
        await harness.service.complete_room(room_sid)
        await receiver.until_events(1)
        [told] = receiver.callbacks
        assert_signed(told)
        del told.parameters["Timestamp"]
        assert told.parameters == {
            "AccountSid": ACCOUNT_SID,
            "RoomSid": room_sid,
            "StatusCallbackEvent": "composition-hook-failed",
            "HookSid": made_by.sid,
            "HookUri": f"/v1/CompositionHooks/{made_by.sid}",
            "HookFriendlyName": "every room & more",
            "FailedOperation": "CompositionEnqueue",
            "ErrorMessage": f"53631 {ErrorCode.HOOK_FAILED.message}",
        }


async def test_dead_receiver_of_the_room_holds_up_no_composition(tmp_path: Path) -> None:
    async def answer(callback: Callback) -> web.Response:
        return web.Response(status=500 if "/room" in callback.url else 200)

    async with running_receiver() as receiver, running(tmp_path) as harness:
        receiver.answer = answer
        room_sid = await harness.create(receiver.url("/room"))
        await waiting(harness, room_sid, plan(receiver.url("/made")))
        await harness.service.complete_room(room_sid)
        await receiver.until(lambda r: of(r, "/made"))
        assert [c.event for c in of(receiver, "/made")] == ["composition-failed"]
        # Of the room, the first event is still waiting for its next attempt.
        assert {c.event for c in of(receiver, "/room")} <= {"room-created"}
