"""A model of a slot's output, checked against any sequence of streams, losses and late packets."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from router.rtp import GenericNack, RtpPacket, parse_vp8

from .peers import AEAD, CM
from .room import OUT_SSRC, Room, new_room, video

STREAMS = 3
MILLISECOND = 1000


class Source:
    """A publisher's stream: its numbers start anywhere, and it may lose or delay packets."""

    def __init__(self, ssrc: int, seq: int, rtp_ts: int, picture_id: int, tl0: int) -> None:
        self.ssrc = ssrc
        self.index = seq
        self.rtp_ts = rtp_ts
        self.picture_id = picture_id
        self.tl0 = tl0
        self.frame_at_us = 0
        self.delayed: list[tuple[int, RtpPacket]] = []

    def next_packet(self, *, key: bool, now_us: int) -> tuple[int, RtpPacket]:
        self.index += 1
        self.rtp_ts = (self.rtp_ts + (now_us - self.frame_at_us) * 90 // 1000) & 0xFFFFFFFF
        self.frame_at_us = now_us
        self.picture_id = (self.picture_id + 1) & 0x7FFF
        self.tl0 = (self.tl0 + 1) & 0xFF
        packet = video(
            self.index,
            rtp_ts=self.rtp_ts,
            key=key,
            picture_id=self.picture_id,
            tl0=self.tl0,
            ssrc=self.ssrc,
            size=4,
        )
        return self.index, packet


class SlotModel(RuleBasedStateMachine):
    """The slot is pointed at streams in turn; its receiver sees one continuous stream."""

    @initialize(
        starts=st.lists(
            st.tuples(
                st.integers(0, 65535),
                st.integers(0, 2**32 - 1),
                st.integers(0, 0x7FFF),
                st.integers(0, 255),
            ),
            min_size=STREAMS,
            max_size=STREAMS,
        )
    )
    def begin(self, starts: list[tuple[int, int, int, int]]) -> None:
        self.room: Room = new_room(bind=False)
        self.sources = []
        self.sent: dict[tuple[int, int], RtpPacket] = {}
        for n, start in enumerate(starts):
            ssrc = 7000 + n
            self.room.plane.add_stream(0x10010 + n, self.room.publisher.id, ssrc, 0, video=True)
            self.sources.append(Source(ssrc, *start))
        self.bound = -1
        self.start_index: int | None = None
        # What the model expects the receiver to see.
        self.offset = 0
        self.highest: int | None = None
        self.expected: list[tuple[int, RtpPacket]] = []
        self.last_out_ts = 0
        self.last_out_at = 0
        self.ts_offset = 0
        self.frames: list[tuple[int, int, int]] = []  # out index, picture id, tl0

    @rule(n=st.integers(0, STREAMS - 1))
    def bind(self, n: int) -> None:
        self.room.plane.bind_slot(self.room.slots[0], 0x10010 + n)
        self.room.run(0)
        self.bound = n
        self.start_index = None

    @rule(
        n=st.integers(0, STREAMS - 1),
        key=st.booleans(),
        fate=st.sampled_from(["arrives", "arrives", "arrives", "lost", "delayed"]),
        wait_ms=st.integers(1, 400),
    )
    def send(self, n: int, key: bool, fate: str, wait_ms: int) -> None:
        self.room.now_us += wait_ms * MILLISECOND
        source = self.sources[n]
        index, packet = source.next_packet(key=key, now_us=self.room.now_us)
        if fate == "delayed":
            source.delayed.append((index, packet))
        elif fate == "arrives":
            self.arrive(n, index, packet, key)

    @rule(n=st.integers(0, STREAMS - 1), data=st.data())
    def deliver_late(self, n: int, data: st.DataObject) -> None:
        delayed = self.sources[n].delayed
        if delayed:
            index, packet = delayed.pop(data.draw(st.integers(0, len(delayed) - 1)))
            self.arrive(n, index, packet, not parse_vp8(packet.payload)[1][0] & 1)

    def arrive(self, n: int, index: int, packet: RtpPacket, key: bool) -> None:
        self.room.publish(packet)
        received = self.room.subscribers[0].received.rtp
        got = received.pop() if received else None
        assert not received
        if n != self.bound or (self.start_index is None and not key):
            assert got is None
            return
        if self.start_index is None:
            self.start_index = index
            self.offset = 1 - index
            if self.highest is not None:
                self.offset += self.highest
                elapsed_us = self.room.now_us - self.last_out_at
                out_ts = self.last_out_ts + max(1, elapsed_us * 90 // 1000)
                self.ts_offset = (out_ts - packet.rtp_timestamp) & 0xFFFFFFFF
            self.new_start = True
        if index < self.start_index:
            assert got is None
            return
        assert got is not None
        out = index + self.offset
        if self.highest is None:
            self.base = got.sequence_number - out  # where the slot's numbers begin is its choice
            self.ts_offset = (got.rtp_timestamp - packet.rtp_timestamp) & 0xFFFFFFFF
        assert got.sequence_number == (out + self.base) & 0xFFFF
        assert got.rtp_timestamp == (packet.rtp_timestamp + self.ts_offset) & 0xFFFFFFFF
        descriptor, data = parse_vp8(got.payload)
        assert data == parse_vp8(packet.payload)[1]
        assert descriptor.picture_id is not None
        assert descriptor.tl0_picture_index is not None
        self.check_picture(index, out, descriptor.picture_id, descriptor.tl0_picture_index)
        if self.highest is None or out > self.highest:
            self.highest = out
            self.last_out_ts = got.rtp_timestamp
            self.last_out_at = self.room.now_us

    def check_picture(self, index: int, out: int, picture_id: int, tl0: int) -> None:
        """Within a start picture ids advance as sequence numbers; the next start goes on by one."""
        if self.frames:
            last_out, last_id, last_tl0 = max(self.frames)
            step = out - last_out
            if self.start_index == index:
                step = 1
            assert picture_id == (last_id + step) & 0x7FFF
            assert tl0 == (last_tl0 + step) & 0xFF
        self.frames.append((out, picture_id, tl0))

    @invariant()
    def everything_is_decipherable(self) -> None:
        if hasattr(self, "room"):
            assert self.room.subscribers[0].undecipherable == 0
            assert self.room.publisher.undecipherable == 0


TestSlotModel = SlotModel.TestCase
TestSlotModel.settings = settings(deadline=None, max_examples=25, stateful_step_count=50)


@pytest.mark.parametrize("subscriber_profile", [AEAD, CM])
def test_subscribers_number_the_pictures_of_one_wakeup_each_for_itself(
    subscriber_profile: int,
) -> None:
    room = new_room(subscribers=3, subscriber_profile=subscriber_profile, rtx=False)
    stream = 0x10010
    room.plane.add_stream(stream, room.publisher.id, 7000, 0, video=True)
    room.publish(video(1, key=True, picture_id=500, tl0=9))
    # The second one goes on behind picture 500, the others have seen nothing else than 8000.
    for n in (0, 2):
        room.plane.remove_slot(room.slots[n])
        room.plane.add_slot(room.slots[n] + 1, room.subscribers[n].id, OUT_SSRC, 0, video=True)
        room.plane.bind_slot(room.slots[n] + 1, stream)
    room.plane.bind_slot(room.slots[1], stream)
    room.publish(video(1, key=True, picture_id=8000, tl0=100, ssrc=7000))
    for subscriber in room.subscribers:
        subscriber.received.rtp.clear()
    frame = [video(2 + n, picture_id=8001, tl0=101, ssrc=7000, size=300) for n in range(6)]
    room.publisher.send_rtp(frame, room.now_us)
    sent = room.deliver()

    descriptors = [
        [parse_vp8(packet.payload)[0] for packet in peer.received.rtp] for peer in room.subscribers
    ]
    assert [len(each) for each in descriptors] == [6, 6, 6]
    for n, (picture_id, tl0) in enumerate([(8001, 101), (502, 11), (8001, 101)]):
        assert {(d.picture_id, d.tl0_picture_index) for d in descriptors[n]} == {(picture_id, tl0)}
        bodies = [parse_vp8(packet.payload)[1] for packet in room.subscribers[n].received.rtp]
        assert bodies == [parse_vp8(packet.payload)[1] for packet in frame]

    # What is kept for resending is as it came, and is numbered again: the same bytes.
    number = room.subscribers[1].received.rtp[3].sequence_number
    nack = GenericNack(sender_ssrc=1, media_ssrc=OUT_SSRC, sequence_numbers=(number,))
    room.subscribers[1].send_rtcp([nack.to_packet()], room.now_us)
    assert room.deliver() == [each for each in sent if each[1] == room.subscribers[1].address][3:4]
