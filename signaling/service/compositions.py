"""What becomes of compositions when their room has ended."""

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from signaling.errors import ErrorCode, StorageError
from signaling.ids import new_composition_sid
from signaling.rooms import RoomCompleted, RoomEvent
from signaling.storage.event_records import EventRecord
from signaling.storage.media_queries import MediaQueries
from signaling.storage.media_records import (
    CompositionHookRecord,
    CompositionRecord,
    RecordingRecord,
)
from signaling.storage.records import RoomRecord

from .composition_events import CompositionEvents

if TYPE_CHECKING:
    from .live_room import LiveRoom
    from .room_service import RoomService

RETRY_DELAY = 2.0
"""Seconds until a room is looked at again after the store failed."""
GATHER_TIME = 0.1
"""Seconds for which rooms that end are gathered."""

_log = structlog.get_logger(__name__)


class CompositionService:
    """
    Looks at rooms that have ended, off everybody's path.

    A waiting composition of which nothing was recorded fails. One that has sources stays enqueued
    for whatever renders it. Enabled hooks make compositions of rooms that were recorded.

    :param recorded: Called with each event that is in the store and to be delivered.
    """

    def __init__(
        self,
        *,
        service: "RoomService",
        store: MediaQueries,
        rng: random.Random,
        recorded: Callable[[EventRecord], None],
    ) -> None:
        self._service = service
        self._store = store
        self._rng = rng
        self._recorded = recorded
        self._events = CompositionEvents(rng=rng)
        # By room SID: whether the hooks are to run.
        self._ended: dict[str, bool] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up what a former run left, and follow the rooms from now on."""
        self._service.observers.append(self._observe)
        # A restored room may have ended at once.
        await self._service.flush()
        for room in await self._store.rooms_with_hooks_due():
            self._ended.setdefault(room.sid, _has_hooks(room))
        for room_sid in await self._store.rooms_with_waiting_compositions():
            self._ended.setdefault(room_sid, False)
        self._task = asyncio.create_task(self._run(), name="compositions")

    async def close(self) -> None:
        """Stop; what is undone is taken up at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def room_may_have_ended(self, room_sid: str) -> None:
        """Look at a room if it is not in progress: a composition of it was just enqueued."""
        if self._service.live_room(room_sid) is None:
            self._ended.setdefault(room_sid, False)
            self._wake.set()

    def _observe(self, live: "LiveRoom", event: RoomEvent) -> None:
        if isinstance(event, RoomCompleted):
            self._ended[live.sid] = _has_hooks(live.record)
            self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            # Taken out first: what is noted meanwhile counts.
            ended, self._ended = self._ended, {}
            try:
                if ended:
                    await self._service.flush()
                    # Most rooms have neither recordings nor compositions.
                    for room_sid in await self._store.rooms_with_media(tuple(ended)):
                        await self._settle(room_sid, run_hooks=ended[room_sid])
            except StorageError as error:
                _log.warning("compositions have to wait", error=str(error))
                for room_sid, run_hooks in ended.items():
                    self._ended[room_sid] = run_hooks or self._ended.get(room_sid, False)
                await asyncio.sleep(RETRY_DELAY)
                continue
            await self._wake.wait()
            # Where rooms end by the hundred, one look serves many.
            await asyncio.sleep(GATHER_TIME)

    async def _settle(self, room_sid: str, *, run_hooks: bool) -> None:
        try:
            await self._settle_room(room_sid, run_hooks=run_hooks)
        except StorageError:
            raise
        except Exception:
            _log.exception("compositions of a room failed", room_sid=room_sid)

    async def _settle_room(self, room_sid: str, *, run_hooks: bool) -> None:
        recordings = await self._store.recordings_of_room(room_sid)
        usable = [r for r in recordings if r.status not in ("deleted", "failed")]
        if run_hooks and usable:
            await self._run_hooks(room_sid)
        if recordings:
            # Should the server end before this, they run again: over the same room none runs twice.
            await self._store.hooks_have_run(room_sid)
        gone = bool(recordings) and all(r.status == "deleted" for r in recordings)
        for composition in await self._store.compositions_of_room(room_sid):
            if composition.status == "enqueued" and not _has_sources(composition, usable):
                code = ErrorCode.RECORDINGS_DELETED if gone else ErrorCode.NO_SOURCE_LEFT
                failed = self._events.failed(composition, code, self._service.clock.utc_now())
                if await self._store.fail_composition(composition.sid, code, [failed]):
                    self._tell(failed)
                    _log.info("composition failed", composition_sid=composition.sid, code=int(code))

    async def _run_hooks(self, room_sid: str) -> None:
        hooks = await self._store.enabled_hooks()
        existing = await self._store.compositions_of_room(room_sid)
        done = {composition.hook_sid for composition in existing}
        for hook in hooks:
            if hook.sid not in done:
                await self._run_hook(hook, room_sid)

    async def _run_hook(self, hook: CompositionHookRecord, room_sid: str) -> None:
        composition = CompositionRecord(
            sid=new_composition_sid(self._rng),
            account_sid=hook.account_sid,
            room_sid=room_sid,
            hook_sid=hook.sid,
            plan=hook.plan,
            status="enqueued",
            created_at=self._service.clock.utc_now(),
        )
        told = self._events.enqueued(composition, hook)
        try:
            await self._store.add_composition(composition, [told])
        except StorageError:
            raise
        except Exception:
            _log.exception("a composition hook failed", hook_sid=hook.sid, room_sid=room_sid)
            code, at = ErrorCode.HOOK_FAILED, self._service.clock.utc_now()
            told = self._events.hook_failed(hook, room_sid, code, at)
            await self._store.add_events([told])
        self._tell(told)

    def _tell(self, event: EventRecord) -> None:
        if event.delivery == "pending":
            self._recorded(event)


def _has_hooks(room: RoomRecord) -> bool:
    return room.settings.type == "group"


def _has_sources(composition: CompositionRecord, usable: list[RecordingRecord]) -> bool:
    audio = [recording for recording in usable if recording.kind == "audio"]
    video = [recording for recording in usable if recording.kind == "video"]
    return bool(composition.plan.select_audio(audio) or composition.plan.select_video(video))
