"""
SRTP indices: none is sealed twice under one key, and receivers can follow them.

With AES-GCM a repeated nonce gives the authentication key away, with AES-CM the plaintexts.
"""

import pytest

from router._fastpath import plane as fp
from router.rtp import GenericNack, RtpPacket

from .peers import AEAD, CM, OPUS, VP8, Peer
from .room import (
    AUDIO_SSRC,
    OUT_RTX_SSRC,
    OUT_SSRC,
    RTX_SSRC,
    SSRC,
    STREAM,
    Room,
    new_room,
    video,
)
from .seals import SealWatch

SECOND = 1_000_000


class Watched:
    """The first subscriber of a room, and everything that it was sent."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.peer = room.subscribers[0]
        self.seals = SealWatch(profile=self.peer.profile)

    def publish(self, *packets: RtpPacket) -> None:
        self.room.publisher.send_rtp(list(packets), self.room.now_us)
        self.deliver()

    def deliver(self) -> None:
        for data, destination in self.room.deliver():
            if destination == self.peer.address:
                self.seals.note(data)

    def nack(self, number: int, ssrc: int = OUT_SSRC) -> None:
        packet = GenericNack(sender_ssrc=1, media_ssrc=ssrc, sequence_numbers=(number & 0xFFFF,))
        self.peer.send_rtcp([packet.to_packet()], self.room.now_us)
        self.deliver()

    def numbers(self, ssrc: int = OUT_SSRC) -> list[int]:
        """Return the sequence numbers that the peer could open."""
        return [p.sequence_number for p in self.peer.received.rtp if p.ssrc == ssrc]


def slot_again(watched: Watched, generation: int, rtx_ssrc: int = OUT_RTX_SSRC) -> int:
    """Remove the slot of a generation and add it anew, with the same SSRCs."""
    plane, room = watched.room.plane, watched.room
    old = (room.slots[0] & 0xFFFF) | generation << 16
    plane.remove_slot(old)
    plane.add_slot(old + 0x10000, watched.peer.id, OUT_SSRC, rtx_ssrc, video=True)
    return old + 0x10000


@pytest.mark.parametrize("profile", [AEAD, CM])
def test_publisher_with_new_keys_does_not_turn_its_subscribers_numbers_back(profile: int) -> None:
    room = new_room(subscriber_profile=profile)
    watched = Watched(room)
    watched.publish(*(video(n, key=n == 100) for n in range(100, 120)))
    room.publisher.renew_keys()
    watched.publish(*(video(n, size=300) for n in range(105, 110)))
    watched.publish(*(video(n, key=n == 110, size=300) for n in range(110, 120)))
    assert watched.seals.reused == []
    numbers = watched.numbers()
    assert numbers == [numbers[0] + n for n in range(30)]
    assert watched.peer.undecipherable == 0


def test_publisher_with_new_keys_is_forwarded_again_from_a_key_frame_on() -> None:
    room = new_room()
    watched = Watched(room)
    watched.publish(video(40_000, key=True), video(40_001))
    room.run(SECOND)
    room.publisher.received.rtcp.clear()
    room.publisher.renew_keys()
    room.run(SECOND)
    assert (206, 1) in [(p.packet_type, p.count) for p in room.publisher.received.rtcp]
    watched.publish(video(7), video(8, key=True), video(9))
    assert len(watched.numbers()) == 4


def test_slot_that_was_added_again_and_sent_nothing_remembers_all_the_same() -> None:
    room = new_room()
    watched = Watched(room)
    watched.publish(*(video(n, key=n == 0) for n in range(10)))
    watched.nack(watched.numbers()[3])
    slot_again(watched, 1)
    slot = slot_again(watched, 2)
    room.plane.bind_slot(slot, STREAM)
    watched.publish(*(video(n, key=n == 10, size=300) for n in range(10, 20)))
    watched.nack(watched.numbers()[-2])
    assert watched.seals.reused == []
    assert watched.numbers() == [watched.numbers()[0] + n for n in range(20)]
    first, second = watched.numbers(OUT_RTX_SSRC)
    assert second == first + 1


def test_any_number_of_slots_can_be_removed_and_added_again() -> None:
    """A subscriber turns the directions of all its sections, twice in a second."""
    room = new_room(bind=False)
    watched = Watched(room)
    plane = room.plane
    for generation in range(1, 4):
        for n in range(50):
            slot = 0x50 + n | generation << 16
            plane.add_slot(slot, watched.peer.id, 5000 + n, 6000 + n, video=True)
            plane.bind_slot(slot, STREAM)
        key = 10 * generation
        watched.publish(*(video(key + n, key=n == 0, size=100 + key) for n in range(4)))
        for n in range(50):
            watched.nack(watched.numbers(5000 + n)[-1], 5000 + n)
            plane.remove_slot(0x50 + n | generation << 16)
        watched.deliver()
    assert watched.seals.reused == []
    for n in range(50):
        numbers = watched.numbers(5000 + n)
        assert numbers == [numbers[0] + k for k in range(12)]


def test_transport_that_forgot_an_ssrc_takes_no_slot_that_could_be_it() -> None:
    room = new_room(bind=False)
    watched = Watched(room)
    plane = room.plane
    for n in range(5000):
        slot = 0x60 | n + 1 << 16
        plane.add_slot(slot, watched.peer.id, 10_000 + n, 0, video=True)
        plane.bind_slot(slot, STREAM)
        watched.publish(video(n, key=True, size=20))
        plane.remove_slot(slot)
        watched.deliver()
        plane.next_events()
    refused = plane.counters()["commands_refused"]
    assert 800 < refused < 1000
    # One that is remembered may come back, and new keys make everything possible again.
    plane.add_slot(0x61 | 1 << 16, watched.peer.id, 10_000, 0, video=True)
    plane.handle_timer(room.now_us)
    assert plane.counters()["commands_refused"] == refused
    watched.peer.renew_keys()
    plane.add_slot(0x62 | 1 << 16, watched.peer.id, 77, 0, video=True)
    plane.handle_timer(room.now_us)
    assert plane.counters()["commands_refused"] == refused
    assert watched.seals.reused == []


def test_new_keys_let_plain_resends_start_anew() -> None:
    room = new_room(rtx=False)
    watched = Watched(room)
    watched.publish(*(video(1000 * n, key=n == 0) for n in range(20)))
    watched.peer.configure(types_out={VP8: 99, OPUS: 110})
    watched.peer.renew_keys()
    watched.seals = SealWatch()
    watched.peer.received.rtp.clear()
    watched.publish(video(19_001, key=True), video(19_002))
    watched.nack(watched.numbers()[0])
    assert room.plane.counters()["resent_plain"] == 1
    assert watched.seals.reused == []


@pytest.mark.parametrize("profile", [AEAD, CM])
def test_receiver_that_was_away_can_follow_when_it_is_back(profile: int) -> None:
    """The publisher went on by more than 2^15 packets, which the numbers alone do not tell."""
    room = new_room(subscriber_profile=profile)
    watched = Watched(room)
    watched.publish(video(0, key=True), video(1))
    room.run(40 * SECOND)
    for number in (20_000, 40_000, 60_000):
        room.publisher.connect(room.now_us)
        watched.publish(video(number))
    room.publisher.received.rtcp.clear()
    watched.peer.connect(room.now_us)
    room.run(SECOND)
    assert (206, 1) in [(p.packet_type, p.count) for p in room.publisher.received.rtcp]
    watched.publish(video(60_001), video(60_002, key=True), video(60_003))
    assert watched.peer.undecipherable == 0
    assert watched.numbers() == [watched.numbers()[0] + n for n in range(4)]


def test_publisher_that_jumps_does_not_make_its_subscribers_jump() -> None:
    room = new_room(audio=True)
    subscriber = room.subscribers[0]
    for turn in range(40):
        number = turn * 30_000 & 0xFFFF
        packet = RtpPacket(
            payload_type=111,
            sequence_number=number,
            rtp_timestamp=turn * 960,
            ssrc=AUDIO_SSRC,
            payload=b"opus",
        )
        room.publish(packet, video(number, key=turn % 2 == 0))
    assert subscriber.undecipherable == 0
    sound = [p.sequence_number for p in subscriber.received.rtp if p.ssrc != OUT_SSRC]
    assert sound == [sound[0] + n for n in range(40)]
    pictures = [p.sequence_number for p in subscriber.received.rtp if p.ssrc == OUT_SSRC]
    assert pictures == [pictures[0] + n for n in range(20)]
    # A stream that jumps all the time is still told once.
    started = [e for e in room.plane.next_events() if e[0] == fp.EVENT_SLOT_STARTED]
    assert len(started) == 2


def test_losses_that_can_be_repaired_stay_visible() -> None:
    room = new_room()
    room.publish(video(0, key=True), video(1000))
    first, second = (p.sequence_number for p in room.subscribers[0].received.rtp)
    assert second - first == 1000


def test_stream_that_is_added_again_takes_no_old_packets() -> None:
    room = new_room()
    old = [room.publisher.seal(video(n, key=True)) for n in range(3)]
    room.publisher.send(old, 0)
    room.plane.remove_stream(STREAM)
    room.plane.add_stream(STREAM + 0x10000, room.publisher.id, SSRC, RTX_SSRC, video=True)
    room.plane.bind_slot(room.slots[0], STREAM + 0x10000)
    room.publisher.send(old, 1000)
    room.deliver()
    assert len(room.subscribers[0].received.rtp) == 3
    assert room.plane.counters()["srtp_replayed"] == 3
    room.publish(video(3, key=True))
    assert len(room.subscribers[0].received.rtp) == 4


def test_retransmission_stream_that_is_exchanged_keeps_its_counter() -> None:
    room = new_room()
    room.publish(video(0, key=True), video(2))
    for number in (65535, 0, 30_000, 60_000, 0):  # two roll-overs
        room.publish(rtx(number, 1))
    room.plane.set_stream_rtx(STREAM, 4444)
    room.plane.set_stream_rtx(STREAM, RTX_SSRC)
    room.publish(video(4))
    room.publish(rtx(1, 3))
    assert room.plane.counters()["srtp_unauthenticated"] == 0
    assert room.plane.counters()["rtp_recovered"] == 2


def rtx(number: int, repaired: int) -> RtpPacket:
    """An RTX packet of the publisher."""
    return RtpPacket(
        payload_type=97,
        sequence_number=number,
        rtp_timestamp=repaired * 3000,
        ssrc=RTX_SSRC,
        payload=repaired.to_bytes(2, "big") + video(repaired).payload,
    )


def test_unknown_packets_are_not_taken_twice() -> None:
    """A replayed packet must not keep an address alive."""
    room = new_room()
    stranger = room.publisher.seal(video(5, ssrc=999))
    room.publisher.send([stranger], 0)
    before = room.plane.transport_stats(room.publisher.id)
    room.publisher.send([stranger], SECOND)
    after = room.plane.transport_stats(room.publisher.id)
    assert before is not None
    assert after is not None
    assert before["authenticated_at_us"] == after["authenticated_at_us"]


def test_many_removed_streams_keep_their_roll_over_counters() -> None:
    plane = fp.DataPlane(max_transports=4, max_streams=64, max_slots=4, seed=1)
    publisher = Peer(plane, 0x10000)
    publisher.configure()
    publisher.connect(0)
    for n in range(40):
        plane.add_stream(n + 1, publisher.id, 100 + n, 0, video=True)
    for number in (65_535, 0, 30_000, 60_000, 0):  # two roll-overs
        publisher.send_rtp([video(number, ssrc=100 + n) for n in range(40)], 0)
    for n in range(40):
        plane.remove_stream(n + 1)
    for n in range(40):
        plane.add_stream(n + 1, publisher.id, 100 + n, 0, video=True)
    publisher.send_rtp([video(1, ssrc=100 + n) for n in range(40)], 0)
    assert plane.counters()["srtp_unauthenticated"] == 0
