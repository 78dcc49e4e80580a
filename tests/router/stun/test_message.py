"""STUN messages: round trips, malformed input, what protects what."""

import contextlib
import random
import struct
from ipaddress import ip_address

import aioice.stun
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import AuthenticationFailed, WireFormatError
from router.net import Address
from router.stun import (
    ERROR_CODE,
    FINGERPRINT,
    ICE_CONTROLLING,
    MESSAGE_INTEGRITY,
    PRIORITY,
    SOFTWARE,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    Attribute,
    ErrorCode,
    Message,
    MessageClass,
    new_transaction_id,
    parse_message,
)
from router.stun.attributes import KNOWN_TYPES

from .strategies import addresses, messages, transaction_ids

KEY = b"a password of 22 chars"


def request(*attributes: Attribute) -> Message:
    return Message(
        message_class=MessageClass.REQUEST, transaction_id=bytes(12), attributes=attributes
    )


@given(messages())
def test_messages_survive_the_round_trip(message: Message) -> None:
    assert parse_message(message.serialize(fingerprint=False)) == message


@given(messages(), st.binary(min_size=1, max_size=64))
def test_protected_messages_verify_with_their_key_only(message: Message, key: bytes) -> None:
    parsed = parse_message(message.serialize(key=key))
    assert parsed.attributes[:-2] == message.attributes
    assert [a.number for a in parsed.attributes[-2:]] == [
        MESSAGE_INTEGRITY.number,
        FINGERPRINT.number,
    ]
    parsed.check_integrity(key)
    with pytest.raises(AuthenticationFailed):
        parsed.check_integrity(key + b"x")


@given(st.binary(max_size=200), st.integers(0, 0x3FFF))
def test_any_bytes_parse_or_raise_wire_format_error(data: bytes, message_type: int) -> None:
    header = struct.pack("!HHI12x", message_type, len(data), 0x2112A442)
    for raw in (data, header + data):
        with contextlib.suppress(WireFormatError):
            parse_message(raw)


@given(messages(), st.data())
def test_damaged_messages_parse_or_raise_wire_format_error(
    message: Message, data: st.DataObject
) -> None:
    raw = bytearray(message.serialize(fingerprint=False))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        parsed = parse_message(bytes(raw))
    except WireFormatError:
        return
    for attribute_type in KNOWN_TYPES.values():
        parsed.get(attribute_type)


@given(messages(), st.data())
def test_fingerprint_finds_any_damage(message: Message, data: st.DataObject) -> None:
    raw = bytearray(message.serialize())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        parsed = parse_message(bytes(raw))
    except WireFormatError:
        return
    # Damage to the header of FINGERPRINT, or of what is before it, may leave a message without.
    assert not parsed.has(FINGERPRINT)


@given(messages(), st.data())
def test_integrity_finds_any_damage_before_it(message: Message, data: st.DataObject) -> None:
    raw = bytearray(message.serialize(key=KEY, fingerprint=False))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((AuthenticationFailed, WireFormatError)):
        parse_message(bytes(raw)).check_integrity(KEY)


@given(messages())
def test_truncated_messages_do_not_parse(message: Message) -> None:
    raw = message.serialize(key=KEY)
    for size in range(len(raw)):
        with pytest.raises(WireFormatError):
            parse_message(raw[:size])


@pytest.mark.parametrize(
    ("what", "raw"),
    [
        ("cookie of RFC 3489", bytes.fromhex("00010000 00000000") + bytes(12)),
        ("top bits of the type", bytes.fromhex("80010000 2112a442") + bytes(12)),
        ("length not a multiple of 4", bytes.fromhex("00010002 2112a442") + bytes(14)),
        ("bytes after the message", bytes.fromhex("00010000 2112a442") + bytes(16)),
        ("attribute cut off", bytes.fromhex("00010004 2112a442") + bytes(12) + b"\0\6\0\1"),
    ],
)
def test_parser_rejects(what: str, raw: bytes) -> None:
    with pytest.raises(WireFormatError):
        parse_message(raw)


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (PRIORITY.number, b"\0\0\0"),
        (USE_CANDIDATE.number, b"\0"),
        (ICE_CONTROLLING.number, bytes(4)),
        (XOR_MAPPED_ADDRESS.number, bytes(3)),
        (XOR_MAPPED_ADDRESS.number, b"\0\1" + bytes(18)),
        (XOR_MAPPED_ADDRESS.number, b"\0\3" + bytes(6)),
        (ERROR_CODE.number, bytes.fromhex("00000264")),
        (ERROR_CODE.number, bytes.fromhex("000004")),
        (0x000A, b"\0"),
    ],
)
def test_parser_rejects_malformed_values_of_known_types(number: int, value: bytes) -> None:
    with pytest.raises(WireFormatError):
        parse_message(request(Attribute(number, value)).serialize(fingerprint=False))


