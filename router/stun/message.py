"""STUN messages (RFC 8489 section 5)."""

import enum
import hmac
import random
import struct
from dataclasses import dataclass, field
from typing import TypeVar

from ..errors import AuthenticationFailed, WireFormatError
from .attributes import (
    FINGERPRINT,
    KNOWN_TYPES,
    MAGIC_COOKIE,
    MESSAGE_INTEGRITY,
    MESSAGE_INTEGRITY_SHA256,
    AttributeType,
    is_comprehension_required,
)
from .integrity import INTEGRITY_SIZE, compute_fingerprint, compute_integrity

T = TypeVar("T")

_HEADER = struct.Struct("!HHI12s")  # type, length, magic cookie, transaction id
_ATTRIBUTE = struct.Struct("!HH")  # type, length of the value without padding
TRANSACTION_ID_SIZE = 12


class MessageClass(enum.IntEnum):
    """The class bits C1 and C0, in place in the message type."""

    REQUEST = 0x000
    INDICATION = 0x010
    SUCCESS_RESPONSE = 0x100
    ERROR_RESPONSE = 0x110


class Method(enum.IntEnum):
    """The methods that this package speaks of; a message may carry others."""

    BINDING = 0x001


_CLASS_MASK = 0x0110


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute as it is on the wire."""

    number: int
    """Type number, 0..0xFFFF."""
    value: bytes
    """The value without padding, at most 65,532 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """
    A STUN message.

    Attributes keep their order, also those of unknown type. MESSAGE-INTEGRITY and FINGERPRINT are
    among them in a parsed message; when building one, leave them to :meth:`serialize`.
    """

    message_class: MessageClass
    method: int = Method.BINDING
    """0..0xFFF."""
    transaction_id: bytes
    """12 bytes."""
    attributes: tuple[Attribute, ...] = ()
    raw: bytes = field(default=b"", compare=False, repr=False)
    """The datagram that the message was parsed from; empty for one that was built."""
    integrity_offset: int | None = field(default=None, compare=False, repr=False)
    """Where in ``raw`` MESSAGE-INTEGRITY begins."""

    def get(self, attribute_type: AttributeType[T]) -> T | None:
        """
        Return the value of the first attribute of a type, or None if there is none.

        Does not raise for the types in ``KNOWN_TYPES`` of a parsed message, as parsing has checked
        them; for others, :exc:`WireFormatError` if the value is malformed.
        """
        for attribute in self.attributes:
            if attribute.number == attribute_type.number:
                return attribute_type.unpack(attribute.value, self.transaction_id)
        return None

    def with_attribute(self, attribute_type: AttributeType[T], value: T) -> "Message":
        """Return a new message to send, with one more attribute at the end."""
        packed = attribute_type.pack(value, self.transaction_id)
        return Message(
            message_class=self.message_class,
            method=self.method,
            transaction_id=self.transaction_id,
            attributes=(*self.attributes, Attribute(attribute_type.number, packed)),
        )

    def has(self, attribute_type: AttributeType[T]) -> bool:
        """Return whether an attribute of the type is there."""
        return any(attribute.number == attribute_type.number for attribute in self.attributes)

    def unknown_required_types(self) -> tuple[int, ...]:
        """Return the comprehension-required types that are not known here, each once, in order."""
        numbers = dict.fromkeys(attribute.number for attribute in self.attributes)
        return tuple(n for n in numbers if is_comprehension_required(n) and n not in KNOWN_TYPES)

    def check_integrity(self, key: bytes) -> None:
        """
        Return if MESSAGE-INTEGRITY is there and was made with ``key``, in constant time.

        :raises AuthenticationFailed: if it is not, or the message was not parsed.
        """
        if self.integrity_offset is None:
            raise AuthenticationFailed("STUN message has no MESSAGE-INTEGRITY")
        begin = self.integrity_offset + _ATTRIBUTE.size
        seen = self.raw[begin : self.integrity_offset + INTEGRITY_SIZE]
        if not hmac.compare_digest(seen, compute_integrity(self.raw[: self.integrity_offset], key)):
            raise AuthenticationFailed("STUN MESSAGE-INTEGRITY does not verify")

    def serialize(self, *, key: bytes | None = None, fingerprint: bool = True) -> bytes:
        """
        Return the datagram.

        :param key: Adds MESSAGE-INTEGRITY made with this key.
        :param fingerprint: Adds FINGERPRINT, last.
        """
        chunks = []
        for attribute in self.attributes:
            assert attribute.number not in (MESSAGE_INTEGRITY.number, FINGERPRINT.number)
            chunks.append(_serialize_attribute(attribute.number, attribute.value))
        data = self._header(0) + b"".join(chunks)
        if key is not None:
            integrity = compute_integrity(data, key)
            data += _serialize_attribute(MESSAGE_INTEGRITY.number, integrity)
        if fingerprint:
            crc = compute_fingerprint(data)
            data += _serialize_attribute(FINGERPRINT.number, crc.to_bytes(4, "big"))
        return self._header(len(data) - _HEADER.size) + data[_HEADER.size :]

    def _header(self, length: int) -> bytes:
        # RFC 8489 figure 3: the method's bits are spread around the two class bits.
        method = self.method
        message_type = (
            (method & 0xF80) << 2 | (method & 0x070) << 1 | method & 0x00F | self.message_class
        )
        return _HEADER.pack(message_type, length, MAGIC_COOKIE, self.transaction_id)


