import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import WireFormatError
from router.rtp import (
    Vp8Descriptor,
    is_av1_key_frame,
    is_h264_key_frame,
    is_vp8_key_frame,
    is_vp9_key_frame,
    parse_vp8,
)


@st.composite
def vp8_descriptors(draw: st.DrawFn) -> Vp8Descriptor:
    long_picture_id = draw(st.booleans())
    temporal_id = draw(st.none() | st.integers(0, 3))
    key_index = draw(st.none() | st.integers(0, 31))
    picture_id = draw(st.none() | st.integers(0, 0x7FFF if long_picture_id else 0x7F))
    return Vp8Descriptor(
        start_of_partition=draw(st.booleans()),
        partition_index=draw(st.integers(0, 7)),
        non_reference=draw(st.booleans()),
        picture_id=picture_id,
        long_picture_id=long_picture_id or picture_id is None,
        tl0_picture_index=draw(st.none() | st.integers(0, 255)),
        temporal_id=temporal_id,
        layer_sync=False if temporal_id is None else draw(st.booleans()),
        key_index=key_index,
    )


@given(descriptor=vp8_descriptors(), data=st.binary(min_size=1, max_size=20))
def test_vp8_descriptor_survives_a_round_trip(descriptor: Vp8Descriptor, data: bytes) -> None:
    assert parse_vp8(descriptor.serialize() + data) == (descriptor, data)


@given(payload=st.binary(max_size=40))
def test_any_bytes_are_read_or_raise_wire_format_error(payload: bytes) -> None:
    for read in (is_vp8_key_frame, is_h264_key_frame, is_vp9_key_frame, is_av1_key_frame):
        with contextlib.suppress(WireFormatError):
            read(payload)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("1000", True),
        ("1001", False),
        ("0000", False),  # not the start of a partition
        ("1100", False),  # second partition
        ("9080812300", True),
    ],
)
def test_vp8_key_frame_is_told(payload: str, expected: bool) -> None:
    assert is_vp8_key_frame(bytes.fromhex(payload)) is expected


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("67", True),  # SPS
        ("68", False),  # PPS
        ("6588", True),  # IDR slice
        ("419a", False),
        ("78000167000168", True),  # STAP-A with SPS
        ("78000168", False),
        ("7c85", True),  # FU-A, start of an IDR slice
        ("7c05", False),  # FU-A, inside of it
        ("7c81", False),  # FU-A, start of another slice
    ],
)
def test_h264_key_frame_is_told(payload: str, expected: bool) -> None:
    assert is_h264_key_frame(bytes.fromhex(payload)) is expected


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("08", True),
        ("48", False),  # predicted
        ("00", False),  # not the beginning
        ("a8800100", True),  # picture id, layer 0
        ("a8800102", False),  # spatial layer 1
    ],
)
def test_vp9_key_frame_is_told(payload: str, expected: bool) -> None:
    assert is_vp9_key_frame(bytes.fromhex(payload)) is expected


@pytest.mark.parametrize("read", [parse_vp8, is_h264_key_frame, is_vp9_key_frame, is_av1_key_frame])
def test_empty_payload_is_refused(read: object) -> None:
    with pytest.raises(WireFormatError):
        read(b"")  # type: ignore[operator]
