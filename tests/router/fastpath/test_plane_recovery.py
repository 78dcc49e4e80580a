"""Lost packets: asked for upward, resent downward, with RTX and without."""

import random

import pytest

from router._fastpath import plane as fp
from router._fastpath.srtp import SrtpSession
from router.rtp import (
    GenericNack,
    RtpPacket,
    parse_nack,
    parse_packet,
    unwrap_rtx,
    wrap_rtx,
)

from .peers import AEAD, CM, VP8, deliver, vp8_payload
from .room import OUT_RTX_SSRC, OUT_SSRC, RTX_SSRC, STREAM, Room, new_room, video

MILLISECOND = 1000


def nacked_upward(room: Room) -> list[int]:
    """Return what the publisher was asked for since the last call."""
    packets = [p for p in room.publisher.received.rtcp if (p.packet_type, p.count) == (205, 1)]
    room.publisher.received.rtcp.clear()
    return [seq for p in packets for seq in parse_nack(p).sequence_numbers]


def nack(room: Room, *numbers: int, ssrc: int = OUT_SSRC) -> None:
    """Let the first subscriber ask for packets."""
    subscriber = room.subscribers[0]
    packet = GenericNack(
        sender_ssrc=1, media_ssrc=ssrc, sequence_numbers=tuple(n & 0xFFFF for n in numbers)
    )
    subscriber.received.rtp.clear()
    subscriber.send_rtcp([packet.to_packet()], room.now_us)
    room.deliver()


def test_missing_packets_are_asked_for() -> None:
    room = new_room()
    room.publish(video(65534, key=True), video(65535 + 3))
    room.run(6 * MILLISECOND)
    assert nacked_upward(room) == [65535, 0, 1]


def test_reordered_packets_are_not_asked_for() -> None:
    room = new_room()
    room.publish(video(0, key=True), video(2))
    room.publish(video(1), after_us=4 * MILLISECOND)
    room.run(100 * MILLISECOND)
    assert nacked_upward(room) == []


def test_long_gap_asks_for_a_key_frame_instead() -> None:
    room = new_room()
    room.publish(video(0, key=True))
    room.run(600 * MILLISECOND)
    room.publisher.received.rtcp.clear()
    room.publish(video(5000))
    room.run(10 * MILLISECOND)
    assert [(p.packet_type, p.count) for p in room.publisher.received.rtcp] == [(206, 1)]


@pytest.mark.parametrize("profile", [AEAD, CM])
def test_retransmission_from_the_publisher_fills_the_gap(profile: int) -> None:
    room = new_room(profile=profile)
    lost = video(1, picture_id=3)
    room.publish(video(0, key=True), video(2))
    room.run(6 * MILLISECOND)
    assert nacked_upward(room) == [1]
    rtx = wrap_rtx(lost, payload_type=97, sequence_number=700, ssrc=RTX_SSRC)
    room.publish(rtx, after_us=20 * MILLISECOND)
    room.publish(lost)  # late after all: a duplicate now
    room.run(500 * MILLISECOND)
    assert nacked_upward(room) == []
    received = room.subscribers[0].received.rtp
    first = received[0].sequence_number
    assert [(p.sequence_number - first) & 0xFFFF for p in received] == [0, 2, 1]
    assert received[2].payload == lost.payload
    stats = room.plane.stream_stats(STREAM)
    assert stats is not None
    assert (stats["recovered"], stats["packets"], stats["lost"]) == (1, 3, 0)


def test_retransmission_counts_though_nobody_waits_for_it() -> None:
    room = new_room()
    room.publish(video(0, key=True), video(2))
    room.run(1500 * MILLISECOND)  # longer than a packet is asked for
    asked = len(nacked_upward(room))
    late, newest = video(1), video(3)
    room.publish(wrap_rtx(late, payload_type=97, sequence_number=1, ssrc=RTX_SSRC))
    room.publish(wrap_rtx(newest, payload_type=97, sequence_number=2, ssrc=RTX_SSRC))
    room.run(1500 * MILLISECOND)
    assert asked > 1
    assert nacked_upward(room) == []
    assert len(room.subscribers[0].received.rtp) == 4
    assert room.plane.counters()["rtp_recovered"] == 2


def test_packets_asked_for_in_vain_are_counted() -> None:
    room = new_room()
    room.publish(video(0, key=True), video(4))
    room.run(1500 * MILLISECOND)
    room.publish(wrap_rtx(video(2), payload_type=97, sequence_number=1, ssrc=RTX_SSRC))
    room.publish(video(6), video(200), video(300))  # more are missing than are remembered
    room.run(10 * MILLISECOND)
    room.publish(video(1000))  # the stream begins anew: what was missing is of no use
    stats = room.plane.stream_stats(STREAM)
    assert stats is not None
    # 1 to 3 in time, the oldest of 5 to 299 for lack of room, the others at the restart.
    assert stats["given_up"] == 3 + 37 + 256
    assert room.plane.counters()["rtp_given_up"] == stats["given_up"]


