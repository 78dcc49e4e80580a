"""From a publisher to its subscribers: opening, deduplication, rewriting of headers, sealing."""

import random

import pytest

from router._fastpath import plane as fp
from router.rtp import RtpPacket, parse_vp8
from router.rtp.header_extensions import parse_abs_send_time

from .peers import AEAD, AV1, CM, DATA, H264, OPUS, PCMU, VP8, VP9, Peer, deliver, new_plane
from .room import OUT_SSRC, SSRC, STREAM, new_room, video


@pytest.mark.parametrize("profile", [AEAD, CM])
@pytest.mark.parametrize("subscriber_profile", [AEAD, CM])
def test_packets_reach_every_subscriber(profile: int, subscriber_profile: int) -> None:
    room = new_room(subscribers=20, profile=profile, subscriber_profile=subscriber_profile)
    sizes = [1000, 1000, 1000, 700, 1000, 1100, 30, 0, 1000]
    sent = [video(n, key=n == 0, size=size) for n, size in enumerate(sizes)]
    room.publish(*sent)
    for subscriber in room.subscribers:
        assert subscriber.undecipherable == 0
        assert [p.payload for p in subscriber.received.rtp] == [p.payload for p in sent]
        assert {p.ssrc for p in subscriber.received.rtp} == {OUT_SSRC}
        assert {p.payload_type for p in subscriber.received.rtp} == {100}
        assert [p.marker for p in subscriber.received.rtp] == [True] * len(sent)
        first = subscriber.received.rtp[0].sequence_number
        assert [(p.sequence_number - first) & 0xFFFF for p in subscriber.received.rtp] == list(
            range(len(sent))
        )


def test_runs_of_equal_packets_leave_as_one_message() -> None:
    room = new_room(subscribers=3)
    before = room.plane.counters()["messages_out"]
    room.publish(*(video(n, key=n == 0, size=1000 if n < 9 else 400) for n in range(10)))
    assert room.plane.counters()["messages_out"] - before == 3


def test_extensions_are_mapped_by_kind() -> None:
    room = new_room(
        extensions_out={
            fp.EXTENSION_AUDIO_LEVEL: 7,
            fp.EXTENSION_VIDEO_ORIENTATION: 14,
            fp.EXTENSION_MID: 9,
            fp.EXTENSION_DEPENDENCY_DESCRIPTOR: 5,
        }
    )
    elements = ((1, b"\x85"), (4, b"mid"), (9, b"?"), (10, b"h"), (12, b"\x03"))
    room.publish(
        video(0, key=True, extensions=elements),
        video(1, extensions=((13, bytes(16)), (12, b"\x01"))),
        video(2),
    )
    received = [dict(p.extensions) for p in room.subscribers[0].received.rtp]
    assert received == [{7: b"\x85", 14: b"\x03"}, {5: bytes(16), 14: b"\x01"}, {}]


ONE_BYTE, TWO_BYTE = 0xBEDE, 0x1000


def profile_of(data: bytes) -> int:
    """Return the profile of the header extension, which SRTP leaves in the clear."""
    assert data[0] & 0x10
    return int.from_bytes(data[12:14], "big")


@pytest.mark.parametrize("appbits", [0, 1, 15])
def test_two_byte_elements_reach_subscribers_in_the_one_byte_form(appbits: int) -> None:
    out = {fp.EXTENSION_AUDIO_LEVEL: 7, fp.EXTENSION_VIDEO_ORIENTATION: 14}
    room = new_room(
        extensions_out=out,
        publisher_options={
            "extensions_in": {
                1: fp.EXTENSION_AUDIO_LEVEL,
                4: fp.EXTENSION_MID,
                200: fp.EXTENSION_VIDEO_ORIENTATION,
            }
        },
    )
    elements = ((200, b"\x03"), (4, b"a mid of more than sixteen"), (9, b""), (1, b"\x85"))
    plain = bytearray(video(0, key=True, extensions=elements).serialize())
    assert plain[12:14] == TWO_BYTE.to_bytes(2, "big")
    plain[13] |= appbits
    room.publisher.send([bytes(room.publisher._sender.protect(bytes(plain)))], 0)
    ((sent, _),) = [s for s in room.deliver() if 128 <= s[0][0] <= 191 and s[0][1] & 127 == 100]
    assert profile_of(sent) == ONE_BYTE
    (received,) = room.subscribers[0].received.rtp
    assert dict(received.extensions) == {7: b"\x85", 14: b"\x03"}


