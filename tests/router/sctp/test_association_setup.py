"""The handshake and the end of an association (RFC 9260 sections 5, 8.4, 8.5, 9)."""

import random
from dataclasses import replace
from typing import Any

import pytest

from router.errors import LocalProtocolError, RemoteProtocolError
from router.sctp import (
    Association,
    AssociationEstablished,
    AssociationRestarted,
    SctpConfig,
    State,
)
from router.sctp.chunks.chunk_type import ChunkType
from router.sctp.chunks.control import serialize_chunk
from router.sctp.chunks.error import CauseCode, parse_causes
from router.sctp.chunks.init import EDMID_DTLS, InitChunk, InitParameter, parse_init
from router.sctp.chunks.parameters import Parameter, parse_parameters
from router.sctp.packet import SctpPacket, parse_packet, serialize_packet

from .pair import Pair

LOSSES = [0.0, 0.1, 0.3]


def _association(seed: int = 1, config: SctpConfig | None = None) -> Association:
    return Association(config=config or SctpConfig(), rng=random.Random(seed), now=0.0)


def _sent(association: Association) -> list[SctpPacket]:
    return [
        parse_packet(data, zero_checksum_acceptable=True)
        for data in association.datagrams_to_send()
    ]


def _types(packets: list[SctpPacket]) -> list[int]:
    return [chunk.type for packet in packets for chunk in packet.chunks]


def _packet(tag: int, *chunks: bytes) -> bytes:
    return serialize_packet(5000, 5000, tag, chunks)


_INIT = InitChunk(
    initiate_tag=77, a_rwnd=100000, outbound_streams=10, inbound_streams=10, initial_tsn=5
)


def _init(**changes: Any) -> InitChunk:
    return replace(_INIT, **changes)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("starters", ["a", "b", "ab"])
def test_handshake_succeeds_whoever_starts(loss: float, starters: str) -> None:
    for seed in range(5):
        pair = Pair(seed=seed, loss=loss, jitter=0.01, duplicate=loss / 2)
        if "a" in starters:
            pair.a.connect(0.0)
        if "b" in starters:
            pair.b.connect(0.0)
        pair.run(25)
        assert pair.is_established
        for association in (pair.a, pair.b):
            assert len(pair.of(association, AssociationEstablished)) == 1
        pair.a.send(0, 51, b"hello", pair.now)
        pair.b.send(0, 51, b"there", pair.now)
        pair.run(20)
        assert pair.received(pair.b) == [b"hello"]
        assert pair.received(pair.a) == [b"there"]


def test_streams_are_the_smaller_of_both_sides() -> None:
    pair = Pair(SctpConfig(outbound_streams=100, inbound_streams=20), other=SctpConfig())
    pair.connect()
    (event_a,) = pair.of(pair.a, AssociationEstablished)
    (event_b,) = pair.of(pair.b, AssociationEstablished)
    assert (event_a.outbound_streams, event_a.inbound_streams) == (100, 20)
    assert (event_b.outbound_streams, event_b.inbound_streams) == (20, 100)
    with pytest.raises(LocalProtocolError, match="stream 20"):
        pair.b.send(20, 51, b"x", pair.now)


def test_init_offers_the_extensions_of_webrtc() -> None:
    association = _association()
    association.connect(0.0)
    (packet,) = _sent(association)
    assert packet.verification_tag == 0
    assert not packet.has_zero_checksum
    init = parse_init(packet.chunks[0].value)
    assert init.initiate_tag != 0
    assert init.parameter(InitParameter.FORWARD_TSN_SUPPORTED) == b""
    assert init.parameter(InitParameter.SUPPORTED_EXTENSIONS) == bytes((130, 192))
    assert init.parameter(InitParameter.ZERO_CHECKSUM_ACCEPTABLE) == EDMID_DTLS


