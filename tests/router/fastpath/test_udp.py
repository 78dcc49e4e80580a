"""The UDP socket over loopback: batches, GRO in, GSO out, errors."""

import array
import os
import random
import select
import socket

import pytest

from router._fastpath.udp import UdpSocket

UDP_SEGMENT = 103
UDP_GRO = 104
SO_NO_CHECK = 11
V4 = "127.0.0.1"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback here")


def receive(sock: UdpSocket, count: int) -> list[bytes]:
    received: list[bytes] = []
    while len(received) < count:
        assert select.select([sock.fileno()], [], [], 5)[0], f"{len(received)} of {count} came"
        # A full batch may have left some behind that no longer make the socket readable.
        while batch := sock.receive():
            received.extend(data for data, _ in batch)
    return received


@pytest.fixture
def sender() -> UdpSocket:
    return UdpSocket(V4)


@pytest.fixture
def receiver() -> UdpSocket:
    return UdpSocket(V4, receive_buffer=1 << 20)


def test_datagrams_arrive_with_their_source(sender: UdpSocket, receiver: UdpSocket) -> None:
    assert sender.send([(b"one", (V4, receiver.port), 0), (b"two", (V4, receiver.port), 0)]) == 2
    assert receiver.receive() == [(b"one", (V4, sender.port)), (b"two", (V4, sender.port))]
    assert receiver.receive() == []


def test_datagrams_that_find_the_receive_buffer_full_are_counted(sender: UdpSocket) -> None:
    receiver = UdpSocket(V4, receive_buffer=1)
    assert receiver.counters()["receive_drops"] == 0
    for _ in range(200):
        sender.send([(bytes(1000), (V4, receiver.port), 0)])
    arrived = 0
    while batch := receiver.receive():
        arrived += len(batch)
    counters = receiver.counters()
    assert 0 < arrived < 200
    assert counters["received"] + counters["receive_drops"] == 200
    receiver.close()
    assert receiver.counters() == counters


@needs_ipv6
def test_dual_stack_serves_both_families() -> None:
    server = UdpSocket("::")
    assert server.dual_stack
    for address in (V4, "::1"):
        client = UdpSocket(address)
        assert client.send([(b"ping", (address, server.port), 0)]) == 1
        assert server.receive() == [(b"ping", (address, client.port))]
        assert server.send([(b"pong" * 300, (address, client.port), 400)]) == 1
        assert receive(client, 3) == [b"pong" * 100] * 3


@pytest.mark.parametrize(
    ("bound", "client_address", "reached"),
    [
        ("0.0.0.0", V4, "127.0.0.2"),
        ("0.0.0.0", "127.0.0.3", V4),
        ("::", V4, "127.0.0.2"),
        ("::", "127.0.0.3", V4),
        pytest.param("::", "::1", "::1", marks=needs_ipv6),
    ],
)
@pytest.mark.parametrize("segment", [0, 100], ids=["single", "run"])
def test_answers_leave_from_the_address_that_was_asked(
    bound: str, client_address: str, reached: str, segment: int
) -> None:
    server, client = UdpSocket(bound), UdpSocket(client_address)
    with socket.socket(fileno=os.dup(client.fileno())) as same:
        same.connect((reached, server.port))  # so that it takes nothing from elsewhere
    assert client.send([(b"x" * 250, (reached, server.port), segment)]) == 1
    received: list[tuple[bytes, tuple[str, int], str]] = []
    while len(received) < (3 if segment else 1):
        assert select.select([server.fileno()], [], [], 5)[0]
        received += server.receive_with_local()
    assert {(source, local) for _, source, local in received} == {
        ((client_address, client.port), reached)
    }
    assert server.send([(b"y" * 250, (client_address, client.port), segment, reached)]) == 1
    answers = receive(client, 3 if segment else 1)
    assert b"".join(answers) == b"y" * 250
    assert server.counters()["failed"] == 0


@pytest.mark.parametrize("bound", ["0.0.0.0", "::"])
def test_the_kernels_choice_of_an_address_is_known(bound: str) -> None:
    server = UdpSocket(bound)
    assert server.implies_local((V4, 9), V4)
    assert server.implies_local(("127.0.0.3", 9), V4)
    assert not server.implies_local((V4, 9), "127.0.0.2")
    assert not server.implies_local(("::1", 9), "::1")  # saying it makes no difference in time
    assert not UdpSocket(V4).implies_local((V4, 9), V4)  # and here there is no choice


def test_datagrams_of_one_batch_come_to_different_addresses() -> None:
    server, client = UdpSocket("::"), UdpSocket(V4)
    reached = [f"127.0.0.{n}" for n in (2, 1, 3, 3, 2)]
    assert client.send([(b"x", (local, server.port), 0) for local in reached]) == 5
    assert [local for _, _, local in server.receive_with_local()] == reached


def test_address_of_a_socket_with_one_address_is_not_told(
    sender: UdpSocket, receiver: UdpSocket
) -> None:
    # ... and not given: it could be another one, which this socket cannot send from.
    assert sender.send([(b"x", (V4, receiver.port), 0, "127.0.0.9")]) == 1
    assert receiver.receive_with_local() == [(b"x", (V4, sender.port), "::")]


def test_an_address_that_is_gone_fails_and_stops_nothing(receiver: UdpSocket) -> None:
    sender = UdpSocket("::")
    to = (V4, receiver.port)
    gone = (b"2" * 10, to, 5, "192.0.2.250")
    foreign = (b"3", to, 0, "2001:db8::9")
    assert sender.send([(b"1", to, 0), gone, foreign, (b"4", to, 0, V4)]) == 2
    assert receive(receiver, 2) == [b"1", b"4"]
    assert sender.counters()["failed"] == 3
    assert sender.gso