@pytest.mark.parametrize("mixed", [False, True])
def test_long_elements_are_for_subscribers_that_take_both_forms(mixed: bool) -> None:
    room = new_room()
    room.subscribers[0].configure(
        types_out={VP8: 100},
        extensions_out={fp.EXTENSION_DEPENDENCY_DESCRIPTOR: 5, fp.EXTENSION_VIDEO_ORIENTATION: 14},
        extmap_allow_mixed=mixed,
    )
    descriptor = bytes(range(40))
    room.publish(video(0, key=True, extensions=((13, descriptor), (12, b"\x01"))))
    room.publish(video(1, extensions=((13, b"short"), (12, b"\x01"))))
    long, short = (dict(p.extensions) for p in room.subscribers[0].received.rtp)
    assert long == ({5: descriptor, 14: b"\x01"} if mixed else {14: b"\x01"})
    assert short == {5: b"short", 14: b"\x01"}
    assert room.plane.counters()["rtp_header_too_long"] == (0 if mixed else 1)


def test_transport_numbers_and_send_times_are_our_own() -> None:
    room = new_room(
        extensions_out={fp.EXTENSION_TRANSPORT_CC: 3, fp.EXTENSION_ABS_SEND_TIME: 2}, audio=True
    )
    room.now_us = 5_250_000
    audio = RtpPacket(payload_type=111, sequence_number=9, rtp_timestamp=9, ssrc=1113, payload=b"a")
    room.publish(video(0, key=True, extensions=((3, b"\x77\x77"), (2, b"abc"))), video(1), audio)
    received = room.subscribers[0].received.rtp
    numbers = [int.from_bytes(p.extension(3) or b"", "big") for p in received]
    assert [(n - numbers[0]) & 0xFFFF for n in numbers] == [0, 1, 2]
    times = [parse_abs_send_time(p.extension(2) or b"") for p in received]
    # The plane's wall clock starts at 1970 by hand, and 2,208,988,800 is a multiple of 64.
    assert times == pytest.approx([5.25] * 3, abs=1e-5)


def test_codec_that_the_subscriber_does_not_take_is_dropped() -> None:
    room = new_room()
    room.publish(
        RtpPacket(
            payload_type=98, sequence_number=0, rtp_timestamp=0, ssrc=SSRC, payload=b"\x08key"
        )
    )
    assert room.subscribers[0].received.rtp == []
    assert room.plane.counters()["rtp_unmapped_payload"] == 1


def test_unknown_payload_type_is_dropped() -> None:
    room = new_room()
    room.publish(
        RtpPacket(payload_type=35, sequence_number=0, rtp_timestamp=0, ssrc=SSRC, payload=b"x")
    )
    assert room.plane.counters()["rtp_unknown_payload"] == 1


KEY_AND_DELTA = [
    (96, b"\x10\x00key", b"\x10\x01delta"),
    (102, b"\x67sps", b"\x41slice"),
    (102, b"\x7c\x85idr", b"\x7c\x05more"),
    (102, b"\x78\x00\x01\x67\x00\x01\x68", b"\x78\x00\x01\x41"),
    (98, b"\x08key", b"\x48delta"),
    (45, b"\x18key", b"\x10delta"),
]


@pytest.mark.parametrize(("payload_type", "key", "delta"), KEY_AND_DELTA)
def test_video_starts_at_a_key_frame(payload_type: int, key: bytes, delta: bytes) -> None:
    room = new_room(bind=False)
    subscriber = room.subscribers[0]
    subscriber.configure(types_out={2: 100, H264: 102, VP9: 98, AV1: 45})
    room.plane.bind_slot(room.slots[0], STREAM)

    def packet(seq: int, payload: bytes) -> RtpPacket:
        return RtpPacket(
            payload_type=payload_type,
            sequence_number=seq,
            rtp_timestamp=0,
            ssrc=SSRC,
            payload=payload,
        )

    room.publish(packet(5, delta), packet(6, delta))
    assert subscriber.received.rtp == []
    room.publish(packet(7, key), packet(8, delta))
    room.publish(packet(4, delta))  # older than the start
    assert [p.payload for p in subscriber.received.rtp] == [key, delta]
    events = [event[:2] for event in room.plane.next_events()]
    assert events == [(fp.EVENT_STREAM_STARTED, STREAM), (fp.EVENT_SLOT_STARTED, room.slots[0])]


def test_audio_and_opaque_video_start_at_once() -> None:
    plane = new_plane()
    publisher, subscriber = Peer(plane, 0x10000), Peer(plane, 0x10001)
    publisher.configure(types_in={111: OPUS, 50: DATA})
    subscriber.configure(types_out={OPUS: 109, DATA: 51})
    for peer in (publisher, subscriber):
        peer.connect(0)
    for n, is_video in enumerate((False, True)):
        plane.add_stream(0x10000 + n, publisher.id, 100 + n, 0, video=is_video)
        plane.add_slot(0x10000 + n, subscriber.id, 200 + n, 0, video=is_video)
        plane.bind_slot(0x10000 + n, 0x10000 + n)
    for payload_type, ssrc in ((111, 100), (50, 101)):
        publisher.send_rtp(
            [
                RtpPacket(
                    payload_type=payload_type,
                    sequence_number=1,
                    rtp_timestamp=1,
                    ssrc=ssrc,
                    payload=b"any",
                )
            ],
            0,
        )
    deliver(plane, [publisher, subscriber])
    assert [(p.ssrc, p.payload_type) for p in subscriber.received.rtp] == [(200, 109), (201, 51)]