@pytest.mark.parametrize("we_offer", [True, False])
@pytest.mark.parametrize("they_offer", [True, False])
def test_checksums_are_left_out_only_if_the_receiver_agreed(
    we_offer: bool, they_offer: bool
) -> None:
    pair = Pair(SctpConfig(zero_checksum=we_offer), other=SctpConfig(zero_checksum=they_offer))
    pair.connect()
    pair.run()
    pair.a.send(0, 51, b"x", pair.now)
    (data,) = pair.a.datagrams_to_send()
    assert (data[8:12] == bytes(4)) == (we_offer and they_offer)
    pair.b.receive_datagram(data, pair.now)
    pair.run(1)
    assert pair.received(pair.b) == [b"x"]


def test_messages_queued_before_the_association_are_sent_after_it() -> None:
    pair = Pair()
    pair.a.send(3, 51, b"early", 0.0)
    pair.connect()
    pair.run(1)
    assert pair.received(pair.b) == [b"early"]


def test_init_gives_up_after_its_retransmissions() -> None:
    pair = Pair(SctpConfig(max_init_retransmits=3), loss=1.0)
    pair.a.connect(0.0)
    pair.run(100)
    assert pair.a.state is State.TERMINATED
    assert isinstance(pair.closed(pair.a).error, RemoteProtocolError)
    assert pair.link.pushed == 4


def test_unknown_parameters_are_reported_in_init_ack_and_not_without_bound() -> None:
    association = _association()
    strange = [Parameter(0xC0AB, b"tell me"), Parameter(0x80AB, b"skip me")]
    many = [Parameter(0xC100 + i, bytes(100)) for i in range(50)]
    wire = _init(parameters=(*strange, *many)).serialize(ChunkType.INIT)
    association.receive_datagram(_packet(0, wire), 0.0)
    (packet,) = _sent(association)
    assert packet.verification_tag == 77
    init_ack = parse_init(packet.chunks[0].value)
    reported = [p for p in init_ack.parameters if p.type == InitParameter.UNRECOGNIZED_PARAMETER]
    assert parse_parameters(reported[0].value) == [strange[0]]
    assert sum(len(parameter.value) for parameter in reported) <= 512


def test_unknown_parameters_of_init_ack_are_reported_with_the_cookie_echo() -> None:
    association = _association()
    association.connect(0.0)
    own = parse_init(_sent(association)[0].chunks[0].value)
    init_ack = _init(
        parameters=(
            Parameter(0xC0AB, b"tell me"),
            Parameter(InitParameter.STATE_COOKIE, b"cookie"),
        )
    )
    wire = init_ack.serialize(ChunkType.INIT_ACK)
    association.receive_datagram(_packet(own.initiate_tag, wire), 0.1)
    packets = _sent(association)
    assert _types(packets) == [ChunkType.COOKIE_ECHO, ChunkType.ERROR]
    assert packets[0].chunks[0].value == b"cookie"
    (cause,) = parse_causes(packets[1].chunks[0].value)
    assert cause.type == CauseCode.UNRECOGNIZED_PARAMETERS


def test_init_ack_without_a_cookie_ends_the_association() -> None:
    association = _association()
    association.connect(0.0)
    own = parse_init(_sent(association)[0].chunks[0].value)
    wire = _init().serialize(ChunkType.INIT_ACK)
    association.receive_datagram(_packet(own.initiate_tag, wire), 0.1)
    assert association.state is State.TERMINATED


@pytest.mark.parametrize("field", ["outbound_streams", "inbound_streams"])
def test_init_without_streams_is_aborted(field: str) -> None:
    association = _association()
    wire = _init(**{field: 0}).serialize(ChunkType.INIT)
    association.receive_datagram(_packet(0, wire), 0.0)
    (packet,) = _sent(association)
    assert packet.verification_tag == 77
    assert packet.chunks[0].type == ChunkType.ABORT
    assert association.state is State.CLOSED


def test_init_with_zero_tag_or_company_is_dropped() -> None:
    association = _association()
    zero = _init(initiate_tag=0).serialize(ChunkType.INIT)
    association.receive_datagram(_packet(0, zero), 0.0)
    init = _init().serialize(ChunkType.INIT)
    association.receive_datagram(_packet(0, init, serialize_chunk(ChunkType.COOKIE_ACK)), 0.0)
    association.receive_datagram(_packet(1, init), 0.0)
    assert association.datagrams_to_send() == []


