"""Messages that are given up (RFC 3758, RFC 7496)."""

import random

import pytest

from router.sctp import Association, SctpConfig, State
from router.sctp.chunks.chunk_type import ChunkType
from router.sctp.chunks.data import DataChunk
from router.sctp.chunks.forward_tsn import ForwardTsnChunk
from router.sctp.packet import parse_packet, serialize_packet

from .pair import Pair


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("loss", [0.1, 0.3])
@pytest.mark.parametrize("size", [50, 4000])
def test_limited_retransmissions_lose_some_and_block_none(
    ordered: bool, loss: float, size: int
) -> None:
    pair = Pair(seed=8, loss=loss, jitter=0.002).connect()
    count = 200
    for index in range(count):
        message = index.to_bytes(2, "big") + bytes(size)
        pair.a.send(0, 53, message, pair.now, ordered=ordered, max_retransmits=0)
        pair.wait(0.02)
    pair.run(60, stop=lambda: pair.a.send_buffer_used == 0)
    assert pair.a.send_buffer_used == 0
    numbers = [int.from_bytes(data[:2], "big") for data in pair.received(pair.b)]
    assert len(set(numbers)) == len(numbers)
    assert count / 10 < len(numbers) < count
    if ordered:
        assert numbers == sorted(numbers)
    # What comes after is not held back, and memory is let go on both sides.
    pair.a.send(0, 53, b"reliable", pair.now)
    pair.run(60, stop=lambda: pair.received(pair.b)[-1] == b"reliable")
    assert pair.received(pair.b)[-1] == b"reliable"
    assert pair.b._inbound is not None
    assert pair.b._inbound._reassembler.held_bytes == 0


def test_lifetime_drops_what_is_late_and_nothing_else() -> None:
    pair = Pair(seed=3).connect()
    for index in range(10):
        pair.a.send(0, 53, b"%d" % index, pair.now, lifetime=0.5)
    pair.run(1)
    assert len(pair.received(pair.b)) == 10
    pair.link.loss = 1.0
    for index in range(10, 20):
        pair.a.send(0, 53, b"%d" % index, pair.now, lifetime=0.5)
    pair.wait(2.0)
    pair.link.loss = 0.0
    pair.a.send(0, 53, b"after", pair.now, lifetime=0.5)
    pair.run(10)
    assert pair.received(pair.b)[10:] == [b"after"]
    assert pair.a.send_buffer_used == 0


def test_messages_that_expire_in_the_queue_need_no_forward_tsn() -> None:
    pair = Pair(seed=3).connect()
    pair.run(1)
    pair.a.send(0, 53, bytes(200_000), pair.now)
    for index in range(50):
        pair.a.send(0, 53, b"%d" % index, pair.now, lifetime=0.01)
    pair.a.send(0, 53, b"last", pair.now)
    pair.run(20, stop=lambda: len(pair.received(pair.b)) == 2)
    assert pair.received(pair.b)[1] == b"last"
    pair.run(5)
    assert pair.a.send_buffer_used == 0


def test_half_sent_message_is_given_up_even_if_all_sent_fragments_arrived() -> None:
    # The window lets only the first fragments go; then the message expires with nothing in flight.
    pair = Pair(seed=3).connect()
    pair.run(1)
    pair.a.send(0, 53, bytes(100_000), pair.now, lifetime=0.03)
    pair.a.send(0, 53, b"next", pair.now)
    pair.run(20, stop=lambda: bool(pair.received(pair.b)))
    assert pair.received(pair.b) == [b"next"]
    pair.run(5)
    assert pair.a.send_buffer_used == 0
    assert pair.b._inbound is not None
    assert pair.b._inbound._reassembler.held_bytes == 0


def test_lost_forward_tsn_is_sent_again() -> None:
    pair = Pair(seed=3).connect()
    pair.run(1)
    pair.link.loss = 1.0
    pair.a.send(0, 53, b"lost", pair.now, max_retransmits=0)
    pair.wait(5.0)
    assert pair.a.send_buffer_used > 0
    pair.link.loss = 0.0
    pair.run(10)
    assert pair.a.send_buffer_used == 0
    assert pair.received(pair.b) == []
    pair.b.send(0, 53, b"alive", pair.now)
    pair.run(1)
    assert pair.received(pair.a) == [b"alive"]