def test_payload_type_zero_is_one_like_others() -> None:
    plane = new_plane()
    publisher, g711, opus = (Peer(plane, 0x10000 + n) for n in range(3))
    publisher.configure(types_in={0: PCMU, 111: OPUS})
    g711.configure(types_out={PCMU: 0})
    opus.configure(types_out={OPUS: 0, DATA: 5})
    silent = Peer(plane, 0x10003)  # never configured
    for peer in (publisher, g711, opus, silent):
        peer.connect(0)
    plane.add_stream(1, publisher.id, 100, 0, video=False)
    for n, peer in enumerate((g711, opus, silent)):
        plane.add_slot(0x10000 + n, peer.id, 200, 0, video=False)
        plane.bind_slot(0x10000 + n, 1)
    packets = [
        RtpPacket(
            payload_type=payload_type,
            sequence_number=n,
            rtp_timestamp=160 * n,
            ssrc=100,
            payload=bytes([n]) * 160,
            marker=n == 1,
        )
        for n, payload_type in enumerate((0, 0, 111, 0))
    ]
    publisher.send_rtp(packets, 0)
    deliver(plane, [publisher, g711, opus, silent])
    assert [(p.payload_type, p.payload[0], p.marker) for p in g711.received.rtp] == [
        (0, 0, False),
        (0, 1, True),
        (0, 3, False),
    ]
    assert [(p.payload_type, p.payload[0]) for p in opus.received.rtp] == [(0, 2)]
    assert silent.received.rtp == []
    assert plane.counters()["rtp_unmapped_payload"] == 1 + 3 + 4


def test_duplicates_and_replays_are_dropped() -> None:
    room = new_room()
    first, second = (room.publisher.seal(video(n, key=n == 0)) for n in range(2))
    room.publisher.send([first, second, first, second], 0)
    room.publisher.send([first], 1000)
    room.deliver()
    assert len(room.subscribers[0].received.rtp) == 2
    assert room.plane.counters()["srtp_replayed"] == 3


def test_late_packets_are_forwarded_in_their_place() -> None:
    room = new_room()
    room.publish(video(0, key=True), video(3), video(2))
    room.publish(video(1))
    received = room.subscribers[0].received.rtp
    first = received[0].sequence_number
    assert [(p.sequence_number - first) & 0xFFFF for p in received] == [0, 3, 2, 1]


def test_forged_packets_change_nothing() -> None:
    room = new_room()
    room.publish(video(0, key=True))
    rng = random.Random(1)
    good = room.publisher.seal(video(1))
    for _ in range(200):
        forged = bytearray(good)
        forged[rng.randrange(len(forged))] ^= 1 << rng.randrange(8)
        room.publisher.send([bytes(forged)], 0)
    room.publisher.send([good], 0)
    room.deliver()
    assert len(room.subscribers[0].received.rtp) == 2
    assert room.plane.stream_stats(STREAM)["packets"] == 2  # type: ignore[index]


def test_media_from_an_address_that_is_not_validated_is_dropped() -> None:
    room = new_room()
    data = room.publisher.seal(video(0, key=True))
    room.plane.receive_datagrams([(data, ("203.0.113.1", 1))], 0)
    room.deliver()
    assert room.subscribers[0].received.rtp == []
    assert room.plane.counters()["srtp_unvalidated"] == 1


@pytest.mark.parametrize("profile", [AEAD, CM])
def test_streams_go_on_over_roll_overs_of_both_sequence_numbers(profile: int) -> None:
    room = new_room(profile=profile, subscriber_profile=profile)
    start = 65000
    for n in range(0, 70000, 35):
        room.publisher.send_rtp(
            [video(start + n + m, key=n == 0, rtp_ts=n, size=1) for m in range(0, 35, 5)], n * 100
        )
        room.deliver()
    subscriber = room.subscribers[0]
    assert subscriber.undecipherable == 0
    assert room.publisher.undecipherable == 0
    assert len(subscriber.received.rtp) == 70000 // 5
    counters = room.plane.counters()
    assert counters["srtp_unauthenticated"] == counters["srtp_replayed"] == 0


