"""Stream re-configuration (RFC 6525)."""

import random

import pytest

from router.sctp import (
    Association,
    DataReceived,
    IncomingStreamsReset,
    OutgoingStreamsReset,
    SctpConfig,
    State,
    StreamResetFailed,
)
from router.sctp.chunks.chunk_type import ChunkType
from router.sctp.chunks.control import serialize_chunk
from router.sctp.chunks.data import DataChunk
from router.sctp.chunks.parameters import Parameter
from router.sctp.chunks.reconfig import (
    AddOutgoingStreamsRequest,
    IncomingResetRequest,
    OtherRequest,
    OutgoingResetRequest,
    ReconfigMessage,
    ReconfigurationResponse,
    Result,
    parse_reconfig,
    serialize_reconfig,
)
from router.sctp.packet import parse_packet, serialize_packet

from .pair import Pair


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
def test_streams_begin_anew_after_their_last_message(loss: float) -> None:
    pair = Pair(seed=7, loss=loss, reorder=loss / 3).connect()
    for life in range(5):
        for stream in (3, 4):
            for index in range(3):
                pair.a.send(stream, 53, b"%d %d" % (life, index), pair.now)
        pair.a.reset_streams((3, 4), pair.now)
        reset = (life + 1) * 2
        pair.run(
            300,
            stop=lambda reset=reset: _count(pair, pair.a, OutgoingStreamsReset) == reset,  # type: ignore[misc]
        )
        assert _count(pair, pair.b, IncomingStreamsReset) == reset
        assert pair.a._queue._streams[3].next_ssn == 0
    events = [
        event.data if isinstance(event, DataReceived) else "reset"
        for event in pair.events[pair.b]
        if (isinstance(event, DataReceived) and event.stream_id == 3)
        or (isinstance(event, IncomingStreamsReset) and 3 in event.stream_ids)
    ]
    expected: list[bytes | str] = []
    for life in range(5):
        expected += [*(b"%d %d" % (life, index) for index in range(3)), "reset"]
    assert events == expected


def _count(
    pair: Pair,
    association: Association,
    kind: type[IncomingStreamsReset] | type[OutgoingStreamsReset],
) -> int:
    return sum(
        len(event.stream_ids)
        for event in pair.events[association]
        if isinstance(event, IncomingStreamsReset | OutgoingStreamsReset) and type(event) is kind
    )


def test_reset_waits_for_messages_that_are_queued() -> None:
    pair = Pair().connect()
    pair.a.send(1, 53, bytes(200_000), pair.now)
    pair.a.send(2, 53, bytes(100), pair.now)
    pair.a.reset_streams((1, 2), pair.now)
    with pytest.raises(Exception, match="about to be reset"):
        pair.a.send(1, 53, b"late", pair.now)
    pair.run(30, stop=lambda: _count(pair, pair.a, OutgoingStreamsReset) == 2)
    assert sorted(map(len, pair.received(pair.b))) == [100, 200_000]
    assert _count(pair, pair.b, IncomingStreamsReset) == 2


def test_message_sent_while_the_answer_is_awaited_belongs_to_the_next_life() -> None:
    pair = Pair().connect()
    pair.a.send(1, 53, b"old", pair.now)
    pair.a.reset_streams((1,), pair.now)
    pair.a.send(1, 53, b"new", pair.now)
    pair.run(30)
    kinds = [
        event.data if isinstance(event, DataReceived) else "reset"
        for event in pair.events[pair.b]
        if isinstance(event, DataReceived | IncomingStreamsReset)
    ]
    assert kinds == [b"old", "reset", b"new"]


def test_both_sides_may_reset_the_same_stream_at_once() -> None:
    pair = Pair(seed=4, loss=0.2).connect()
    pair.a.send(1, 53, b"a", pair.now)
    pair.b.send(1, 53, b"b", pair.now)
    pair.a.reset_streams((1,), pair.now)
    pair.b.reset_streams((1,), pair.now)
    pair.run(60)
    for association in (pair.a, pair.b):
        assert _count(pair, association, OutgoingStreamsReset) == 1
        assert _count(pair, association, IncomingStreamsReset) == 1


