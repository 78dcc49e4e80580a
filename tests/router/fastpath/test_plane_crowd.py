"""Sound waits for a tick where subscribers hear many speakers; nothing else does."""

import random

import pytest

from router._fastpath import plane as fp
from router.rtp import RtpPacket

from .peers import AEAD, CM, OPUS, VP8, Peer, deliver, new_plane
from .room import OUT_SSRC, SSRC, STREAM, video

TICK_US = 4000
FRAME_US = 20000
CROWD, FEW = 24, 12
FIRST_STREAM, FIRST_SLOT, FIRST_SSRC, FIRST_OUT_SSRC = 0x10010, 0x10020, 3000, 4000
COPY = 0x20010


def sound(speaker: int, number: int, size: int = 60) -> RtpPacket:
    return RtpPacket(
        payload_type=111,
        sequence_number=number & 0xFFFF,
        rtp_timestamp=number * 960,
        ssrc=FIRST_SSRC + speaker,
        payload=random.Random(1000 * speaker + number).randbytes(size),
        extensions=((1, b"\x12"),),
    )


class Crowd:
    """
    A publisher with a camera and many microphones, and listeners to all of it.

    Time goes on in :meth:`speak` and :meth:`wait_until`, which let the plane do what is due.
    """

    def __init__(
        self,
        speakers: int,
        *,
        profile: int = AEAD,
        listeners: int = 2,
        plane: fp.DataPlane | None = None,
    ) -> None:
        self.plane = plane or new_plane()
        self.now_us = 0
        self.numbers = [1] * speakers
        self.sent_at: dict[tuple[int, int], int] = {}
        self.delays_us: list[int] = []
        self.publisher = Peer(self.plane, 0x10000, profile=profile)
        self.publisher.configure()
        self.publisher.connect(0)
        self.plane.add_stream(STREAM, self.publisher.id, SSRC, 0, video=True)
        for n in range(speakers):
            self.plane.add_stream(
                FIRST_STREAM + n, self.publisher.id, FIRST_SSRC + n, 0, video=False
            )
        self.listeners = [Peer(self.plane, 0x10001 + n, profile=profile) for n in range(listeners)]
        for at, peer in enumerate(self.listeners):
            peer.configure(types_out={VP8: 100, OPUS: 110})
            peer.connect(0)
            self.plane.add_slot(0x10000 + at, peer.id, OUT_SSRC, 0, video=True)
            self.plane.bind_slot(0x10000 + at, STREAM)
            for n in range(speakers):
                slot = FIRST_SLOT + at * speakers + n
                self.plane.add_slot(slot, peer.id, FIRST_OUT_SSRC + n, 0, video=False)
                self.plane.bind_slot(slot, FIRST_STREAM + n)
        self.plane.handle_timer(0)
        self.deliver()
        self.heard: list[list[tuple[int, bytes]]] = [[] for _ in self.listeners]
        self.seen = 0

    def deliver(self) -> None:
        deliver(self.plane, [self.publisher, *self.listeners])

    def collect(self) -> None:
        """Note how long the packets that came took."""
        self.deliver()
        if not self.listeners:
            return
        for packet in self.listeners[0].received.rtp[self.seen :]:
            if packet.ssrc != OUT_SSRC:
                key = (packet.ssrc - FIRST_OUT_SSRC, packet.rtp_timestamp)
                if key in self.sent_at:
                    self.delays_us.append(self.now_us - self.sent_at.pop(key))
        self.seen = len(self.listeners[0].received.rtp)

    def wait_until(self, at_us: int) -> None:
        while 0 <= self.plane.next_timer() <= at_us:
            self.now_us = max(self.now_us, self.plane.next_timer())
            self.plane.handle_timer(self.now_us)
            self.collect()
        self.now_us = at_us

    def speak(self, at_us: int, *speakers: int, size: int = 60) -> None:
        """Let these send a packet each, as one wake-up."""
        self.wait_until(at_us)
        packets = []
        for speaker in speakers:
            packets.append(sound(speaker, self.numbers[speaker], size))
            self.sent_at[speaker, packets[-1].rtp_timestamp] = at_us
            self.numbers[speaker] += 1
        self.publisher.send_rtp(packets, at_us)
        self.collect()

    def talk(self, frames: int) -> None:
        """Let all speak for so many frames, one after another."""
        start_us = self.now_us
        for frame in range(frames):
            for n in range(len(self.numbers)):
                at_us = start_us + frame * FRAME_US + n * FRAME_US // len(self.numbers)
                self.speak(at_us, n)
        self.wait_until(start_us + frames * FRAME_US)

    def tick(self) -> int:
        """Wait for a tick; return its time."""
        at_us = (self.now_us // TICK_US + 1) * TICK_US
        self.wait_until(at_us)
        return at_us

    def came(self) -> int:
        """Return how many packets each listener got since it was asked last."""
        numbers = {len(peer.received.rtp) for peer in self.listeners}
        for peer in self.listeners:
            peer.received.rtp.clear()
        self.seen = 0
        assert len(numbers) == 1
        return numbers.pop()

    def check_order(self) -> None:
        """Let what was heard of each stream have followed on, without a gap."""
        for peer in self.listeners:
            assert peer.undecipherable == 0
            numbers: dict[int, list[int]] = {}
            for packet in peer.received.rtp:
                numbers.setdefault(packet.ssrc, []).append(packet.sequence_number)
            for found in numbers.values():
                assert found == list(range(found[0], found[0] + len(found)))


def crowd(profile: int = AEAD) -> Crowd:
    """Return one that has been talking for a second, just after a tick."""
    room = Crowd(CROWD, profile=profile)
    room.talk(50)
    room.tick()
    room.came()
    return room


@pytest.mark.parametrize("profile", [AEAD, CM])
def test_sound_of_a_crowd_waits_for_the_tick_and_shares_a_message(profile: int) -> None:
    room = crowd(profile=profile)
    at_us = room.now_us
    before = room.plane.counters()["messages_out"]
    room.speak(at_us + 100, 0)
    room.speak(at_us + 900, 1)
    room.speak(at_us + 1900, 2)
    assert room.came() == 0
    assert room.plane.next_timer() == at_us + TICK_US
    room.wait_until(at_us + TICK_US)
    messages = room.plane.counters()["messages_out"] - before
    assert {packet.payload for packet in room.listeners[1].received.rtp} == {
        sound(n, room.numbers[n] - 1).payload for n in range(3)
    }
    assert room.came() == 3
    assert messages == len(room.listeners)


def test_sound_of_few_goes_at_once() -> None:
    room = Crowd(FEW)
    room.talk(50)
    assert set(room.delays_us) == {0}
    room.speak(room.now_us + 100, 0)
    assert room.plane.next_timer() > room.now_us + TICK_US


def test_no_sound_waits_longer_than_a_tick() -> None:
    room = Crowd(CROWD)
    room.talk(100)
    assert len(room.delays_us) == 100 * CROWD
    assert max(room.delays_us) <= TICK_US
    assert sum(delay > 0 for delay in room.delays_us) > 70 * CROWD
    room.check_order()


def test_crowd_that_falls_silent_is_not_waited_for() -> None:
    room = crowd()
    for frame in range(50):
        room.speak(room.now_us + FRAME_US, frame % 2)
    room.delays_us.clear()
    for frame in range(20):
        room.speak(room.now_us + FRAME_US, frame % 2)
    assert set(room.delays_us) == {0}
    room.check_order()


def test_stream_heard_by_few_goes_at_once_beside_a_crowd() -> None:
    room = crowd()
    other = Peer(room.plane, 0x10010)
    other.configure(types_out={OPUS: 110})
    other.connect(room.now_us)
    alone = len(room.numbers)
    room.numbers.append(1)
    room.plane.add_stream(
        FIRST_STREAM + alone, room.publisher.id, FIRST_SSRC + alone, 0, video=False
    )
    room.plane.add_slot(0x10080, other.id, FIRST_OUT_SSRC + alone, 0, video=False)
    room.plane.bind_slot(0x10080, FIRST_STREAM + alone)
    room.listeners.append(other)
    at_us = room.tick()
    room.speak(at_us + 100, 0)
    room.speak(at_us + 200, alone)
    assert [len(peer.received.rtp) for peer in room.listeners] == [0, 0, 1]
    room.tick()
    assert [len(peer.received.rtp) for peer in room.listeners] == [1, 1, 1]


def test_video_is_forwarded_while_sound_waits() -> None:
    room = crowd()
    at_us = room.now_us
    room.speak(at_us + 100, 0)
    room.publisher.send_rtp([video(1, key=True), video(2)], at_us + 200)
    room.deliver()
    for peer in room.listeners:
        assert [packet.ssrc for packet in peer.received.rtp] == [OUT_SSRC] * 2
        peer.received.rtp.clear()
    room.wait_until(at_us + TICK_US)
    assert room.came() == 1


def test_what_waits_goes_out_before_its_stream_is_removed() -> None:
    room = crowd()
    room.speak(room.now_us + 100, 0, 1)
    room.plane.remove_stream(FIRST_STREAM)
    room.plane.add_stream(
        FIRST_STREAM + 0x10000, room.publisher.id, FIRST_SSRC + 500, 0, video=False
    )
    room.wait_until(room.now_us + 100)
    assert room.came() == 2
    room.tick()
    assert room.came() == 0


def test_room_may_end_while_sound_waits() -> None:
    room = crowd()
    room.speak(room.now_us + 100, *range(CROWD))
    room.plane.remove_transport(room.listeners[0].id)
    room.plane.remove_transport(room.publisher.id)
    room.plane.remove_transport(room.listeners[1].id)
    room.wait_until(room.now_us + 10 * TICK_US)
    assert room.came() == CROWD
    assert room.plane.next_timer() == -1
    counters = room.plane.counters()
    assert counters["transports"] == counters["streams"] == counters["slots"] == 0


def test_listener_that_is_renewed_while_sound_waits_gets_it_under_the_old_keys() -> None:
    room = crowd()
    room.speak(room.now_us + 100, 0)
    listener = room.listeners[0]
    room.plane.set_keys(listener.id, listener.profile, bytes(16), bytes(12), bytes(16), bytes(12))
    room.wait_until(room.now_us + 100)
    assert room.came() == 1
    assert listener.undecipherable == 0


def test_what_is_more_than_can_wait_goes_out_before_the_tick() -> None:
    room = crowd()
    at_us = room.now_us
    for n in range(70):  # of one stream, more than may wait
        room.speak(at_us + 100 + n, 0)
    assert 64 <= len(room.listeners[0].received.rtp) < 70
    for n in range(30):  # large ones: more bytes than may wait
        room.speak(at_us + 300 + n, 1, size=1100)
    for turn in range(12):  # of all streams together
        room.speak(at_us + 400 + turn, *range(2, CROWD))
    room.wait_until(at_us + TICK_US)
    room.check_order()
    assert room.came() == 70 + 30 + 12 * (CROWD - 2)


def test_crowd_on_another_plane_waits_there() -> None:
    home, other = new_plane(), new_plane()
    room = Crowd(CROWD, plane=home, listeners=0)
    assert home.link(other)
    far = Peer(other, 0x10001)
    far.configure(types_out={OPUS: 110})
    far.connect(0)
    for n in range(CROWD):
        other.add_copy(COPY + n, home, FIRST_STREAM + n, video=False)
        home.copy_stream(FIRST_STREAM + n, other, COPY + n)
        other.add_slot(FIRST_SLOT + n, far.id, FIRST_OUT_SSRC + n, 0, video=False)
        other.bind_slot(FIRST_SLOT + n, COPY + n)
    other.handle_timer(0)
    held = 0
    for frame in range(60):
        for n in range(CROWD):
            room.speak(frame * FRAME_US + n * FRAME_US // CROWD, n)
            before = len(far.received.rtp)
            other.handle_timer(room.now_us)
            deliver(other, [far])
            held += len(far.received.rtp) == before
    assert held > 20 * CROWD
    # New keys of the publisher begin its numbers anew; what waits belongs to those before.
    room.speak(room.now_us + 100, 0)
    other.handle_timer(room.now_us)
    room.publisher.renew_keys()
    room.numbers = [1] * CROWD
    room.speak(room.now_us + 100, *range(CROWD))
    for _ in range(3):
        room.now_us += TICK_US
        other.handle_timer(room.now_us)
    deliver(other, [far])
    assert far.undecipherable == 0
    heard: dict[int, list[RtpPacket]] = {}
    for packet in far.received.rtp:
        heard.setdefault(packet.ssrc, []).append(packet)
    assert len(heard) == CROWD
    for packets in heard.values():
        numbers = [packet.sequence_number for packet in packets]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert packets[-1].payload == sound(packets[0].ssrc - FIRST_OUT_SSRC, 1).payload
    assert sum(map(len, heard.values())) == 61 * CROWD + 1
