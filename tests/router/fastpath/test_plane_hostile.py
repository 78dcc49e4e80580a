"""Whatever peers and strangers send: no crash, no growth, no more bytes back than came in."""

import random
import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router._fastpath import plane as fp
from router.rtp import PictureLossIndication, RtpPacket

from .peers import Peer
from .room import RTX_SSRC, SSRC, STREAM, Room, new_room, video

STRANGER = ("203.0.113.66", 666)


def snapshot(room: Room) -> tuple[object, ...]:
    counters = room.plane.counters()
    return (
        counters["transports"],
        counters["streams"],
        counters["slots"],
        counters["rtp_out"],
        room.plane.stream_stats(STREAM),
    )


def samples(room: Room) -> list[bytes]:
    """One valid datagram of each protocol."""
    publisher = room.publisher
    rtx = RtpPacket(
        payload_type=97, sequence_number=9, rtp_timestamp=0, ssrc=RTX_SSRC, payload=b"\0\1\x10\0"
    )
    return [
        publisher.check(nominate=True),
        b"\x16\xfe\xfd" + bytes(50),
        publisher.seal(video(1, key=True, extensions=((3, b"\0\1"), (4, b"mid")))),
        publisher.seal(rtx),
        publisher.seal_rtcp([PictureLossIndication(sender_ssrc=1, media_ssrc=2).to_packet()]),
    ]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(datagrams=st.lists(st.binary(max_size=200), max_size=20))
def test_strangers_get_no_more_bytes_than_they_sent(datagrams: list[bytes]) -> None:
    room = new_room()
    before = snapshot(room)
    for data in datagrams:
        room.plane.receive_datagrams([(data, STRANGER)], 1000)
        sent = room.plane.datagrams_to_send()
        assert sum(len(answer) for answer, _ in sent) <= len(data)
        assert all(to == STRANGER for _, to in sent)
    assert room.plane.next_events() == []
    assert snapshot(room) == before


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    which=st.integers(0, 4),
    edits=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 300),
    from_peer=st.booleans(),
)
def test_broken_datagrams_are_dropped(
    which: int, edits: list[tuple[int, int]], cut: int, from_peer: bool
) -> None:
    room = new_room()
    original = samples(room)[which]
    data = bytearray(original)
    for at, value in edits:
        data[at % len(data)] = value
    data = data[: len(data) - cut % len(data)]
    if bytes(data) == original:
        return
    before = snapshot(room)
    source = room.publisher.address if from_peer else STRANGER
    room.plane.receive_datagrams([(bytes(data), source)], 1000)
    assert snapshot(room) == before
    if not from_peer:
        answered = sum(len(answer) for answer, _ in room.plane.datagrams_to_send())
        assert answered <= len(data)
        assert all(event[0] != fp.EVENT_DATAGRAM for event in room.plane.next_events())


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    bodies=st.lists(
        st.tuples(st.integers(190, 210), st.integers(0, 255), st.binary(max_size=120)), max_size=8
    )
)
def test_authenticated_nonsense_does_no_harm(bodies: list[tuple[int, int, bytes]]) -> None:
    """A participant with keys sends RTCP and RTP of any content."""
    room = new_room(publisher_options={"transport_cc": True})
    room.publish(video(0, key=True))
    for packet_type, first, body in bodies:
        words = len(body) // 4
        head = struct.pack("!BBHI", 0x80 | first & 0x3F, packet_type, words, SSRC)
        try:
            rtcp = room.publisher._sender.protect_rtcp(head + body)
            room.publisher.send([rtcp], 1000)
            rtp = room.publisher._sender.protect(
                struct.pack("!BBHII", 0x80 | first & 0x3F, 96, len(body), 7, SSRC) + body
            )
        except Exception:  # libsrtp refuses to seal some of it
            continue
        room.publisher.send([rtp], 1000)
    room.run(3_000_000)
    room.publish(video(2000, key=True))
    assert room.publisher.undecipherable == 0
    assert room.plane.counters()["transports"] == 2


def test_long_random_flood_leaves_the_room_working() -> None:
    room = new_room()
    rng = random.Random(9)
    room.publish(video(0, key=True))
    sources = [room.publisher.address, room.subscribers[0].address, STRANGER]
    for _ in range(3000):
        first = rng.choice([0, 1, 22, 128, 144, 128, 191, rng.randrange(256)])
        data = bytes([first]) + rng.randbytes(rng.randrange(0, 1500))
        room.plane.receive_datagrams([(data, rng.choice(sources))], 1000)
    room.plane.datagrams_to_send()
    room.plane.next_events(10_000)
    room.publish(video(1))
    assert len(room.subscribers[0].received.rtp) == 2
    assert room.subscribers[0].undecipherable == 0


def test_checks_that_restart_often_are_bounded() -> None:
    room = new_room()
    peer = Peer(room.plane, 0x10020)
    for n in range(500):
        room.plane.restart_transport(peer.id, b"again%d" % n, b"password")
    room.plane.handle_timer(0)
    peer.connect(1)
    assert len(peer.received.stun) == 1
    room.plane.remove_transport(peer.id)
    room.plane.handle_timer(2)
    assert room.plane.counters()["commands_refused"] == 0
