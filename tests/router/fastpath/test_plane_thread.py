"""The plane's own thread, over loopback sockets."""

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import pytest

from router._fastpath import plane as fp
from router.errors import DataPlaneError
from router.rtp import RtpPacket

from .peers import AEAD, CM, OPUS, VP8, Peer, new_plane
from .room import OUT_SSRC, SSRC, STREAM, video
from .test_udp import has_ipv6

PATIENCE = 10.0
"""Seconds to wait for what takes microseconds: only a failure waits that long."""


@contextmanager
def running(plane: fp.DataPlane, address: str = "127.0.0.1") -> Iterator[int]:
    """Run the plane on a thread of its own; yields its port."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            plane.run()
        except BaseException as error:
            failures.append(error)

    port = plane.bind(address, 0, receive_buffer=1 << 20, send_buffer=1 << 20)
    thread = threading.Thread(target=run, name=f"plane on {port}")
    thread.start()
    try:
        yield port
    finally:
        plane.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        plane.close()
    assert failures == []


@pytest.fixture(autouse=True)
def _close_sockets() -> Iterator[None]:
    yield
    while SocketPeer.opened:
        SocketPeer.opened.pop().close()


class SocketPeer(Peer):
    """A peer with a socket of its own, which the end of the test closes."""

    opened: ClassVar[list[socket.socket]] = []

    def __init__(
        self,
        plane: fp.DataPlane,
        port: int,
        n: int,
        *,
        profile: int = AEAD,
        from_host: str = "127.0.0.1",
        to_host: str = "127.0.0.1",
    ) -> None:
        family = socket.AF_INET6 if ":" in to_host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.opened.append(self.socket)
        self.socket.bind((from_host, 0))
        self.socket.connect((to_host, port))  # so that it takes nothing from elsewhere
        self.socket.settimeout(PATIENCE)
        address = self.socket.getsockname()[:2]
        super().__init__(plane, 0x10000 + n, profile=profile, address=address)

    def send(self, datagrams: list[bytes], now_us: int = 0) -> None:
        for data in datagrams:
            self.socket.send(data)

    def receive_one(self) -> None:
        self.take(self.socket.recv(2048))

    def connect(self, now_us: int = 0, *, nominate: bool = True) -> None:
        self.send([self.check(nominate=nominate)])
        while not self.received.stun:
            self.receive_one()


def wait_for_events(plane: fp.DataPlane, number: int) -> list[tuple[object, ...]]:
    events: list[tuple[object, ...]] = []
    while len(events) < number:
        readable, _, _ = select.select([plane.fileno()], [], [], PATIENCE)
        assert readable, f"only {len(events)} events came"
        events += plane.next_events()
    return events


def test_datagrams_that_the_kernel_drops_are_counted() -> None:
    plane = new_plane()
    port = plane.bind("127.0.0.1", 0, receive_buffer=1, send_buffer=0)
    assert plane.counters()["socket_receive_drops"] == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(200):
            sender.sendto(bytes(1000), ("127.0.0.1", port))
    dropped = plane.counters()["socket_receive_drops"]
    assert 0 < dropped < 200
    plane.close()
    assert plane.counters()["socket_receive_drops"] == dropped


def test_thread_that_wakes_at_ticks_serves_all_and_stops() -> None:
    plane = new_plane()
    with running(plane) as port:
        peers = [SocketPeer(plane, port, n) for n in range(8)]
        for n, peer in enumerate(peers):
            peer.configure(types_out={OPUS: 110})
            peer.connect()
            plane.add_stream(0x10000 + n, peer.id, 3000 + n, 0, video=False)
        for n in range(1, 8):
            plane.add_slot(0x10000 + n, peers[0].id, 4000 + n, 0, video=False)
            plane.bind_slot(0x10000 + n, 0x10000 + n)
        peers[0].send([peers[0].check()])
        while len(peers[0].received.stun) < 2:  # the commands before it are done
            peers[0].receive_one()
        for number in range(100):
            for n, peer in enumerate(peers[1:], 1):
                packet = RtpPacket(
                    payload_type=111,
                    sequence_number=number,
                    rtp_timestamp=number * 960,
                    ssrc=3000 + n,
                    payload=bytes([n]) * 80,
                )
                peer.send([peer.seal(packet)])
            while len(peers[0].received.rtp) < 7 * (number + 1):
                peers[0].receive_one()
        plane.remove_slot(0x10000 + 7)  # a command that nobody rings for
        peers[0].send([peers[0].check()])
        while len(peers[0].received.stun) < 3:
            peers[0].receive_one()
        assert plane.slot_stats(0x10000 + 7) is None
        assert peers[0].undecipherable == 0


def test_thread_that_lets_a_crowd_wait_serves_all() -> None:
    plane = new_plane()
    speakers = 24
    with running(plane) as port:
        publisher, listener = (SocketPeer(plane, port, n) for n in range(2))
        publisher.configure()
        listener.configure(types_out={OPUS: 110, VP8: 100})
        for n in range(speakers + 1):
            camera = n == speakers
            plane.add_stream(0x10000 + n, publisher.id, 3000 + n, 0, video=camera)
            plane.add_slot(0x10000 + n, listener.id, 4000 + n, 0, video=camera)
            plane.bind_slot(0x10000 + n, 0x10000 + n)
        publisher.connect()
        listener.connect()
        start = time.monotonic()
        for number in range(60):
            for n in range(speakers):  # at an even pace, so that the plane sees them one by one
                time.sleep(max(0.0, start + (number + n / speakers) * 0.02 - time.monotonic()))
                packet = RtpPacket(
                    payload_type=111,
                    sequence_number=number,
                    rtp_timestamp=number * 960,
                    ssrc=3000 + n,
                    payload=bytes([n]) * 80,
                )
                publisher.send([publisher.seal(packet)])
            if number >= 50:  # the camera is switched on
                picture = video(number, key=True, ssrc=3000 + speakers)
                publisher.send([publisher.seal(picture)])
            while len(listener.received.rtp) < (number + 1) * speakers + max(0, number - 49):
                listener.receive_one()
        assert listener.undecipherable == 0
        for n in range(speakers + 1):
            numbers = [p.sequence_number for p in listener.received.rtp if p.ssrc == 4000 + n]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_room_runs_on_a_thread() -> None:
    plane = new_plane()
    with running(plane) as port:
        peers = [SocketPeer(plane, port, n, profile=(AEAD, CM)[n % 2]) for n in range(5)]
        publisher, *subscribers = peers
        publisher.configure(transport_cc=True)
        for peer in subscribers:
            peer.configure(types_out={VP8: 100}, extensions_out={fp.EXTENSION_TRANSPORT_CC: 5})
        for peer in peers:
            peer.connect()
        plane.add_stream(STREAM, publisher.id, SSRC, 0, video=True)
        for n, peer in enumerate(subscribers):
            plane.add_slot(0x10000 + n, peer.id, OUT_SSRC, 0, video=True)
            plane.bind_slot(0x10000 + n, STREAM)
        while not publisher.received.rtcp:  # the key frame request
            publisher.receive_one()
        for frame in range(50):
            packets = [video(frame * 6 + n, key=frame == n == 0, size=900) for n in range(6)]
            publisher.send([publisher.seal(packet) for packet in packets])
            for peer in subscribers:
                while len(peer.received.rtp) < 6 * (frame + 1):
                    peer.receive_one()
        events = wait_for_events(plane, 5 + 1 + 4)
        kinds = [event[0] for event in events]
        assert kinds.count(fp.EVENT_VALIDATED) == 5
        assert kinds.count(fp.EVENT_SLOT_STARTED) == 4
        for peer in subscribers:
            assert peer.undecipherable == 0
            numbers = [p.sequence_number for p in peer.received.rtp]
            assert numbers == list(range(numbers[0], numbers[0] + 300))
        plane.remove_transport(subscribers[0].id)
        while not any(p.packet_type == 203 for p in subscribers[0].received.rtcp):
            subscribers[0].receive_one()
    counters = plane.counters()
    assert counters["socket_sent"] == counters["datagrams_out"]
    assert counters["socket_failed"] == 0


def test_dtls_passes_both_ways() -> None:
    plane = new_plane()
    with running(plane) as port:
        peer = SocketPeer(plane, port, 0)
        peer.connect()
        peer.send([b"\x16hello"])
        assert wait_for_events(plane, 2)[-1][3] == b"\x16hello"
        plane.send_datagram(peer.id, b"\x16world")
        peer.receive_one()
        assert peer.received.dtls == [b"\x16world"]


def test_two_planes_are_independent() -> None:
    first, second = new_plane(), new_plane()
    with running(first) as first_port, running(second) as second_port:
        # The same ids, ufrags and keys on both.
        peers = [SocketPeer(first, first_port, 0), SocketPeer(second, second_port, 0)]
        for peer in peers:
            peer.connect()
            peer.send([b"\x16from" + str(peer.address[1]).encode()])
        for peer, plane in zip(peers, (first, second), strict=True):
            events = wait_for_events(plane, 2)
            assert events[-1][3] == b"\x16from" + str(peer.address[1]).encode()
            assert plane.counters()["datagrams_in"] == 2


def test_commands_are_carried_out_while_nothing_comes_in() -> None:
    plane = new_plane()
    with running(plane) as port:
        peer = SocketPeer(plane, port, 0)
        peer.connect()
        assert plane.transport_stats(peer.id) is not None
        plane.remove_transport(peer.id)
        plane.add_transport(0x20000, b"next", b"password")
        peer.ufrag, peer.password = b"next", b"password"
        peer.received.stun.clear()
        peer.connect()
        assert plane.transport_stats(0x20000) is not None


def test_running_plane_is_not_driven_by_hand() -> None:
    plane = new_plane()
    with running(plane) as port:
        peer = SocketPeer(plane, port, 0)
        peer.connect()
        for call in (plane.next_timer, plane.datagrams_to_send, plane.close, plane.run):
            with pytest.raises(DataPlaneError):
                call()


def test_plane_serves_ipv4_and_ipv6_on_one_socket() -> None:
    plane = new_plane()
    with running(plane, "::") as port:
        peer = SocketPeer(plane, port, 0)
        peer.connect()
        ((_, _, _, address, _, _),) = wait_for_events(plane, 1)
        assert address == "127.0.0.1"


@pytest.mark.parametrize("bound", ["::", "0.0.0.0"])
def test_peers_hear_from_the_address_that_they_sent_to(bound: str) -> None:
    plane = new_plane()
    with running(plane, bound) as port:
        publisher = SocketPeer(plane, port, 0)
        hosts = [("127.0.0.1", "127.0.0.2"), ("127.0.0.3", "127.0.0.1"), ("127.0.0.1", "127.0.0.1")]
        if bound == "::" and has_ipv6():
            hosts.append(("::1", "::1"))
        subscribers = [
            SocketPeer(plane, port, n, from_host=from_host, to_host=to_host)
            for n, (from_host, to_host) in enumerate(hosts, 1)
        ]
        publisher.configure()
        for peer in (publisher, *subscribers):
            peer.connect()
        plane.add_stream(STREAM, publisher.id, SSRC, 0, video=True)
        for n, peer in enumerate(subscribers):
            peer.configure(types_out={VP8: 100})
            plane.add_slot(0x10000 + n, peer.id, OUT_SSRC, 0, video=True)
            plane.bind_slot(0x10000 + n, STREAM)
        while not publisher.received.rtcp:  # the key frame request
            publisher.receive_one()
        publisher.send([publisher.seal(video(n, key=n == 0, size=900)) for n in range(6)])
        for peer, (_, to_host) in zip(subscribers, hosts, strict=True):
            while len(peer.received.rtp) < 6:
                peer.receive_one()
            assert peer.undecipherable == 0
            assert plane.transport_stats(peer.id)["local_address"] == to_host  # type: ignore[index]
    assert plane.counters()["socket_failed"] == 0


def test_port_in_use_is_an_os_error() -> None:
    plane, other = new_plane(), new_plane()
    port = plane.bind("127.0.0.1", 0, receive_buffer=0, send_buffer=0)
    with pytest.raises(OSError, match=str(port)):
        other.bind("127.0.0.1", port, receive_buffer=0, send_buffer=0)
    plane.close()
