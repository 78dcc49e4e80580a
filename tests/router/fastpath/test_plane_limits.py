"""One hostile peer costs the others, and the thread, no more than a bounded share."""

import struct

import pytest

from router._fastpath import plane as fp
from router._fastpath.srtp import SrtpSession
from router.rtp import PictureLossIndication, RtcpPacket

from .peers import AEAD, CM, Peer, deliver, new_plane
from .room import OUT_SSRC, SSRC, STREAM, Room, new_room, video

SECOND = 1_000_000
MILLISECOND = 1000


def key_frame_requests(room: Room) -> int:
    """Return how many PLIs the publisher got since the last call."""
    found = [p for p in room.publisher.received.rtcp if (p.packet_type, p.count) == (206, 1)]
    room.publisher.received.rtcp.clear()
    return len(found)


# Events


def test_flood_of_dtls_leaves_room_for_the_events_of_others() -> None:
    plane = new_plane(event_slots=64)
    hostile, other = Peer(plane, 0x10000), Peer(plane, 0x10001)
    hostile.connect(0)
    for n in range(500):
        hostile.send([b"\x16" + n.to_bytes(2, "big")], 0)
    other.connect(0)
    assert (fp.EVENT_VALIDATED, other.id) in [event[:2] for event in plane.next_events()]


def test_flood_of_dtls_is_cut_to_a_rate() -> None:
    plane = new_plane()
    hostile, other = Peer(plane, 0x10000), Peer(plane, 0x10001)
    hostile.connect(0)
    other.connect(0)
    plane.next_events()
    taken = 0
    for millisecond in range(1000):
        hostile.send([b"\x16flood"] * 20, millisecond * MILLISECOND)
        taken += len(plane.next_events(100))
    assert taken == pytest.approx(2500, rel=0.05)
    other.send([b"\x16hello"], SECOND)
    assert [event[1] for event in plane.next_events()] == [other.id]
    assert plane.counters()["events_limited"] > 15_000


def test_flood_of_addresses_and_goodbyes_is_cut_to_a_rate() -> None:
    room = new_room()
    publisher = room.publisher
    bye = RtcpPacket(packet_type=203, count=31, body=struct.pack("!I", SSRC) * 31)
    publisher.send_rtcp([bye] * 8, 0)
    for port in range(2000):
        check = publisher.check()
        room.plane.receive_datagrams([(check, ("203.0.113.9", 1024 + port))], 0)
    room.plane.datagrams_to_send()
    assert len(room.plane.next_events(5000)) == 512


def test_peer_that_validates_while_the_ring_is_full_is_told_of_later() -> None:
    plane = new_plane(event_slots=4)
    peers = [Peer(plane, 0x10000 + n) for n in range(6)]
    for peer in peers:
        peer.connect(0)
    told = [event[1:] for event in plane.next_events()]
    assert len(told) == 4
    assert 0 <= plane.next_timer() < 50 * MILLISECOND
    plane.handle_timer(plane.next_timer())
    told += [event[1:] for event in plane.next_events()]
    assert [(event[0], event[-1]) for event in told] == [(peer.id, True) for peer in peers]
    assert [event[2:4] for event in told] == [peer.address for peer in peers]


def test_consent_that_is_lost_while_the_ring_is_full_is_told_of_later() -> None:
    plane = new_plane(event_slots=4)
    peers = [Peer(plane, 0x10000 + n) for n in range(6)]
    for peer in peers:
        peer.connect(0)
        plane.next_events()
    plane.handle_timer(31 * SECOND)
    told = plane.next_events()
    assert len(told) == 4
    # One comes back before it was told that it went: both are told, in order.
    back = next(peer for peer in peers if peer.id not in [event[1] for event in told])
    back.connect(31 * SECOND)
    plane.next_events()
    plane.handle_timer(31 * SECOND + 20 * MILLISECOND)
    told += plane.next_events()
    lost = [event[1] for event in told if event[0] == fp.EVENT_CONSENT_LOST]
    assert sorted(lost) == [peer.id for peer in peers]
    assert plane.counters()["consent_lost"] == 6


def test_peer_that_is_removed_before_it_was_told_of_leaves_no_timer() -> None:
    plane = new_plane(event_slots=2)
    for n in range(4):
        Peer(plane, 0x10000 + n).connect(0)
    for n in range(4):
        plane.remove_transport(0x10000 + n)
    plane.handle_timer(0)
    assert plane.next_timer() == -1


def test_stream_that_starts_while_the_ring_is_full_is_told_of_later() -> None:
    room = new_room(bind=False)
    plane = room.plane
    ring = fp.DataPlane(max_transports=64, max_streams=64, max_slots=4, event_slots=2, seed=1)
    ring.define_codec(2, fp.FORMAT_VP8, 90000)
    publisher = Peer(ring, 0x10000)
    publisher.configure()
    publisher.connect(0)
    for n in range(4):
        ring.add_stream(n + 1, publisher.id, 100 + n, 0, video=True)
    publisher.send_rtp([video(0, ssrc=100 + n) for n in range(4)], 0)
    started = [event[1] for event in ring.next_events() if event[0] == fp.EVENT_STREAM_STARTED]
    assert len(started) < 4
    for number in range(1, 3):
        publisher.send_rtp([video(number, ssrc=100 + n) for n in range(4)], number)
        started += [event[1] for event in ring.next_events()]
    assert sorted(started) == [1, 2, 3, 4]
    assert plane.counters()["events_dropped"] == 0


# Feedback


