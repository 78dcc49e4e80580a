"""Packets: framing, checksum, bundling."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import WireFormatError
from router.sctp.chunks.chunk_type import ChunkType
from router.sctp.chunks.control import serialize_chunk
from router.sctp.packet import RawChunk, parse_packet, serialize_packet
from router.sctp.packet_assembler import PacketAssembler

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "sctp" / "aiortc_session.json").read_text()
)
_CHUNKS = st.lists(
    st.tuples(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=50)),
    min_size=1,
    max_size=6,
)
_PORTS = st.integers(0, 0xFFFF)
_TAGS = st.integers(0, 0xFFFFFFFF)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["chunk"]))
def test_packets_of_another_implementation_parse_and_serialize_again(
    vector: dict[str, str],
) -> None:
    data = bytes.fromhex(vector["packet"])
    packet = parse_packet(data)
    (chunk,) = packet.chunks
    assert ChunkType(chunk.type).name == vector["chunk"]
    assert (packet.source_port, packet.destination_port) == (5000, 5000)
    again = serialize_packet(
        5000,
        5000,
        packet.verification_tag,
        [serialize_chunk(chunk.type, chunk.value, chunk.flags)],
    )
    assert again == data


@given(_PORTS, _PORTS, _TAGS, _CHUNKS, st.booleans())
def test_packet_round_trip(
    source: int,
    destination: int,
    tag: int,
    chunks: list[tuple[int, int, bytes]],
    zero_checksum: bool,
) -> None:
    wire = [serialize_chunk(kind, value, flags) for kind, flags, value in chunks]
    data = serialize_packet(source, destination, tag, wire, zero_checksum=zero_checksum)
    packet = parse_packet(data, zero_checksum_acceptable=True)
    assert packet[:3] == (source, destination, tag)
    assert packet.has_zero_checksum == (data[8:12] == bytes(4))
    assert packet.chunks == [RawChunk(*chunk) for chunk in chunks]


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    with suppress(WireFormatError):
        # A checksum of zero that is accepted lets the framing see arbitrary bytes.
        parse_packet(data[:8] + bytes(4) + data[12:], zero_checksum_acceptable=True)


def test_zero_checksum_is_refused_unless_agreed() -> None:
    data = serialize_packet(5000, 5000, 1, [serialize_chunk(11)], zero_checksum=True)
    with pytest.raises(WireFormatError, match="checksum"):
        parse_packet(data)


@given(st.integers(0, 8 * 40 - 1))
def test_one_flipped_bit_is_found(bit: int) -> None:
    data = bytearray(serialize_packet(5000, 5000, 7, [serialize_chunk(4, bytes(24))]))
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(WireFormatError):
        parse_packet(bytes(data))


@pytest.mark.parametrize(
    "chunks",
    [
        b"",
        b"\x00\x00\x00",  # shorter than a chunk header
        b"\x00\x00\x00\x03",  # length below the header
        b"\x00\x00\x00\x09\x00\x00\x00\x00",  # length beyond the packet
        b"\x0b\x00\x00\x04\x00",  # a byte behind the last chunk
    ],
)
def test_wrong_framing_is_refused(chunks: bytes) -> None:
    with pytest.raises(WireFormatError):
        parse_packet(serialize_packet(5000, 5000, 1, [chunks]))


def test_assembler_bundles_what_fits_and_keeps_the_order() -> None:
    assembler = PacketAssembler(source_port=1, destination_port=2, mtu=300)
    assembler.verification_tag = 9
    chunks = [serialize_chunk(4, bytes([index]) * 92) for index in range(5)]
    for chunk in chunks[:4]:
        assembler.add(chunk)
    assembler.add_packet(77, chunks[4])
    packets = [parse_packet(data) for data in assembler.drain()]
    assert [len(packet.chunks) for packet in packets] == [3, 1, 1]
    assert [packet.verification_tag for packet in packets] == [9, 9, 77]
    values = [chunk.value[0] for packet in packets for chunk in packet.chunks]
    assert values == [0, 1, 2, 3, 4]
    assert assembler.drain() == []
