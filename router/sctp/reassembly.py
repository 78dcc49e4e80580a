"""Fragments to messages, messages to stream order (RFC 9260 sections 6.5, 6.6, 6.9)."""

from collections import deque
from dataclasses import dataclass

from ..errors import RemoteProtocolError
from .chunks.data import BEGINNING_FRAGMENT, ENDING_FRAGMENT, UNORDERED, DataChunk
from .chunks.error import CauseCode
from .events import DataReceived
from .serial_number import SSN_MASK, extend_ssn

_WHOLE = BEGINNING_FRAGMENT | ENDING_FRAGMENT
#: Charged per held chunk beside its bytes, so that many small ones cannot hold much memory.
CHUNK_OVERHEAD_BYTES = 200


@dataclass(slots=True)
class _Run:
    """Fragments of one message with consecutive TSNs."""

    first_tsn: int
    last_tsn: int
    chunks: deque[DataChunk]
    size: int

    @property
    def is_complete(self) -> bool:
        return bool(
            self.chunks[0].flags & BEGINNING_FRAGMENT and self.chunks[-1].flags & ENDING_FRAGMENT
        )


@dataclass(slots=True)
class _Stream:
    """The receiving side of one stream."""

    next_ssn: int
    waiting: dict[int, tuple[int, DataReceived]]
    """Whole messages ahead of their turn, with the number of chunks they came in."""