def test_first_packet_may_come_after_a_roll_over_that_nobody_saw() -> None:
    room = new_room()
    # libsrtp's sender counts these, but the plane never gets them.
    for seq in range(65530, 65536):
        room.publisher.seal(video(seq))
    room.publisher.seal(video(0))
    room.publish(video(1, key=True), video(2))
    assert len(room.subscribers[0].received.rtp) == 2


def test_stream_that_is_added_again_keeps_its_roll_over_counter() -> None:
    room = new_room()
    room.publish(video(65535, key=True))
    room.publish(video(0))
    room.plane.remove_stream(STREAM)
    room.plane.add_stream(STREAM + 0x10000, room.publisher.id, SSRC, 0, video=True)
    room.plane.bind_slot(room.slots[0], STREAM + 0x10000)
    room.publish(video(1, key=True))
    assert len(room.subscribers[0].received.rtp) == 3
    assert room.plane.counters()["srtp_unauthenticated"] == 0


def test_padding_is_taken_off() -> None:
    room = new_room()
    padded = RtpPacket(
        payload_type=96,
        sequence_number=1,
        rtp_timestamp=0,
        ssrc=SSRC,
        payload=b"\x10\x01data",
        padding=200,
    )
    room.publish(video(0, key=True), padded)
    received = room.subscribers[0].received.rtp[1:]
    assert [(p.payload, p.padding) for p in received] == [(b"\x10\x01data", 0)]


def test_unknown_ssrc_is_reported_once_with_its_ids() -> None:
    plane = new_plane()
    peer = Peer(plane, 0x10000)
    peer.configure()
    peer.connect(0)
    plane.next_events()
    ids = ((4, b"0"), (10, b"hi"), (11, b"lo"))
    plain = [video(n, ssrc=77) for n in range(2)]
    identified = [video(n, ssrc=77, extensions=ids) for n in range(2, 5)]
    peer.send_rtp([*plain, *identified], 5)
    assert plane.next_events() == [
        (fp.EVENT_SSRC, peer.id, 5, 77, 96, b"", b"", b""),
        (fp.EVENT_SSRC, peer.id, 5, 77, 96, b"0", b"hi", b"lo"),
    ]
    assert plane.counters()["rtp_unknown_ssrc"] == 5


def test_memory_for_unknown_ssrcs_is_bounded() -> None:
    plane = new_plane(event_slots=256)
    peer = Peer(plane, 0x10000)
    peer.configure()
    peer.connect(0)
    plane.next_events()
    for ssrc in range(100, 200):
        peer.send_rtp([video(0, ssrc=ssrc)], 0)
    assert len(plane.next_events()) == 16
    peer.send_rtp([video(0, ssrc=300)], 11_000_000)
    assert [event[3] for event in plane.next_events()] == [300]


def test_slot_continues_over_streams_without_a_seam() -> None:
    room = new_room()
    plane, subscriber = room.plane, room.subscribers[0]
    plane.add_stream(0x10005, room.publisher.id, 5555, 0, video=True)
    room.publish(video(100, key=True, rtp_ts=90_000, picture_id=7, tl0=200), after_us=0)
    room.publish(video(101, rtp_ts=93_000, picture_id=8, tl0=201), after_us=33_333)
    plane.bind_slot(room.slots[0], 0x10005)
    room.publish(
        video(60000, ssrc=5555, rtp_ts=1, picture_id=0x7FF0, tl0=3), after_us=0
    )  # no key frame
    room.publish(
        video(60001, ssrc=5555, key=True, rtp_ts=500, picture_id=0x7FF1, tl0=4), after_us=100_000
    )
    room.publish(video(102, rtp_ts=96_000, picture_id=9, tl0=202))  # of the stream before
    room.publish(video(60002, ssrc=5555, rtp_ts=3500, picture_id=0x7FF2, tl0=5), after_us=33_333)
    received = subscriber.received.rtp
    first = received[0].sequence_number
    assert [(p.sequence_number - first) & 0xFFFF for p in received] == [0, 1, 2, 3]
    assert [p.rtp_timestamp for p in received] == [90_000, 93_000, 102_000, 105_000]
    descriptors = [parse_vp8(p.payload)[0] for p in received]
    assert [d.picture_id for d in descriptors] == [7, 8, 9, 10]
    assert [d.tl0_picture_index for d in descriptors] == [200, 201, 202, 203]
    assert [parse_vp8(p.payload)[1][0] & 1 for p in received] == [0, 1, 0, 1]


def test_unbound_slot_is_silent() -> None:
    room = new_room()
    room.publish(video(0, key=True))
    room.plane.bind_slot(room.slots[0], 0)
    room.publish(video(1))
    assert len(room.subscribers[0].received.rtp) == 1
    assert room.plane.slot_stats(room.slots[0])["bound"] is False  # type: ignore[index]
