"""The plane reads RTP headers and payload descriptors as the Python package does."""

from hypothesis import given
from hypothesis import strategies as st

from router._fastpath.payload import describe_payload
from router._fastpath.rtp import describe_packet
from router.errors import WireFormatError
from router.rtp import (
    RtpPacket,
    is_av1_key_frame,
    is_h264_key_frame,
    is_vp8_key_frame,
    is_vp9_key_frame,
    parse_packet,
    parse_vp8,
)
from tests.router.rtp.strategies import rtp_packets

KINDS = bytes(i % 16 for i in range(256))
"""Kind of each extmap id; several ids share one."""


def by_kind(packet: RtpPacket) -> dict[int, bytes]:
    """The last element of each kind, as the plane keeps them; it has no use for empty ones."""
    return {KINDS[number]: data for number, data in packet.extensions if KINDS[number] and data}


def model(data: bytes) -> dict[str, object] | None:
    try:
        packet = parse_packet(data)
    except WireFormatError:
        return None
    return {
        "payload_type": packet.payload_type,
        "marker": packet.marker,
        "sequence_number": packet.sequence_number,
        "rtp_timestamp": packet.rtp_timestamp,
        "ssrc": packet.ssrc,
        "payload": packet.payload,
        "extensions": by_kind(packet),
    }


@given(packet=rtp_packets())
def test_plane_reads_every_packet_as_python_does(packet: RtpPacket) -> None:
    data = packet.serialize()
    assert describe_packet(data, KINDS) == model(data)


@given(data=st.binary(min_size=1, max_size=100).map(lambda b: bytes([b[0] | 0x80 & ~0x40]) + b[1:]))
def test_plane_reads_any_bytes_as_python_does(data: bytes) -> None:
    assert describe_packet(data, KINDS) == model(data)


@given(packet=rtp_packets(), at=st.integers(0, 100), value=st.integers(0, 255))
def test_plane_reads_broken_packets_as_python_does(packet: RtpPacket, at: int, value: int) -> None:
    data = bytearray(packet.serialize())
    data[at % len(data)] = value
    assert describe_packet(bytes(data), KINDS) == model(bytes(data))


@given(payload=st.binary(min_size=1, max_size=40))
def test_plane_reads_payload_descriptors_as_python_does(payload: bytes) -> None:
    readers = {
        2: is_vp8_key_frame,
        3: is_h264_key_frame,
        4: is_vp9_key_frame,
        5: is_av1_key_frame,
    }
    for payload_format, read in readers.items():
        described = describe_payload(payload_format, payload)
        try:
            expected = read(payload)
        except WireFormatError:
            assert described is None
            continue
        assert described is not None
        assert bool(described["key_frame"]) == expected
        if payload_format == 2:
            descriptor, _ = parse_vp8(payload)
            assert described.get("picture_id") == descriptor.picture_id
            assert described.get("tl0_picture_index") == descriptor.tl0_picture_index
