"""
Records on their way to a store that is down: files that are only ever appended to, and synced.

A directory of segments, ``00000001.journal`` and so on. Each record is a frame: length and CRC-32
of the payload (4 bytes each, big-endian), then the payload, JSON ``[kind, members]``. A frame that
a crash cut short ends the last segment; everything before it counts. All methods block and belong
to one thread at a time.
"""

import contextlib
import os
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec
import structlog

from signaling.errors import StorageError
from signaling.storage.event_records import EventRecord
from signaling.storage.media_records import RecordingRecord, TranscriptionRecord
from signaling.storage.records import ParticipantRecord, RoomRecord, TrackRecord
from signaling.storage.store import Record
from signaling.storage.subscription_records import SubscriptionRecord

LIMIT_BYTES = 1 << 30
"""How large a journal may become."""
NEARLY_FULL = 0.9
"""The part of it from which on nothing new shall begin."""
SEGMENT_BYTES = 8 << 20
"""From this size on a new segment is begun, so that what is in the store can be deleted."""
FRAME_MAX_BYTES = 16 << 20
"""No record comes near it: a longer frame is damage."""

_HEADER = struct.Struct(">II")
_SUFFIX = ".journal"
_KINDS: dict[str, type[Record]] = {
    "room": RoomRecord,
    "participant": ParticipantRecord,
    "track": TrackRecord,
    "subscription": SubscriptionRecord,
    "event": EventRecord,
    "transcription": TranscriptionRecord,
    "recording": RecordingRecord,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}

_log = structlog.get_logger(__name__)


class JournalFull(StorageError):
    """The journal has no room for a record."""


@dataclass(slots=True, kw_only=True)
class _Segment:
    """One file."""

    path: Path
    size: int
    """Bytes of whole frames."""


