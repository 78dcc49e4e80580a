"""The store in a SQL database, through SQLAlchemy."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from itertools import groupby
from typing import Any, Self

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    exists,
    literal,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection

from signaling.errors import NameTaken, OutcomeUnknown, StorageError, StoreUnavailable
from signaling.ids import AccountSid
from signaling.storage import schema
from signaling.storage.engines import Engine, Synchronous, engine_of
from signaling.storage.event_queries import EventQueries
from signaling.storage.event_records import EventRecord
from signaling.storage.event_tables import events
from signaling.storage.guard import StoreGuard, guarded
from signaling.storage.key_queries import KeyQueries
from signaling.storage.media_queries import MediaQueries
from signaling.storage.media_records import RecordingRecord, TranscriptionRecord
from signaling.storage.media_tables import recordings, transcriptions
from signaling.storage.records import ParticipantRecord, RoomRecord, TrackRecord
from signaling.storage.rows import participant_of, room_of, row_of, track_of
from signaling.storage.store import (
    Page,
    PageKey,
    ParticipantFilter,
    Record,
    RecordT,
    RoomFilter,
    Slice,
)
from signaling.storage.subscription_queries import SubscriptionQueries
from signaling.storage.subscription_records import SubscriptionRecord
from signaling.storage.subscription_tables import subscriptions
from signaling.storage.tables import UtcMicroseconds, participants, rooms, tracks

# Each after those to which its rows refer.
_TABLES: dict[type[Record], Table] = {
    RoomRecord: rooms,
    ParticipantRecord: participants,
    TrackRecord: tracks,
    TranscriptionRecord: transcriptions,
    RecordingRecord: recordings,
    EventRecord: events,
    SubscriptionRecord: subscriptions,
}
_PLACES = {kind: place for place, kind in enumerate(_TABLES)}
# What a later write of a record may change; the rest is fixed when its row is made.
_CHANGING: dict[type[Record], tuple[str, ...]] = {
    RoomRecord: (
        "status",
        "updated_at",
        "ended_at",
        "recording_rules",
        "recording_rules_created_at",
        "recording_rules_updated_at",
    ),
    ParticipantRecord: (
        "identity",
        "status",
        "updated_at",
        "ended_at",
        "subscribe_rules",
        "subscribe_rules_created_at",
        "subscribe_rules_updated_at",
    ),
    # Its delivery has writes of its own.
    EventRecord: ("parameters",),
    TrackRecord: ("name", "enabled", "updated_at", "unpublished_at"),
    SubscriptionRecord: ("ended_at",),
    TranscriptionRecord: ("status", "configuration", "updated_at", "started_at", "ended_at"),
    # Not its status: it may be deleted by now.
    RecordingRecord: ("size_bytes", "duration"),
}
ROOMS_TOGETHER = 100
"""Rooms that are added in one transaction."""
CALL_TIMEOUT = 3.0
"""Seconds after which a store that has answered no call counts as down."""


@guarded
class SqlStore(KeyQueries, EventQueries, SubscriptionQueries, MediaQueries):
    """
    A :class:`~signaling.storage.store.Store` in a SQLite file or a PostgreSQL database; made by
    :meth:`open`.

    Writes queue on a lock here, in order: SQLite has one writer at a time, which then never finds
    the database locked by one of our own, and PostgreSQL knows who may write by the session.
    """

    def __init__(self, engine: Engine, account_sid: AccountSid, call_timeout: float) -> None:
        self._engine = engine
        self._account_sid = account_sid
        self._writer = asyncio.Lock()
        # Rooms to add, each with the future of whoever waits for it.
        self._rooms_to_add: list[tuple[RoomRecord, asyncio.Future[None]]] = []
        self._upserts: dict[type[Record], Any] = {}
        self._guard = StoreGuard(timeout=call_timeout, probe=self._probe, abandon=engine.abandon)

    @classmethod
    async def open(
        cls,
        url: str,
        account_sid: AccountSid,
        *,
        call_timeout: float = CALL_TIMEOUT,
        synchronous: Synchronous = "normal",
    ) -> Self:
        """
        Open a database and bring it to the newest schema; a SQLite file is made if there is none.

        :param url: ``sqlite:///`` and a path, or ``postgresql://``.
        :param account_sid: The account whose rows are read.
        :param call_timeout: Seconds that a call may take.
        :param synchronous: Of SQLite; ``full``: what is written outlives a power cut.
        :raises StorageError: if that fails, in words for the operator; ``StoreUnavailable`` if the
            database cannot be reached now, but may be later.
        """
        engine = engine_of(url, account_sid, timeout=call_timeout, synchronous=synchronous)
        try:
            await engine.prepare()
            async with engine.writer.begin() as connection:
                await connection.run_sync(schema.upgrade)
        except BaseException as error:
            engine.abandon()
            await engine.close()
            reason = str(getattr(error, "orig", None) or error) or "no answer"
            if engine.is_away(error):
                raise StoreUnavailable(
                    f"cannot reach the database {engine.name}: {reason}"
                ) from error
            if isinstance(error, SQLAlchemyError | StorageError | OSError):
                raise StorageError(f"cannot open the database {engine.name}: {reason}") from error
            raise
        return cls(engine, account_sid, call_timeout)

    @property
    def is_up(self) -> bool:
        return self._guard.is_up

    async def close(self) -> None:
        await self._guard.close()
        await self._engine.close()

    # Writing.

    async def add_room(self, room: RoomRecord) -> None:
        # All who wait while a transaction is under way share the next one.
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._rooms_to_add.append((room, done))
        try:
            async with self._writer:
                while not done.done():
                    await self._add_rooms()
        except BaseException:
            # Nobody waits for this room any more.
            done.cancel()
            raise
        await done

    async def _add_rooms(self) -> None:
        """Add rooms that wait, and let each of those who wait know what became of it."""
        waiting = [entry for entry in self._rooms_to_add if not entry[1].done()]
        batch, self._rooms_to_add = waiting[:ROOMS_TOGETHER], waiting[ROOMS_TOGETHER:]
        try:
            await self._insert_rooms([room for room, _ in batch])
        except NameTaken:
            # Only the rooms whose names are taken are refused.
            for room, done in batch:
                try:
                    await self._insert_rooms([room])
                except StorageError as error:
                    _settle(done, error)
                else:
                    _settle(done)
        except StorageError as error:
            for _, done in batch:
                _settle(done, error)
        except BaseException:
            # The one who did the work for all has given up; the next one does it.
            self._rooms_to_add[:0] = batch
            raise
        else:
            for _, done in batch:
                _settle(done)

    async def _insert_rooms(self, added: Sequence[RoomRecord]) -> None:
        with self._errors():
            await self._engine.write(
                [(self._engine.insert(rooms), [row_of(room) for room in added])]
            )

    async def update_room(self, room: RoomRecord) -> None:
        row = row_of(room)
        async with self._transaction() as connection:
            result = await connection.execute(
                update(rooms)
                .where(rooms.c.sid == room.sid)
                .values({name: row[name] for name in _CHANGING[RoomRecord]})
            )
        if result.rowcount != 1:
            raise StorageError(f"the store has no room {room.sid}")

    async def release_name(self, room: RoomRecord) -> None:
        at = room.created_at
        async with self._transaction() as connection:
            await connection.execute(
                update(rooms)
                .where(
                    rooms.c.account_sid == self._account_sid,
                    rooms.c.name == room.name,
                    rooms.c.status == "in-progress",
                    rooms.c.sid != room.sid,
                )
                .values(status="completed", updated_at=at, ended_at=at)
            )

    async def put_participant(self, participant: ParticipantRecord) -> None:
        await self.put_all([participant])

    async def put_track(self, track: TrackRecord) -> None:
        await self.put_all([track])

    async def put_all(self, records: Sequence[Record]) -> None:
        if not records:
            return
        # What happens in rooms mixes the kinds; one statement for each kind costs least.
        ordered = sorted(records, key=lambda record: _PLACES[type(record)])
        statements = [
            (self._upsert(kind), [row_of(record) for record in alike])
            for kind, alike in groupby(ordered, type)
        ]
        with self._errors():
            async with self._writer:
                await self._engine.write(statements)

    def _upsert(self, kind: type[Record]) -> Any:
        # Made once: to make it costs more than to execute it.
        if kind not in self._upserts:
            statement = self._engine.insert(_TABLES[kind])
            self._upserts[kind] = statement.on_conflict_do_update(
                index_elements=["sid"],
                set_={name: statement.excluded[name] for name in _CHANGING[kind]},
                where=_not_back_from_the_end(statement) if kind is RoomRecord else None,
            )
        return self._upserts[kind]

    async def end_everything_left_behind(self, ended_at: datetime) -> int:
        mine = participants.c.account_sid == self._account_sid
        async with self._transaction() as connection:
            await connection.execute(
                update(tracks)
                .where(
                    tracks.c.unpublished_at.is_(None),
                    tracks.c.participant_sid.in_(select(participants.c.sid).where(mine)),
                )
                .values(unpublished_at=ended_at)
            )
            result = await connection.execute(
                update(participants)
                .where(participants.c.status != "disconnected", mine)
                .values(status="disconnected", updated_at=ended_at, ended_at=ended_at)
            )
        return int(result.rowcount)

    # Reading.

    async def in_progress_rooms(self) -> tuple[RoomRecord, ...]:
        query = self._rooms().where(rooms.c.status == "in-progress")
        found = await self._all(query.order_by(rooms.c.created_at, rooms.c.sid))
        return tuple(room_of(row) for row in found)

    async def get_room(self, sid: str) -> RoomRecord | None:
        return await self._one(self._rooms().where(rooms.c.sid == sid), room_of)

    async def find_in_progress(self, name: str) -> RoomRecord | None:
        query = self._rooms().where(rooms.c.name == name, rooms.c.status == "in-progress")
        return await self._one(query, room_of)

    async def list_rooms(self, where: RoomFilter, page: Page) -> Slice[RoomRecord]:
        query = self._rooms()
        if where.status is not None:
            query = query.where(rooms.c.status == where.status)
        if where.unique_name is not None:
            query = query.where(rooms.c.name == where.unique_name)
        query = query.where(*_created_within(rooms, where))
        return await self._page(query, rooms, page, room_of)

    async def had_participants(self, room_sid: str) -> bool:
        query = select(exists().where(participants.c.room_sid == room_sid))
        (row,) = await self._all(query)
        return any(row.values())

    async def get_participant(self, room_sid: str, sid: str) -> ParticipantRecord | None:
        query = self._participants(room_sid).where(participants.c.sid == sid)
        return await self._one(query, participant_of)

    async def find_participant(self, room_sid: str, identity: str) -> ParticipantRecord | None:
        query = self._participants(room_sid).where(
            participants.c.identity == identity, participants.c.status != "disconnected"
        )
        # While a newcomer replaces a participant, both may be here for a moment: the newer counts.
        query = query.order_by(participants.c.created_at.desc()).limit(1)
        return await self._one(query, participant_of)

    async def list_participants(
        self, where: ParticipantFilter, page: Page
    ) -> Slice[ParticipantRecord]:
        query = self._participants(where.room_sid)
        if where.statuses is not None:
            query = query.where(participants.c.status.in_(sorted(where.statuses)))
        if where.identity is not None:
            query = query.where(participants.c.identity == where.identity)
        query = query.where(*_created_within(participants, where))
        return await self._page(query, participants, page, participant_of)

    async def get_published_track(self, participant_sid: str, sid: str) -> TrackRecord | None:
        return await self._one(_published(participant_sid).where(tracks.c.sid == sid), track_of)

    async def find_published_track(self, participant_sid: str, name: str) -> TrackRecord | None:
        query = _published(participant_sid).where(tracks.c.name == name)
        return await self._one(query.order_by(tracks.c.created_at.desc()).limit(1), track_of)

    async def list_published_tracks(self, participant_sid: str, page: Page) -> Slice[TrackRecord]:
        return await self._page(_published(participant_sid), tracks, page, track_of)

    def _rooms(self) -> Select[Any]:
        return select(rooms).where(rooms.c.account_sid == self._account_sid)

    def _participants(self, room_sid: str) -> Select[Any]:
        return select(participants).where(
            participants.c.room_sid == room_sid, participants.c.account_sid == self._account_sid
        )

    async def _probe(self) -> None:
        """Ask for a session that can write, and for nothing else."""
        async with self._writer, self._engine.writer.connect() as connection:
            await connection.execute(text("SELECT 1"))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            if self._engine.name_is_taken(error):
                raise NameTaken("an in-progress room has the name") from error
            raise StorageError(f"the database refused a row: {error.orig}") from error
        except DBAPIError as error:
            if self._engine.blames_statement(error) and not error.connection_invalidated:
                raise StorageError(f"the database refused a row: {error.orig}") from error
            raise OutcomeUnknown(f"the database failed: {error.orig}") from error
        except (StatementError, UnicodeError) as error:
            reason = getattr(error, "orig", None) or error
            raise StorageError(f"the database cannot take a row: {reason}") from error
        except (SQLAlchemyError, StoreUnavailable, OSError) as error:
            raise OutcomeUnknown(f"the database failed: {error or 'no answer'}") from error

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
        with self._errors():
            async with self._writer, self._engine.writer.begin() as connection:
                yield connection

    async def _all(self, query: Select[Any]) -> Sequence[Mapping[str, Any]]:
        with self._errors():
            async with self._engine.reader.connect() as connection:
                rows: Sequence[Mapping[str, Any]]
                rows = (await connection.execute(query)).mappings().all()
                return rows

    async def _one(
        self, query: Select[Any], read: Callable[[Mapping[str, Any]], RecordT]
    ) -> RecordT | None:
        found = await self._all(query)
        return read(found[0]) if found else None

    async def _page(
        self,
        query: Select[Any],
        table: Table,
        page: Page,
        read: Callable[[Mapping[str, Any]], RecordT],
    ) -> Slice[RecordT]:
        key = tuple_(table.c.created_at, table.c.sid)
        if page.before is not None:
            newer = query.where(key > _place(page.before))
            newer = newer.order_by(table.c.created_at, table.c.sid).limit(page.size)
            found = await self._all(newer)
            return Slice(records=tuple(read(row) for row in reversed(found)), has_more=True)
        if page.after is not None:
            query = query.where(key < _place(page.after))
        else:
            query = query.offset(page.offset)
        query = query.order_by(table.c.created_at.desc(), table.c.sid.desc())
        # One row more than wanted tells whether another page follows.
        found = await self._all(query.limit(page.size + 1))
        return Slice(
            records=tuple(read(row) for row in found[: page.size]),
            has_more=len(found) > page.size,
        )


def _settle(done: "asyncio.Future[None]", error: Exception | None = None) -> None:
    if done.done():
        # Whoever waited has given up.
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def _not_back_from_the_end(statement: Any) -> ColumnElement[bool]:
    """
    Leave a room as it is that has ended, when an earlier state of it is written.

    A journal can be replayed twice, and by then another room may have the name.
    """
    return or_(rooms.c.ended_at.is_(None), statement.excluded.ended_at.is_not(None))


def _published(participant_sid: str) -> Select[Any]:
    return select(tracks).where(
        tracks.c.participant_sid == participant_sid, tracks.c.unpublished_at.is_(None)
    )


def _place(key: PageKey) -> ColumnElement[Any]:
    # A bare datetime in a tuple would be bound as text, which is greater than every integer.
    return tuple_(literal(key.created_at, UtcMicroseconds), literal(key.sid))


def _created_within(
    table: Table, where: RoomFilter | ParticipantFilter
) -> Iterator[ColumnElement[bool]]:
    if where.created_from is not None:
        yield table.c.created_at >= where.created_from
    if where.created_before is not None:
        yield table.c.created_at < where.created_before