def test_peer_without_forward_tsn_gets_everything() -> None:
    pair = Pair(seed=3)
    pair.connect()
    assert pair.a._outbound is not None
    pair.a._outbound._peer_forward_tsn = False
    pair.run(1)
    pair.link.loss = 0.5
    for index in range(20):
        pair.a.send(0, 53, b"%d" % index, pair.now, max_retransmits=0, lifetime=100)
    pair.run(300, stop=lambda: len(pair.received(pair.b)) == 20)
    assert len(pair.received(pair.b)) == 20


def _established_alone() -> tuple[Association, int, int]:
    pair = Pair().connect()
    pair.run(1)
    assert pair.b._inbound is not None
    return pair.b, pair.b._handshake.local_tag, pair.b._inbound.cumulative_tsn + 1


def _deliver(association: Association, tag: int, *chunks: bytes) -> list[bytes]:
    association.receive_datagram(serialize_packet(5000, 5000, tag, chunks), 2.0)
    data = []
    while (event := association.next_event()) is not None:
        data.append(getattr(event, "data", b""))
    return data


def test_forward_tsn_lets_waiting_messages_through() -> None:
    association, tag, tsn = _established_alone()

    def data(offset: int, ssn: int, text: bytes, flags: int = 0x03) -> bytes:
        return DataChunk(flags, (tsn + offset) & 0xFFFFFFFF, 4, ssn, 53, text).serialize()

    assert _deliver(association, tag, data(1, 1, b"one"), data(4, 3, b"three")) == []
    # A fragment of the message with SSN 2 is there too, its rest, TSN 3, is given up.
    assert _deliver(association, tag, data(2, 2, b"tw", flags=0x02)) == []
    forward = ForwardTsnChunk(new_cumulative_tsn=tsn & 0xFFFFFFFF, streams=((4, 0),))
    assert _deliver(association, tag, forward.serialize()) == [b"one"]
    again = ForwardTsnChunk(new_cumulative_tsn=(tsn + 3) & 0xFFFFFFFF, streams=((4, 2),))
    assert _deliver(association, tag, again.serialize()) == [b"three"]
    assert _deliver(association, tag, again.serialize(), forward.serialize()) == []
    assert association._inbound is not None
    assert association._inbound.cumulative_tsn == tsn + 4
    assert association._inbound._reassembler.held_bytes == 0


def test_forward_tsn_for_unknown_streams_is_a_violation() -> None:
    association, tag, tsn = _established_alone()
    forward = ForwardTsnChunk(new_cumulative_tsn=tsn & 0xFFFFFFFF, streams=((5000, 0),))
    _deliver(association, tag, forward.serialize())
    assert association.state is State.TERMINATED


def test_forward_tsn_fits_a_packet_with_many_streams() -> None:
    config = SctpConfig(mtu=256, outbound_streams=1024, inbound_streams=1024)
    pair = Pair(config).connect()
    pair.run(1)
    assert pair.a._outbound is not None
    pair.a._outbound.congestion.cwnd = 1 << 20
    pair.a._outbound._max_burst = 1 << 20
    for stream in range(200):
        pair.a.send(stream, 53, b"gone", pair.now, max_retransmits=0)
    assert len(pair.a.datagrams_to_send()) > 10  # all lost
    sizes = []
    for _ in range(20):
        due = pair.a.next_timer()
        assert due is not None
        pair.now = due
        pair.a.handle_timer(due)
        for data in pair.a.datagrams_to_send():
            sizes.append(len(data))
            kinds = {c.type for c in parse_packet(data, zero_checksum_acceptable=True).chunks}
            assert ChunkType.DATA not in kinds
            pair.b.receive_datagram(data, pair.now)
        for data in pair.b.datagrams_to_send():
            pair.a.receive_datagram(data, pair.now)
    assert max(sizes) <= 256
    assert pair.a.send_buffer_used == 0
    for stream in range(200):
        pair.a.send(stream, 53, b"%d" % stream, pair.now)
    pair.run(10)
    assert len(pair.received(pair.b)) == 200


def test_mixed_reliability_under_loss_keeps_reliable_messages() -> None:
    pair = Pair(seed=12, loss=0.2, reorder=0.05).connect()
    rng = random.Random(3)
    reliable = []
    for index in range(150):
        message = b"R%d" % index + bytes(rng.randrange(3000))
        if index % 2:
            reliable.append(message)
            pair.a.send(1, 53, message, pair.now)
        else:
            pair.a.send(2, 53, b"U" + message, pair.now, ordered=False, max_retransmits=1)
        pair.wait(0.01)
    pair.run(300, stop=lambda: pair.a.send_buffer_used == 0)
    pair.run(5)
    assert [data for data in pair.received(pair.b) if data[:1] == b"R"] == reliable
