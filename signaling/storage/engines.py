"""The databases that the SQL store can use: how each is reached, and what its refusals mean."""

import asyncio
import hashlib
import secrets
import sqlite3
import weakref
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, TypeAlias

from sqlalchemy import Executable, Insert, Table, create_engine, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from signaling.errors import StorageError, StoreUnavailable
from signaling.storage.files import make_private
from signaling.storage.guard import PATIENCE

CONNECTIONS = 8
"""Connections to a SQLite file at a time."""
READERS = 4
"""Connections that read from PostgreSQL at a time."""
OPEN_ATTEMPTS = 10
"""How often a lock is tried that is held at start-up."""
OPEN_PAUSE = 0.5
"""Seconds between those."""
_LOCK_ATTEMPTS = 10
_LOCK_PAUSE = 0.05
_REFUSALS = ("22", "23", "42")
"""Classes of SQLSTATE that blame the statement, not the server."""
_NOT_NOW = ("08", "57P", "53300")
"""What SQLSTATEs begin with that a server gives which starts, stops or has no session left."""

_PRAGMAS = (
    # Readers and the writer do not wait for each other.
    "PRAGMA journal_mode = WAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 1000",
)

Statements: TypeAlias = Sequence[tuple[Executable, Sequence[dict[str, Any]]]]
Synchronous: TypeAlias = Literal["normal", "full"]


class Engine(ABC):
    """Connections to one database: one that writes at a time, and those that read."""

    writer: AsyncEngine
    reader: AsyncEngine
    name: str
    """For the operator; without secrets."""

    @abstractmethod
    async def prepare(self) -> None:
        """Find out whether the database can be used. :raises StorageError: if not, or as raised."""

    @abstractmethod
    def is_away(self, error: BaseException) -> bool:
        """Tell whether an error says that the database cannot be reached now, but may be later."""

    async def write(self, statements: Statements) -> None:
        """Execute statements in one transaction, each with its rows."""
        async with self.writer.begin() as connection:
            for statement, rows in statements:
                await connection.execute(statement, rows)

    @abstractmethod
    def insert(self, table: Table) -> Any:
        """Return an ``INSERT`` with ``on_conflict_do_update`` and ``excluded``."""

    @abstractmethod
    def name_is_taken(self, error: IntegrityError) -> bool:
        """Tell whether a refusal means that a room in progress has the name."""

    @abstractmethod
    def blames_statement(self, error: DBAPIError) -> bool:
        """Tell whether the statement was at fault, and not the database or the way to it."""

    @abstractmethod
    def abandon(self) -> None:
        """Cut all connections at once; whoever waits for one finds out."""

    async def close(self) -> None:
        """Let the database go."""
        await self.writer.dispose()
        if self.reader is not self.writer:
            await self.reader.dispose()