def test_many_streams_are_reset_in_requests_that_fit() -> None:
    pair = Pair(SctpConfig(mtu=256), mtu=256).connect()
    streams = tuple(range(1024))
    pair.a.reset_streams(streams, pair.now)
    pair.run(30)
    done = [s for event in pair.of(pair.a, OutgoingStreamsReset) for s in event.stream_ids]
    assert done == list(streams)
    assert _count(pair, pair.b, IncomingStreamsReset) == 1024


def test_forward_tsn_does_not_skip_messages_of_the_next_life() -> None:
    pair = Pair().connect()
    pair.run(1)
    for index in range(3):
        pair.a.send(1, 53, b"lost %d" % index, pair.now, max_retransmits=0)
    pair.a.datagrams_to_send()

    def exchange() -> None:
        """Deliver both ways what is due, but no SACK to ``a``, which so lags behind."""
        pair.now += 1.0
        pair.a.handle_timer(pair.now)
        pair.b.handle_timer(pair.now)
        for data in pair.a.datagrams_to_send():
            pair.b.receive_datagram(data, pair.now)
        for data in pair.b.datagrams_to_send():
            packet = parse_packet(data, zero_checksum_acceptable=True)
            chunks = [
                serialize_chunk(chunk.type, chunk.value, chunk.flags)
                for chunk in packet.chunks
                if chunk.type != ChunkType.SACK
            ]
            if chunks:
                tag = packet.verification_tag
                pair.a.receive_datagram(serialize_packet(5000, 5000, tag, chunks), pair.now)

    exchange()
    pair.a.reset_streams((1,), pair.now)
    exchange()
    pair.run(0)
    assert _count(pair, pair.a, OutgoingStreamsReset) == 1
    # Another message is given up, so that a FORWARD TSN goes beyond what the peer has.
    pair.a.send(2, 53, b"lost too", pair.now, max_retransmits=0)
    pair.a.datagrams_to_send()
    exchange()
    pair.a.send(1, 53, b"new", pair.now)
    pair.run(30)
    assert pair.received(pair.b) == [b"new"]


def test_peer_that_cannot_reset_is_not_asked() -> None:
    pair = Pair().connect()
    assert pair.a._resetter is not None
    pair.a._resetter._is_supported = False
    pair.run(1)
    pair.a.reset_streams((1,), pair.now)
    assert pair.a.datagrams_to_send() == []
    pair.run(1)
    assert pair.of(pair.a, StreamResetFailed) == [StreamResetFailed(stream_ids=(1,))]


class _Forger:
    """Speaks RE-CONFIG to ``b`` as its peer would."""

    def __init__(self) -> None:
        self.pair = Pair().connect()
        self.pair.run(1)
        self.b = self.pair.b
        assert self.b._inbound is not None
        assert self.b._peer is not None
        self.number = self.b._peer.initial_tsn
        self.tsn = self.b._inbound.cumulative_tsn

    def send(self, *messages: ReconfigMessage) -> list[int]:
        """Deliver the messages; return the results that come back."""
        return self.deliver(serialize_reconfig(*messages))

    def deliver(self, chunk: bytes) -> list[int]:
        tag = self.b._handshake.local_tag
        self.b.receive_datagram(serialize_packet(5000, 5000, tag, [chunk]), self.pair.now)
        results = []
        for data in self.b.datagrams_to_send():
            for raw in parse_packet(data, zero_checksum_acceptable=True).chunks:
                if raw.type == ChunkType.RE_CONFIG:
                    results += [
                        message.result
                        for message in parse_reconfig(raw.value)
                        if isinstance(message, ReconfigurationResponse)
                    ]
        return results

    def outgoing(
        self, offset: int, *, after: int = 0, streams: tuple[int, ...] = (1,)
    ) -> list[int]:
        return self.send(
            OutgoingResetRequest(
                request_sequence_number=(self.number + offset) & 0xFFFFFFFF,
                response_sequence_number=0,
                senders_last_assigned_tsn=(self.tsn + after) & 0xFFFFFFFF,
                stream_ids=streams,
            )
        )

    def data(self, offset: int) -> bytes:
        tsn = (self.tsn + offset) & 0xFFFFFFFF
        return DataChunk(0x07, tsn, 1, 0, 53, b"x").serialize()

    def resets(self) -> int:
        self.pair.run(0)
        return len(self.pair.of(self.b, IncomingStreamsReset))


