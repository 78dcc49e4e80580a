"""A copy of the data directory that can be served from, made while the server runs."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from signaling.auth.account import ACCOUNT_FILE
from signaling.config import DATABASE_FILE, JOURNAL_DIRECTORY, Settings
from signaling.errors import ConfigError, StorageError
from signaling.storage.engines import path_of
from signaling.storage.files import make_private


def back_up(settings: Settings, target: Path) -> None:
    """
    Copy account, journal and database.

    The journal comes first: a row that reaches the database in between is then in both, which
    does no harm, and none is in neither.

    :param target: A directory that does not exist yet; only its owner can read what is in it.
    :raises ConfigError: if the database is no file, or the target exists.
    :raises StorageError: if the setting names no database, or it cannot be read or written; the
        target is then gone again.
    """
    source = _database_of(settings)
    if not source.is_file():
        raise StorageError(f"there is no database {source}")
    try:
        target.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        raise ConfigError(f"{target} exists already: name a directory that does not") from None
    except OSError as error:
        raise StorageError(f"cannot make {target}: {error.strerror}") from error
    try:
        _copy_files(settings.data_dir, target)
        _copy_database(source, target / DATABASE_FILE)
    except (OSError, sqlite3.Error) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise StorageError(f"the backup failed: {error}") from error
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _database_of(settings: Settings) -> Path:
    url = settings.database_url.get_secret_value()
    if not url:
        return settings.data_dir / DATABASE_FILE
    path = path_of(url)
    if path is None:
        raise ConfigError(
            "only a SQLite file is backed up; use pg_dump for PostgreSQL, and keep "
            f"{settings.data_dir / ACCOUNT_FILE} as well"
        )
    return path


def _copy_files(data_dir: Path, target: Path) -> None:
    account = data_dir / ACCOUNT_FILE
    if account.is_file():
        shutil.copy2(account, target)
    journal = data_dir / JOURNAL_DIRECTORY
    for segment in sorted(journal.glob("*")) if journal.is_dir() else []:
        kept = target / JOURNAL_DIRECTORY
        kept.mkdir(mode=0o700, exist_ok=True)
        try:
            shutil.copy2(segment, kept)
        except FileNotFoundError:
            # It was replayed a moment ago: its rows are in the database.
            (kept / segment.name).unlink(missing_ok=True)


def _copy_database(source: Path, target: Path) -> None:
    make_private(str(target))
    uri = f"{source.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True)) as old, closing(sqlite3.connect(target)) as new:
        old.execute("PRAGMA busy_timeout = 5000")
        # In one go, of one moment; in portions it would begin anew with each write of the server,
        # which goes on meanwhile: readers hold up no writer in a write-ahead log.
        old.backup(new)
        # One file, so that nothing is left behind when it is moved.
        new.execute("PRAGMA journal_mode = DELETE")
