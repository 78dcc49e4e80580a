"""Whatever a peer sends: nothing raises, nothing grows, nothing false is accepted."""

import random
from functools import cache
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.dtls import ApplicationData, Closed, DtlsConnection, DtlsState, HandshakeCompleted
from router.dtls.flight import MAX_REPETITIONS_ON_REQUEST
from router.dtls.handshake import serialize_handshake_header
from router.dtls.record import DTLS_1_2, ContentType, Record, parse_record

from .peers import connected_pair, events, exchange, make_client, make_server

Stage = Literal["server hello", "server keys", "client hello", "client finished", "connected"]
STAGES: list[Stage] = [
    "server hello",
    "server keys",
    "client hello",
    "client finished",
    "connected",
]


def connection_at(stage: Stage) -> DtlsConnection:
    """Return a connection that waits for what its name says, with nothing to send."""
    server, client = make_server(), make_client()
    if stage == "connected":
        return connected_pair()[0]
    if stage in ("server keys", "client finished"):
        server.receive_datagram(client.datagrams_to_send()[0], 0.0)
    if stage == "client finished":
        for datagram in server.datagrams_to_send():
            client.receive_datagram(datagram, 0.0)
    subject = server if stage.startswith("server") else client
    subject.datagrams_to_send()
    return subject


records = st.builds(
    lambda kind, epoch, number, fragment: Record(kind, DTLS_1_2, epoch, number, fragment),
    st.sampled_from([20, 21, 22, 23, 24, 99]),
    st.sampled_from([0, 0, 0, 1, 2, 0xFFFF]),
    st.integers(0, 1 << 20) | st.just((1 << 48) - 1),
    st.binary(max_size=60)
    | st.builds(
        lambda kind, length, seq, offset, body: (
            serialize_handshake_header(kind, length, seq, offset, len(body)) + body
        ),
        st.sampled_from([0, 1, 2, 3, 11, 12, 13, 14, 15, 16, 20]),
        st.integers(0, 60) | st.just((1 << 24) - 1),
        st.integers(0, 5),
        st.integers(0, 30),
        st.binary(max_size=60),
    ),
)
datagrams = st.one_of(
    st.binary(max_size=100),
    st.lists(records, min_size=1, max_size=3).map(
        lambda items: b"".join(record.serialize() for record in items)
    ),
)


@given(stage=st.sampled_from(STAGES), sent=st.lists(datagrams, max_size=5))
def test_any_datagrams_never_raise_and_never_connect(stage: Stage, sent: list[bytes]) -> None:
    connection = connection_at(stage)
    now = 0.0
    for datagram in sent:
        now += 0.1
        connection.receive_datagram(datagram, now)
        connection.handle_timer(now)
        connection.datagrams_to_send()
    assert not any(
        isinstance(event, HandshakeCompleted | ApplicationData) for event in events(connection)
    )
    assert stage != "connected" or connection.state is DtlsState.CONNECTED


@cache
def recorded_flights(mtu: int) -> tuple[tuple[bool, bytes], ...]:
    """Return all datagrams of a handshake, and whether the client sent them."""
    server, client = make_server(mtu=mtu), make_client(mtu=mtu)
    return tuple((sender is client, datagram) for sender, datagram in exchange(server, client))


@given(
    mtu=st.sampled_from([250, 1200]),
    to_server=st.booleans(),
    seed=st.integers(0, 1 << 30),
    changes=st.integers(1, 4),
)
def test_mutated_flights_never_raise_and_never_connect(
    mtu: int, to_server: bool, seed: int, changes: int
) -> None:
    rng = random.Random(seed)
    # Not the seed of the recording: its keys must not be the right ones.
    connection = make_server(mtu=mtu, seed=3) if to_server else make_client(mtu=mtu, seed=4)
    flights = [
        bytearray(datagram)
        for by_client, datagram in recorded_flights(mtu)
        if by_client == to_server
    ]
    for _ in range(changes):
        datagram = rng.choice(flights)
        position = rng.randrange(len(datagram))
        kind = rng.randrange(3)
        if kind == 0:
            datagram[position] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del datagram[position : position + rng.randrange(1, 9)]
        else:
            datagram[position:position] = rng.randbytes(rng.randrange(1, 9))
        if not datagram:
            datagram += b"\0"
    rng.shuffle(flights)
    for now, datagram in enumerate(flights):
        connection.receive_datagram(bytes(datagram), now / 10)
        connection.datagrams_to_send()
    # The recorded Finished belongs to other keys: nothing of this may be believed.
    assert all(isinstance(event, Closed) for event in events(connection))