def test_repeated_request_gets_the_same_answer_and_is_done_once() -> None:
    forger = _Forger()
    assert forger.outgoing(0) == [Result.SUCCESS_PERFORMED]
    assert forger.outgoing(0) == [Result.SUCCESS_PERFORMED]
    assert forger.resets() == 1


@pytest.mark.parametrize("offset", [-1000, -2, 1, 2, 1 << 31])
def test_request_out_of_sequence_is_refused(offset: int) -> None:
    forger = _Forger()
    assert forger.outgoing(offset) == [Result.ERROR_BAD_SEQUENCE_NUMBER]
    assert forger.resets() == 0


@pytest.mark.parametrize("renumbers", [False, True])
def test_reset_is_in_progress_until_the_data_before_it_has_come(renumbers: bool) -> None:
    forger = _Forger()
    step = 1 if renumbers else 0
    assert forger.outgoing(0, after=2) == [Result.IN_PROGRESS]
    assert forger.outgoing(step, after=2) == [Result.IN_PROGRESS]
    assert forger.deliver(forger.data(1)) == []
    assert forger.resets() == 0
    assert forger.deliver(forger.data(2)) == [Result.SUCCESS_PERFORMED]
    assert forger.resets() == 1
    # Asked once more, with the same number or a new one, it is not done a second time.
    assert forger.outgoing(2 * step, after=2) == [Result.SUCCESS_PERFORMED]
    assert forger.resets() == 1


def test_reset_of_unknown_streams_is_refused() -> None:
    forger = _Forger()
    assert forger.outgoing(0, streams=(1, 5000)) == [Result.ERROR_WRONG_SSN]
    assert forger.resets() == 0


def test_request_for_no_streams_means_all() -> None:
    forger = _Forger()
    assert forger.outgoing(0, streams=()) == [Result.SUCCESS_PERFORMED]
    assert forger.resets() == 1


def test_peer_may_ask_for_the_reset_of_our_streams() -> None:
    forger = _Forger()
    forger.b.send(7, 53, b"x", forger.pair.now)
    request = IncomingResetRequest(request_sequence_number=forger.number, stream_ids=(7,))
    tag = forger.b._handshake.local_tag
    packet = serialize_packet(5000, 5000, tag, [serialize_reconfig(request)])
    forger.b.receive_datagram(packet, forger.pair.now)
    forger.pair.run(5)
    assert _count(forger.pair, forger.b, OutgoingStreamsReset) == 1
    assert _count(forger.pair, forger.pair.a, IncomingStreamsReset) == 1


def test_streams_that_were_never_used_need_no_reset() -> None:
    forger = _Forger()
    request = IncomingResetRequest(
        request_sequence_number=forger.number, stream_ids=tuple(range(500))
    )
    assert forger.send(request) == [Result.SUCCESS_NOTHING_TO_DO]
    forger.pair.run(5)
    assert _count(forger.pair, forger.b, OutgoingStreamsReset) == 0


