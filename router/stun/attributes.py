"""
STUN attributes: number, name, and how the value is packed.

RFC 8489 section 14 and RFC 8445 section 16.1. An attribute is one line in the table at the end;
TURN adds its own with the same constructors.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..errors import WireFormatError
from ..net import Address, normalise_host, pack_host, unpack_host

T = TypeVar("T")

MAGIC_COOKIE = 0x2112A442

_ADDRESS = struct.Struct("!xBH")  # reserved, family, port
_ERROR_CODE = struct.Struct("!HBB")  # reserved, class (low 3 bits), number
_FAMILY_IPV4 = 1
_FAMILY_IPV6 = 2


@dataclass(frozen=True, slots=True)
class AttributeType(Generic[T]):
    """One kind of attribute; ``T`` is the type of its value in Python."""

    number: int
    """Type number on the wire, 0..0xFFFF."""
    name: str
    """The RFC's name."""
    pack: Callable[[T, bytes], bytes]
    """Return the value's bytes, without padding; the second argument is the transaction id."""
    unpack: Callable[[bytes, bytes], T]
    """The inverse of ``pack``; raises only :exc:`WireFormatError`."""


def is_comprehension_required(number: int) -> bool:
    """Return whether a receiver that does not know the type must refuse (RFC 8489 section 14)."""
    return number < 0x8000


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """Value of ERROR-CODE (RFC 8489 section 14.8)."""

    code: int
    """300..699."""
    reason: str = ""
    """For people; may be empty."""


def _pack_unsigned(size: int) -> Callable[[int, bytes], bytes]:
    return lambda value, _: value.to_bytes(size, "big")


def _unpack_unsigned(size: int) -> Callable[[bytes, bytes], int]:
    def unpack(data: bytes, _: bytes) -> int:
        if len(data) != size:
            raise WireFormatError(f"STUN integer attribute has {len(data)} bytes, not {size}")
        return int.from_bytes(data, "big")

    return unpack


def _pack_text(value: str, _: bytes) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _unpack_text(data: bytes, _: bytes) -> str:
    # Bytes that are not UTF-8 survive the round trip: a wrong USERNAME is a matter for the
    # credentials check (401), not for the parser.
    return data.decode("utf-8", "surrogateescape")


def _pack_bytes(value: bytes, _: bytes) -> bytes:
    return value


def _unpack_bytes(size: int | None = None) -> Callable[[bytes, bytes], bytes]:
    def unpack(data: bytes, _: bytes) -> bytes:
        if size is not None and len(data) != size:
            raise WireFormatError(f"STUN attribute has {len(data)} bytes, not {size}")
        return data

    return unpack


def _pack_flag(value: bool, _: bytes) -> bytes:
    return b""


def _unpack_flag(data: bytes, _: bytes) -> bool:
    if data:
        raise WireFormatError(f"STUN flag attribute has {len(data)} bytes, not 0")
    return True


def _pack_address(value: Address, _: bytes) -> bytes:
    host = pack_host(normalise_host(value.host))
    family = _FAMILY_IPV4 if len(host) == 4 else _FAMILY_IPV6
    return _ADDRESS.pack(family, value.port) + host


def _unpack_address(data: bytes, _: bytes) -> Address:
    if len(data) < _ADDRESS.size:
        raise WireFormatError(f"STUN address has {len(data)} bytes")
    family, port = _ADDRESS.unpack_from(data)
    host = data[_ADDRESS.size :]
    if (family, len(host)) not in ((_FAMILY_IPV4, 4), (_FAMILY_IPV6, 16)):
        raise WireFormatError(f"STUN address of family {family} has {len(data)} bytes")
    return Address(unpack_host(host), port)


def _xor_address(data: bytes, transaction_id: bytes) -> bytes:
    # RFC 8489 section 14.2: the port is XORed with the first 16 bits of the cookie, the host with
    # the cookie and, for IPv6, the transaction id after it.
    cookie = MAGIC_COOKIE.to_bytes(4, "big")
    mask = cookie[:2] + cookie + transaction_id
    return data[:2] + bytes(a ^ b for a, b in zip(data[2:], mask, strict=False))


def _pack_xor_address(value: Address, transaction_id: bytes) -> bytes:
    return _xor_address(_pack_address(value, transaction_id), transaction_id)


def _unpack_xor_address(data: bytes, transaction_id: bytes) -> Address:
    return _unpack_address(_xor_address(data, transaction_id), transaction_id)