class Reassembler:
    """
    Holds fragments until their message is whole, and messages until their turn.

    TSNs are extended; every chunk is given once.

    :param max_message_size: A longer message is the peer's fault.
    """

    def __init__(self, *, max_message_size: int) -> None:
        self._max_message_size = max_message_size
        self._runs_by_first: dict[int, _Run] = {}
        self._runs_by_last: dict[int, _Run] = {}
        self._streams: dict[int, _Stream] = {}
        self.held_bytes = 0
        """What is held here, with an overhead per chunk."""

    def add(self, tsn: int, chunk: DataChunk) -> list[DataReceived]:
        """
        Take a chunk and return the messages that can be delivered now, in order.

        :raises RemoteProtocolError: if a message becomes longer than allowed.
        """
        if chunk.flags & _WHOLE == _WHOLE:
            return self._complete(chunk, chunk.user_data, 1, held=False)
        self.held_bytes += len(chunk.user_data) + CHUNK_OVERHEAD_BYTES
        run = self._join(tsn, chunk)
        if run.size > self._max_message_size:
            raise RemoteProtocolError(
                f"message of more than {self._max_message_size} bytes",
                cause=CauseCode.OUT_OF_RESOURCE,
            )
        if not run.is_complete:
            return []
        del self._runs_by_first[run.first_tsn], self._runs_by_last[run.last_tsn]
        data = b"".join([fragment.user_data for fragment in run.chunks])
        return self._complete(run.chunks[0], data, len(run.chunks), held=True)

    def skip(self, tsn: int, streams: tuple[tuple[int, int], ...]) -> list[DataReceived]:
        """
        Forget incomplete messages up to ``tsn``; return what waited behind the skipped ones.

        RFC 3758 section 3.6.

        :param streams: Stream identifiers and the last stream sequence number skipped in each.
        """
        for run in [run for run in self._runs_by_first.values() if run.first_tsn <= tsn]:
            del self._runs_by_first[run.first_tsn], self._runs_by_last[run.last_tsn]
            self.held_bytes -= run.size + CHUNK_OVERHEAD_BYTES * len(run.chunks)
        delivered: list[DataReceived] = []
        for stream_id, ssn in streams:
            stream = self._streams.setdefault(stream_id, _Stream(0, {}))
            last = extend_ssn(ssn, stream.next_ssn)
            if last < stream.next_ssn:
                continue
            delivered += [self._take(stream, s) for s in self._waiting_up_to(stream, last)]
            stream.next_ssn = (last + 1) & SSN_MASK
            self._deliver_waiting(stream, delivered)
        return delivered

    def _waiting_up_to(self, stream: _Stream, last: int) -> list[int]:
        """Return the waiting stream sequence numbers up to ``last``, extended, in order."""
        first = stream.next_ssn
        if last - first < len(stream.waiting):
            # A chunk may name a stream many times; walking all that waits each time is for peers
            # that mean harm.
            ssns = (extended & SSN_MASK for extended in range(first, last + 1))
            return [ssn for ssn in ssns if ssn in stream.waiting]
        ahead = sorted((extend_ssn(ssn, first), ssn) for ssn in stream.waiting)
        return [ssn for extended, ssn in ahead if extended <= last]

    def reset_stream(self, stream_id: int) -> list[DataReceived]:
        """
        Expect stream sequence number 0 next; return the messages that still wait, in order.

        All that was sent before the reset has arrived or was given up (RFC 6525 section 5.2.2),
        so what they wait for will not come.
        """
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return []
        return [
            self._take(stream, ssn) for ssn in self._waiting_up_to(stream, stream.next_ssn + 0x7FFF)
        ]

    def stream_ids(self) -> tuple[int, ...]:
        """Return the streams that ordered messages have come on since their last reset."""
        return tuple(sorted(self._streams))

    def _join(self, tsn: int, chunk: DataChunk) -> _Run:
        """Return the run that the chunk belongs to, with the chunk and maybe its neighbours in."""
        before = after = None
        if not chunk.flags & BEGINNING_FRAGMENT:
            before = self._runs_by_last.get(tsn - 1)
            if before is not None and not _continues(before.chunks[-1], chunk):
                before = None
        if not chunk.flags & ENDING_FRAGMENT:
            after = self._runs_by_first.get(tsn + 1)
            if after is not None and not _continues(chunk, after.chunks[0]):
                after = None
        run = before
        if run is not None:
            del self._runs_by_last[run.last_tsn]
            run.chunks.append(chunk)
            run.last_tsn = tsn
        elif after is not None:
            run = after
            del self._runs_by_first[run.first_tsn]
            run.chunks.appendleft(chunk)
            run.first_tsn = tsn
        else:
            run = _Run(tsn, tsn, deque((chunk,)), 0)
        run.size += len(chunk.user_data)
        if before is not None and after is not None:
            run = self._merge(before, after)
        self._runs_by_first[run.first_tsn] = run
        self._runs_by_last[run.last_tsn] = run
        return run

    def _merge(self, before: _Run, after: _Run) -> _Run:
        """Return one run of both; the shorter is copied, so that a message costs n log n."""
        del self._runs_by_first[before.first_tsn]
        del self._runs_by_first[after.first_tsn], self._runs_by_last[after.last_tsn]
        if len(before.chunks) >= len(after.chunks):
            chunks = before.chunks
            chunks.extend(after.chunks)
        else:
            chunks = after.chunks
            chunks.extendleft(reversed(before.chunks))
        return _Run(before.first_tsn, after.last_tsn, chunks, before.size + after.size)

    def _complete(
        self, chunk: DataChunk, data: bytes, chunk_count: int, *, held: bool
    ) -> list[DataReceived]:
        """Deliver a whole message, or hold it until its turn."""
        message = DataReceived(stream_id=chunk.stream_id, ppid=chunk.ppid, data=data)
        charge = len(data) + CHUNK_OVERHEAD_BYTES * chunk_count
        if chunk.flags & UNORDERED:
            if held:
                self.held_bytes -= charge
            return [message]
        stream = self._streams.get(chunk.stream_id)
        if stream is None:
            stream = self._streams[chunk.stream_id] = _Stream(0, {})
        if chunk.ssn == stream.next_ssn:
            if held:
                self.held_bytes -= charge
            stream.next_ssn = (chunk.ssn + 1) & SSN_MASK
            delivered = [message]
            if stream.waiting:
                self._deliver_waiting(stream, delivered)
            return delivered
        if chunk.ssn in stream.waiting or extend_ssn(chunk.ssn, stream.next_ssn) < stream.next_ssn:
            # A sequence number that was used before: the peer's mistake, and no place to put it.
            if held:
                self.held_bytes -= charge
            return []
        if not held:
            self.held_bytes += charge
        stream.waiting[chunk.ssn] = (chunk_count, message)
        return []

    def _deliver_waiting(self, stream: _Stream, delivered: list[DataReceived]) -> None:
        while stream.next_ssn in stream.waiting:
            delivered.append(self._take(stream, stream.next_ssn))
            stream.next_ssn = (stream.next_ssn + 1) & SSN_MASK

    def _take(self, stream: _Stream, ssn: int) -> DataReceived:
        chunk_count, message = stream.waiting.pop(ssn)
        self.held_bytes -= len(message.data) + CHUNK_OVERHEAD_BYTES * chunk_count
        return message


def _continues(before: DataChunk, after: DataChunk) -> bool:
    """Return whether two chunks with consecutive TSNs can be of one message."""
    return (
        not before.flags & ENDING_FRAGMENT
        and not after.flags & BEGINNING_FRAGMENT
        and before.stream_id == after.stream_id
        and (before.flags ^ after.flags) & UNORDERED == 0
        and (before.ssn == after.ssn or bool(before.flags & UNORDERED))
    )
