"""A short STUN codec of its own (RFC 8489), as the oracle of the compiled one."""

import hmac
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

COOKIE = bytes.fromhex("2112a442")
USERNAME, INTEGRITY, ERROR_CODE, UNKNOWN = 0x0006, 0x0008, 0x0009, 0x000A
XOR_MAPPED, PRIORITY, USE_CANDIDATE = 0x0020, 0x0024, 0x0025
FINGERPRINT, CONTROLLED, CONTROLLING = 0x8028, 0x8029, 0x802A

Attribute = tuple[int, bytes]


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def _with_length(message: bytes, extra: int) -> bytes:
    return message[:2] + struct.pack(">H", len(message) - 20 + extra) + message[4:]


def integrity_of(before: bytes, password: bytes) -> bytes:
    return hmac.digest(password, _with_length(before, 24), "sha1")


def fingerprint_of(before: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(_with_length(before, 8)) ^ 0x5354554E)


def build(
    message_type: int,
    transaction_id: bytes,
    attributes: Sequence[Attribute],
    password: bytes | None = None,
    *,
    behind_integrity: Sequence[Attribute] = (),
    fingerprint: bool = True,
) -> bytes:
    message = struct.pack(">HH", message_type, 0) + COOKIE + transaction_id
    for kind, value in attributes:
        message += struct.pack(">HH", kind, len(value)) + _padded(value)
    if password is not None:
        message += struct.pack(">HH", INTEGRITY, 20) + integrity_of(message, password)
    for kind, value in behind_integrity:
        message += struct.pack(">HH", kind, len(value)) + _padded(value)
    if fingerprint:
        message += struct.pack(">HH", FINGERPRINT, 4) + fingerprint_of(message)
    return _with_length(message, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    message_type: int
    transaction_id: bytes
    attributes: dict[int, bytes]
    offsets: dict[int, int]
    """Where each attribute's header stands."""


def parse(message: bytes) -> Parsed:
    """Parse a message that is well-formed."""
    message_type, length = struct.unpack_from(">HH", message)
    assert message[4:8] == COOKIE
    assert length == len(message) - 20
    attributes: dict[int, bytes] = {}
    offsets: dict[int, int] = {}
    offset = 20
    while offset < len(message):
        kind, size = struct.unpack_from(">HH", message, offset)
        attributes[kind] = message[offset + 4 : offset + 4 + size]
        offsets[kind] = offset
        offset += 4 + size + -size % 4
    assert offset == len(message)
    return Parsed(
        message_type=message_type,
        transaction_id=message[8:20],
        attributes=attributes,
        offsets=offsets,
    )


def check_integrity(message: bytes, password: bytes) -> None:
    """Assert that MESSAGE-INTEGRITY and FINGERPRINT are there, right and last."""
    parsed = parse(message)
    at = parsed.offsets[INTEGRITY]
    assert parsed.attributes[INTEGRITY] == integrity_of(message[:at], password)
    assert at == len(message) - 32
    check_fingerprint(message)


def check_fingerprint(message: bytes) -> None:
    assert parse(message).attributes[FINGERPRINT] == fingerprint_of(message[:-8])


def xor_mapped_address(message: bytes) -> tuple[bytes, int]:
    """Return the packed address and the port."""
    parsed = parse(message)
    value = parsed.attributes[XOR_MAPPED]
    family, port = struct.unpack_from(">HH", value)
    key = COOKIE + parsed.transaction_id
    address = bytes(a ^ b for a, b in zip(value[4:], key, strict=False))
    assert len(address) == {1: 4, 2: 16}[family]
    return address, port ^ 0x2112
