"""Packing of flights, and the retransmission timer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.dtls.effects import ChangeCipherSpec, FlightItem
from router.dtls.flight import (
    FALLBACK_MTU,
    MAX_REPETITIONS_ON_REQUEST,
    FlightTransmitter,
    pack_flight,
)
from router.dtls.fragments import Reassembler, parse_fragments
from router.dtls.handshake import HandshakeMessage
from router.dtls.record import ContentType, parse_record
from router.dtls.record_layer import DtlsCounters, RecordLayer

ITEM = HandshakeMessage(1, 0, 0, b"hello")


def make_transmitter() -> FlightTransmitter:
    return FlightTransmitter(initial_interval=0.5, maximum_interval=4.0)


@given(st.lists(st.binary(max_size=700), min_size=1, max_size=6), st.integers(128, 1500))
def test_packed_flight_fits_the_mtu_and_comes_out_again(bodies: list[bytes], mtu: int) -> None:
    items: list[FlightItem] = [
        HandshakeMessage(11, seq, 0, body) for seq, body in enumerate(bodies)
    ]
    items.append(ChangeCipherSpec(0))
    datagrams = pack_flight(items, RecordLayer(DtlsCounters()), mtu)
    assert all(0 < len(datagram) <= mtu for datagram in datagrams)
    reassembler = Reassembler(max_message_length=700, max_messages=6)
    sequence_numbers = []
    kinds = []
    for datagram in datagrams:
        offset = 0
        while offset < len(datagram):
            record, offset = parse_record(datagram, offset)
            sequence_numbers.append(record.sequence_number)
            kinds.append(record.content_type)
            if record.content_type == ContentType.HANDSHAKE:
                for fragment in parse_fragments(record.fragment):
                    assert reassembler.add(fragment, 0)
    received = []
    while (message := reassembler.next_message()) is not None:
        received.append(message)
    assert received == items[:-1]
    assert sequence_numbers == list(range(len(sequence_numbers)))
    assert kinds[-1] == ContentType.CHANGE_CIPHER_SPEC


def test_datagrams_are_filled() -> None:
    items = [HandshakeMessage(11, seq, 0, bytes(400)) for seq in range(5)]
    datagrams = pack_flight(items, RecordLayer(DtlsCounters()), 700)
    assert [len(datagram) for datagram in datagrams[:-1]] == [700, 700, 700]


def test_interval_doubles_up_to_its_maximum() -> None:
    flight = make_transmitter()
    flight.start((ITEM,), 10.0, retransmit=True)
    due = []
    for _ in range(6):
        timer = flight.next_timer()
        assert timer is not None
        assert not flight.handle_timer(timer - 0.001)
        assert flight.handle_timer(timer)
        assert not flight.handle_timer(timer)
        due.append(timer)
    assert due == [10.5, 11.5, 13.5, 17.5, 21.5, 25.5]


def test_interval_is_kept_until_a_flight_gets_through_at_once() -> None:
    flight = make_transmitter()
    flight.start((ITEM,), 0.0, retransmit=True)
    flight.handle_timer(0.5)
    flight.start((ITEM,), 1.0, retransmit=True)
    assert flight.next_timer() == 2.0
    flight.start((ITEM,), 1.5, retransmit=True)
    assert flight.next_timer() == 2.0


def test_flight_without_answer_is_repeated_on_request_only() -> None:
    flight = make_transmitter()
    flight.start((ITEM,), 0.0, retransmit=False)
    assert flight.next_timer() is None
    assert not flight.handle_timer(1000.0)
    requests = [flight.handle_repeated_flight(1.0) for _ in range(MAX_REPETITIONS_ON_REQUEST + 1)]
    assert requests == [True] * MAX_REPETITIONS_ON_REQUEST + [False]
    assert flight.next_timer() is None


def test_request_restarts_the_timer() -> None:
    flight = make_transmitter()
    flight.start((ITEM,), 0.0, retransmit=True)
    assert flight.handle_repeated_flight(0.4)
    assert flight.next_timer() == pytest.approx(0.9)


def test_datagrams_shrink_when_a_flight_stays_unanswered() -> None:
    flight = make_transmitter()
    flight.start((ITEM,), 0.0, retransmit=True)
    sizes = []
    for _ in range(4):
        sizes.append(flight.mtu(1200))
        timer = flight.next_timer()
        assert timer is not None
        flight.handle_timer(timer)
    flight.start((ITEM,), 100.0, retransmit=True)
    assert [*sizes, flight.mtu(1200), flight.mtu(300)] == [
        1200,
        1200,
        1200,
        FALLBACK_MTU,
        FALLBACK_MTU,
        300,
    ]


def test_forgotten_flight_is_not_repeated() -> None:
    flight = make_transmitter()
    flight.start((ITEM,), 0.0, retransmit=True)
    flight.stop(forget=True)
    assert flight.next_timer() is None
    assert not flight.handle_repeated_flight(1.0)
