"""Two planes: one has the publisher, both have subscribers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from time import monotonic, sleep

import pytest

from router._fastpath import plane as fp
from router.errors import DataPlaneError
from router.rtp import (
    GenericNack,
    PictureLossIndication,
    RtpPacket,
    SenderReport,
    parse_sender_report,
)

from .peers import AEAD, CM, H264, OPUS, VP8, Peer, deliver, new_plane
from .room import (
    AUDIO_SSRC,
    AUDIO_STREAM,
    OUT_AUDIO_SSRC,
    OUT_RTX_SSRC,
    OUT_SSRC,
    RTX_SSRC,
    SSRC,
    STREAM,
    video,
)
from .test_plane_thread import PATIENCE, SocketPeer, running

COPY, AUDIO_COPY = 0x20005, 0x20006
SLOT, AUDIO_SLOT = 0x10000, 0x10001
LINK_SLOTS = 1024


@dataclass
class LinkedRoom:
    """A publisher on the first plane, and one subscriber on each."""

    planes: tuple[fp.DataPlane, fp.DataPlane]
    publisher: Peer
    near: Peer
    far: Peer
    now_us: int = 0

    def settle(self) -> None:
        """Let both planes do what is to be done now, and deliver it."""
        for _ in range(4):
            for plane in self.planes:
                plane.handle_timer(self.now_us)
        deliver(self.planes[0], [self.publisher, self.near])
        deliver(self.planes[1], [self.far])

    def publish(self, *packets: RtpPacket, after_us: int = 0) -> None:
        self.now_us += after_us
        self.publisher.send_rtp(list(packets), self.now_us)
        self.settle()

    def asked(self) -> int:
        """Return how many key frames the publisher was asked for."""
        return self.planes[0].counters()["pli_out"]


def subscribe(peer: Peer, stream_id: int, audio_stream_id: int) -> None:
    peer.configure(types_out={VP8: 100, H264: 102, OPUS: 110}, rtx_out={VP8: 101})
    peer.plane.add_slot(SLOT, peer.id, OUT_SSRC, OUT_RTX_SSRC, video=True)
    peer.plane.add_slot(AUDIO_SLOT, peer.id, OUT_AUDIO_SSRC, 0, video=False)
    peer.plane.bind_slot(SLOT, stream_id)
    peer.plane.bind_slot(AUDIO_SLOT, audio_stream_id)


def copy_streams(home: fp.DataPlane, other: fp.DataPlane) -> None:
    assert home.link(other)
    other.add_copy(COPY, home, STREAM, video=True)
    other.add_copy(AUDIO_COPY, home, AUDIO_STREAM, video=False)
    home.copy_stream(STREAM, other, COPY)
    home.copy_stream(AUDIO_STREAM, other, AUDIO_COPY)


def new_linked_room(*, far_profile: int = AEAD) -> LinkedRoom:
    home, other = new_plane(), new_plane()
    publisher = Peer(home, 0x10000)
    publisher.configure(reduced_size=True)
    publisher.connect(0)
    home.add_stream(STREAM, publisher.id, SSRC, RTX_SSRC, video=True)
    home.add_stream(AUDIO_STREAM, publisher.id, AUDIO_SSRC, 0, video=False)
    copy_streams(home, other)
    near, far = Peer(home, 0x10001), Peer(other, 0x10002, profile=far_profile)
    for peer in (near, far):
        peer.connect(0)
    subscribe(near, STREAM, AUDIO_STREAM)
    subscribe(far, COPY, AUDIO_COPY)
    room = LinkedRoom((home, other), publisher, near, far)
    room.settle()
    return room


def audio(seq: int) -> RtpPacket:
    return RtpPacket(
        payload_type=111,
        sequence_number=seq & 0xFFFF,
        rtp_timestamp=seq * 960,
        ssrc=AUDIO_SSRC,
        payload=bytes([seq & 0xFF]) * 40,
    )


def payloads(peer: Peer, ssrc: int) -> list[bytes]:
    return [packet.payload for packet in peer.received.rtp if packet.ssrc == ssrc]


@pytest.mark.parametrize("far_profile", [AEAD, CM])
def test_subscribers_of_both_planes_get_the_same(far_profile: int) -> None:
    room = new_linked_room(far_profile=far_profile)
    for n in range(200):
        room.publish(
            video(2 * n, key=n == 0, size=300 + n), video(2 * n + 1), audio(n), after_us=20_000
        )
    for peer in (room.near, room.far):
        assert peer.undecipherable == 0
        assert len(payloads(peer, OUT_SSRC)) == 400
        assert len(payloads(peer, OUT_AUDIO_SSRC)) == 200
    assert payloads(room.far, OUT_SSRC) == payloads(room.near, OUT_SSRC)
    assert payloads(room.far, OUT_AUDIO_SSRC) == payloads(room.near, OUT_AUDIO_SSRC)
    assert room.planes[0].stream_stats(STREAM)["copies"] == 1  # type: ignore[index]
    assert room.planes[0].counters()["link_out"] == room.planes[1].counters()["link_in"]


def test_a_packet_crosses_once_for_all_subscribers() -> None:
    room = new_linked_room()
    other = room.planes[1]
    more = []
    for n in range(5):
        peer = Peer(other, 0x10010 + n)
        peer.configure(types_out={VP8: 100})
        peer.connect(0)
        other.add_slot(0x10010 + n, peer.id, OUT_SSRC, 0, video=True)
        other.bind_slot(0x10010 + n, COPY)
        more.append(peer)
    room.settle()
    before = room.planes[0].counters()["link_out"]
    room.publish(video(1, key=True), after_us=1000)
    assert room.planes[0].counters()["link_out"] == before + 1
    deliver(other, [room.far, *more])
    assert other.counters()["rtp_out"] == 6


def ask_key_frame(room: LinkedRoom) -> None:
    request = PictureLossIndication(sender_ssrc=1, media_ssrc=OUT_SSRC)
    room.far.send_rtcp([request.to_packet()], room.now_us)


def test_key_frame_is_asked_for_across() -> None:
    room = new_linked_room()
    assert room.asked() == 1  # all that wait share one request
    room.publish(video(1, key=True), after_us=100_000)
    room.publish(video(2), after_us=1_000_000)
    ask_key_frame(room)
    room.settle()
    assert room.asked() == 2
    assert room.planes[1].counters()["pli_out"] == 0


def test_key_frame_is_asked_for_again_while_none_comes() -> None:
    room = new_linked_room()
    room.planes[0].bind_slot(SLOT, 0)
    for _ in range(40):
        room.now_us += 100_000
        room.settle()
    # Only the far subscriber waits; it asks through its own plane, and the throttle is the same.
    assert 5 <= room.asked() <= 9
    room.publish(video(1, key=True))
    asked = room.asked()
    for _ in range(20):
        room.now_us += 500_000
        room.settle()
    assert room.asked() == asked


def test_nack_is_answered_by_the_copy() -> None:
    room = new_linked_room()
    room.publish(video(1, key=True), video(2), video(3), after_us=1000)
    sent = [packet.sequence_number for packet in room.far.received.rtp if packet.ssrc == OUT_SSRC]
    room.far.received.rtp.clear()
    request = GenericNack(sender_ssrc=1, media_ssrc=OUT_SSRC, sequence_numbers=(sent[1],))
    room.far.send_rtcp([request.to_packet()], room.now_us)
    room.settle()
    (resent,) = room.far.received.rtp
    assert resent.ssrc == OUT_RTX_SSRC
    assert resent.payload[:2] == sent[1].to_bytes(2, "big")
    assert room.planes[0].counters()["nacks_in"] == 0
    assert room.planes[0].counters()["rtx_out"] == 0


def sender_reports(peer: Peer) -> dict[int, SenderReport]:
    """Return the last report of each SSRC."""
    reports = [parse_sender_report(p) for p in peer.received.rtcp if p.packet_type == 200]
    return {report.ssrc: report for report in reports}


def test_sender_reports_agree_on_both_planes() -> None:
    room = new_linked_room()
    room.publish(video(1, key=True), audio(1), after_us=1000)
    for ssrc, ntp, rtp_timestamp in (
        (SSRC, 7 << 32, 90_000),
        (AUDIO_SSRC, (7 << 32) + (1 << 31), 48_000),
    ):
        report = SenderReport(
            ssrc=ssrc, ntp=ntp, rtp_timestamp=rtp_timestamp, packet_count=1, octet_count=1
        )
        room.publisher.send_rtcp([report.to_packet()], room.now_us)
    for n in range(2, 400):
        room.publish(video(n), audio(n), after_us=20_000)
    near, far = sender_reports(room.near), sender_reports(room.far)
    assert set(near) == set(far) == {OUT_SSRC, OUT_AUDIO_SSRC}
    for ssrc, rate in ((OUT_SSRC, 90_000), (OUT_AUDIO_SSRC, 48_000)):
        # The slots of both began with the same packet, so their clocks are the same.
        seconds = (far[ssrc].ntp - near[ssrc].ntp) / (1 << 32)
        ticks = far[ssrc].rtp_timestamp - near[ssrc].rtp_timestamp
        ticks = (ticks + (1 << 31)) % (1 << 32) - (1 << 31)
        assert abs(ticks - seconds * rate) < rate / 100


def test_new_keys_of_the_publisher_restart_the_copy() -> None:
    room = new_linked_room()
    room.publish(video(40_000, key=True), after_us=1000)
    for n in range(40_001, 40_020):
        room.publish(video(n), after_us=1000)
    room.publisher.renew_keys()
    room.settle()
    room.publish(video(5, key=True), after_us=1_000_000)
    for n in range(6, 20):
        room.publish(video(n), after_us=1000)
    for peer in (room.near, room.far):
        assert peer.undecipherable == 0
        numbers = [p.sequence_number for p in peer.received.rtp if p.ssrc == OUT_SSRC]
        assert len(numbers) == 35
        assert numbers == list(range(numbers[0], numbers[0] + 35))


def test_what_finds_the_ring_full_is_counted_and_a_key_frame_asked_for() -> None:
    room = new_linked_room()
    home, other = room.planes
    room.publish(video(1, key=True), after_us=100_000)
    room.now_us += 1_000_000
    home.bind_slot(SLOT, 0)
    home.handle_timer(room.now_us)
    # The other plane does nothing meanwhile.
    for n in range(2, LINK_SLOTS + 52):
        room.publisher.send_rtp([video(n)], room.now_us)
    assert home.counters()["link_dropped"] == 50
    deliver(home, [room.publisher, room.near])
    for _ in range(LINK_SLOTS // 256):
        other.handle_timer(room.now_us)
    asked = room.asked()
    room.publish(video(LINK_SLOTS + 52))
    assert room.asked() == asked + 1
    room.publish(video(LINK_SLOTS + 53, key=True), after_us=1000)
    assert room.far.undecipherable == 0
    assert payloads(room.far, OUT_SSRC)[-1] == video(LINK_SLOTS + 53, key=True).payload


def test_the_end_of_a_copy_and_of_its_stream() -> None:
    room = new_linked_room()
    home, other = room.planes
    room.publish(video(1, key=True), audio(1), after_us=1000)
    home.copy_stream(STREAM, other, 0)
    room.settle()
    room.publish(video(2), audio(2), after_us=1000)
    assert len(payloads(room.far, OUT_SSRC)) == 1
    assert len(payloads(room.far, OUT_AUDIO_SSRC)) == 2
    other.remove_stream(COPY)
    other.remove_stream(AUDIO_COPY)
    room.settle()
    assert other.slot_stats(SLOT)["bound"] is False  # type: ignore[index]
    room.publish(audio(3), after_us=1000)  # its copy is still sent to
    assert other.counters()["link_stale"] == 1
    home.remove_transport(room.publisher.id)
    room.settle()
    assert other.counters()["streams"] == 0
    assert other.counters()["commands_refused"] == home.counters()["commands_refused"] == 0


def test_requests_for_a_stream_that_is_gone_change_nothing() -> None:
    room = new_linked_room()
    home, other = room.planes
    home.remove_stream(STREAM)
    home.handle_timer(room.now_us)
    room.now_us += 3_000_000
    ask_key_frame(room)
    other.bind_slot(SLOT, COPY)
    room.settle()
    assert home.counters()["link_stale"] > 0


def test_links_and_copies_are_limited() -> None:
    planes = [new_plane() for _ in range(9)]
    home = planes[0]
    with pytest.raises(ValueError, match="itself"):
        home.link(home)
    with pytest.raises(ValueError, match="not linked"):
        home.copy_stream(STREAM, planes[1], COPY)
    Peer(home, 0x10000)
    home.add_stream(STREAM, 0x10000, SSRC, 0, video=True)
    for plane in planes[1:]:
        assert home.link(plane)
        assert home.link(plane)
        assert plane.link(home)
        home.copy_stream(STREAM, plane, COPY)
    home.handle_timer(0)
    assert home.stream_stats(STREAM)["copies"] == 7  # type: ignore[index]
    assert home.counters()["commands_refused"] == 1
    with pytest.raises(ValueError, match="stream id 0"):
        home.add_copy(0, planes[1], STREAM, video=True)
    planes[1].add_copy(STREAM, home, STREAM, video=True)
    planes[1].add_copy(STREAM, home, STREAM, video=True)  # in use
    planes[1].handle_timer(0)
    assert planes[1].counters()["commands_refused"] == 1


def test_a_full_command_ring_makes_no_half_a_link() -> None:
    home, other = new_plane(), new_plane(command_slots=8)
    other.handle_timer(0)
    while other.remove_slot(1):
        pass
    assert not home.link(other)
    other.handle_timer(0)
    assert home.link(other)
    home.handle_timer(0)
    other.handle_timer(0)
    assert home.counters()["commands_refused"] == other.counters()["commands_refused"] == 0


@pytest.fixture
def closing_sockets() -> Iterator[None]:
    yield
    while SocketPeer.opened:
        SocketPeer.opened.pop().close()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline
        sleep(0.001)


def test_two_threads_over_sockets(closing_sockets: None) -> None:
    home, other = new_plane(), new_plane()
    with ExitStack() as stack:
        ports = [stack.enter_context(running(plane)) for plane in (home, other)]
        publisher = SocketPeer(home, ports[0], 0)
        publisher.configure(reduced_size=True)
        publisher.connect()
        home.add_stream(STREAM, publisher.id, SSRC, RTX_SSRC, video=True)
        home.add_stream(AUDIO_STREAM, publisher.id, AUDIO_SSRC, 0, video=False)
        copy_streams(home, other)
        subscribers = []
        for n, (plane, port) in enumerate(zip((home, other), ports, strict=True)):
            peer = SocketPeer(plane, port, 1 + n)
            peer.connect()
            subscribe(peer, *((STREAM, AUDIO_STREAM) if n == 0 else (COPY, AUDIO_COPY)))
            subscribers.append(peer)
        # The far subscriber asked for a key frame, and the near one is known too.
        wait_until(lambda: other.counters()["link_out"] > 0)
        wait_until(lambda: all(plane.counters()["slots"] == 2 for plane in (home, other)))
        wait_until(lambda: bool((home.slot_stats(SLOT) or {}).get("bound")))
        for n in range(300):
            publisher.send_rtp([video(2 * n, key=n % 50 == 0), video(2 * n + 1), audio(n)], 0)
            for peer in subscribers:
                while len(peer.received.rtp) < 3 * (n + 1):
                    peer.receive_one()
        for peer in subscribers:
            assert peer.undecipherable == 0
            assert len(payloads(peer, OUT_SSRC)) == 600
    assert home.counters()["link_dropped"] == 0
    with pytest.raises(DataPlaneError):
        home.run()  # closed
