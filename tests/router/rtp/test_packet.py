import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import WireFormatError
from router.rtp import RtpPacket, parse_packet, unwrap_rtx, wrap_rtx
from router.rtp.header_extensions import (
    AudioLevel,
    parse_abs_send_time,
    parse_audio_level,
    parse_transport_seq,
    serialize_abs_send_time,
    serialize_transport_seq,
)

from .strategies import SEQ, SSRC, rtp_packets


@given(packet=rtp_packets())
def test_packet_survives_a_round_trip(packet: RtpPacket) -> None:
    assert parse_packet(packet.serialize()) == packet


@given(data=st.binary(max_size=80))
def test_any_bytes_parse_or_raise_wire_format_error(data: bytes) -> None:
    with contextlib.suppress(WireFormatError):
        parse_packet(data)


@given(packet=rtp_packets(), cut=st.integers(0, 400))
def test_cut_packets_parse_or_raise_wire_format_error(packet: RtpPacket, cut: int) -> None:
    with contextlib.suppress(WireFormatError):
        parse_packet(packet.serialize()[:cut])


def test_packet_has_the_layout_of_rfc_3550_and_8285() -> None:
    packet = RtpPacket(
        payload_type=96,
        sequence_number=0x1234,
        rtp_timestamp=0x01020304,
        ssrc=0xCAFEBABE,
        payload=b"\xaa",
        marker=True,
        extensions=((1, b"\x05"), (3, b"\x00\x07")),
    )
    assert packet.serialize().hex() == ("90e0123401020304cafebabebede00021005310007000000aa")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("80601234010203040506", "10 bytes"),
        ("406012340102030405060708", "version is 1"),
        ("8f6012340102030405060708", "CSRCs"),
        ("906012340102030405060708bede", "extension header"),
        ("906012340102030405060708bede0001", "does not fit"),
        ("a0601234010203040506070800", "padding of 0"),
        ("a0601234010203040506070802", "padding of 2"),
    ],
)
def test_malformed_packet_is_refused(data: str, reason: str) -> None:
    with pytest.raises(WireFormatError, match=reason):
        parse_packet(bytes.fromhex(data))


@given(packet=rtp_packets(), seq=SEQ, ssrc=SSRC)
def test_rtx_carries_the_original(packet: RtpPacket, seq: int, ssrc: int) -> None:
    rtx = wrap_rtx(packet, payload_type=97, sequence_number=seq, ssrc=ssrc)
    assert (rtx.payload_type, rtx.sequence_number, rtx.ssrc) == (97, seq, ssrc)
    original = unwrap_rtx(rtx, payload_type=packet.payload_type, ssrc=packet.ssrc)
    assert (
        original.serialize()
        == RtpPacket(
            payload_type=packet.payload_type,
            sequence_number=packet.sequence_number,
            rtp_timestamp=packet.rtp_timestamp,
            ssrc=packet.ssrc,
            payload=packet.payload,
            marker=packet.marker,
            csrcs=packet.csrcs,
            extensions=packet.extensions,
        ).serialize()
    )


def test_rtx_padding_has_no_original() -> None:
    padding = RtpPacket(payload_type=97, sequence_number=1, rtp_timestamp=2, ssrc=3, padding=8)
    with pytest.raises(WireFormatError):
        unwrap_rtx(padding, payload_type=96, ssrc=4)


@given(level=st.integers(0, 127), voice=st.booleans())
def test_audio_level_survives_a_round_trip(level: int, voice: bool) -> None:
    audio_level = AudioLevel(level=level, voice=voice)
    assert parse_audio_level(audio_level.serialize()) == audio_level


@given(seq=SEQ)
def test_transport_seq_survives_a_round_trip(seq: int) -> None:
    assert parse_transport_seq(serialize_transport_seq(seq)) == seq


def test_abs_send_time_is_modulo_64_seconds() -> None:
    assert parse_abs_send_time(serialize_abs_send_time(65.25)) == 1.25


@pytest.mark.parametrize("parse", [parse_audio_level, parse_transport_seq, parse_abs_send_time])
def test_empty_element_is_refused(parse: object) -> None:
    with pytest.raises(WireFormatError):
        parse(b"")  # type: ignore[operator]
