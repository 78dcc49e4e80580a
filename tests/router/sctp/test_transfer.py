"""User messages between two associations: order, loss, windows, limits (RFC 9260 section 6)."""

import random

import pytest

from router.errors import LocalProtocolError, RemoteProtocolError
from router.sctp import Association, DataReceived, SctpConfig, State
from router.sctp.chunks.chunk_type import ChunkType
from router.sctp.chunks.control import serialize_chunk
from router.sctp.chunks.data import serialize_data
from router.sctp.chunks.error import CauseCode
from router.sctp.chunks.sack import SackChunk, parse_sack
from router.sctp.packet import parse_packet, serialize_packet

from .pair import Pair

LOSSES = [0.0, 0.05, 0.1, 0.3]
SIZES = [1, 2, 3, 4, 5, 1171, 1172, 1173, 2344, 2345, 10000, 65536, 262144]


def _hostile_peer_of(association: Association) -> tuple[int, int]:
    """Return the tag and the initial TSN with which a forger would pass for the peer."""
    assert association._inbound is not None
    return association._handshake.local_tag, association._inbound.cumulative_tsn + 1


def _inject(association: Association, *chunks: bytes, now: float) -> None:
    tag = association._handshake.local_tag
    association.receive_datagram(serialize_packet(5000, 5000, tag, chunks), now)


@pytest.mark.parametrize("loss", LOSSES)
def test_reliable_ordered_messages_arrive_once_and_in_order(loss: float) -> None:
    pair = Pair(seed=2, loss=loss, jitter=0.005, reorder=loss / 5, duplicate=loss / 5).connect()
    rng = random.Random(1)
    sizes = [size for size in SIZES if loss < 0.3 or size < 65536]
    messages = {stream: [rng.randbytes(size) for size in sizes] for stream in (0, 5)}
    for index in range(len(sizes)):
        for stream in messages:
            pair.a.send(stream, 53, messages[stream][index], pair.now)
    pair.a.send(1, 51, b"back", pair.now)
    count = 2 * len(sizes) + 1
    pair.run(600, stop=lambda: len(pair.received(pair.b)) >= count)
    received = pair.of(pair.b, DataReceived)
    for stream in messages:
        assert [e.data for e in received if e.stream_id == stream] == messages[stream]
    pair.run(20)
    assert len(pair.received(pair.b)) == count
    assert pair.a.send_buffer_used == 0
    assert pair.a.buffered_amount(0) == 0


@pytest.mark.parametrize("loss", LOSSES)
def test_both_directions_at_once(loss: float) -> None:
    pair = Pair(seed=3, loss=loss).connect()
    messages = [bytes([index]) * 700 for index in range(60)]
    for message in messages:
        pair.a.send(0, 53, message, pair.now)
        pair.b.send(0, 53, message, pair.now)
    pair.run(
        300, stop=lambda: len(pair.received(pair.a)) == len(pair.received(pair.b)) == len(messages)
    )
    assert pair.received(pair.a) == pair.received(pair.b) == messages


@pytest.mark.parametrize("loss", LOSSES)
def test_unordered_messages_arrive_once(loss: float) -> None:
    pair = Pair(seed=5, loss=loss, duplicate=loss / 3).connect()
    messages = [bytes([index]) * (200 + 30 * index) for index in range(100)]
    for message in messages:
        pair.a.send(0, 53, message, pair.now, ordered=False)
    pair.run(300, stop=lambda: len(pair.received(pair.b)) >= len(messages))
    pair.run(20)
    assert sorted(pair.received(pair.b)) == sorted(messages)
    if loss == 0.3:
        assert pair.received(pair.b) != messages