def test_attributes_after_message_integrity_are_left_out() -> None:
    protected = request(Attribute(0x0024, bytes(4))).serialize(key=KEY, fingerprint=False)
    smuggled = request(Attribute(0x0025, b"")).serialize(fingerprint=False)[20:]
    raw = protected[:2] + (len(protected) + len(smuggled) - 20).to_bytes(2, "big")
    message = parse_message(raw + protected[4:] + smuggled)
    assert message.has(PRIORITY)
    assert not message.has(USE_CANDIDATE)
    message.check_integrity(KEY)


def test_attributes_after_fingerprint_are_refused() -> None:
    first = request().serialize()
    raw = first[:2] + (12).to_bytes(2, "big") + first[4:] + bytes.fromhex("00250000")
    with pytest.raises(WireFormatError, match="FINGERPRINT"):
        parse_message(raw)


def test_first_of_two_attributes_counts() -> None:
    message = request(Attribute(PRIORITY.number, bytes(4)), Attribute(PRIORITY.number, b"\1" * 4))
    assert parse_message(message.serialize()).get(PRIORITY) == 0


def test_unknown_attributes_are_kept_and_the_required_ones_named_once() -> None:
    message = parse_message(
        request(
            Attribute(0x7001, b"abc"), Attribute(0xC057, b"\0\1"), Attribute(0x7001, b"")
        ).serialize()
    )
    assert message.attributes[0] == Attribute(0x7001, b"abc")
    assert message.unknown_required_types() == (0x7001,)


def test_username_that_is_not_utf8_survives_the_round_trip() -> None:
    message = parse_message(request(Attribute(USERNAME.number, b"\xff:\xfe")).serialize())
    username = message.get(USERNAME)
    assert username is not None
    assert request().with_attribute(USERNAME, username).attributes[0].value == b"\xff:\xfe"


# aioice as an independent implementation of the same bytes.


@given(transaction_ids, addresses, st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_messages_equal_those_of_aioice(
    transaction_id: bytes, address: Address, priority: int, tie_breaker: int
) -> None:
    ours = (
        Message(message_class=MessageClass.REQUEST, transaction_id=transaction_id)
        .with_attribute(USERNAME, "abcd:efgh")
        .with_attribute(PRIORITY, priority)
        .with_attribute(ICE_CONTROLLING, tie_breaker)
        .with_attribute(USE_CANDIDATE, True)
        .with_attribute(XOR_MAPPED_ADDRESS, address)
        .with_attribute(ERROR_CODE, ErrorCode(487, "Role Conflict"))
        .with_attribute(SOFTWARE, "parlour")
    )
    theirs = aioice.stun.Message(
        message_method=aioice.stun.Method.BINDING,
        message_class=aioice.stun.Class.REQUEST,
        transaction_id=transaction_id,
        attributes={
            "USERNAME": "abcd:efgh",
            "PRIORITY": priority,
            "ICE-CONTROLLING": tie_breaker,
            "USE-CANDIDATE": None,
            "XOR-MAPPED-ADDRESS": tuple(address),
            "ERROR-CODE": (487, "Role Conflict"),
            "SOFTWARE": "parlour",
        },
    )
    theirs.add_message_integrity(KEY)
    assert ours.serialize(key=KEY) == bytes(theirs)
    parsed = aioice.stun.parse_message(ours.serialize(key=KEY))
    assert parsed.check_message_integrity(KEY)
    host, port = parsed.attributes["XOR-MAPPED-ADDRESS"]
    assert (ip_address(host), port) == (ip_address(address.host), address.port)


def test_transaction_ids_come_from_the_given_generator() -> None:
    assert new_transaction_id(random.Random(1)) == new_transaction_id(random.Random(1))
    assert len(new_transaction_id(random.Random(1))) == 12
