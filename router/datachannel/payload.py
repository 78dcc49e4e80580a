"""How messages of a channel travel: payload protocol identifiers (RFC 8831 sections 6.6, 8)."""

from enum import IntEnum

from ..errors import WireFormatError


class Ppid(IntEnum):
    """Payload Protocol Identifiers; 52 and 54 are deprecated and not taken."""

    DCEP = 50
    STRING = 51
    BINARY = 53
    STRING_EMPTY = 56
    BINARY_EMPTY = 57


_STRING, _BINARY = int(Ppid.STRING), int(Ppid.BINARY)
_STRING_EMPTY, _BINARY_EMPTY = int(Ppid.STRING_EMPTY), int(Ppid.BINARY_EMPTY)


def serialize_payload(data: str | bytes) -> tuple[int, bytes]:
    """Return the PPID and the user data, one zero byte for an empty message: SCTP has none."""
    if isinstance(data, str):
        # A lone surrogate cannot be encoded; a USVString has U+FFFD or, as here, "?" for it.
        return (_STRING, data.encode(errors="replace")) if data else (_STRING_EMPTY, b"\x00")
    return (_BINARY, data) if data else (_BINARY_EMPTY, b"\x00")


def parse_payload(ppid: int, data: bytes) -> str | bytes:
    """
    Return the message; text that is not UTF-8 has replacement characters, as in browsers.

    :raises WireFormatError: if the PPID is none of a message's.
    """
    if ppid == _BINARY:
        return data
    if ppid == _STRING:
        return data.decode(errors="replace")
    if ppid == _STRING_EMPTY:
        return ""
    if ppid == _BINARY_EMPTY:
        return b""
    raise WireFormatError(f"payload protocol identifier {ppid}")