def test_tsns_and_stream_sequence_numbers_wrap() -> None:
    pair = Pair(seed=6, loss=0.05)
    pair.a._handshake.initial_tsn = 0xFFFFFFF0
    pair.connect()
    assert pair.a._queue._streams == {}
    pair.a.send(0, 53, b"first", pair.now)
    pair.run(5)
    # Both ends of the stream are moved to the last number before the wrap.
    pair.a._queue._streams[0].next_ssn = 0xFFF0
    assert pair.b._inbound is not None
    pair.b._inbound._reassembler._streams[0].next_ssn = 0xFFF0
    messages = [b"%d" % index for index in range(100)]
    for message in messages:
        pair.a.send(0, 53, message, pair.now)
    pair.run(60)
    assert pair.received(pair.b)[1:] == messages


def test_small_messages_share_packets() -> None:
    pair = Pair().connect()
    pair.run(5)
    pushed = pair.link.pushed
    for index in range(40):
        pair.a.send(0, 53, b"%03d" % index, pair.now)
    (packet,) = pair.a.datagrams_to_send()
    assert len(packet) <= 1200
    pair.b.receive_datagram(packet, pair.now)
    pair.run(5)
    assert len(pair.received(pair.b)) == 40
    assert pair.link.pushed - pushed == 1  # the delayed acknowledgement


def test_packets_never_exceed_the_mtu() -> None:
    for mtu in (256, 576, 1191, 1200):
        pair = Pair(SctpConfig(mtu=mtu), mtu=mtu, loss=0.2, seed=9).connect()
        rng = random.Random(2)
        messages = [rng.randbytes(rng.randrange(1, 5000)) for _ in range(30)]
        for message in messages:
            pair.a.send(rng.randrange(3), 53, message, pair.now, ordered=False)
        pair.run(300)
        assert sorted(pair.received(pair.b)) == sorted(messages)


def test_acknowledgements_are_delayed_but_not_for_the_second_packet() -> None:
    pair = Pair(delay=0.01).connect()
    pair.run(5)
    start = pair.now
    pair.a.send(0, 53, b"x", pair.now)
    pair.run(5, stop=lambda: pair.a.send_buffer_used == 0)
    assert pair.now - start == pytest.approx(0.12)
    start = pair.now
    pair.a.send(0, 53, bytes(1172), pair.now)
    pair.a.send(0, 53, bytes(1172), pair.now)
    pair.run(5, stop=lambda: pair.a.send_buffer_used == 0)
    assert pair.now - start == pytest.approx(0.02)


def test_lost_packet_is_repaired_by_fast_retransmit() -> None:
    pair = Pair(delay=0.02).connect()
    pair.run(1)
    for _ in range(10):
        pair.a.send(0, 53, bytes(1172), pair.now)
    packets = pair.a.datagrams_to_send()
    for number, packet in enumerate(packets):
        if number != 1:
            pair.link.push(packet, pair.b, pair.now + 0.001 * number)
    start = pair.now
    pair.run(5, stop=lambda: len(pair.received(pair.b)) == 10)
    assert pair.now - start < 0.09
    assert pair.a.counters.timeouts == 0


def test_window_grows_and_shrinks() -> None:
    pair = Pair().connect()
    initial = pair.a.congestion_window
    assert initial == 12000
    for _ in range(8):
        pair.a.send(0, 53, bytes(100_000), pair.now)
    pair.run(0.5)
    grown = pair.a.congestion_window
    assert grown is not None
    assert grown > 2 * initial
    pair.link.loss = 1.0
    pair.run(2)
    assert pair.a.congestion_window == 1200
    pair.link.loss = 0.0
    pair.run(30, stop=lambda: len(pair.received(pair.b)) == 8)
    assert len(pair.received(pair.b)) == 8


def test_send_buffer_is_bounded() -> None:
    pair = Pair(SctpConfig(send_buffer_bytes=100_000)).connect()
    pair.link.loss = 1.0
    sent = 0
    while pair.a.send_buffer_used + 1200 <= 100_000:
        pair.a.send(0, 53, bytes(1000), pair.now)
        sent += 1
    assert sent == 83
    with pytest.raises(LocalProtocolError, match="send buffer"):
        pair.a.send(0, 53, bytes(1000), pair.now)
    assert pair.a.buffered_amount(0) <= sent * 1000
    pair.link.loss = 0.0
    pair.run(10)
    assert pair.a.send_buffer_used == 0
    assert len(pair.received(pair.b)) == sent