def test_forged_or_stale_cookies_do_not_establish() -> None:
    association = _association()
    association.receive_datagram(_packet(0, _init().serialize(ChunkType.INIT)), 0.0)
    init_ack = parse_init(_sent(association)[0].chunks[0].value)
    cookie = init_ack.parameter(InitParameter.STATE_COOKIE)
    assert cookie is not None
    for index in (0, 8, 30, len(cookie) - 1):
        forged = bytearray(cookie)
        forged[index] ^= 1
        echo = serialize_chunk(ChunkType.COOKIE_ECHO, bytes(forged))
        association.receive_datagram(_packet(init_ack.initiate_tag, echo), 1.0)
    assert association.counters.cookies_rejected == 4
    echo = serialize_chunk(ChunkType.COOKIE_ECHO, cookie)
    association.receive_datagram(_packet(init_ack.initiate_tag ^ 1, echo), 1.0)
    assert association.datagrams_to_send() == []
    assert association.next_event() is None

    association.receive_datagram(_packet(init_ack.initiate_tag, echo), 61.0)
    (packet,) = _sent(association)
    (cause,) = parse_causes(packet.chunks[0].value)
    assert cause == Parameter(CauseCode.STALE_COOKIE, (1_000_000).to_bytes(4, "big"))
    assert association.next_event() is None

    association.receive_datagram(_packet(init_ack.initiate_tag, echo), 2.0)
    assert isinstance(association.next_event(), AssociationEstablished)
    assert _types(_sent(association)) == [ChunkType.COOKIE_ACK]


def test_lost_cookie_ack_is_repeated() -> None:
    pair = Pair()
    pair.a.connect(0.0)
    for data in pair.a.datagrams_to_send():
        pair.b.receive_datagram(data, 0.0)
    for data in pair.b.datagrams_to_send():
        pair.a.receive_datagram(data, 0.0)
    (echo,) = pair.a.datagrams_to_send()
    for _ in range(3):
        pair.b.receive_datagram(echo, 0.1)
        assert _types(_sent(pair.b)) == [ChunkType.COOKIE_ACK]
    assert pair.b.state is State.ESTABLISHED


@pytest.mark.parametrize("loss", LOSSES)
def test_peer_that_restarts_gets_a_new_association(loss: float) -> None:
    pair = Pair(loss=loss).connect()
    pair.a.send(0, 51, b"old", pair.now)
    pair.b.send(0, 51, bytes(100000), pair.now)
    pair.wait(0.05)
    before = pair.a
    reborn = _association(seed=99)
    pair.a = reborn
    pair.events[reborn] = []
    del pair.events[before]
    reborn.connect(pair.now)
    pair.run(
        100,
        stop=lambda: reborn.state is State.ESTABLISHED and pair.of(pair.b, AssociationRestarted),
    )
    assert len(pair.of(pair.b, AssociationRestarted)) == 1
    assert pair.b.send_buffer_used == 0
    reborn.send(1, 51, b"new", pair.now)
    pair.b.send(1, 51, b"also new", pair.now)
    pair.run(60, stop=lambda: pair.received(reborn) and b"new" in pair.received(pair.b))
    assert pair.received(reborn) == [b"also new"]
    assert pair.received(pair.b)[-1] == b"new"


def test_forged_verification_tags_change_nothing() -> None:
    pair = Pair().connect()
    pair.run()
    events = len(pair.events[pair.b])
    rng = random.Random(1)
    for kind in (*range(16), 130, 192, 255):
        for _ in range(20):
            chunk = serialize_chunk(kind, rng.randbytes(16), rng.randrange(4))
            pair.b.receive_datagram(_packet(rng.getrandbits(32), chunk), pair.now)
    assert pair.b.state is State.ESTABLISHED
    assert pair.b.datagrams_to_send() == []
    assert len(pair.events[pair.b]) == events
    assert pair.b.counters.packets_misdirected > 300


def test_packets_for_other_ports_are_dropped() -> None:
    pair = Pair().connect()
    pair.run()
    pair.a.abort("end", pair.now)
    (abort,) = pair.a.datagrams_to_send()
    tag = parse_packet(abort, zero_checksum_acceptable=True).verification_tag
    for source, destination in ((5001, 5000), (5000, 5001)):
        chunk = serialize_chunk(ChunkType.ABORT)
        pair.b.receive_datagram(serialize_packet(source, destination, tag, [chunk]), pair.now)
    assert pair.b.state is State.ESTABLISHED


