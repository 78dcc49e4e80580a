"""The database file is for its owner's eyes: it holds the secrets of API keys."""

import contextlib
import os

from signaling.errors import StorageError

# SQLite gives its side files the mode of the database; a crash may have left some from before.
_SUFFIXES = ("-wal", "-shm", "-journal")
_MODE = 0o600


def make_private(path: str) -> None:
    """
    Make a SQLite file that only its owner can read and write, or give an existing one that mode.

    :param path: As in a SQLite URL; names that are no files, such as ``:memory:``, are left alone.
    :raises StorageError: when the file cannot be made.
    """
    if path.startswith((":", "file:")):
        return
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
    except OSError as error:
        raise StorageError(f"cannot open the database {path}: {error.strerror}") from error
    try:
        # A file of another owner, which the group may write, keeps its mode: the operator's choice.
        with contextlib.suppress(PermissionError):
            os.fchmod(descriptor, _MODE)
    finally:
        os.close(descriptor)
    for suffix in _SUFFIXES:
        with contextlib.suppress(FileNotFoundError, PermissionError):
            os.chmod(path + suffix, _MODE)