@pytest.mark.parametrize(("stream_id", "size"), [(-1, 1), (1024, 1), (0, 0), (0, (4 << 20) + 1)])
def test_send_refuses_what_cannot_be_sent(stream_id: int, size: int) -> None:
    pair = Pair().connect()
    with pytest.raises(LocalProtocolError):
        pair.a.send(stream_id, 53, bytes(size), pair.now)


def test_message_above_the_limit_ends_the_association() -> None:
    pair = Pair(other=SctpConfig(max_message_size=10_000)).connect()
    pair.a.send(0, 53, bytes(10_000), pair.now)
    pair.run(5)
    assert len(pair.received(pair.b)) == 1
    pair.a.send(0, 53, bytes(10_001), pair.now)
    pair.run(5)
    assert len(pair.received(pair.b)) == 1
    error = pair.closed(pair.b).error
    assert isinstance(error, RemoteProtocolError)
    assert error.cause == CauseCode.OUT_OF_RESOURCE
    assert isinstance(pair.closed(pair.a).error, RemoteProtocolError)


def test_weights_share_the_association() -> None:
    pair = Pair().connect()
    pair.a.set_weight(1, 1024)
    pair.a.set_weight(2, 256)
    for _ in range(100):
        pair.a.send(1, 53, bytes(2000), pair.now)
        pair.a.send(2, 53, bytes(2000), pair.now)
    pair.run(30, stop=lambda: len(pair.received(pair.b)) >= 60)
    streams = [event.stream_id for event in pair.of(pair.b, DataReceived)]
    assert 3.0 < streams.count(1) / streams.count(2) < 5.0


def test_held_fragments_are_bounded_and_advertised() -> None:
    config = SctpConfig(receive_buffer_bytes=200_000, max_message_size=100_000)
    pair = Pair(other=config).connect()
    pair.run(1)
    _, tsn = _hostile_peer_of(pair.b)
    windows = []
    # Fragments of messages that never begin, behind a hole.
    for index in range(1000):
        chunk = serialize_data(0x04, (tsn + 2 + 2 * index) & 0xFFFFFFFF, 0, 0, 53, bytes(1000))
        _inject(pair.b, chunk, now=pair.now)
        for data in pair.b.datagrams_to_send():
            (raw,) = parse_packet(data, zero_checksum_acceptable=True).chunks
            windows.append(parse_sack(raw.value).a_rwnd)
    assert windows == sorted(windows, reverse=True)
    assert windows[-1] == 0
    assert pair.b._inbound is not None
    assert pair.b._inbound._reassembler.held_bytes <= 2 * 200_000 + 2000
    assert pair.b.state is State.ESTABLISHED


def test_tsns_far_ahead_are_not_taken() -> None:
    pair = Pair().connect()
    pair.run(1)
    _, tsn = _hostile_peer_of(pair.b)
    for ahead in (65535, 65536, 100_000, 1 << 30, (1 << 31) - 2):
        _inject(
            pair.b,
            serialize_data(0x07, (tsn + ahead) & 0xFFFFFFFF, 0, 0, 53, b"x"),
            now=pair.now,
        )
    pair.run(1)
    assert pair.received(pair.b) == []
    _inject(pair.b, serialize_data(0x07, tsn & 0xFFFFFFFF, 0, 0, 53, b"x"), now=pair.now)
    pair.run(1)
    assert pair.received(pair.b) == [b"x"]