def test_rtx_ssrc_may_be_learned_later() -> None:
    room = new_room()
    room.plane.set_stream_rtx(STREAM, 0)
    lost = video(1)
    room.publish(video(0, key=True), video(2))
    room.run(0)
    packets = [
        wrap_rtx(lost, payload_type=97, sequence_number=n & 0xFFFF, ssrc=4444)
        for n in range(65535, 65538)
    ]
    room.publish(packets[0], packets[1])  # the roll-over happens before anybody knows the SSRC
    unknown = [event for event in room.plane.next_events() if event[0] == fp.EVENT_SSRC]
    assert [event[3:5] for event in unknown] == [(4444, 97)]
    room.plane.set_stream_rtx(STREAM, 4444)
    room.publish(packets[2])
    assert len(room.subscribers[0].received.rtp) == 3
    assert room.plane.stream_stats(STREAM)["recovered"] == 1  # type: ignore[index]


def test_duplicate_and_empty_retransmissions_are_dropped() -> None:
    room = new_room()
    packet = video(0, key=True)
    room.publish(packet)
    room.publish(wrap_rtx(packet, payload_type=97, sequence_number=1, ssrc=RTX_SSRC))
    room.publish(
        RtpPacket(payload_type=97, sequence_number=2, rtp_timestamp=0, ssrc=RTX_SSRC, padding=200)
    )
    assert len(room.subscribers[0].received.rtp) == 1
    counters = room.plane.counters()
    assert (counters["rtp_duplicate"], counters["rtp_padding_only"]) == (1, 1)


@pytest.mark.parametrize("subscriber_profile", [AEAD, CM])
def test_subscriber_is_served_by_rtx(subscriber_profile: int) -> None:
    room = new_room(
        subscriber_profile=subscriber_profile,
        extensions_out={fp.EXTENSION_TRANSPORT_CC: 3, fp.EXTENSION_VIDEO_ORIENTATION: 4},
    )
    sent = [video(n, key=n == 0, extensions=((12, b"\x02"),)) for n in range(40)]
    room.publish(*sent)
    received = list(room.subscribers[0].received.rtp)
    wanted = [received[n].sequence_number for n in (3, 4, 30)]
    nack(room, *wanted)
    answers = room.subscribers[0].received.rtp
    assert room.subscribers[0].undecipherable == 0
    assert {(p.ssrc, p.payload_type) for p in answers} == {(OUT_RTX_SSRC, 101)}
    first = answers[0].sequence_number
    assert [p.sequence_number for p in answers] == [first, first + 1, first + 2]
    originals = [unwrap_rtx(p, payload_type=100, ssrc=OUT_SSRC) for p in answers]
    for n, original in zip((3, 4, 30), originals, strict=True):
        assert original.sequence_number == received[n].sequence_number
        assert original.payload == sent[n].payload
        assert original.rtp_timestamp == received[n].rtp_timestamp
        assert original.extension(4) == b"\x02"
    # A resent packet has a transport-wide number of its own.
    numbers = [int.from_bytes(p.extension(3) or b"", "big") for p in (received[-1], *answers)]
    assert [n - numbers[0] for n in numbers] == [0, 1, 2, 3]


LARGEST = 4048
"""Bytes of an SRTP packet that the plane takes."""


def largest(room: Room, seq: int, *, key: bool = False, more: int = 0) -> tuple[RtpPacket, bytes]:
    """Return a packet and its sealed form of ``LARGEST + more`` bytes; pylibsrtp has no room."""
    profile, secret = room.publisher.profile, room.publisher.send_key
    session = SrtpSession(profile, secret[:16], secret[16:])
    size = LARGEST + more - 12 - session.tag_length - len(vp8_payload(0, picture_id=1, tl0=1))
    packet = video(seq, key=key, picture_id=seq, tl0=seq, size=size)
    sealed = session.seal(packet.serialize())
    assert len(sealed) == LARGEST + more
    return packet, sealed


