import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import WireFormatError
from router.rtp import (
    Bye,
    FullIntraRequest,
    GenericNack,
    PictureLossIndication,
    ReceiverEstimatedMaximumBitrate,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    TransportCcFeedback,
    parse_bye,
    parse_compound,
    parse_fir,
    parse_nack,
    parse_pli,
    parse_receiver_report,
    parse_remb,
    parse_sender_report,
    parse_source_description,
    parse_transport_cc,
    serialize_compound,
)

from .strategies import SEQ, SSRC

BLOCKS = st.lists(
    st.builds(
        ReportBlock,
        ssrc=SSRC,
        fraction_lost=st.integers(0, 255),
        packets_lost=st.integers(-(1 << 23), (1 << 23) - 1),
        highest_sequence_number=SSRC,
        jitter=SSRC,
        last_sr=SSRC,
        delay_since_last_sr=SSRC,
    ),
    max_size=31,
).map(tuple)

PARSERS: dict[type, Callable[[RtcpPacket], object]] = {
    SenderReport: parse_sender_report,
    ReceiverReport: parse_receiver_report,
    SourceDescription: parse_source_description,
    Bye: parse_bye,
    GenericNack: parse_nack,
    PictureLossIndication: parse_pli,
    FullIntraRequest: parse_fir,
    ReceiverEstimatedMaximumBitrate: parse_remb,
    TransportCcFeedback: parse_transport_cc,
}


def ascending(numbers: set[int]) -> tuple[int, ...]:
    return tuple(sorted(numbers))


PACKETS = st.one_of(
    st.builds(
        SenderReport,
        ssrc=SSRC,
        ntp=st.integers(0, (1 << 64) - 1),
        rtp_timestamp=SSRC,
        packet_count=SSRC,
        octet_count=SSRC,
        blocks=BLOCKS,
    ),
    st.builds(ReceiverReport, ssrc=SSRC, blocks=BLOCKS),
    st.builds(
        SourceDescription,
        cnames=st.lists(st.tuples(SSRC, st.binary(max_size=255)), max_size=31).map(tuple),
    ),
    st.builds(Bye, ssrcs=st.lists(SSRC, max_size=31).map(tuple)),
    st.builds(
        GenericNack,
        sender_ssrc=SSRC,
        media_ssrc=SSRC,
        sequence_numbers=st.sets(SEQ, min_size=1, max_size=60).map(ascending),
    ),
    st.builds(PictureLossIndication, sender_ssrc=SSRC, media_ssrc=SSRC),
    st.builds(
        FullIntraRequest,
        sender_ssrc=SSRC,
        requests=st.lists(st.tuples(SSRC, st.integers(0, 255)), max_size=5).map(tuple),
    ),
    st.builds(
        ReceiverEstimatedMaximumBitrate,
        sender_ssrc=SSRC,
        bitrate_bps=st.integers(0, (1 << 18) - 1),
        ssrcs=st.lists(SSRC, max_size=31).map(tuple),
    ),
    st.builds(
        TransportCcFeedback,
        sender_ssrc=SSRC,
        media_ssrc=SSRC,
        base_sequence_number=SEQ,
        reference_time=st.integers(0, (1 << 24) - 1),
        feedback_count=st.integers(0, 255),
        deltas=st.lists(
            st.none() | st.integers(-32768, 32767) | st.integers(0, 255), max_size=80
        ).map(tuple),
    ),
)


@given(sent=st.lists(PACKETS, max_size=5))
def test_compound_survives_a_round_trip(sent: list[object]) -> None:
    data = serialize_compound([packet.to_packet() for packet in sent])  # type: ignore[attr-defined]
    parsed = parse_compound(data)
    assert [PARSERS[type(s)](p) for s, p in zip(sent, parsed, strict=True)] == sent


@given(data=st.binary(max_size=120))
def test_any_bytes_parse_or_raise_wire_format_error(data: bytes) -> None:
    with contextlib.suppress(WireFormatError):
        parse_compound(data)


@given(
    packet=st.builds(
        RtcpPacket,
        packet_type=st.integers(200, 207),
        count=st.integers(0, 31),
        body=st.binary(max_size=80),
    )
)
def test_any_body_parses_or_raises_wire_format_error(packet: RtcpPacket) -> None:
    for parse in PARSERS.values():
        with contextlib.suppress(WireFormatError):
            parse(packet)


@pytest.mark.parametrize("data", ["81", "8001c8", "80c8000200000000", "c0c9000100000000"])
def test_malformed_compound_is_refused(data: str) -> None:
    with pytest.raises(WireFormatError):
        parse_compound(bytes.fromhex(data))


def test_padding_of_the_last_packet_is_not_part_of_its_body() -> None:
    data = bytes.fromhex("a0c900020000000100000004")
    assert parse_compound(data) == [
        RtcpPacket(packet_type=201, count=0, body=bytes.fromhex("00000001"))
    ]


def test_nack_has_the_layout_of_rfc_4585() -> None:
    nack = GenericNack(sender_ssrc=1, media_ssrc=2, sequence_numbers=(65535, 0, 16, 100))
    assert nack.to_packet().serialize().hex() == (
        "81cd00050000000100000002ffff00010010000000640000"
    )


def test_remb_carries_eighteen_significant_bits() -> None:
    remb = ReceiverEstimatedMaximumBitrate(sender_ssrc=1, bitrate_bps=2_500_001, ssrcs=(9,))
    assert parse_remb(remb.to_packet()).bitrate_bps == 2_500_000


def test_transport_cc_vector_of_the_draft_layout_is_read() -> None:
    # Status: a run of 2 received (small delta), 1 lost; then deltas 1.0 ms and 0.25 ms.
    packet = RtcpPacket(
        packet_type=205,
        count=15,
        body=bytes.fromhex("0000000100000002000a000300000203200200010401") + b"\0\0",
    )
    feedback = parse_transport_cc(packet)
    assert feedback.deltas == (4, 1, None)
    assert feedback.arrivals() == [(10, 2 * 256 + 4), (11, 2 * 256 + 5)]
    assert feedback.feedback_count == 3