class Journal:
    """
    The records that were appended and not yet forgotten, oldest first.

    :param directory: Made with the first record; only its owner can read what is in it.
    """

    def __init__(self, directory: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._directory = directory
        self._limit = limit_bytes
        self._segments: deque[_Segment] = deque()
        self._descriptor: int | None = None
        # Where the next unread frame of the first segment begins, and what was read last.
        self._offset = 0
        self._read: tuple[int, int] = (0, 0)
        self._number = 0
        self.size_bytes = 0
        """Bytes on the disk."""

    @classmethod
    def open(cls, directory: Path, *, limit_bytes: int = LIMIT_BYTES) -> "Journal":
        """
        Open what a former run left, if it left anything.

        :raises StorageError: if it cannot be read.
        """
        journal = cls(directory, limit_bytes=limit_bytes)
        try:
            journal._load()
        except OSError as error:
            raise StorageError(f"cannot read {directory}: {error.strerror}") from error
        return journal

    @property
    def is_empty(self) -> bool:
        """Return whether it has nothing that is not forgotten."""
        return not self._segments

    @property
    def limit_bytes(self) -> int:
        """Return how large it may become."""
        return self._limit

    @property
    def is_nearly_full(self) -> bool:
        """Return whether nothing new shall begin."""
        return self.size_bytes >= self._limit * NEARLY_FULL

    def append(self, records: Sequence[Record]) -> None:
        """
        Append records; they are on the disk when this returns, or none of them is.

        :raises JournalFull: if they would make it too large.
        :raises StorageError: if they cannot be written.
        """
        frames = b"".join(_frames(records))
        if self.size_bytes + len(frames) > self._limit:
            raise JournalFull(f"the journal has reached {self._limit} bytes")
        try:
            segment, descriptor = self._open_segment()
            try:
                left = memoryview(frames)
                while left:
                    left = left[os.write(descriptor, left) :]
                os.fsync(descriptor)
            except OSError:
                # Half a frame must not come before a whole one.
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, segment.size)
                self._close_file()
                raise
        except OSError as error:
            raise StorageError(f"cannot write the journal: {error.strerror}") from error
        segment.size += len(frames)
        self.size_bytes += len(frames)

    def read(self, most: int) -> list[Record]:
        """
        Return the oldest records, at most so many; :meth:`forget` forgets these.

        :raises StorageError: if they cannot be read.
        """
        while self._segments:
            segment = self._segments[0]
            try:
                with segment.path.open("rb") as file:
                    file.seek(self._offset)
                    data, records = _read_frames(file, segment.size - self._offset, most)
            except OSError as error:
                raise StorageError(f"cannot read the journal: {error.strerror}") from error
            self._read = (self._offset, self._offset + data)
            if records or self._offset + data < segment.size:
                return records
            self.forget()
        return []

    def forget(self) -> None:
        """Forget what was read last: it is in the store. A segment of which all is goes."""
        self._offset = self._read[1]
        if self._segments and self._offset >= self._segments[0].size:
            segment = self._segments.popleft()
            if not self._segments:
                self._close_file()
            with contextlib.suppress(OSError):
                segment.path.unlink()
            self.size_bytes -= segment.size
            self._offset = 0
            self._read = (0, 0)

    def close(self) -> None:
        """Close the file; what is in it stays."""
        self._close_file()

    def _open_segment(self) -> tuple[_Segment, int]:
        if self._segments and self._segments[-1].size >= SEGMENT_BYTES:
            self._close_file()
        elif self._segments and self._descriptor is not None:
            return self._segments[-1], self._descriptor
        # What a former run wrote last is left as it is.
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._number += 1
        path = self._directory / f"{self._number:08}{_SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o600)
        _sync_directory(self._directory)
        self._segments.append(_Segment(path=path, size=0))
        return self._segments[-1], self._descriptor

    def _close_file(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _load(self) -> None:
        if not self._directory.is_dir():
            return
        for path in sorted(self._directory.glob(f"*{_SUFFIX}")):
            if not path.stem.isdecimal():
                continue
            self._number = int(path.stem)
            length = path.stat().st_size
            whole = _whole_frames(path)
            if whole < length:
                # A crash cuts off the end of what was never acknowledged; more than that is kept
                # for whoever wants to know.
                _log.warning(
                    "the journal ends in half a record",
                    path=str(path),
                    bytes_left_out=length - whole,
                )
                path.with_suffix(".damaged").write_bytes(path.read_bytes()[whole:])
                os.truncate(path, whole)
            if whole:
                self._segments.append(_Segment(path=path, size=whole))
                self.size_bytes += whole
            else:
                path.unlink()


def _frames(records: Iterable[Record]) -> Iterable[bytes]:
    for record in records:
        try:
            payload = msgspec.json.encode([_NAMES[type(record)], record])
        except (UnicodeError, TypeError, ValueError) as error:
            # The store would not take it either.
            _log.error("a record cannot be written: dropped", sid=record.sid, error=str(error))
            continue
        yield _HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def _read_frames(file: BinaryIO, length: int, most: int) -> tuple[int, list[Record]]:
    """Return how many bytes were read, of whole frames, and what they hold."""
    records: list[Record] = []
    done = 0
    while done < length and len(records) < most:
        payload = _read_payload(file)
        if payload is None:
            raise OSError(None, "a record is damaged")
        done += _HEADER.size + len(payload)
        try:
            name, members = msgspec.json.decode(payload)
            records.append(msgspec.convert(members, _KINDS[name]))
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
            _log.error("a record of the journal cannot be read: dropped", error=str(error))
    return done, records


def _read_payload(file: BinaryIO) -> bytes | None:
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    length, checksum = _HEADER.unpack(header)
    if length > FRAME_MAX_BYTES:
        return None
    payload = file.read(length)
    return payload if len(payload) == length and zlib.crc32(payload) == checksum else None


def _whole_frames(path: Path) -> int:
    """Return how many bytes from the beginning are whole frames."""
    whole = 0
    with path.open("rb") as file:
        while (payload := _read_payload(file)) is not None:
            whole += _HEADER.size + len(payload)
    return whole


def _sync_directory(path: Path) -> None:
    for directory in (path, path.parent):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
