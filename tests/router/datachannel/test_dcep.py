"""DCEP messages and payload protocol identifiers (RFC 8832 section 5, RFC 8831 section 8)."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.datachannel import ChannelParameters
from router.datachannel.dcep import OpenMessage, parse_open, serialize_ack
from router.datachannel.payload import parse_payload, serialize_payload
from router.errors import LocalProtocolError, WireFormatError
from router.sctp.chunks.data import parse_data
from router.sctp.packet import parse_packet

_LIMIT = st.none() | st.integers(0, 0xFFFFFFFF)


def test_open_message_of_another_implementation() -> None:
    path = Path(__file__).parents[2] / "vectors" / "sctp" / "aiortc_session.json"
    packets = [v["packet"] for v in json.loads(path.read_text()) if v["chunk"] == "DATA"]
    messages = []
    for packet in packets[:2]:
        (chunk,) = parse_packet(bytes.fromhex(packet)).chunks
        messages.append(parse_data(chunk.flags, chunk.value))
    assert [message.ppid for message in messages] == [50, 50]
    assert parse_open(messages[0].user_data) == OpenMessage(
        label="chat",
        parameters=ChannelParameters(max_retransmits=0, protocol="p", priority=0),
    )
    assert messages[1].user_data == serialize_ack()


@pytest.mark.parametrize(
    ("parameters", "channel_type", "reliability"),
    [
        (ChannelParameters(), 0x00, 0),
        (ChannelParameters(ordered=False), 0x80, 0),
        (ChannelParameters(max_retransmits=3), 0x01, 3),
        (ChannelParameters(max_retransmits=0, ordered=False), 0x81, 0),
        (ChannelParameters(max_packet_lifetime_ms=500), 0x02, 500),
        (ChannelParameters(max_packet_lifetime_ms=500, ordered=False), 0x82, 500),
    ],
)
def test_channel_types(parameters: ChannelParameters, channel_type: int, reliability: int) -> None:
    data = OpenMessage(label="é", parameters=parameters).serialize()
    assert data[:2] == bytes((3, channel_type))
    assert int.from_bytes(data[4:8], "big") == reliability
    assert data[8:] == bytes((0, 2, 0, 0)) + "é".encode()


@given(
    st.text(max_size=50),
    st.text(max_size=50),
    st.booleans(),
    _LIMIT,
    _LIMIT,
    st.integers(0, 0xFFFF),
)
def test_open_round_trip(
    label: str, protocol: str, ordered: bool, lifetime: int | None, limit: int | None, priority: int
) -> None:
    message = OpenMessage(
        label=label,
        parameters=ChannelParameters(
            ordered=ordered,
            max_packet_lifetime_ms=lifetime,
            max_retransmits=limit if lifetime is None else None,
            protocol=protocol,
            priority=priority,
        ),
    )
    assert parse_open(message.serialize()) == message


@given(st.binary(max_size=60))
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    with suppress(WireFormatError):
        parse_open(data)
    with suppress(WireFormatError):
        parse_open(bytes((3, 0, 0, 0, 0, 0, 0, 0, 0, len(data), 0, 0)) + data)


@pytest.mark.parametrize(
    "data",
    [
        bytes.fromhex("0300000000000000000000"),  # too short
        bytes.fromhex("030000000000000000010000"),  # the label is missing
        bytes.fromhex("03000000000000000000000041"),  # a byte too many
        bytes.fromhex("030300000000000000000000"),  # channel type 3
        bytes.fromhex("020000000000000000000000"),  # not OPEN
    ],
)
def test_malformed_open_is_refused(data: bytes) -> None:
    with pytest.raises(WireFormatError):
        parse_open(data)


def test_label_that_is_not_utf_8_is_taken() -> None:
    assert (
        parse_open(bytes.fromhex("030000000000000000020000") + b"\xff\xfe").label == "\ufffd\ufffd"
    )


@pytest.mark.parametrize(
    ("data", "ppid", "user_data"),
    [
        ("text", 51, b"text"),
        ("", 56, b"\x00"),
        (b"\x01\x02", 53, b"\x01\x02"),
        (b"", 57, b"\x00"),
    ],
)
def test_payload_protocol_identifiers(data: str | bytes, ppid: int, user_data: bytes) -> None:
    assert serialize_payload(data) == (ppid, user_data)
    assert parse_payload(ppid, user_data) == data


@given(st.one_of(st.text(), st.binary()))
def test_payload_round_trip(data: str | bytes) -> None:
    assert parse_payload(*serialize_payload(data)) == data


@given(st.integers(0, 0xFFFFFFFF), st.binary())
def test_any_payload_parses_or_is_refused(ppid: int, data: bytes) -> None:
    for number in (ppid, 51, 53, 56, 57):
        with suppress(WireFormatError):
            parse_payload(number, data)


@pytest.mark.parametrize("ppid", [0, 50, 52, 54, 55, 58])
def test_other_payloads_are_refused(ppid: int) -> None:
    with pytest.raises(WireFormatError):
        parse_payload(ppid, b"x")


def test_lone_surrogates_do_not_raise() -> None:
    assert serialize_payload("a\ud800b") == (51, b"a?b")


def test_contradictory_parameters_are_refused() -> None:
    with pytest.raises(LocalProtocolError):
        ChannelParameters(max_retransmits=1, max_packet_lifetime_ms=1)
    with pytest.raises(LocalProtocolError):
        ChannelParameters(max_retransmits=-1)
    with pytest.raises(LocalProtocolError):
        ChannelParameters(max_packet_lifetime_ms=1 << 32)
    with pytest.raises(LocalProtocolError):
        ChannelParameters(priority=-1)
    with pytest.raises(LocalProtocolError):
        OpenMessage(label="x" * 65536, parameters=ChannelParameters()).serialize()
