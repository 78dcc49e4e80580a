"""RTP and RTCP of the client: round trips, and any bytes parse or raise WireFormatError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load import rtcp
from benchmarks.load.rtp import (
    SequenceUnwrapper,
    pack_extensions,
    pack_rtp,
    parse_extensions,
    parse_rtp,
    unwrap_rtx,
)
from router.errors import WireFormatError

ELEMENTS = st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), max_size=6).map(
    lambda found: list(found.items())
)


@given(
    st.integers(0, 127),
    st.booleans(),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    ELEMENTS,
    st.binary(max_size=200),
)
def test_rtp_round_trip(
    payload_type: int,
    marker: bool,
    sequence_number: int,
    timestamp: int,
    ssrc: int,
    elements: list[tuple[int, bytes]],
    payload: bytes,
) -> None:
    packet = parse_rtp(
        pack_rtp(
            payload_type=payload_type,
            marker=marker,
            sequence_number=sequence_number,
            timestamp=timestamp,
            ssrc=ssrc,
            extensions=pack_extensions(elements),
            payload=payload,
        )
    )
    assert (packet.payload_type, packet.marker) == (payload_type, marker)
    assert (packet.sequence_number, packet.timestamp) == (sequence_number, timestamp)
    assert (packet.ssrc, packet.payload) == (ssrc, payload)
    assert list(parse_extensions(packet)) == elements


@given(st.binary(max_size=100))
def test_any_bytes_are_rtp_or_refused(data: bytes) -> None:
    for candidate in (data, b"\x90" + data, b"\xb2" + data):
        try:
            packet = parse_rtp(candidate)
        except WireFormatError:
            continue
        list(parse_extensions(packet))
        unwrap_rtx(packet, ssrc=1, payload_type=96)


@given(st.binary(max_size=100))
def test_any_bytes_are_rtcp_or_refused(data: bytes) -> None:
    for candidate in (data, b"\x81\xc8\x00\x06" + data, b"\x9f\xcd\x00\x03" + data):
        try:
            packets = rtcp.parse_compound(candidate)
            for packet in packets:
                rtcp.parse_report_blocks(packet)
                rtcp.parse_sender_info(packet)
        except WireFormatError:
            continue
        for packet in packets:
            list(rtcp.parse_nack(packet))
            rtcp.key_frame_targets(packet)


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=40, unique=True), st.integers(0, 65535))
def test_a_nack_names_exactly_what_is_missing(offsets: list[int], base: int) -> None:
    numbers = [(base + offset) & 0xFFFF for offset in sorted(offsets)]
    (packet,) = rtcp.parse_compound(rtcp.pack_nack(1, 2, numbers))
    assert (packet.sender_ssrc, packet.media_ssrc) == (1, 2)
    assert list(rtcp.parse_nack(packet)) == numbers


def test_a_compound_of_reports_round_trips() -> None:
    block = rtcp.ReportBlock(
        ssrc=7,
        fraction_lost=13,
        cumulative_lost=-5,
        highest_sequence_number=70_000,
        jitter=99,
        last_sender_report=0x12345678,
        delay_since_last=65536,
    )
    info = rtcp.SenderInfo(ssrc=9, ntp=1 << 40, rtp_timestamp=3, packets=4, octets=5)
    data = rtcp.pack_sender_report(info, [block]) + rtcp.pack_cname(9, "cname")
    data += rtcp.pack_receiver_report(9, [block]) + rtcp.pack_bye([9, 10]) + rtcp.pack_pli(9, 7)
    report, _, receiver, bye, pli = rtcp.parse_compound(data)
    assert rtcp.parse_sender_info(report) == info
    assert rtcp.parse_report_blocks(report) == rtcp.parse_report_blocks(receiver) == [block]
    assert (bye.packet_type, bye.count) == (rtcp.BYE, 2)
    assert rtcp.key_frame_targets(pli) == (7,)


def test_rtx_is_unwrapped() -> None:
    data = pack_rtp(
        payload_type=97,
        marker=True,
        sequence_number=5,
        timestamp=1000,
        ssrc=22,
        extensions=b"",
        payload=b"\x01\x02media",
    )
    packet = unwrap_rtx(parse_rtp(data), ssrc=11, payload_type=96)
    assert packet is not None
    assert (packet.ssrc, packet.payload_type, packet.sequence_number) == (11, 96, 0x0102)
    assert packet.payload == b"media"


@given(st.integers(0, 0xFFFF), st.lists(st.integers(-1000, 1000), max_size=200))
def test_numbers_that_wrap_are_followed(start: int, steps: list[int]) -> None:
    unwrapper = SequenceUnwrapper(16)
    offset = unwrapper.unwrap(start) - start
    number = highest = start
    for step in steps:
        number = max(highest - 30_000, highest + step)
        highest = max(highest, number)
        assert unwrapper.unwrap(number & 0xFFFF) == number + offset


def test_an_extension_is_refused_when_its_packet_ends_first() -> None:
    with pytest.raises(WireFormatError):
        parse_rtp(bytes.fromhex("90600001000000010000000abede0004aabb"))
