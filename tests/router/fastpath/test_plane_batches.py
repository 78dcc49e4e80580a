"""Many packets of one length in one wake-up: each is judged as if it had come alone."""

import pytest

from .peers import AEAD, CM
from .room import new_room, video


@pytest.mark.parametrize("profile", [AEAD, CM])
@pytest.mark.parametrize("first", [100, 65528])
def test_forged_and_repeated_packets_of_a_batch_are_refused(profile: int, first: int) -> None:
    room = new_room(profile=profile)
    publisher = room.publisher
    room.publish(video(first - 1, key=True, size=300))
    packets = [video(first + n, size=300) for n in range(14)]
    sealed = [publisher.seal(packet) for packet in packets]
    forged = [
        sealed[9][:-1] + bytes([sealed[9][-1] ^ 1]),
        sealed[10][:40] + bytes([sealed[10][40] ^ 1]) + sealed[10][41:],
        sealed[11][:3] + bytes([sealed[11][3] ^ 64]) + sealed[11][4:],
    ]
    batch = [*sealed[:9], *forged, sealed[4], sealed[13], sealed[13], sealed[12]]
    room.plane.receive_datagrams([(data, publisher.address) for data in batch], room.now_us)
    room.deliver()
    received = room.subscribers[0].received.rtp
    numbers = [packet.sequence_number for packet in received]
    wanted = [*range(10), 14, 13]
    assert [(number - numbers[0]) & 0xFFFF for number in numbers] == wanted
    assert [packet.payload for packet in received[1:]] == [
        packets[n - 1].payload for n in wanted[1:]
    ]
    counters = room.plane.counters()
    assert counters["srtp_unauthenticated"] == len(forged)
    assert counters["srtp_replayed"] == 2
    assert room.subscribers[0].undecipherable == 0
