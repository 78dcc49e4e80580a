"""Events of rooms in the SQL store, their delivery, and what a restart needs to know."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from signaling.storage.event_records import CallbackQueue, EventRecord, LeftBehind, PendingQueue
from signaling.storage.event_tables import events
from signaling.storage.queries import SqlQueries
from signaling.storage.rows import participant_of, row_of, track_of
from signaling.storage.tables import metadata, participants, rooms, tracks

_IDENTITY = "ParticipantIdentity"


class EventQueries(SqlQueries):
    """One method per question; each write is durable when it returns."""

    async def list_events(
        self, room_sid: str, *, after: int, size: int
    ) -> tuple[tuple[EventRecord, ...], bool]:
        """
        Return a room's events in order, and whether more follow.

        :param after: Sequence number of the last event that is not wanted; -1 wants all.
        :param size: Largest number of events.
        """
        query = (
            select(events)
            .where(
                events.c.room_sid == room_sid,
                events.c.account_sid == self._account_sid,
                events.c.sequence > after,
            )
            .order_by(events.c.sequence)
            .limit(size + 1)
        )
        found = await self._all(query)
        return tuple(_event_of(row) for row in found[:size]), len(found) > size

    async def pending_events(self, queue: CallbackQueue, *, size: int) -> tuple[EventRecord, ...]:
        """Return the next events of a queue that are to be delivered, in order."""
        query = (
            select(events)
            .where(
                events.c.room_sid == queue.room_sid,
                events.c.url == queue.url,
                events.c.delivery == "pending",
            )
            .order_by(events.c.sequence)
            .limit(size)
        )
        return tuple(_event_of(row) for row in await self._all(query))

    async def pending_queues(self) -> tuple[PendingQueue, ...]:
        """Return all queues with events to deliver, for the restart."""
        # Only the first pending event of a queue is ever tried, so only it can have a time.
        query = (
            select(
                events.c.room_sid,
                events.c.url,
                func.max(events.c.next_attempt_at).label("next_attempt_at"),
            )
            .where(events.c.delivery == "pending", events.c.account_sid == self._account_sid)
            .group_by(events.c.room_sid, events.c.url)
        )
        return tuple(
            PendingQueue(
                queue=CallbackQueue(row["room_sid"], row["url"]),
                next_attempt_at=row["next_attempt_at"],
            )
            for row in await self._all(query)
        )

    async def update_delivery(self, event: EventRecord) -> None:
        """Write what became of an event's delivery."""
        async with self._transaction() as connection:
            await connection.execute(
                update(events)
                .where(events.c.sid == event.sid)
                .values(
                    delivery=event.delivery,
                    attempts=event.attempts,
                    next_attempt_at=event.next_attempt_at,
                    settled_at=event.settled_at,
                    error=event.error,
                )
            )

    async def last_sequences(self) -> dict[str, int]:
        """Return the last sequence number of each room in progress that has events."""
        query = (
            select(events.c.room_sid, func.max(events.c.sequence).label("last"))
            .join(rooms, rooms.c.sid == events.c.room_sid)
            .where(rooms.c.status == "in-progress", rooms.c.account_sid == self._account_sid)
            .group_by(events.c.room_sid)
        )
        return {row["room_sid"]: row["last"] for row in await self._all(query)}

    async def left_behind(self) -> tuple[LeftBehind, ...]:
        """Return whom a former run of the server left inside a room, in order of joining."""
        inside = (participants.c.status != "disconnected") & (
            participants.c.account_sid == self._account_sid
        )
        published: dict[str, list[Mapping[str, Any]]] = {}
        query = select(tracks).where(
            tracks.c.unpublished_at.is_(None),
            tracks.c.participant_sid.in_(select(participants.c.sid).where(inside)),
        )
        for row in await self._all(query.order_by(tracks.c.created_at, tracks.c.sid)):
            published.setdefault(row["participant_sid"], []).append(row)
        people = select(participants).where(inside)
        return tuple(
            LeftBehind(
                participant=participant_of(row),
                tracks=tuple(track_of(track) for track in published.get(row["sid"], ())),
            )
            for row in await self._all(
                people.order_by(participants.c.created_at, participants.c.sid)
            )
        )

    async def last_departure(self, room_sid: str) -> datetime | None:
        """Return when the last participant of a room left; None when nobody ever did."""
        query = select(func.max(participants.c.ended_at).label("ended_at")).where(
            participants.c.room_sid == room_sid
        )
        (row,) = await self._all(query)
        ended_at: datetime | None = row["ended_at"]
        return ended_at

    async def forget_identity(self, participant_sid: str) -> None:
        """Put a participant's SID in place of its identity in all its events."""
        query = select(events.c.sid, events.c.parameters).where(
            events.c.participant_sid == participant_sid
        )
        rows = await self._all(query)
        async with self._transaction() as connection:
            for row in rows:
                if _IDENTITY in row["parameters"]:
                    await connection.execute(
                        update(events)
                        .where(events.c.sid == row["sid"])
                        .values(parameters={**row["parameters"], _IDENTITY: participant_sid})
                    )

    async def delete_ended_rooms(self, before: datetime, *, size: int) -> int:
        """
        Delete the oldest rooms that ended before a time, with all that belongs to them.

        :param size: Largest number of rooms, which bounds how long other writes wait.
        :return: How many rooms were deleted.
        """
        query = (
            select(rooms.c.sid)
            .where(
                rooms.c.account_sid == self._account_sid,
                rooms.c.status.in_(("completed", "failed")),
                rooms.c.ended_at < before,
            )
            .order_by(rooms.c.created_at, rooms.c.sid)
            .limit(size)
        )
        sids = [row["sid"] for row in await self._all(query)]
        if sids:
            async with self._transaction() as connection:
                # The tables that refer to others come last in that order, and so are emptied first.
                for table in reversed(metadata.sorted_tables):
                    if (mine := _of_rooms(table, sids)) is not None:
                        await connection.execute(delete(table).where(mine))
        return len(sids)


async def append_events(connection: AsyncConnection, made: Sequence[EventRecord]) -> None:
    """
    Add events of a room that has ended, in a transaction that is under way.

    Their sequence numbers are given here: they go on where the room's ended.
    """
    for event in made:
        last = await connection.scalar(
            select(func.max(events.c.sequence)).where(events.c.room_sid == event.room_sid)
        )
        row = row_of(event) | {"sequence": 0 if last is None else last + 1}
        await connection.execute(insert(events).values(**row))


def _of_rooms(table: Table, sids: Sequence[str]) -> ColumnElement[bool] | None:
    """Return which rows of a table belong to some rooms, or None when none can."""
    if table is rooms:
        return rooms.c.sid.in_(sids)
    if "room_sid" in table.c:
        return table.c.room_sid.in_(sids)
    if "participant_sid" in table.c:
        people = select(participants.c.sid).where(participants.c.room_sid.in_(sids))
        return table.c.participant_sid.in_(people)
    return None


def _event_of(row: Mapping[str, Any]) -> EventRecord:
    return EventRecord(**row)