def test_an_ipv6_destination_fails_on_an_ipv4_socket_and_stops_nothing(
    sender: UdpSocket, receiver: UdpSocket
) -> None:
    messages = [
        (b"1", (V4, receiver.port), 0),
        (b"2", ("2001:db8::1", 9), 0),
        (b"3", (V4, receiver.port), 0),
    ]
    assert sender.send(messages) == 2
    assert sender.counters()["failed"] == 1
    assert receive(receiver, 2) == [b"1", b"3"]


def test_a_run_is_sent_as_one_message_with_segments(sender: UdpSocket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.bind((V4, 0))
        plain.settimeout(5)
        plain.setsockopt(socket.SOL_UDP, UDP_GRO, 1)
        data = random.Random(1).randbytes(9 * 1100 + 70)
        assert sender.send([(data, plain.getsockname(), 1100)]) == 1
        whole, control, _, _ = plain.recvmsg(65536, 100)
    assert whole == data
    assert [(level, kind) for level, kind, _ in control] == [(socket.SOL_UDP, UDP_GRO)]
    assert array.array("i", control[0][2][:4])[0] == 1100
    counters = sender.counters()
    assert (counters["send_calls"], counters["sent"], counters["sent_bytes"]) == (1, 10, 9970)


def test_joined_datagrams_are_split(receiver: UdpSocket) -> None:
    assert receiver.gro
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.setsockopt(socket.SOL_UDP, UDP_SEGMENT, 500)
        plain.sendto(bytes(range(250)) * 9, (V4, receiver.port))
        plain.setsockopt(socket.SOL_UDP, UDP_SEGMENT, 0)
        plain.sendto(b"alone", (V4, receiver.port))
    received = receive(receiver, 6)
    assert received == [bytes(range(250)) * 2] * 4 + [bytes(range(250)), b"alone"]
    assert receiver.counters()["receive_calls"] == 2  # the second found nothing


def test_what_does_not_fit_into_a_batch_comes_first_in_the_next(
    sender: UdpSocket, receiver: UdpSocket
) -> None:
    address = (V4, receiver.port)
    numbers = b"".join(i.to_bytes(100, "big") for i in range(20))
    sender.send([(numbers, address, 100), (b"last", address, 0)])
    received = []
    while batch := receiver.receive(3):
        assert len(batch) <= 3
        received += [data for data, _ in batch]
    assert received == [*(i.to_bytes(100, "big") for i in range(20)), b"last"]


@pytest.mark.parametrize(("segment", "length"), [(100, 12_345), (1, 200), (1200, 80_000)])
def test_runs_beyond_the_kernels_limits_are_divided(
    sender: UdpSocket, receiver: UdpSocket, segment: int, length: int
) -> None:
    data = random.Random(2).randbytes(length)
    assert sender.send([(data, (V4, receiver.port), segment)]) == 1
    count = -(-length // segment)
    received = receive(receiver, count)
    assert received == [data[i : i + segment] for i in range(0, length, segment)]
    assert sender.counters()["sent"] == count
    assert sender.counters()["send_calls"] <= count // 20 + 1


def test_more_messages_than_a_batch_are_sent(sender: UdpSocket, receiver: UdpSocket) -> None:
    messages = [(i.to_bytes(2, "big"), (V4, receiver.port), 0) for i in range(150)]
    assert sender.send(messages) == 150
    assert receive(receiver, 150) == [data for data, _, _ in messages]
    assert sender.counters()["send_calls"] == 3


def test_an_empty_datagram_is_sent_and_passed_over(sender: UdpSocket, receiver: UdpSocket) -> None:
    address = (V4, receiver.port)
    assert sender.send([(b"", address, 0), (b"x", address, 0)]) == 2
    assert receive(receiver, 1) == [b"x"]


def test_refusing_and_impossible_destinations_stop_nothing(
    sender: UdpSocket, receiver: UdpSocket
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind((V4, 0))
        refusing = closed.getsockname()
    good = (V4, receiver.port)
    messages = [
        (b"a", refusing, 0),
        (b"1", good, 0),
        (b"b", (V4, 0), 0),  # EINVAL
        (b"2" * 10, good, 5),
        (bytes(70_000), good, 0),  # EMSGSIZE
        (b"c", refusing, 0),
        (b"3", good, 0),
    ]
    assert sender.send(messages) == 5
    assert receive(receiver, 4) == [b"1", b"22222", b"22222", b"3"]
    assert sender.counters()["failed"] == 2
    assert sender.receive() == []  # an ICMP error is no failure of the socket


def test_segments_go_out_singly_when_the_kernel_refuses_a_run(receiver: UdpSocket) -> None:
    sender = UdpSocket(V4)
    with socket.socket(fileno=os.dup(sender.fileno())) as same:
        # Without checksums the kernel refuses to segment: EINVAL.
        same.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
    for number in range(20):
        assert sender.send([(bytes(250), (V4, receiver.port), 100)]) == 1
        assert receive(receiver, 3) == [bytes(100), bytes(100), bytes(50)]
        assert sender.gso == (number < 15)
    counters = sender.counters()
    assert (counters["gso_fallbacks"], counters["failed"], counters["sent"]) == (16, 0, 60)


def test_a_used_port_is_an_error(sender: UdpSocket) -> None:
    with pytest.raises(OSError, match="in use"):
        UdpSocket(V4, sender.port)


def test_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="not a numeric address"):
        UdpSocket("localhost")


def test_buffers_are_reported(receiver: UdpSocket) -> None:
    assert receiver.buffers[0] == 1 << 20
    assert receiver.buffers[1] > 0