@pytest.mark.parametrize("profile", [AEAD, CM])
@pytest.mark.parametrize("subscriber_profile", [AEAD, CM])
def test_largest_packets_are_forwarded_and_resent(profile: int, subscriber_profile: int) -> None:
    room = new_room(
        profile=profile,
        subscriber_profile=subscriber_profile,
        extensions_out={fp.EXTENSION_TRANSPORT_CC: 3, fp.EXTENSION_ABS_SEND_TIME: 4},
    )
    subscriber = room.subscribers[0]
    secret = subscriber.receive_key
    session = SrtpSession(subscriber_profile, secret[:16], secret[16:])

    def received() -> list[RtpPacket]:
        opened = [session.open(data) for data, _ in room.plane.datagrams_to_send()]
        return [parse_packet(data or b"") for data in opened]

    room.publish(video(0, key=True, picture_id=0, tl0=0))
    # Pointed at the stream again, the slot has picture ids of its own, which are patched in.
    room.plane.bind_slot(room.slots[0], STREAM)
    packets = [largest(room, n, key=n == 1) for n in range(1, 6)]
    room.publisher.send([sealed for _, sealed in packets], 0)
    first = received()
    assert [len(p.payload) for p in first] == [len(p.payload) for p, _ in packets]
    feedback = GenericNack(
        sender_ssrc=1,
        media_ssrc=OUT_SSRC,
        sequence_numbers=tuple(p.sequence_number for p in first),
    )
    subscriber.send_rtcp([feedback.to_packet()], 0)
    again = [unwrap_rtx(p, payload_type=100, ssrc=OUT_SSRC) for p in received()]
    assert [p.payload for p in again] == [p.payload for p in first]
    _, sealed = largest(room, 6, more=1)
    room.publisher.send([sealed], 0)
    assert received() == []
    assert room.plane.counters()["malformed"] == 1


@pytest.mark.parametrize("subscriber_profile", [AEAD, CM])
def test_subscriber_without_rtx_gets_the_same_bytes_again(subscriber_profile: int) -> None:
    room = new_room(
        subscriber_profile=subscriber_profile,
        rtx=False,
        extensions_out={fp.EXTENSION_TRANSPORT_CC: 3, fp.EXTENSION_VIDEO_ORIENTATION: 4},
    )
    packets = [video(n, key=n == 0, extensions=((12, b"\x02"),)) for n in range(5)]
    room.publisher.send_rtp(packets, 0)
    sent = [data for data, _ in deliver(room.plane, room.subscribers) if data[0] >> 6 == 2]
    numbers = [p.sequence_number for p in room.subscribers[0].received.rtp]
    request = GenericNack(sender_ssrc=1, media_ssrc=OUT_SSRC, sequence_numbers=(numbers[2],))
    room.subscribers[0].send_rtcp([request.to_packet()], 50 * MILLISECOND)
    assert [data for data, _ in room.plane.datagrams_to_send()] == [sent[2]]
    assert room.plane.slot_stats(room.slots[0])["plain_resends"] == 1  # type: ignore[index]


def test_packets_are_not_resent_plain_after_ids_were_renegotiated() -> None:
    room = new_room(rtx=False)
    room.publish(video(0, key=True), video(1))
    number = room.subscribers[0].received.rtp[1].sequence_number
    room.subscribers[0].configure(
        types_out={VP8: 100}, extensions_out={fp.EXTENSION_VIDEO_ORIENTATION: 4}
    )
    nack(room, number)
    assert room.subscribers[0].received.rtp == []
    room.publish(video(2))
    number = room.subscribers[0].received.rtp[0].sequence_number
    nack(room, number)
    assert room.plane.slot_stats(room.slots[0])["plain_resends"] == 1  # type: ignore[index]


def test_resends_of_one_packet_are_limited() -> None:
    room = new_room()
    room.publish(video(0, key=True), video(1))
    number = room.subscribers[0].received.rtp[1].sequence_number
    answers = 0
    for _ in range(100):
        nack(room, number)
        answers += len(room.subscribers[0].received.rtp)
        room.now_us += 10 * MILLISECOND
    assert answers == 6
    assert room.plane.counters()["nack_limited"] == 94


def test_request_that_is_repeated_early_is_answered() -> None:
    room = new_room()
    room.publish(video(0, key=True), video(1))
    number = room.subscribers[0].received.rtp[1].sequence_number
    answers = []
    for after_us in (0, 4 * MILLISECOND, 15 * MILLISECOND):
        room.now_us += after_us
        nack(room, number)
        answers.append(len(room.subscribers[0].received.rtp))
    assert answers == [1, 0, 1]  # after 4 ms the first answer may still be on its way