def test_peer_may_add_streams_up_to_our_bound() -> None:
    pair = Pair(SctpConfig(outbound_streams=10), other=SctpConfig(inbound_streams=100)).connect()
    pair.run(1)
    forger = _Forger.__new__(_Forger)
    forger.pair, forger.b = pair, pair.b
    assert pair.b._resetter is not None
    assert pair.b._peer is not None
    number = pair.b._peer.initial_tsn

    def add(offset: int, count: int) -> list[int]:
        return forger.send(
            AddOutgoingStreamsRequest(
                request_sequence_number=(number + offset) & 0xFFFFFFFF, new_streams=count
            )
        )

    assert pair.b._resetter.inbound_streams == 10
    assert add(0, 90) == [Result.SUCCESS_PERFORMED]
    assert add(0, 90) == [Result.SUCCESS_PERFORMED]
    assert pair.b._resetter.inbound_streams == 100
    assert add(1, 1) == [Result.DENIED]
    assert pair.b._resetter.inbound_streams == 100


def test_other_requests_are_denied() -> None:
    forger = _Forger()
    number = forger.number.to_bytes(4, "big")
    request = OtherRequest(request_sequence_number=forger.number, parameter=Parameter(15, number))
    assert forger.send(request) == [Result.DENIED]


def test_reset_that_is_never_answered_fails_and_leaves_the_association() -> None:
    pair = Pair(SctpConfig(association_max_retransmits=4)).connect()
    pair.run(1)
    pair.a.reset_streams((1,), pair.now)
    asked = 0
    for _ in range(20):
        for data in pair.a.datagrams_to_send():
            chunks = parse_packet(data, zero_checksum_acceptable=True).chunks
            if any(chunk.type == ChunkType.RE_CONFIG for chunk in chunks):
                asked += 1
            else:
                pair.b.receive_datagram(data, pair.now)
        for data in pair.b.datagrams_to_send():
            pair.a.receive_datagram(data, pair.now)
        pair.now += 1.0
        pair.a.send(2, 53, b"x", pair.now)
        pair.a.handle_timer(pair.now)
        pair.b.handle_timer(pair.now)
    assert asked == 5
    pair.run(1)
    assert pair.of(pair.a, StreamResetFailed) == [StreamResetFailed(stream_ids=(1,))]
    assert pair.is_established


@pytest.mark.parametrize("result", [2, 3, 4, 5, 77])
def test_refused_reset_is_reported(result: int) -> None:
    pair = Pair().connect()
    pair.run(1)
    pair.a.reset_streams((1,), pair.now)
    (data,) = pair.a.datagrams_to_send()
    (chunk,) = parse_packet(data, zero_checksum_acceptable=True).chunks
    (request,) = parse_reconfig(chunk.value)
    assert isinstance(request, OutgoingResetRequest)
    answer = ReconfigurationResponse(
        response_sequence_number=request.request_sequence_number, result=result
    )
    tag = pair.a._handshake.local_tag
    for _ in range(2):
        packet = serialize_packet(5000, 5000, tag, [serialize_reconfig(answer)])
        pair.a.receive_datagram(packet, pair.now)
    pair.run(5)
    assert pair.of(pair.a, StreamResetFailed) == [StreamResetFailed(stream_ids=(1,))]
    assert pair.a.state is State.ESTABLISHED


def test_resets_under_loss_with_traffic_on_other_streams() -> None:
    pair = Pair(seed=21, loss=0.15, reorder=0.05, duplicate=0.05).connect()
    rng = random.Random(4)
    sent: list[bytes] = []
    for index in range(100):
        message = b"%d:" % index + bytes(rng.randrange(2000))
        sent.append(message)
        pair.a.send(0, 53, message, pair.now)
        if index % 10 == 0:
            pair.a.reset_streams((1 + index,), pair.now)
        pair.wait(0.005)
    pair.run(300, stop=lambda: _count(pair, pair.a, OutgoingStreamsReset) == 10)
    pair.run(300, stop=lambda: len(pair.received(pair.b)) == 100)
    assert pair.received(pair.b) == sent
    assert _count(pair, pair.b, IncomingStreamsReset) == 10