def test_data_on_a_stream_that_was_not_agreed_is_acknowledged_and_reported() -> None:
    pair = Pair().connect()
    pair.run(1)
    _, tsn = _hostile_peer_of(pair.b)
    _inject(pair.b, serialize_data(0x03, tsn & 0xFFFFFFFF, 5000, 0, 53, b"x"), now=pair.now)
    (data,) = pair.b.datagrams_to_send()
    (error,) = parse_packet(data, zero_checksum_acceptable=True).chunks
    assert error.type == ChunkType.ERROR
    assert error.value[:8].hex() == "0001000813880000"
    assert pair.b.counters.invalid_streams == 1
    assert pair.b._inbound is not None
    assert pair.b._inbound.cumulative_tsn == tsn


def test_data_without_user_data_ends_the_association() -> None:
    pair = Pair().connect()
    _, tsn = _hostile_peer_of(pair.b)
    _inject(pair.b, serialize_data(0x03, tsn & 0xFFFFFFFF, 0, 0, 53, b""), now=pair.now)
    pair.run(1)
    error = pair.closed(pair.b).error
    assert isinstance(error, RemoteProtocolError)
    assert error.cause == CauseCode.NO_USER_DATA


@pytest.mark.parametrize(
    ("cumulative", "blocks"),
    [
        (1000, []),  # acknowledges what was never sent
        (-5, [(1, 1)]),  # older than another
        (0, [(3, 2)]),
        (0, [(5, 60000)]),
        (0, [(4, 5), (2, 3)]),
        (0, [(0, 3)]),
        (0, [(2, 3)] * 200),
    ],
)
def test_sacks_that_make_no_sense_lose_nothing(
    cumulative: int, blocks: list[tuple[int, int]]
) -> None:
    pair = Pair().connect()
    pair.run(1)
    messages = [bytes([index]) * 1000 for index in range(10)]
    for message in messages:
        pair.a.send(0, 53, message, pair.now)
    assert pair.a._outbound is not None
    base = pair.a._outbound._cumulative_ack
    sack = SackChunk((base + cumulative) & 0xFFFFFFFF, 1 << 20, blocks, [])
    for _ in range(5):
        _inject(pair.a, sack.serialize(), now=pair.now)
    assert pair.a.state is State.ESTABLISHED
    taken_back = SackChunk(base & 0xFFFFFFFF, 1 << 20, [], [])
    _inject(pair.a, taken_back.serialize(), now=pair.now)
    pair.run(30)
    assert pair.received(pair.b) == messages
    assert pair.a._outbound.flight_size == 0


def test_zero_window_is_probed_until_it_opens() -> None:
    pair = Pair().connect()
    pair.run(1)
    assert pair.a._outbound is not None
    base = pair.a._outbound._cumulative_ack
    _inject(pair.a, SackChunk(base & 0xFFFFFFFF, 0, [], []).serialize(), now=pair.now)
    for index in range(5):
        pair.a.send(0, 53, bytes([index]) * 1000, pair.now)
    (probe,) = pair.a.datagrams_to_send()
    assert len(parse_packet(probe, zero_checksum_acceptable=True).chunks) == 1
    pair.run(30)
    assert len(pair.received(pair.b)) == 5


def test_any_chunks_from_the_peer_never_raise_nor_grow() -> None:
    rng = random.Random(11)
    kinds = [*range(16), 130, 192, 255]
    for round_number in range(40):
        pair = Pair(seed=round_number).connect()
        pair.a.send(0, 53, bytes(5000), pair.now)
        pair.b.send(0, 53, bytes(5000), pair.now)
        _, tsn = _hostile_peer_of(pair.b)
        assert pair.b._outbound is not None
        for _ in range(60):
            chunks = []
            for _ in range(rng.randrange(1, 4)):
                kind = rng.choice(kinds)
                value = rng.randbytes(rng.choice((0, 4, 8, 12, 16, 20, 40)))
                # Near misses get further into the handlers than noise does.
                if rng.random() < 0.5 and len(value) >= 4:
                    near = rng.choice((tsn, pair.b._handshake.initial_tsn)) + rng.randrange(-3, 9)
                    value = (near & 0xFFFFFFFF).to_bytes(4, "big") + value[4:]
                    if rng.random() < 0.5:
                        value = value[:4] + bytes(len(value[4:]))
                if kind in (6, 14):
                    continue
                chunks.append(serialize_chunk(kind, value, rng.randrange(16)))
            if chunks:
                _inject(pair.b, *chunks, now=pair.now)
            pair.now += 0.1
            pair.b.handle_timer(pair.now)
            assert sum(map(len, pair.b.datagrams_to_send())) < 60_000
            while pair.b.next_event() is not None:
                pass