def test_nacks_for_everything_are_looked_up_only_so_often() -> None:
    room = new_room()
    subscriber = room.subscribers[0]
    room.publish(video(0, key=True))
    pairs = b"".join(struct.pack("!HH", n * 17 & 0xFFFF, 0xFFFF) for n in range(30))
    packet = RtcpPacket(packet_type=205, count=1, body=struct.pack("!II", 1, OUT_SSRC) + pairs)
    for millisecond in range(100):
        for _ in range(10):
            subscriber.send_rtcp([packet] * 10, millisecond * MILLISECOND)
    counters = room.plane.counters()
    assert counters["nacked_packets"] == 510 * 10 * 1000
    assert counters["nack_misses"] <= 2048 + 4 * 100
    assert counters["nack_limited"] == counters["nacked_packets"] - counters["nack_misses"]


def test_subscriber_that_asks_for_key_frames_all_the_time_gets_few() -> None:
    """Each one costs the publisher, and with it all others, a burst or quality."""
    room = new_room(subscribers=2)
    greedy, modest = room.subscribers
    room.publish(video(0, key=True))
    key_frame_requests(room)
    pli = PictureLossIndication(sender_ssrc=1, media_ssrc=OUT_SSRC).to_packet()
    requests = 0
    for turn in range(1, 101):
        for peer in (room.publisher, greedy, modest):
            peer.connect(room.now_us)
        greedy.send_rtcp([pli, pli], room.now_us)
        room.run(600 * MILLISECOND)
        asked = key_frame_requests(room)
        requests += asked > 0
        room.publish(video(turn, key=asked > 0))
        key_frame_requests(room)
    assert requests <= 4 + 60 / 4 + 1
    modest.send_rtcp([pli], room.now_us)
    room.deliver()
    assert key_frame_requests(room) == 1


def test_key_frame_that_was_lost_again_is_asked_for_again() -> None:
    room = new_room()
    room.publish(video(0, key=True))
    pli = PictureLossIndication(sender_ssrc=1, media_ssrc=OUT_SSRC).to_packet()
    for turn in range(1, 5):
        room.run(600 * MILLISECOND)
        key_frame_requests(room)
        room.subscribers[0].send_rtcp([pli], room.now_us)
        room.deliver()
        assert key_frame_requests(room) == 1
        room.publish(video(turn, key=True))


def test_requests_end_with_the_last_subscriber() -> None:
    room = new_room()
    room.run(SECOND)
    assert key_frame_requests(room)
    room.plane.remove_slot(room.slots[0])
    room.run(10 * SECOND)
    key_frame_requests(room)
    room.run(60 * SECOND)
    assert key_frame_requests(room) == 0


# Reports


def test_every_stream_of_a_peer_is_reported() -> None:
    plane = new_plane()
    publisher = Peer(plane, 0x10000)
    publisher.configure(remb=True)
    publisher.connect(0)
    for n in range(60):
        plane.add_stream(n + 1, publisher.id, 100 + n, 0, video=True)
    publisher.send_rtp([video(0, ssrc=100 + n) for n in range(60)], 0)
    plane.handle_timer(2 * SECOND)
    deliver(plane, [publisher])
    reported = set()
    for datagram in publisher.received.rtcp_datagrams:
        for packet in datagram:
            if packet.packet_type == 201:
                reported |= {
                    struct.unpack_from("!I", packet.body, 4 + 24 * block)[0]
                    for block in range(packet.count)
                }
    assert reported == {100 + n for n in range(60)}
    assert plane.counters()["remb_out"] == 1


def test_sender_reports_that_contradict_each_other_date_nothing() -> None:
    room = new_room(audio=True)
    room.publish(video(0, key=True, rtp_ts=1000))

    def report(ssrc: int, ntp: int) -> RtcpPacket:
        body = struct.pack("!IQIII", ssrc, ntp, 5000, 1, 1)
        return RtcpPacket(packet_type=200, count=0, body=body)

    room.publisher.send_rtcp([report(SSRC, 1 << 62), report(1113, 1 << 63)], room.now_us)
    room.run(4 * SECOND)
    room.subscribers[0].received.rtcp.clear()
    room.publish(video(1, rtp_ts=1000 + 4 * 90_000))
    room.run(2 * SECOND)
    last = room.subscribers[0].received.rtp[-1].rtp_timestamp
    reports = [p for p in room.subscribers[0].received.rtcp if p.packet_type == 200]
    dated = struct.unpack_from("!I", reports[-1].body, 12)[0]
    assert 0 <= (dated - last) & 0xFFFFFFFF <= 2 * 90_000


def test_jitter_of_any_timestamps_is_a_number() -> None:
    room = new_room()
    for turn in range(20):
        room.publish(video(turn, key=turn == 0, rtp_ts=(turn % 2) << 31))
    stats = room.plane.stream_stats(STREAM)
    assert stats is not None
    assert 0 < stats["jitter"] <= 1 << 31


# Output


@pytest.mark.parametrize("profile", [AEAD, CM])
@pytest.mark.parametrize(("size", "messages"), [(1300, 1), (1440, 5)])
def test_packets_that_a_frame_cannot_carry_join_no_run(
    profile: int, size: int, messages: int
) -> None:
    """The kernel refuses a run of them, and a plane that is refused often gives runs up."""
    room = new_room(subscriber_profile=profile)
    room.publish(video(0, key=True))
    before = room.plane.counters()["messages_out"]
    key = room.publisher.send_key
    session = SrtpSession(AEAD, key[:16], key[16:])  # libsrtp's binding takes no longer ones
    room.publisher.send(
        [session.seal(video(n, size=size).serialize()) for n in range(1, 6)], room.now_us
    )
    room.deliver()
    assert len(room.subscribers[0].received.rtp) == 6
    assert room.plane.counters()["messages_out"] - before == messages
