"""Chunk types and what their numbers say about unknown ones (RFC 9260 section 3.2)."""

from enum import IntEnum


class ChunkType(IntEnum):
    """The chunk types that this implementation knows."""

    DATA = 0
    INIT = 1
    INIT_ACK = 2
    SACK = 3
    HEARTBEAT = 4
    HEARTBEAT_ACK = 5
    ABORT = 6
    SHUTDOWN = 7
    SHUTDOWN_ACK = 8
    ERROR = 9
    COOKIE_ECHO = 10
    COOKIE_ACK = 11
    SHUTDOWN_COMPLETE = 14
    RE_CONFIG = 130
    FORWARD_TSN = 192


def stops_processing(chunk_type: int) -> bool:
    """Return whether an unknown chunk of this type ends the processing of its packet."""
    return not chunk_type & 0x80


def is_reported(chunk_type: int) -> bool:
    """Return whether an unknown chunk of this type is reported in an ERROR chunk."""
    return bool(chunk_type & 0x40)
