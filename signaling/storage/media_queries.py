"""Recordings, compositions, hooks, their settings and transcriptions in the SQL store."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from signaling.compositions import CompositionPlan
from signaling.errors import NameTaken
from signaling.storage.event_queries import append_events
from signaling.storage.event_records import EventRecord
from signaling.storage.media_records import (
    CompositionHookRecord,
    CompositionRecord,
    MediaSettingsRecord,
    RecordingRecord,
    TranscriptionRecord,
)
from signaling.storage.media_tables import (
    composition_hooks,
    compositions,
    hooks_due,
    media_settings,
    recordings,
    transcriptions,
)
from signaling.storage.queries import SqlQueries
from signaling.storage.records import RoomRecord
from signaling.storage.rows import room_of, row_of
from signaling.storage.store import Page, Slice
from signaling.storage.tables import rooms

_ESCAPE = "\\"
_SIDS_TOGETHER = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedFilter:
    """Which rows a list shows by their creation; None filters nothing."""

    created_from: datetime | None = None
    """Inclusive."""
    created_before: datetime | None = None
    """Exclusive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFilter(CreatedFilter):
    """Which recordings a list shows."""

    room_sid: str | None = None
    status: str | None = None
    """None shows all but the deleted."""
    source_sid: str | None = None
    grouping_sids: tuple[str, ...] = ()
    """All of these must be the recording's room or participant."""
    kind: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositionFilter(CreatedFilter):
    """Which compositions a list shows."""

    room_sid: str | None = None
    status: str | None = None
    """None shows all but the deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFilter(CreatedFilter):
    """Which composition hooks a list shows."""

    enabled: bool | None = None
    friendly_name: str | None = None
    """The whole name in any letter case, in which ``*`` stands for any characters."""


class MediaQueries(SqlQueries):
    """One method per question; each write is durable when it returns."""

    # Recordings.

    async def add_recording(self, recording: RecordingRecord) -> None:
        """Add a recording; the hooks are to run over its room when that has ended."""
        async with self._transaction() as connection:
            await connection.execute(insert(recordings).values(**row_of(recording)))
            room_sid, account_sid = recording.room_sid, recording.account_sid
            noted = select(hooks_due.c.room_sid).where(hooks_due.c.room_sid == room_sid)
            if await connection.scalar(noted) is None:
                await connection.execute(
                    insert(hooks_due).values(room_sid=room_sid, account_sid=account_sid)
                )

    async def set_recording_status(
        self, sid: str, status: str, *, unless: Sequence[str] = ()
    ) -> bool:
        """Give a recording another status, and tell whether that was done."""
        async with self._transaction() as connection:
            result = await connection.execute(
                update(recordings)
                .where(recordings.c.sid == sid, recordings.c.status.not_in(unless))
                .where(recordings.c.account_sid == self._account_sid)
                .values(status=status)
            )
        return bool(result.rowcount)

    async def get_recording(self, sid: str) -> RecordingRecord | None:
        """Return a recording of any status."""
        query = self._mine(recordings).where(recordings.c.sid == sid)
        return await self._one(query, _recording_of)

    async def list_recordings(self, where: RecordingFilter, page: Page) -> Slice[RecordingRecord]:
        """Return one page of recordings."""
        query = self._mine(recordings).where(*_of_status(recordings, where.status))
        if where.room_sid is not None:
            query = query.where(recordings.c.room_sid == where.room_sid)
        if where.source_sid is not None:
            query = query.where(recordings.c.source_sid == where.source_sid)
        if where.kind is not None:
            query = query.where(recordings.c.kind == where.kind)
        for sid in where.grouping_sids:
            query = query.where(
                or_(recordings.c.room_sid == sid, recordings.c.participant_sid == sid)
            )
        query = query.where(*_created_within(recordings, where))
        return await self._page(query, recordings, page, _recording_of)

    async def recordings_of_room(self, room_sid: str) -> tuple[RecordingRecord, ...]:
        """Return all recordings of a room, oldest first."""
        query = self._mine(recordings).where(recordings.c.room_sid == room_sid)
        found = await self._all(query.order_by(recordings.c.created_at, recordings.c.sid))
        return tuple(_recording_of(row) for row in found)

    # Compositions.

    async def add_composition(
        self, composition: CompositionRecord, told: Sequence[EventRecord] = ()
    ) -> None:
        """
        Add a composition.

        :param told: Events that tell of it, written together with it.
        """
        async with self._transaction() as connection:
            row = row_of(composition) | {"plan": composition.plan.to_json()}
            await connection.execute(insert(compositions).values(**row))
            await append_events(connection, told)

    async def fail_composition(self, sid: str, code: int, told: Sequence[EventRecord] = ()) -> bool:
        """
        Let a waiting composition fail, and tell whether it was still waiting.

        :param told: Events that tell of it, written together with it.
        """
        return await self._change_composition(
            compositions.c.sid == sid,
            compositions.c.status == "enqueued",
            told=told,
            status="failed",
            failure_code=code,
        )

    async def add_events(self, told: Sequence[EventRecord]) -> None:
        """Add events of a room that has ended; their sequence numbers are given here."""
        async with self._transaction() as connection:
            await append_events(connection, told)

    async def delete_composition(self, sid: str, at: datetime) -> bool:
        """Cancel or delete a composition, and tell whether that was done."""
        return await self._change_composition(
            compositions.c.sid == sid,
            compositions.c.status.not_in(("failed", "deleted")),
            status="deleted",
            deleted_at=at,
        )

    async def forget_deleted_compositions(self, before: datetime, *, size: int) -> int:
        """
        Forget compositions that were deleted before a time.

        :param size: Largest number, which bounds how long other writes wait.
        :return: How many there were.
        """
        query = (
            select(compositions.c.sid)
            .where(compositions.c.account_sid == self._account_sid)
            .where(compositions.c.status == "deleted", compositions.c.deleted_at < before)
            .limit(size)
        )
        sids = [row["sid"] for row in await self._all(query)]
        if sids:
            async with self._transaction() as connection:
                await connection.execute(delete(compositions).where(compositions.c.sid.in_(sids)))
        return len(sids)

    async def _change_composition(
        self, *where: ColumnElement[bool], told: Sequence[EventRecord] = (), **values: object
    ) -> bool:
        async with self._transaction() as connection:
            result = await connection.execute(
                update(compositions)
                .where(*where, compositions.c.account_sid == self._account_sid)
                .values(**values)
            )
            if result.rowcount:
                await append_events(connection, told)
        return bool(result.rowcount)

    async def get_composition(self, sid: str) -> CompositionRecord | None:
        """Return a composition of any status."""
        query = self._mine(compositions).where(compositions.c.sid == sid)
        return await self._one(query, _composition_of)

    async def list_compositions(
        self, where: CompositionFilter, page: Page
    ) -> Slice[CompositionRecord]:
        """Return one page of compositions."""
        query = self._mine(compositions).where(*_of_status(compositions, where.status))
        if where.room_sid is not None:
            query = query.where(compositions.c.room_sid == where.room_sid)
        query = query.where(*_created_within(compositions, where))
        return await self._page(query, compositions, page, _composition_of)

    async def compositions_of_room(self, room_sid: str) -> tuple[CompositionRecord, ...]:
        """Return all compositions of a room, oldest first."""
        query = self._mine(compositions).where(compositions.c.room_sid == room_sid)
        found = await self._all(query.order_by(compositions.c.created_at, compositions.c.sid))
        return tuple(_composition_of(row) for row in found)

    async def rooms_with_media(self, room_sids: Sequence[str]) -> tuple[str, ...]:
        """Return which of some rooms have recordings or compositions, in the order given."""
        found: set[str] = set()
        for start in range(0, len(room_sids), _SIDS_TOGETHER):
            some = room_sids[start : start + _SIDS_TOGETHER]
            for table in (recordings, compositions):
                query = select(table.c.room_sid).where(table.c.room_sid.in_(some)).distinct()
                found.update(row["room_sid"] for row in await self._all(query))
        return tuple(sid for sid in room_sids if sid in found)

    async def rooms_with_waiting_compositions(self) -> tuple[str, ...]:
        """Return the SIDs of the ended rooms of which compositions are still waiting."""
        query = (
            select(compositions.c.room_sid)
            .distinct()
            .join(rooms, rooms.c.sid == compositions.c.room_sid)
            .where(compositions.c.status == "enqueued", rooms.c.status != "in-progress")
            .where(compositions.c.account_sid == self._account_sid)
        )
        return tuple(str(row["room_sid"]) for row in await self._all(query))

    # Composition hooks.

    async def add_hook(self, hook: CompositionHookRecord) -> None:
        """Add a hook. :raises NameTaken: if another has its name."""
        await self._write_hook(insert(composition_hooks).values(**_hook_row(hook)))

    async def replace_hook(self, hook: CompositionHookRecord) -> None:
        """Replace a hook. :raises NameTaken: if another has its name."""
        row = _hook_row(hook)
        where = composition_hooks.c.sid == row.pop("sid")
        await self._write_hook(update(composition_hooks).where(where).values(**row))

    async def _write_hook(self, statement: Any) -> None:
        async with self._transaction() as connection:
            try:
                await connection.execute(statement)
            except IntegrityError as error:
                raise NameTaken("another composition hook has the name") from error

    async def delete_hook(self, sid: str) -> None:
        """Remove a hook; what it made stays."""
        async with self._transaction() as connection:
            await connection.execute(
                delete(composition_hooks).where(
                    composition_hooks.c.sid == sid,
                    composition_hooks.c.account_sid == self._account_sid,
                )
            )

    async def get_hook(self, sid: str) -> CompositionHookRecord | None:
        """Return a hook."""
        query = self._mine(composition_hooks).where(composition_hooks.c.sid == sid)
        return await self._one(query, _hook_of)

    async def list_hooks(self, where: HookFilter, page: Page) -> Slice[CompositionHookRecord]:
        """Return one page of hooks."""
        query = self._mine(composition_hooks)
        if where.enabled is not None:
            query = query.where(composition_hooks.c.enabled == where.enabled)
        if where.friendly_name is not None:
            pattern = _like_of(where.friendly_name.casefold())
            query = query.where(composition_hooks.c.folded_name.like(pattern, escape=_ESCAPE))
        query = query.where(*_created_within(composition_hooks, where))
        return await self._page(query, composition_hooks, page, _hook_of)

    async def enabled_hooks(self) -> tuple[CompositionHookRecord, ...]:
        """Return the hooks that run when a room has ended, oldest first."""
        query = self._mine(composition_hooks).where(composition_hooks.c.enabled)
        order = (composition_hooks.c.created_at, composition_hooks.c.sid)
        return tuple(_hook_of(row) for row in await self._all(query.order_by(*order)))

    async def rooms_with_hooks_due(self) -> tuple[RoomRecord, ...]:
        """Return the rooms that were recorded and have ended, and that no hook has run over."""
        query = (
            select(rooms)
            .join(hooks_due, hooks_due.c.room_sid == rooms.c.sid)
            .where(rooms.c.status != "in-progress", hooks_due.c.account_sid == self._account_sid)
            .order_by(rooms.c.created_at, rooms.c.sid)
        )
        return tuple(room_of(row) for row in await self._all(query))

    async def hooks_have_run(self, room_sid: str) -> None:
        """Take note that the hooks have run over a room."""
        async with self._transaction() as connection:
            await connection.execute(delete(hooks_due).where(hooks_due.c.room_sid == room_sid))

    # Settings.

    async def put_media_settings(self, settings: MediaSettingsRecord) -> None:
        """Replace the settings for recordings or for compositions."""
        where = (
            media_settings.c.account_sid == self._account_sid,
            media_settings.c.subject == settings.subject,
        )
        async with self._transaction() as connection:
            await connection.execute(delete(media_settings).where(*where))
            await connection.execute(insert(media_settings).values(**row_of(settings)))

    async def get_media_settings(self, subject: str) -> MediaSettingsRecord | None:
        """Return the settings, or None before they were first made."""
        query = self._mine(media_settings).where(media_settings.c.subject == subject)
        found = await self._all(query)
        return MediaSettingsRecord(**found[0]) if found else None

    # Transcriptions.

    async def transcription_of_room(self, room_sid: str) -> TranscriptionRecord | None:
        """Return the transcription of a room, if it has one."""
        query = self._mine(transcriptions).where(transcriptions.c.room_sid == room_sid)
        return await self._one(query, _transcription_of)

    async def transcriptions_in_progress(self) -> tuple[TranscriptionRecord, ...]:
        """Return the transcriptions of rooms in progress, and those that outlasted their room."""
        query = (
            self._mine(transcriptions)
            .join(rooms, rooms.c.sid == transcriptions.c.room_sid)
            .where(or_(rooms.c.status == "in-progress", transcriptions.c.status == "started"))
        )
        return tuple(_transcription_of(row) for row in await self._all(query))

    def _mine(self, table: Table) -> Select[Any]:
        return select(table).where(table.c.account_sid == self._account_sid)


def _of_status(table: Table, status: str | None) -> Iterator[ColumnElement[bool]]:
    yield table.c.status != "deleted" if status is None else table.c.status == status


def _created_within(table: Table, where: CreatedFilter) -> Iterator[ColumnElement[bool]]:
    if where.created_from is not None:
        yield table.c.created_at >= where.created_from
    if where.created_before is not None:
        yield table.c.created_at < where.created_before


def _like_of(pattern: str) -> str:
    for special in (_ESCAPE, "%", "_"):
        pattern = pattern.replace(special, _ESCAPE + special)
    return pattern.replace("*", "%")


def _recording_of(row: Mapping[str, Any]) -> RecordingRecord:
    return RecordingRecord(**row)


def _composition_of(row: Mapping[str, Any]) -> CompositionRecord:
    return CompositionRecord(**{**row, "plan": CompositionPlan.from_json(row["plan"])})


def _hook_row(hook: CompositionHookRecord) -> dict[str, Any]:
    return row_of(hook) | {
        "plan": hook.plan.to_json(),
        "folded_name": hook.friendly_name.casefold(),
    }


def _hook_of(row: Mapping[str, Any]) -> CompositionHookRecord:
    members = {**row, "plan": CompositionPlan.from_json(row["plan"])}
    del members["folded_name"]
    return CompositionHookRecord(**members)


def _transcription_of(row: Mapping[str, Any]) -> TranscriptionRecord:
    return TranscriptionRecord(**{**row, "configuration": json.loads(row["configuration"])})