@pytest.mark.parametrize("to_server", [True, False])
@given(seed=st.integers(0, 1 << 30))
def test_change_on_the_way_never_ends_in_different_keys(to_server: bool, seed: int) -> None:
    rng = random.Random(seed)
    server, client = make_server(), make_client()
    target = rng.randrange(2)
    count = 0

    def change(sender: DtlsConnection, datagram: bytes) -> bytes:
        nonlocal count
        if (sender is client) != to_server:
            return datagram
        count += 1
        if count - 1 != target:
            return datagram
        changed = bytearray(datagram)
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return bytes(changed)

    exchange(server, client, tap=change)
    for now in (0.4, 1.2, 2.8):
        server.handle_timer(now)
        client.handle_timer(now)
        exchange(server, client, now=now)
    completed = [
        event
        for connection in (server, client)
        for event in events(connection)
        if isinstance(event, HandshakeCompleted)
    ]
    # A change that only cost a record is made good by retransmission; any other ends it.
    assert len(completed) in (0, 1, 2)
    if len(completed) == 2:
        assert completed[0].local_key == completed[1].remote_key
        assert completed[0].remote_key == completed[1].local_key
    if len(completed) == 1:
        assert DtlsState.CLOSED in (server.state, client.state)


def size_of_buffers(connection: DtlsConnection) -> int:
    """Return how many bytes of the peer's a connection holds on to."""
    return (
        sum(partial.length for partial in connection._reassembler._partial.values())
        + sum(len(record.fragment) for record in connection._early_records)
        + sum(len(data) for data in connection._early_data)
    )


def test_flood_of_fragments_and_early_records_is_bounded() -> None:
    server = make_server(max_handshake_message_length=4096, max_buffered_messages=8)
    rng = random.Random(3)
    for number in range(5000):
        length = rng.choice([4096, 4097, 1 << 23])
        fragment = serialize_handshake_header(
            11, length, rng.randrange(1, 0x10000) if number % 2 else rng.randrange(1, 20), 0, 1
        )
        handshake = Record(ContentType.HANDSHAKE, DTLS_1_2, 0, number, fragment + b"x")
        early = Record(rng.randrange(20, 24), DTLS_1_2, 1, number, bytes(1000))
        server.receive_datagram(handshake.serialize() + early.serialize(), 0.0)
    assert size_of_buffers(server) <= 8 * 4096 + 8 * 1000
    assert server.datagrams_to_send() == []
    assert server.counters.refused_fragments > 4000
    server.close()
    assert size_of_buffers(server) == 0


def test_forged_repetitions_bring_a_bounded_answer() -> None:
    server, client = make_server(), make_client()
    (hello,) = client.datagrams_to_send()
    server.receive_datagram(hello, 0.0)
    flight = server.datagrams_to_send()
    record, _ = parse_record(hello)
    answered = 0
    for number in range(1, 1000):
        forged = Record(record.content_type, record.version, 0, number, record.fragment)
        server.receive_datagram(forged.serialize(), 0.0)
        answered += len(server.datagrams_to_send())
    assert answered == MAX_REPETITIONS_ON_REQUEST * len(flight)


def test_nothing_is_kept_when_a_connection_is_up() -> None:
    server, client = make_server(mtu=200), make_client(mtu=200)
    exchange(server, client)
    for number in range(100):
        fragment = serialize_handshake_header(11, 1000, number, 0, 1) + b"x"
        for connection in (server, client):
            connection.receive_datagram(
                Record(ContentType.HANDSHAKE, DTLS_1_2, 0, 900 + number, fragment).serialize(), 1.0
            )
    assert size_of_buffers(server) == size_of_buffers(client) == 0
