"""Handshakes over lossy paths, on virtual time."""

import random
from typing import Any

import pytest

from router.dtls import ApplicationData, Closed, DtlsConnection, DtlsState, HandshakeCompleted
from router.dtls.record import ContentType, parse_record
from tests.support.virtual_network import Link, run_virtual

from .peers import events, exchange, make_client, make_server, only_event


def run_handshake(link: Link, *, until: float = 120.0, **settings: Any) -> float:
    """Connect a pair over the link; return the virtual time that it took."""
    settings = {"handshake_timeout": until, **settings}
    server, client = make_server(**settings), make_client(**settings)

    def both_connected() -> bool:
        return server.state is client.state is DtlsState.CONNECTED

    took = run_virtual(client, server, link, until=until, stop=both_connected)
    assert both_connected()
    on_server = only_event(server, HandshakeCompleted)
    on_client = only_event(client, HandshakeCompleted)
    assert on_server.local_key == on_client.remote_key
    assert on_server.remote_key == on_client.local_key
    # The path is as bad afterwards, but what gets through is right and comes once.
    for number in range(20):
        client.send_application_data(bytes([number]))
    run_virtual(client, server, link, until=until + 10, now=took)
    received = [event.data for event in events(server) if isinstance(event, ApplicationData)]
    assert len(received) == len(set(received))
    assert set(received) <= {bytes([number]) for number in range(20)}
    assert received or link.loss > 0
    return took


@pytest.mark.parametrize("mtu", [200, 1200])
@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("seed", range(12))
def test_pair_connects_over_a_bad_path(mtu: int, loss: float, seed: int) -> None:
    link = Link(
        seed=seed,
        loss=loss,
        delay=0.03,
        jitter=0.02,
        reorder=0.2 if loss else 0.0,
        duplicate=loss / 2,
        mtu=mtu,
    )
    took = run_handshake(link, mtu=mtu, cookie_exchange=bool(seed % 2))
    if not loss:
        assert took < 0.4


@pytest.mark.parametrize("seed", range(20))
def test_pair_connects_when_everything_is_reordered(seed: int) -> None:
    link = Link(seed=seed, delay=0.01, reorder=0.5, reorder_delay=0.05)
    # The timers are too long to help.
    took = run_handshake(link, mtu=160, initial_retransmission_interval=2.0)
    assert took < 2.0


def datagrams_of(connection: DtlsConnection) -> list[bytes]:
    datagrams = connection.datagrams_to_send()
    assert datagrams
    return datagrams


@pytest.mark.parametrize("lost", range(4))
def test_any_one_datagram_may_be_lost(lost: int) -> None:
    server, client = make_server(), make_client()
    count = 0

    def drop(sender: DtlsConnection, datagram: bytes) -> bytes | None:
        nonlocal count
        count += 1
        return None if count - 1 == lost else datagram

    exchange(server, client, tap=drop)
    assert (client.state is DtlsState.CONNECTED) is False
    for connection in (client, server):
        timer = connection.next_timer()
        if timer is not None:
            assert timer in (0.4, 30.0)
            connection.handle_timer(0.4)
        exchange(server, client, now=0.4)
    only_event(server, HandshakeCompleted)
    only_event(client, HandshakeCompleted)


def test_last_flight_is_repeated_when_the_client_repeats_its_own() -> None:
    server, client = make_server(), make_client()
    exchange(
        server,
        client,
        tap=lambda sender, data: None if server.state is DtlsState.CONNECTED else data,
    )
    only_event(server, HandshakeCompleted)
    assert client.state is DtlsState.HANDSHAKING
    # Long after the server was done: it has no timer, but it remembers.
    client.handle_timer(20.0)
    exchange(server, client, now=20.0)
    only_event(client, HandshakeCompleted)
    assert server.counters.retransmitted_flights == 1


def test_replayed_last_message_does_not_repeat_the_last_flight() -> None:
    server, client = make_server(), make_client()
    carried = exchange(server, client)
    for sender, datagram in carried:
        if sender is client:
            server.receive_datagram(datagram, 1.0)
    assert server.datagrams_to_send() == []
    assert server.counters.retransmitted_flights == 0