def test_resends_have_a_budget() -> None:
    room = new_room()
    room.publish(*(video(n, key=n == 0, size=1000) for n in range(60)))
    room.publish(*(video(n, size=1000) for n in range(60, 120)))
    numbers = [p.sequence_number for p in room.subscribers[0].received.rtp]
    answers = 0
    for _ in range(6):
        nack(room, *numbers)
        answers += len(room.subscribers[0].received.rtp)
        room.now_us += 30 * MILLISECOND
    # 64 KiB to begin with, and half of what was sent.
    assert 110 <= answers <= 130


def test_packets_from_before_the_slot_was_repointed_are_not_resent() -> None:
    room = new_room()
    room.plane.add_stream(0x10005, room.publisher.id, 5555, 0, video=True)
    room.publish(video(0, key=True), video(1), video(2))
    old = [p.sequence_number for p in room.subscribers[0].received.rtp]
    room.plane.bind_slot(room.slots[0], 0x10005)
    room.publish(video(8, key=True, ssrc=5555), video(9, ssrc=5555), after_us=1000)
    nack(room, *old)
    assert room.subscribers[0].received.rtp == []
    assert room.plane.counters()["nack_misses"] == 3


@pytest.mark.parametrize(("number", "ssrc"), [(20000, OUT_SSRC), (0, 99), (0, OUT_RTX_SSRC)])
def test_nacks_for_what_was_never_sent_are_ignored(number: int, ssrc: int) -> None:
    room = new_room()
    room.publish(video(0, key=True))
    nack(room, room.subscribers[0].received.rtp[0].sequence_number + number, ssrc=ssrc)
    assert room.subscribers[0].received.rtp == []


def test_packet_that_has_left_the_store_is_not_resent() -> None:
    room = new_room()
    for start in range(0, 1100, 50):
        room.publish(*(video(start + n, key=start + n == 0, size=1) for n in range(50)))
    numbers = [p.sequence_number for p in room.subscribers[0].received.rtp]
    nack(room, numbers[0], numbers[70], numbers[80])
    assert len(room.subscribers[0].received.rtp) == 1


class LossySubscriber:
    """Loses packets, asks for them, and notes when each one is there."""

    def __init__(self, room: Room, loss: float, rng: random.Random) -> None:
        self.room = room
        self.peer = room.subscribers[0]
        self.loss = loss
        self.rng = rng
        self.payloads: dict[int, bytes] = {}
        self.first = -1
        self.highest = 0

    def take(self) -> None:
        for packet in self.peer.received.rtp:
            if self.first >= 0 and self.rng.random() < self.loss:
                continue
            if packet.ssrc == OUT_RTX_SSRC:
                packet = unwrap_rtx(packet, payload_type=100, ssrc=OUT_SSRC)
            if self.first < 0:
                self.first = packet.sequence_number
            offset = (packet.sequence_number - self.first) & 0xFFFF
            self.payloads[offset] = packet.payload
            self.highest = max(self.highest, offset)
        self.peer.received.rtp.clear()

    def ask(self) -> None:
        missing = [n for n in range(self.highest) if n not in self.payloads][-40:]
        if missing and self.rng.random() >= self.loss:
            request = GenericNack(
                sender_ssrc=1,
                media_ssrc=OUT_SSRC,
                sequence_numbers=tuple((self.first + n) & 0xFFFF for n in missing),
            )
            self.peer.send_rtcp([request.to_packet()], self.room.now_us)


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
def test_losses_on_both_sides_are_recovered(loss: float) -> None:
    room = new_room()
    rng = random.Random(3)
    subscriber = LossySubscriber(room, loss, rng)
    sent: list[RtpPacket] = []
    rtx_seq = 0
    for n in range(700):
        room.now_us += 5 * MILLISECOND
        batch = []
        if n < 500:
            sent.append(video(n, key=n == 0, picture_id=n))
            batch.append(sent[n])
        for seq in nacked_upward(room):
            rtx_seq += 1
            batch.append(
                wrap_rtx(sent[seq], payload_type=97, sequence_number=rtx_seq, ssrc=RTX_SSRC)
            )
        # The last packet is not lost: nothing behind it would show that it is missing.
        kept = [p for p in batch if n in (0, 499) or rng.random() >= loss]
        room.publisher.send_rtp(kept, room.now_us)
        room.plane.handle_timer(room.now_us)
        room.deliver()
        subscriber.take()
        if n % 4 == 0:
            subscriber.ask()
    stats = room.plane.stream_stats(STREAM)
    assert stats is not None
    assert stats["packets"] + stats["lost"] == 500
    assert len(subscriber.payloads) >= 500 - 3
    assert all(subscriber.payloads[n] == sent[n].payload for n in subscriber.payloads)
    assert room.publisher.undecipherable == room.subscribers[0].undecipherable == 0
