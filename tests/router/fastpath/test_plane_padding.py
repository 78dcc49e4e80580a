"""Packets of nearly equal length leave as one message, and arrive as they were."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rtp import GenericNack

from .peers import AEAD, CM
from .room import OUT_SSRC, STREAM, Room, new_room, video
from .seals import SealWatch


def publish(room: Room, sizes: list[int], first: int = 1) -> tuple[int, list[int]]:
    """Send packets with payloads of so many bytes; return messages and datagram lengths."""
    before = room.plane.counters()["messages_out"]
    room.publisher.send_rtp(
        [video(first + n, size=size, picture_id=n) for n, size in enumerate(sizes)], room.now_us
    )
    lengths = [len(data) for data, to in room.deliver() if to == room.subscribers[0].address]
    return room.plane.counters()["messages_out"] - before, lengths


@pytest.mark.parametrize("subscriber_profile", [AEAD, CM])
@pytest.mark.parametrize(
    ("sizes", "messages"),
    [
        ([1100] * 6 + [1101] * 4, 1),  # as libwebrtc cuts a frame
        ([1090] + [1100] * 5 + [1101] * 4, 1),  # whose first packet carries more extensions
        ([1101, 1100, 1100, 1100, 1101], 1),
        ([1100] * 5 + [300], 1),
        ([1100, 1101, 300, 1100, 1100], 2),
        ([1100, 1140], 2),  # that would be much
        ([300, 320, 340], 3),
        ([20, 21], 2),
    ],
)
def test_nearly_equal_packets_are_one_message(
    subscriber_profile: int, sizes: list[int], messages: int
) -> None:
    room = new_room(subscriber_profile=subscriber_profile)
    room.publish(video(0, key=True))
    received = room.subscribers[0].received.rtp
    received.clear()
    count, lengths = publish(room, sizes)
    assert count == messages
    assert [len(packet.payload) for packet in received] == [
        len(video(1, size=size, picture_id=n).payload) for n, size in enumerate(sizes)
    ]
    assert sum(packet.padding for packet in received) <= sum(sizes) / 64
    assert len(lengths) == len(sizes)
    assert room.subscribers[0].undecipherable == 0


@given(
    sizes=st.lists(st.integers(0, 1200), min_size=1, max_size=30),
    picture_id=st.booleans(),
    moved=st.booleans(),
)
def test_payloads_of_any_lengths_arrive_as_they_were(
    sizes: list[int], picture_id: bool, moved: bool
) -> None:
    room = new_room()
    room.publish(video(0, key=True, picture_id=3 if picture_id else None))
    first = 1
    if moved:  # then picture ids are rewritten in a copy
        room.plane.bind_slot(room.slots[0], STREAM)
        room.publish(video(1, key=True, picture_id=99 if picture_id else None))
        first = 2
    received = room.subscribers[0].received.rtp
    received.clear()
    rng = random.Random(len(sizes))
    packets = []
    for n, size in enumerate(sizes):
        packet = video(first + n, size=0, picture_id=n if picture_id else None)
        packets.append(replace(packet, payload=packet.payload + rng.randbytes(size)))
    room.publish(*packets)
    assert room.subscribers[0].undecipherable == 0
    assert len(received) == len(packets)
    for sent, came in zip(packets, received, strict=True):
        begin = len(video(0, size=0, picture_id=0 if picture_id else None).payload)
        assert came.payload[begin:] == sent.payload[begin:]
        assert came.padding <= max(16, len(sent.payload) // 64)


def test_sound_is_not_padded() -> None:
    room = new_room(audio=True)
    packets = [
        video(n, size=1000 + n, ssrc=1113) for n in range(4)
    ]  # the payload type says VP8, the stream is one of sound
    room.publish(*packets)
    assert all(packet.padding == 0 for packet in room.subscribers[0].received.rtp)


@pytest.mark.parametrize("profile", [AEAD, CM])
def test_packet_is_resent_with_its_padding(profile: int) -> None:
    room = new_room(rtx=False, subscriber_profile=profile)
    subscriber = room.subscribers[0]
    seals = SealWatch(profile=profile)
    room.publish(video(0, key=True), video(1, size=1000), video(2, size=1005))
    packets = [video(n, size=1000 + n % 7) for n in range(3, 20)]
    room.publisher.send_rtp(packets, 0)
    for data, _ in room.deliver():
        seals.note(data)
    numbers = [packet.sequence_number for packet in subscriber.received.rtp]
    assert any(packet.padding for packet in subscriber.received.rtp)
    nack = GenericNack(sender_ssrc=1, media_ssrc=OUT_SSRC, sequence_numbers=tuple(numbers[3:]))
    subscriber.send_rtcp([nack.to_packet()], 0)
    for data, _ in room.deliver():
        seals.note(data)
    assert room.plane.counters()["resent_plain"] == len(numbers) - 3
    assert seals.reused == []


@pytest.mark.parametrize("profile", [AEAD, CM])
def test_packet_that_waits_for_the_fan_out_is_not_resent_before(profile: int) -> None:
    """It came late and is asked for in the same wake-up; its padding is not settled yet."""
    room = new_room(rtx=False, subscriber_profile=profile)
    publisher, subscriber = room.publisher, room.subscribers[0]
    room.publish(video(0, key=True), video(5, size=1000))
    number = subscriber.received.rtp[0].sequence_number + 3
    nack = GenericNack(sender_ssrc=1, media_ssrc=OUT_SSRC, sequence_numbers=(number, number + 1))
    room.plane.receive_datagrams(
        [
            (publisher.seal(video(3, size=1000)), publisher.address),
            (subscriber.seal_rtcp([nack.to_packet()]), subscriber.address),
            (publisher.seal(video(4, size=1009)), publisher.address),
        ],
        1000,
    )
    seals = SealWatch(profile=profile)
    for data, _ in room.deliver():
        seals.note(data)
    assert seals.reused == []
    assert subscriber.received.rtp[-2].padding == 9