def test_repeated_hello_is_answered_by_the_same_flight() -> None:
    server, client = make_server(), make_client()
    server.receive_datagram(datagrams_of(client)[0], 0.0)
    first = datagrams_of(server)
    client.handle_timer(0.4)
    server.receive_datagram(datagrams_of(client)[0], 0.4)
    second = datagrams_of(server)

    def content(datagrams: list[bytes]) -> list[bytes]:
        fragments = []
        for datagram in datagrams:
            offset = 0
            while offset < len(datagram):
                record, offset = parse_record(datagram, offset)
                fragments.append(record.fragment)
        return fragments

    assert content(first) == content(second)
    assert first != second


def test_finished_that_overtakes_everything_waits_for_its_turn() -> None:
    server, client = make_server(mtu=200), make_client(mtu=200)
    for datagram in datagrams_of(client):
        server.receive_datagram(datagram, 0.0)
    for datagram in datagrams_of(server):
        client.receive_datagram(datagram, 0.0)
    for datagram in reversed(datagrams_of(client)):
        server.receive_datagram(datagram, 0.0)
    only_event(server, HandshakeCompleted)


def test_finished_without_change_cipher_spec_is_not_taken() -> None:
    server, client = make_server(), make_client()

    def without_change_cipher_spec(sender: DtlsConnection, datagram: bytes) -> bytes:
        kept = b""
        offset = 0
        while offset < len(datagram):
            record, offset = parse_record(datagram, offset)
            if record.content_type != ContentType.CHANGE_CIPHER_SPEC:
                kept += record.serialize()
        return kept

    exchange(server, client, tap=without_change_cipher_spec)
    assert server.state is DtlsState.HANDSHAKING
    client.handle_timer(0.4)
    exchange(server, client, now=0.4)
    only_event(server, HandshakeCompleted)


def test_data_that_overtakes_finished_is_reported_after_it() -> None:
    server, client = make_server(), make_client()
    exchange(
        server,
        client,
        tap=lambda sender, data: None if server.state is DtlsState.CONNECTED else data,
    )
    server.send_application_data(b"first")
    for datagram in datagrams_of(server):
        client.receive_datagram(datagram, 0.1)
    assert events(client) == []
    client.handle_timer(0.4)
    exchange(server, client, now=0.4)
    completed, data = events(client)
    assert isinstance(completed, HandshakeCompleted)
    assert data == ApplicationData(b"first")


def test_client_backs_off_and_gives_up() -> None:
    client = make_client()
    sent_at = []
    now = 0.0
    while (timer := client.next_timer()) is not None:
        if client.datagrams_to_send():
            sent_at.append(now)
        now = timer
        client.handle_timer(now)
    assert sent_at == pytest.approx([0.0, 0.4, 1.2, 2.8, 6.0, 12.4, 25.2])
    assert now == 30.0
    error = only_event(client, Closed).error
    assert "30 s" in str(error)
    assert client.datagrams_to_send() == []


def test_server_waits_for_a_hello_without_timer_and_then_gives_up() -> None:
    server = make_server()
    assert server.next_timer() is None
    server.receive_datagram(make_client().datagrams_to_send()[0], 100.0)
    assert server.next_timer() == pytest.approx(100.4)
    server.handle_timer(130.0)
    assert only_event(server, Closed).error is not None


def test_early_and_repeated_timer_calls_change_nothing() -> None:
    client = make_client()
    client.datagrams_to_send()
    client.handle_timer(0.39)
    assert client.datagrams_to_send() == []
    client.handle_timer(0.4)
    client.handle_timer(0.4)
    assert len(client.datagrams_to_send()) == 1


def test_garbage_between_the_datagrams_does_not_matter() -> None:
    rng = random.Random(5)
    server, client = make_server(mtu=300), make_client(mtu=300)

    def add_garbage(sender: DtlsConnection, datagram: bytes) -> bytes:
        receiver = server if sender is client else client
        garbage = bytearray(rng.randbytes(rng.randrange(60)))
        if garbage:
            garbage[0] = rng.choice([20, 21, 23, 25, 63])
        receiver.receive_datagram(bytes(garbage), 0.0)
        return datagram

    exchange(server, client, tap=add_garbage)
    only_event(server, HandshakeCompleted)
    only_event(client, HandshakeCompleted)
    assert server.counters.invalid_records > 0