def test_abort_reaches_the_peer_with_its_reason() -> None:
    pair = Pair().connect()
    pair.a.abort("bye", pair.now)
    pair.run(1)
    assert pair.closed(pair.a).error is None
    error = pair.closed(pair.b).error
    assert isinstance(error, RemoteProtocolError)
    assert error.cause == CauseCode.USER_INITIATED_ABORT
    assert pair.a.next_timer() is None
    assert pair.b.next_timer() is None
    pair.a.abort("again", pair.now)
    with pytest.raises(LocalProtocolError):
        pair.a.send(0, 51, b"x", pair.now)
    with pytest.raises(LocalProtocolError):
        pair.a.reset_streams((0,), pair.now)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("both", [False, True])
def test_shutdown_waits_for_what_is_queued(loss: float, both: bool) -> None:
    pair = Pair(loss=loss, seed=4).connect()
    messages = [bytes([index]) * 3000 for index in range(20)]
    for message in messages:
        pair.a.send(0, 53, message, pair.now)
    pair.a.shutdown(pair.now)
    with pytest.raises(LocalProtocolError):
        pair.a.send(0, 53, b"late", pair.now)
    if both:
        pair.b.shutdown(pair.now)
    pair.run(300)
    assert pair.received(pair.b) == messages
    for association in (pair.a, pair.b):
        assert association.state is State.TERMINATED
        assert pair.closed(association).error is None


def test_peer_that_missed_the_abort_is_told_again() -> None:
    pair = Pair().connect()
    pair.a.abort("bye", pair.now)
    pair.a.datagrams_to_send()  # lost
    pair.b.send(0, 51, b"are you there?", pair.now)
    pair.run(1)
    assert isinstance(pair.closed(pair.b).error, RemoteProtocolError)
    # Two that are gone do not answer each other for ever.
    for association in (pair.a, pair.b):
        assert association.datagrams_to_send() == []


def test_shutdown_before_the_association_ends_it_at_once() -> None:
    pair = Pair()
    pair.a.connect(0.0)
    pair.a.shutdown(0.0)
    assert pair.a.state is State.TERMINATED
    assert pair.a.next_timer() is None


def test_shutdown_ack_for_no_association_is_answered() -> None:
    association = _association()
    association.receive_datagram(_packet(5, serialize_chunk(ChunkType.SHUTDOWN_ACK)), 0.0)
    (packet,) = _sent(association)
    assert packet.verification_tag == 5
    assert packet.chunks[0][:2] == (ChunkType.SHUTDOWN_COMPLETE, 1)


def test_dead_path_ends_an_idle_association() -> None:
    pair = Pair(SctpConfig(association_max_retransmits=5)).connect()
    pair.run(1)
    pair.link.loss = 1.0
    pair.run(200)
    for association in (pair.a, pair.b):
        assert isinstance(pair.closed(association).error, RemoteProtocolError)
    assert pair.now < 100


def test_heartbeats_keep_an_idle_association() -> None:
    pair = Pair(loss=0.1).connect()
    pair.wait(600)
    assert pair.is_established
    assert pair.a.counters.packets_received > 10


def test_unknown_chunks_are_skipped_or_reported_as_their_type_says() -> None:
    pair = Pair().connect()
    pair.run(1)
    tag = pair.b._handshake.local_tag
    heartbeat = serialize_chunk(ChunkType.HEARTBEAT, b"\x00\x01\x00\x05x")
    for kind, expected in (
        (0x3E, []),
        (0x7E, [ChunkType.ERROR]),
        (0xBE, [ChunkType.HEARTBEAT_ACK]),
        (0xFE, [ChunkType.ERROR, ChunkType.HEARTBEAT_ACK]),
    ):
        pair.b.receive_datagram(_packet(tag, serialize_chunk(kind, b"?"), heartbeat), pair.now)
        assert _types(_sent(pair.b)) == expected