class SqliteEngine(Engine):
    """
    A SQLite file.

    :param synchronous: ``normal``: a power cut may lose the last transactions, never the database;
        ``full``: it loses nothing, as each transaction is synced. A kill loses nothing either way.
    """

    def __init__(self, url: URL, *, synchronous: Synchronous) -> None:
        self._path = url.database or ":memory:"
        self.name = self._path
        self.writer = self.reader = create_async_engine(
            url.set(drivername="sqlite+aiosqlite"),
            # They are kept: each is a thread, and dearer to make than many queries.
            **({} if self._path == ":memory:" else {"pool_size": CONNECTIONS, "max_overflow": 0}),
        )
        self._pragmas = (*_PRAGMAS, f"PRAGMA synchronous = {synchronous}")
        event.listen(self.writer.sync_engine, "connect", self._set_pragmas)
        # An asynchronous connection changes threads for each call into the driver, and waits for
        # the interpreter each time. Frequent writes change once, to a thread of their own.
        self._blocking = create_engine(
            url.set(drivername="sqlite"),
            pool_size=1,
            max_overflow=0,
            connect_args={"check_same_thread": False},
        )
        event.listen(self._blocking, "connect", self._set_pragmas)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")

    async def prepare(self) -> None:
        try:
            make_private(self._path)
            await asyncio.to_thread(_probe, self._path)
        except sqlite3.Error as error:
            raise StorageError(f"cannot open the database {self._path}: {error}") from error

    def is_away(self, error: BaseException) -> bool:
        return False

    async def write(self, statements: Statements) -> None:
        if self._path == ":memory:":
            # Another connection has another database.
            await super().write(statements)
        else:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, self._write, statements)

    def _write(self, statements: Statements) -> None:
        with self._blocking.begin() as connection:
            for statement, rows in statements:
                connection.execute(statement, rows)

    async def close(self) -> None:
        await super().close()
        # A call into SQLite may never end; nothing comes after it.
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._blocking.dispose()

    def insert(self, table: Table) -> Insert:
        return sqlite.insert(table)

    def name_is_taken(self, error: IntegrityError) -> bool:
        # SQLite names the columns of the index, not the index.
        return "rooms.name" in str(error.orig)

    def blames_statement(self, error: DBAPIError) -> bool:
        # The file is locked, full, not to be read: that comes as an operational error.
        return not isinstance(error.orig, sqlite3.OperationalError)

    def abandon(self) -> None:
        # A call into SQLite ends when it ends; those after it wait for their turn.
        pass

    def _set_pragmas(self, connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in self._pragmas:
            cursor.execute(pragma)
        cursor.close()


class PostgresEngine(Engine):
    """
    A database of a PostgreSQL server.

    Only one server may write an account's rows. The session that writes holds a lock for that, so
    that a write of a session that is long forgotten cannot come after those of its successor.

    :param timeout: Seconds until a server that does not answer counts as down.
    """

    def __init__(self, url: URL, account_sid: str, *, timeout: float) -> None:
        self._url = url.set(drivername="postgresql+asyncpg")
        self.name = url.database or url.username or "postgres"
        self._lock = int.from_bytes(
            hashlib.sha256(f"parlour {account_sid}".encode()).digest()[:8], "big", signed=True
        )
        # Tells our own sessions from those of another server.
        self._application = f"parlour {secrets.token_hex(8)}"
        self._connections: weakref.WeakSet[Any] = weakref.WeakSet()
        self.writer = self._make(1, timeout)
        self.reader = self._make(READERS, timeout)
        event.listen(self.writer.sync_engine, "connect", self._take_lock)

    def _make(self, size: int, timeout: float) -> AsyncEngine:
        patience = 2 * PATIENCE * timeout
        engine = create_async_engine(
            self._url,
            pool_size=size,
            max_overflow=0,
            # The guard tells a queue from a silent server, and is to be the first to give up.
            pool_timeout=patience,
            connect_args={
                "timeout": patience,
                "server_settings": {
                    "application_name": self._application,
                    # The server notices within seconds that we are gone, and lets the lock go.
                    "tcp_keepalives_idle": "5",
                    "tcp_keepalives_interval": "2",
                    "tcp_keepalives_count": "3",
                    "jit": "off",
                },
            },
        )
        event.listen(engine.sync_engine, "connect", self._remember)
        return engine

    async def prepare(self) -> None:
        for attempt in range(1, OPEN_ATTEMPTS + 1):
            try:
                async with self.writer.connect() as connection:
                    await connection.execute(select(1))
                return
            except StoreUnavailable as error:
                # A server that was killed a moment ago may still hold the lock.
                if attempt == OPEN_ATTEMPTS:
                    raise StorageError(str(error)) from error
            await asyncio.sleep(OPEN_PAUSE)

    def is_away(self, error: BaseException) -> bool:
        if isinstance(error, DBAPIError):
            return str(getattr(error.orig, "sqlstate", None)).startswith(_NOT_NOW)
        # A name that does not resolve and a socket that is not there yet are such, too.
        return isinstance(error, OSError | PoolTimeout)

    def insert(self, table: Table) -> Insert:
        return postgresql.insert(table)

    def name_is_taken(self, error: IntegrityError) -> bool:
        return "uq_rooms_in_progress_name" in str(error.orig)

    def blames_statement(self, error: DBAPIError) -> bool:
        state = getattr(error.orig, "sqlstate", None)
        if state is None:
            # Values that the driver cannot put on the wire never reach the server.
            return isinstance(getattr(error.orig, "__cause__", None), ValueError)
        return str(state)[:2] in _REFUSALS

    def abandon(self) -> None:
        for connection in tuple(self._connections):
            connection.terminate()
        for engine in (self.writer, self.reader):
            # Those that lie in the pool would each fail once more.
            engine.sync_engine.dispose(close=False)

    def _remember(self, connection: Any, _record: object) -> None:
        self._connections.add(connection.driver_connection)

    def _take_lock(self, connection: Any, _record: object) -> None:
        """Take the lock on a new session that writes; a former one of our own is ended for it."""
        cursor = connection.cursor()
        try:
            for _ in range(_LOCK_ATTEMPTS):
                cursor.execute("SELECT pg_try_advisory_lock($1)", (self._lock,))
                if cursor.fetchone()[0]:
                    return
                cursor.execute(
                    "SELECT a.pid, a.application_name = $2, coalesce(host(a.client_addr), 'here'),"
                    " CASE WHEN a.application_name = $2 THEN pg_terminate_backend(a.pid) END"
                    " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
                    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
                    " AND l.database = (SELECT oid FROM pg_database"
                    " WHERE datname = current_database())"
                    " AND (l.classid::bigint << 32) | l.objid::bigint = $1",
                    (self._lock, self._application),
                )
                holder = cursor.fetchone()
                if holder is not None and not holder[1]:
                    connection.driver_connection.terminate()
                    raise StoreUnavailable(
                        f"another server uses the database {self.name}"
                        f" (PostgreSQL process {holder[0]}, from {holder[2]})"
                    )
                cursor.execute("SELECT pg_sleep($1)", (_LOCK_PAUSE,))
            connection.driver_connection.terminate()
            raise StoreUnavailable(f"the lock of the database {self.name} cannot be taken")
        finally:
            cursor.close()
            if not connection.driver_connection.is_closed():
                connection.rollback()


def engine_of(
    url: str, account_sid: str, *, timeout: float, synchronous: Synchronous = "normal"
) -> Engine:
    """
    Return the engine for a URL, not connected yet.

    :param timeout: Of PostgreSQL.
    :param synchronous: Of SQLite.
    :raises StorageError: if there is none, in words without secrets.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return SqliteEngine(parsed, synchronous=synchronous)
    try:
        return PostgresEngine(parsed, account_sid, timeout=timeout)
    except ImportError as error:
        raise StorageError(
            "PostgreSQL needs a driver that is not there: pip install 'parlour[postgres]'"
        ) from error


def path_of(url: str) -> Path | None:
    """
    Return the SQLite file that a URL names, or None when it names something else.

    :raises StorageError: if the store cannot use it.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database == ":memory:":
        return None
    return Path(parsed.database or "")


def parse_url(url: str) -> URL:
    """
    Return the parts of a URL.

    :raises StorageError: if it is none that the store can use, in words without secrets.
    """
    try:
        parsed = make_url(url)
        known = parsed.drivername in ("postgresql", "postgres", "postgresql+asyncpg") or (
            parsed.drivername in ("sqlite", "sqlite+aiosqlite") and parsed.database
        )
    except (ArgumentError, ValueError) as error:
        raise StorageError("the database URL cannot be understood") from error
    if not known:
        raise StorageError("the database URL must be sqlite:/// and a path, or postgresql://")
    if parsed.drivername == "postgres":
        parsed = parsed.set(drivername="postgresql")
    return parsed


def _probe(path: str) -> None:
    """
    Read from the file once, so that one which is no database fails here.

    A connection that fails while it is set up leaves its thread to report to a loop that may have
    ended by then.
    """
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA schema_version").fetchone()