def test_timers_called_early_or_twice_change_nothing() -> None:
    pair = Pair().connect()
    pair.a.send(0, 53, bytes(3000), pair.now)
    pair.a.datagrams_to_send()
    due = pair.a.next_timer()
    assert due is not None
    for now in (pair.now, due - 0.001, due - 0.0001):
        pair.a.handle_timer(now)
        assert pair.a.datagrams_to_send() == []
        assert pair.a.next_timer() == due
    pair.a.handle_timer(due)
    assert len(pair.a.datagrams_to_send()) == 1
    later = pair.a.next_timer()
    pair.a.handle_timer(due)
    assert pair.a.datagrams_to_send() == []
    assert pair.a.next_timer() == later


def _sack(pair: Pair, cumulative: int, *blocks: tuple[int, int]) -> list[bytes]:
    """Deliver a SACK to ``a``, relative to the TSN before its first one; return what it sends."""
    base = pair.a._handshake.initial_tsn - 1
    sack = SackChunk((base + cumulative) & 0xFFFFFFFF, 1 << 20, list(blocks), [])
    _inject(pair.a, sack.serialize(), now=pair.now)
    packets = [
        parse_packet(data, zero_checksum_acceptable=True) for data in pair.a.datagrams_to_send()
    ]
    return [chunk.value for packet in packets for chunk in packet.chunks]


def test_first_packet_of_a_fast_retransmission_does_not_wait_for_the_window() -> None:
    pair = Pair().connect()
    pair.run(1)
    for _ in range(10):
        pair.a.send(0, 53, bytes(1172), pair.now)
    assert len(pair.a.datagrams_to_send()) == 10
    assert _sack(pair, 0, (2, 2)) == []
    assert _sack(pair, 0, (2, 3)) == []
    first = (pair.a._handshake.initial_tsn & 0xFFFFFFFF).to_bytes(4, "big")
    (value,) = _sack(pair, 0, (2, 4))
    assert value[:4] == first
    assert pair.a._outbound is not None
    assert pair.a._outbound.flight_size > (pair.a.congestion_window or 0)


def test_what_the_peer_dropped_after_acknowledging_is_sent_again() -> None:
    pair = Pair().connect()
    pair.run(1)
    for _ in range(4):
        pair.a.send(0, 53, bytes(1172), pair.now)
    pair.a.datagrams_to_send()
    assert pair.a._outbound is not None
    assert _sack(pair, 1, (2, 3)) == []
    flight = pair.a._outbound.flight_size
    (value,) = _sack(pair, 1, (3, 3))
    third = (pair.a._handshake.initial_tsn + 2) & 0xFFFFFFFF
    assert value[:4] == third.to_bytes(4, "big")
    assert pair.a._outbound.flight_size == flight + 1188


def test_wrong_tag_behind_an_excepted_chunk_protects_what_follows() -> None:
    pair = Pair().connect()
    pair.run(1)
    _, tsn = _hostile_peer_of(pair.b)
    data = serialize_data(0x03, tsn & 0xFFFFFFFF, 0, 0, 53, b"forged")
    echo = serialize_chunk(ChunkType.COOKIE_ECHO, bytes(40))
    tag = pair.b._handshake.local_tag ^ 1
    pair.b.receive_datagram(serialize_packet(5000, 5000, tag, [echo, data]), pair.now)
    pair.run(1)
    assert pair.received(pair.b) == []