def _pack_error_code(value: ErrorCode, _: bytes) -> bytes:
    return _ERROR_CODE.pack(0, value.code // 100, value.code % 100) + value.reason.encode()


def _unpack_error_code(data: bytes, _: bytes) -> ErrorCode:
    if len(data) < _ERROR_CODE.size:
        raise WireFormatError(f"ERROR-CODE has {len(data)} bytes")
    _, error_class, number = _ERROR_CODE.unpack_from(data)
    error_class &= 0x07
    if not 3 <= error_class <= 6 or number > 99:
        raise WireFormatError(f"ERROR-CODE has class {error_class} and number {number}")
    reason = data[_ERROR_CODE.size :].decode("utf-8", "replace")
    return ErrorCode(error_class * 100 + number, reason)


def _pack_types(value: tuple[int, ...], _: bytes) -> bytes:
    return struct.pack(f"!{len(value)}H", *value)


def _unpack_types(data: bytes, _: bytes) -> tuple[int, ...]:
    if len(data) % 2:
        raise WireFormatError(f"UNKNOWN-ATTRIBUTES has {len(data)} bytes")
    return struct.unpack(f"!{len(data) // 2}H", data)


def text_attribute(number: int, name: str) -> AttributeType[str]:
    """Return the type of an attribute that holds text."""
    return AttributeType(number, name, _pack_text, _unpack_text)


def bytes_attribute(number: int, name: str, size: int | None = None) -> AttributeType[bytes]:
    """Return the type of an attribute that holds opaque bytes, exactly ``size`` if given."""
    return AttributeType(number, name, _pack_bytes, _unpack_bytes(size))


def unsigned_attribute(number: int, name: str, size: int) -> AttributeType[int]:
    """Return the type of an attribute that holds an unsigned integer of ``size`` bytes."""
    return AttributeType(number, name, _pack_unsigned(size), _unpack_unsigned(size))


def flag_attribute(number: int, name: str) -> AttributeType[bool]:
    """Return the type of an attribute that has no value, and counts by being there."""
    return AttributeType(number, name, _pack_flag, _unpack_flag)


def xor_address_attribute(number: int, name: str) -> AttributeType[Address]:
    """Return the type of an attribute that holds an address XORed with the header."""
    return AttributeType(number, name, _pack_xor_address, _unpack_xor_address)


MAPPED_ADDRESS = AttributeType(0x0001, "MAPPED-ADDRESS", _pack_address, _unpack_address)
USERNAME = text_attribute(0x0006, "USERNAME")
MESSAGE_INTEGRITY = bytes_attribute(0x0008, "MESSAGE-INTEGRITY", 20)
ERROR_CODE = AttributeType(0x0009, "ERROR-CODE", _pack_error_code, _unpack_error_code)
UNKNOWN_ATTRIBUTES = AttributeType(0x000A, "UNKNOWN-ATTRIBUTES", _pack_types, _unpack_types)
REALM = text_attribute(0x0014, "REALM")
NONCE = bytes_attribute(0x0015, "NONCE")
MESSAGE_INTEGRITY_SHA256 = bytes_attribute(0x001C, "MESSAGE-INTEGRITY-SHA256")
XOR_MAPPED_ADDRESS = xor_address_attribute(0x0020, "XOR-MAPPED-ADDRESS")
PRIORITY = unsigned_attribute(0x0024, "PRIORITY", 4)
USE_CANDIDATE = flag_attribute(0x0025, "USE-CANDIDATE")
SOFTWARE = text_attribute(0x8022, "SOFTWARE")
FINGERPRINT = unsigned_attribute(0x8028, "FINGERPRINT", 4)
ICE_CONTROLLED = unsigned_attribute(0x8029, "ICE-CONTROLLED", 8)
ICE_CONTROLLING = unsigned_attribute(0x802A, "ICE-CONTROLLING", 8)

KNOWN_TYPES: dict[int, AttributeType[object]] = {
    attribute_type.number: attribute_type  # type: ignore[misc]  # values of many types by number
    for attribute_type in (
        MAPPED_ADDRESS,
        USERNAME,
        MESSAGE_INTEGRITY,
        ERROR_CODE,
        UNKNOWN_ATTRIBUTES,
        REALM,
        NONCE,
        MESSAGE_INTEGRITY_SHA256,
        XOR_MAPPED_ADDRESS,
        PRIORITY,
        USE_CANDIDATE,
        SOFTWARE,
        FINGERPRINT,
        ICE_CONTROLLED,
        ICE_CONTROLLING,
    )
}
"""The types whose values :func:`~router.stun.message.parse_message` checks, by number."""
