"""
The hello extensions that we act on; all others are kept as they came.

supported_groups and ec_point_formats (RFC 8422 section 5.1), signature_algorithms (RFC 5246
section 7.4.1.4.1), use_srtp (RFC 5764 section 4.1), extended_master_secret (RFC 7627 section 5.1),
renegotiation_info (RFC 5746 section 3.2). Their formats are the same in both hellos.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

from ..errors import WireFormatError
from .codec import Reader, serialize_unsigned_vector, serialize_vector


class ExtensionType(IntEnum):
    """Extension numbers."""

    SUPPORTED_GROUPS = 10
    EC_POINT_FORMATS = 11
    SIGNATURE_ALGORITHMS = 13
    USE_SRTP = 14
    EXTENDED_MASTER_SECRET = 23
    RENEGOTIATION_INFO = 0xFF01


UNCOMPRESSED_POINT = 0
_KEPT = 64
"""Blocks that are kept as they were parsed: a release of a client sends the same each time."""
_KEPT_LENGTH = 512
"""Longest of those, in bytes."""


@dataclass(frozen=True, slots=True)
class UseSrtp:
    """Which SRTP profiles a client offers, or the one that the server chose."""

    profiles: tuple[int, ...]
    mki: bytes = b""
    """Master key identifier; at most 255 bytes, and empty in WebRTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HelloExtensions:
    """The extensions of one hello; None means absent."""

    supported_groups: tuple[int, ...] | None = None
    ec_point_formats: tuple[int, ...] | None = None
    signature_algorithms: tuple[int, ...] | None = None
    use_srtp: UseSrtp | None = None
    extended_master_secret: bool = False
    renegotiation_info: bytes | None = None
    other: tuple[tuple[int, bytes], ...] = ()
    """Number and body of those that we do not know, in wire order."""

    def types(self) -> set[int]:
        """Return the numbers of the extensions that are present."""
        known = {
            number
            for number, (field, _, _) in _CODECS.items()
            if getattr(self, field) not in (None, False)
        }
        return known | {number for number, _ in self.other}


def _parse_u16_list(reader: Reader) -> tuple[int, ...]:
    return reader.unsigned_vector(2, item_width=2)


def _serialize_u16_list(items: tuple[int, ...]) -> bytes:
    return serialize_unsigned_vector(2, items, item_width=2)


def _parse_point_formats(reader: Reader) -> tuple[int, ...]:
    return reader.unsigned_vector(1, item_width=1)


def _serialize_point_formats(items: tuple[int, ...]) -> bytes:
    return serialize_unsigned_vector(1, items, item_width=1)


def _parse_use_srtp(reader: Reader) -> UseSrtp:
    return UseSrtp(reader.unsigned_vector(2, item_width=2), reader.vector(1))


def _serialize_use_srtp(value: UseSrtp) -> bytes:
    return _serialize_u16_list(value.profiles) + serialize_vector(1, value.mki)


def _parse_flag(reader: Reader) -> bool:
    return True


def _serialize_flag(value: bool) -> bytes:
    return b""


def _parse_renegotiation_info(reader: Reader) -> bytes:
    return reader.vector(1)


def _serialize_renegotiation_info(value: bytes) -> bytes:
    return serialize_vector(1, value)


# Number: field of HelloExtensions, parser, serializer.
_CODECS: dict[int, tuple[str, Callable[[Reader], Any], Callable[[Any], bytes]]] = {
    ExtensionType.SUPPORTED_GROUPS: ("supported_groups", _parse_u16_list, _serialize_u16_list),
    ExtensionType.EC_POINT_FORMATS: (
        "ec_point_formats",
        _parse_point_formats,
        _serialize_point_formats,
    ),
    ExtensionType.SIGNATURE_ALGORITHMS: (
        "signature_algorithms",
        _parse_u16_list,
        _serialize_u16_list,
    ),
    ExtensionType.USE_SRTP: ("use_srtp", _parse_use_srtp, _serialize_use_srtp),
    ExtensionType.EXTENDED_MASTER_SECRET: (
        "extended_master_secret",
        _parse_flag,
        _serialize_flag,
    ),
    ExtensionType.RENEGOTIATION_INFO: (
        "renegotiation_info",
        _parse_renegotiation_info,
        _serialize_renegotiation_info,
    ),
}


def parse_extensions(data: bytes) -> HelloExtensions:
    """
    Return the extensions in the block that ends a hello, without its length prefix.

    :raises WireFormatError: if one is malformed or comes twice.
    """
    return _parse(data) if len(data) <= _KEPT_LENGTH else _parse.__wrapped__(data)


@lru_cache(maxsize=_KEPT)
def _parse(data: bytes) -> HelloExtensions:
    reader = Reader(data)
    known: dict[str, Any] = {}
    other: list[tuple[int, bytes]] = []
    seen: set[int] = set()
    while reader.remaining:
        number = reader.unsigned(2)
        body = reader.vector(2)
        if number in seen:
            raise WireFormatError(f"extension {number} comes twice")
        seen.add(number)
        if (codec := _CODECS.get(number)) is None:
            other.append((number, body))
            continue
        field, parse, _ = codec
        body_reader = Reader(body)
        known[field] = parse(body_reader)
        body_reader.expect_end()
    return HelloExtensions(**known, other=tuple(other))


def serialize_extensions(extensions: HelloExtensions) -> bytes:
    """Return the block of extensions, without its length prefix."""
    blocks = []
    for number, (field, _, serialize) in _CODECS.items():
        value = getattr(extensions, field)
        if value is not None and value is not False:
            blocks.append((number, serialize(value)))
    blocks += extensions.other
    return b"".join(
        number.to_bytes(2, "big") + serialize_vector(2, body) for number, body in blocks
    )
