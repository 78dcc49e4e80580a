"""The record layer of one connection: epochs, sequence numbers, protection and replay windows."""

from dataclasses import dataclass

from ..errors import AuthenticationFailed
from .cipher import NullProtection, RecordProtection
from .record import (
    DTLS_1_2,
    MAX_PLAINTEXT_LENGTH,
    MAX_SEQUENCE_NUMBER,
    Record,
    ReplayWindow,
    serialize_record_header,
)
from .record import HEADER_LENGTH as RECORD_HEADER_LENGTH


class _WriteEpoch:
    __slots__ = ("next_sequence_number", "protection")

    def __init__(self, protection: RecordProtection) -> None:
        self.protection = protection
        self.next_sequence_number = 0


class _ReadEpoch:
    __slots__ = ("protection", "window")

    def __init__(self, protection: RecordProtection, *, authenticated: bool) -> None:
        self.protection = protection
        self.window = ReplayWindow(authenticated=authenticated)


@dataclass(slots=True)
class DtlsCounters:
    """What happened to what the peer sent, counted from the start of the connection."""

    invalid_records: int = 0
    """Malformed, of a wrong length or version, or that did not authenticate."""
    replayed_records: int = 0
    """Seen before, or too old to know."""
    unexpected_records: int = 0
    """In order by themselves, but of no use now."""
    refused_fragments: int = 0
    """Handshake fragments beyond the bounds, or in conflict with others."""
    unauthenticated_alerts: int = 0
    """In epoch 0, and so ignored."""
    retransmitted_flights: int = 0
    """Of ours, by time or because the peer repeated its own."""


class RecordLayer:
    """
    Seals outgoing records and opens incoming ones.

    All write epochs stay, since a flight that spans two of them may be sent again; so do the read
    epochs, since the peer's may be.
    """

    def __init__(self, counters: DtlsCounters) -> None:
        self._counters = counters
        self._write = {0: _WriteEpoch(NullProtection())}
        self._read = {0: _ReadEpoch(NullProtection(), authenticated=False)}
        self.write_epoch = 0
        """The newest epoch that we can send in."""
        self.read_epoch = 0
        """The newest epoch that we can read."""

    def install_write(self, epoch: int, protection: RecordProtection) -> None:
        """Begin an epoch in which we send."""
        assert epoch == self.write_epoch + 1
        self._write[epoch] = _WriteEpoch(protection)
        self.write_epoch = epoch

    def install_read(self, epoch: int, protection: RecordProtection) -> None:
        """Begin an epoch in which the peer sends."""
        assert epoch == self.read_epoch + 1
        self._read[epoch] = _ReadEpoch(protection, authenticated=True)
        self.read_epoch = epoch

    def overhead(self, epoch: int) -> int:
        """Return how many bytes longer a record is than what it carries."""
        return RECORD_HEADER_LENGTH + self._write[epoch].protection.expansion

    def seal(self, content_type: int, plaintext: bytes, epoch: int) -> bytes:
        """Return the next record of an epoch."""
        write = self._write[epoch]
        # At a million records a second this takes nine years.
        assert write.next_sequence_number <= MAX_SEQUENCE_NUMBER
        number = epoch << 48 | write.next_sequence_number
        write.next_sequence_number += 1
        fragment = write.protection.seal(number, content_type, DTLS_1_2, plaintext)
        return serialize_record_header(content_type, DTLS_1_2, number, len(fragment)) + fragment

    def open(self, record: Record) -> bytes | None:
        """
        Return what a record carries, or None if it is to be dropped, which is counted.

        :param record: Of an epoch that is at most ``read_epoch``.
        """
        read = self._read[record.epoch]
        if not read.window.is_new(record.sequence_number):
            self._counters.replayed_records += 1
            return None
        number = record.epoch << 48 | record.sequence_number
        try:
            plaintext = read.protection.open(
                number, record.content_type, record.version, record.fragment
            )
        except AuthenticationFailed:
            self._counters.invalid_records += 1
            return None
        if len(plaintext) > MAX_PLAINTEXT_LENGTH:
            self._counters.invalid_records += 1
            return None
        read.window.add(record.sequence_number)
        return plaintext
