"""Reassembly: any order, any cut, bounded."""

import random

from hypothesis import given
from hypothesis import strategies as st

from router.dtls.fragments import (
    MAX_GAPS,
    HandshakeFragment,
    Reassembler,
    parse_fragments,
)
from router.dtls.handshake import serialize_handshake_header
from router.errors import WireFormatError


def make_reassembler(*, length: int = 1000, messages: int = 4) -> Reassembler:
    return Reassembler(max_message_length=length, max_messages=messages)


def whole(message_seq: int, body: bytes, message_type: int = 11) -> HandshakeFragment:
    return HandshakeFragment(message_type, len(body), message_seq, 0, body)


@given(st.binary(max_size=80))
def test_any_bytes_parse_or_raise_wire_format_error(data: bytes) -> None:
    try:
        fragments = parse_fragments(data)
    except WireFormatError:
        return
    assert fragments
    assert sum(12 + len(fragment.body) for fragment in fragments) == len(data)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 255),
            st.integers(0, 0xFFFF),
            st.integers(0, 100),
            st.binary(max_size=20),
            st.integers(0, 100),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_fragments_round_trip(rows: list[tuple[int, int, int, bytes, int]]) -> None:
    fragments = [
        HandshakeFragment(kind, offset + len(body) + rest, seq, offset, body)
        for kind, seq, offset, body, rest in rows
    ]
    data = b"".join(
        serialize_handshake_header(
            fragment.message_type,
            fragment.length,
            fragment.message_seq,
            fragment.offset,
            len(fragment.body),
        )
        + fragment.body
        for fragment in fragments
    )
    assert parse_fragments(data) == fragments


@given(
    bodies=st.lists(st.binary(max_size=60), min_size=1, max_size=4),
    size=st.integers(1, 60),
    seed=st.integers(0, 1000),
)
def test_messages_come_out_whole_and_in_order(bodies: list[bytes], size: int, seed: int) -> None:
    rng = random.Random(seed)
    fragments = [
        HandshakeFragment(11, len(body), seq, start, body[start : start + size])
        for seq, body in enumerate(bodies)
        for start in range(0, max(1, len(body)), size)
    ]
    fragments += rng.choices(fragments, k=5)
    # Pieces that overlap others, as a sender that changed its MTU repeats them.
    for seq, body in enumerate(bodies):
        start = rng.randrange(len(body) + 1)
        end = rng.randrange(start, len(body) + 1)
        fragments.append(HandshakeFragment(11, len(body), seq, start, body[start:end]))
    rng.shuffle(fragments)
    reassembler = make_reassembler()
    received = []
    for fragment in fragments:
        reassembler.add(fragment, 0)
        while (message := reassembler.next_message()) is not None:
            received.append(message)
    assert [message.body for message in received] == bodies
    assert [message.message_seq for message in received] == list(range(len(bodies)))


def test_empty_piece_does_not_complete_a_message() -> None:
    reassembler = make_reassembler()
    reassembler.add(HandshakeFragment(11, 5, 0, 0, b""), 0)
    reassembler.add(HandshakeFragment(11, 5, 0, 5, b""), 0)
    assert reassembler.next_message() is None
    reassembler.add(whole(0, b"abcde"), 0)
    message = reassembler.next_message()
    assert message is not None
    assert message.body == b"abcde"


def test_message_beyond_the_bounds_is_refused() -> None:
    reassembler = make_reassembler(length=10, messages=4)
    assert not reassembler.add(HandshakeFragment(11, 11, 0, 0, b"x"), 0)
    assert not reassembler.add(whole(4, b"x"), 0)
    assert reassembler.add(whole(3, b"x"), 0)
    assert reassembler.add(whole(0, b"x"), 0)
    assert reassembler.next_message() is not None
    assert not reassembler.add(whole(0, b"x"), 0)
    assert reassembler.add(whole(4, b"x"), 0)


def test_pieces_in_conflict_are_refused() -> None:
    reassembler = make_reassembler()
    reassembler.add(HandshakeFragment(11, 4, 0, 0, b"ab"), 0)
    assert not reassembler.add(HandshakeFragment(12, 4, 0, 2, b"cd"), 0)
    assert not reassembler.add(HandshakeFragment(11, 5, 0, 2, b"cde"), 0)
    assert reassembler.add(HandshakeFragment(11, 4, 0, 2, b"cd"), 0)


def test_protected_piece_replaces_what_could_be_forged() -> None:
    reassembler = make_reassembler()
    reassembler.add(HandshakeFragment(20, 9, 0, 0, b"forged"), 0)
    assert reassembler.add(whole(0, b"true", 20), 1)
    assert not reassembler.add(HandshakeFragment(20, 4, 0, 0, b"fals"), 0)
    message = reassembler.next_message()
    assert message is not None
    assert (message.body, message.epoch) == (b"true", 1)


def test_number_of_gaps_is_bounded() -> None:
    reassembler = make_reassembler()
    accepted = [
        reassembler.add(HandshakeFragment(11, 1000, 0, 2 * index, b"x"), 0)
        for index in range(MAX_GAPS + 5)
    ]
    assert accepted == [True] * MAX_GAPS + [False] * 5
    assert reassembler.add(HandshakeFragment(11, 1000, 0, 0, bytes(1000)), 0)
    assert reassembler.next_message() is not None