def new_transaction_id(rng: random.Random) -> bytes:
    """Return 96 random bits."""
    return rng.randbytes(TRANSACTION_ID_SIZE)


def parse_message(data: bytes) -> Message:
    """
    Return the message that a datagram holds.

    RFC 8489 sections 5, 6.3 and 14. A FINGERPRINT, if there is one, has been verified in the
    result; MESSAGE-INTEGRITY has not. Attributes that follow MESSAGE-INTEGRITY are left out, other
    than MESSAGE-INTEGRITY-SHA256 and FINGERPRINT, because nothing protects them. Padding bytes may
    have any value.

    :param data: One whole datagram.
    :raises WireFormatError: if it is not a STUN message of RFC 5389 or later, if an attribute of a
        known type has a malformed value, or if FINGERPRINT is wrong or not last.
    """
    if len(data) < _HEADER.size:
        raise WireFormatError(f"STUN message has {len(data)} bytes, less than its header")
    message_type, length, cookie, transaction_id = _HEADER.unpack_from(data)
    if message_type & 0xC000 or cookie != MAGIC_COOKIE:
        raise WireFormatError("STUN message type or magic cookie is wrong")
    if length % 4 or len(data) != _HEADER.size + length:
        raise WireFormatError(f"STUN length {length} in a datagram of {len(data)} bytes")

    attributes: list[Attribute] = []
    integrity_offset: int | None = None
    fingerprint_seen = False
    offset = _HEADER.size
    while offset < len(data):
        if fingerprint_seen:
            raise WireFormatError("STUN attributes follow FINGERPRINT")
        # Lengths are multiples of 4 throughout, so that an attribute header always fits.
        number, size = _ATTRIBUTE.unpack_from(data, offset)
        begin = offset + _ATTRIBUTE.size
        end = begin + size
        if end > len(data):
            raise WireFormatError(f"STUN attribute {number:#06x} of {size} bytes is cut off")
        value = data[begin:end]
        if number == FINGERPRINT.number:
            if FINGERPRINT.unpack(value, transaction_id) != compute_fingerprint(data[:offset]):
                raise WireFormatError("STUN FINGERPRINT does not match")
            fingerprint_seen = True
        is_protected = integrity_offset is None
        if is_protected or number in (MESSAGE_INTEGRITY_SHA256.number, FINGERPRINT.number):
            if number in KNOWN_TYPES:
                KNOWN_TYPES[number].unpack(value, transaction_id)
            attributes.append(Attribute(number, value))
        if is_protected and number == MESSAGE_INTEGRITY.number:
            integrity_offset = offset
        offset = end + (-end) % 4

    return Message(
        message_class=MessageClass(message_type & _CLASS_MASK),
        method=(message_type & 0x3E00) >> 2 | (message_type & 0x00E0) >> 1 | message_type & 0x000F,
        transaction_id=transaction_id,
        attributes=tuple(attributes),
        raw=data,
        integrity_offset=integrity_offset,
    )


def _serialize_attribute(number: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(number, len(value)) + value + bytes(-len(value) % 4)
