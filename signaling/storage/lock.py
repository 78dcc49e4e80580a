"""
One server to a database.

A second one would end the first one's participants when it starts. The lock dies with its holder,
however that ends.
"""

import fcntl
import os
from pathlib import Path

from signaling.errors import StorageError


def take_lock(database: Path) -> int:
    """
    Take the lock of a database; the file beside it says who has it.

    :return: A descriptor; closing it lets the lock go.
    :raises StorageError: naming the process that has the lock, or why there can be none.
    """
    path = database.with_name(f"{database.name}.lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, b"%d\n" % os.getpid())
    except BlockingIOError:
        holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise StorageError(
            f"another server uses {database} (process {holder or 'unknown'})"
        ) from None
    except OSError as error:
        os.close(descriptor)
        raise StorageError(f"cannot lock {path}: {error.strerror}") from error
    return descriptor
