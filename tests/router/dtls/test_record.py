"""Records and replay windows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.dtls.record import (
    DTLS_1_0,
    DTLS_1_2,
    MAX_CIPHERTEXT_LENGTH,
    Record,
    ReplayWindow,
    parse_record,
)
from router.errors import WireFormatError

records = st.builds(
    Record,
    st.integers(0, 255),
    st.sampled_from([DTLS_1_0, DTLS_1_2]),
    st.integers(0, 0xFFFF),
    st.integers(0, (1 << 48) - 1),
    st.binary(max_size=100),
)


@given(record=records, before=st.binary(max_size=5), after=st.binary(max_size=5))
def test_record_round_trips_at_any_offset(record: Record, before: bytes, after: bytes) -> None:
    data = before + record.serialize() + after
    assert parse_record(data, len(before)) == (record, len(data) - len(after))


@given(st.binary(max_size=64))
def test_any_bytes_parse_or_raise_wire_format_error(data: bytes) -> None:
    try:
        _, end = parse_record(data)
    except WireFormatError:
        return
    assert 13 <= end <= len(data)


@given(record=records, cut=st.integers(1, 50))
def test_truncated_record_is_refused(record: Record, cut: int) -> None:
    data = record.serialize()
    with pytest.raises(WireFormatError):
        parse_record(data[: max(0, len(data) - cut)])


def test_record_has_the_layout_of_rfc_6347() -> None:
    record = Record(22, DTLS_1_2, 1, 2, b"abc")
    assert record.serialize() == bytes.fromhex("16fefd0001000000000002 0003") + b"abc"


@pytest.mark.parametrize("version", [0x0303, 0xFEFC, 0x0100])
def test_record_of_another_version_is_refused(version: int) -> None:
    with pytest.raises(WireFormatError):
        parse_record(Record(22, version, 0, 0, b"").serialize())


def test_record_above_the_greatest_length_is_refused() -> None:
    with pytest.raises(WireFormatError):
        parse_record(Record(23, DTLS_1_2, 0, 0, bytes(MAX_CIPHERTEXT_LENGTH + 1)).serialize())


@given(st.lists(st.integers(0, 300), max_size=200), st.booleans())
def test_window_remembers_the_last_64_numbers(numbers: list[int], authenticated: bool) -> None:
    window = ReplayWindow(authenticated=authenticated)
    received: set[int] = set()
    for number in numbers:
        newest = max(received, default=-1)
        too_old = number <= newest - ReplayWindow.SIZE
        expected = not authenticated if too_old else number not in received
        assert window.is_new(number) == expected
        if expected:
            window.add(number)
            received.add(number)


def test_forged_number_does_not_shut_out_later_records_of_epoch_0() -> None:
    window = ReplayWindow(authenticated=False)
    window.add((1 << 48) - 1)
    assert window.is_new(0)
    assert not window.is_new((1 << 48) - 1)
