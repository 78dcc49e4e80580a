"""What several speakers sent in one tick goes to each subscriber as few messages, and unharmed."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router._fastpath import plane as fp
from router.rtp import RtpPacket

from .peers import AEAD, CM, OPUS, Peer, deliver, new_plane

LEVEL = ((1, b"\x12"),)


class Conference:
    """
    Everybody speaks and hears everybody else.

    :param profiles: SRTP profile of each participant.
    :param payload_types: That each participant takes Opus as; 110 where it is absent.
    """

    def __init__(
        self, profiles: list[int], *, payload_types: dict[int, int] | None = None, copies: int = 1
    ) -> None:
        self.plane = new_plane(max_slots=4096)
        self.peers = []
        self.slots: dict[tuple[int, int], int] = {}
        self.now_us = 0
        self.sequence_numbers = [100 * n for n in range(len(profiles))]
        for n, profile in enumerate(profiles):
            peer = Peer(self.plane, 0x10000 + n, profile=profile)
            peer.configure(
                types_out={OPUS: (payload_types or {}).get(n, 110)},
                extensions_out={fp.EXTENSION_AUDIO_LEVEL: 5, fp.EXTENSION_TRANSPORT_CC: 6},
            )
            peer.connect(0)
            self.plane.add_stream(0x10000 + n, peer.id, 3000 + n, 0, video=False)
            self.peers.append(peer)
        numbers = range(len(profiles))
        for n in numbers:
            for speaker in numbers:
                for copy in range(copies if n != speaker else 0):
                    slot = 0x10000 + len(self.slots)
                    self.slots[n, speaker + 1000 * copy] = slot
                    self.plane.add_slot(
                        slot, self.peers[n].id, 4000 + speaker + 1000 * copy, 0, video=False
                    )
                    self.plane.bind_slot(slot, 0x10000 + speaker)
        self.plane.handle_timer(0)
        deliver(self.plane, self.peers)

    def speak(self, payloads: dict[int, list[bytes]]) -> int:
        """Send packets of speakers as one wake-up; return how many messages went out."""
        self.now_us += 20_000
        datagrams = []
        for speaker, packets in payloads.items():
            for payload in packets:
                self.sequence_numbers[speaker] += 1
                number = self.sequence_numbers[speaker]
                packet = RtpPacket(
                    payload_type=111,
                    sequence_number=number,
                    rtp_timestamp=number * 960,
                    ssrc=3000 + speaker,
                    payload=payload,
                    extensions=LEVEL,
                )
                peer = self.peers[speaker]
                datagrams.append((peer.seal(packet), peer.address))
        before = self.plane.counters()["messages_out"]
        self.plane.receive_datagrams(datagrams, self.now_us)
        messages = self.plane.counters()["messages_out"] - before
        deliver(self.plane, self.peers)
        return messages

    def heard(self, listener: int) -> dict[int, list[bytes]]:
        """Return what a participant has heard of each slot since it was asked last."""
        heard: dict[int, list[bytes]] = {}
        for packet in self.peers[listener].received.rtp:
            assert packet.padding <= 16
            heard.setdefault(packet.ssrc - 4000, []).append(packet.payload)
        self.peers[listener].received.rtp.clear()
        return heard

    def check(self, payloads: dict[int, list[bytes]]) -> None:
        """Let all have heard these, of all others."""
        for n, peer in enumerate(self.peers):
            expected = {s: packets for s, packets in payloads.items() if s != n and packets}
            assert self.heard(n) == expected
            assert peer.undecipherable == 0


def sound(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("profile", [AEAD, CM])
@pytest.mark.parametrize(
    ("sizes", "messages"),
    [
        ([100, 100, 100, 100], 1),
        ([100, 95, 90, 85], 1),
        ([60, 120], 1),  # the last one may be shorter
        ([120, 118, 60, 58], 2),
        ([80, 80, 3, 2], 2),  # silence is not blown up
    ],
)
def test_speakers_of_one_tick_share_a_message(
    profile: int, sizes: list[int], messages: int
) -> None:
    room = Conference([profile] * 6)
    payloads = {n: [sound(size, n)] for n, size in enumerate(sizes)}
    room.speak(payloads)
    room.check(payloads)
    sent = room.speak(payloads)
    room.check(payloads)
    assert sent <= messages * 6  # speakers may get one less, as they do not hear themselves


@given(
    data=st.lists(
        st.dictionaries(
            st.integers(0, 4),
            st.lists(st.integers(1, 300), min_size=1, max_size=3),
            max_size=5,
        ),
        min_size=1,
        max_size=4,
    ),
    profiles=st.lists(st.sampled_from([AEAD, CM]), min_size=5, max_size=5),
)
def test_all_hear_all_others_whatever_the_sizes(
    data: list[dict[int, list[int]]], profiles: list[int]
) -> None:
    room = Conference(profiles, payload_types={1: 96, 3: 109})
    for tick, sizes in enumerate(data):
        payloads = {
            n: [sound(size, 10 * tick + k) for k, size in enumerate(lengths)]
            for n, lengths in sizes.items()
        }
        room.speak(payloads)
        room.check(payloads)


def test_numbers_of_each_slot_go_on_by_one() -> None:
    room = Conference([AEAD, AEAD, CM])
    seen: dict[int, list[int]] = {}
    transport_wide = []
    for tick in range(20):
        room.speak({n: [sound(60 + (7 * tick + 13 * n) % 40)] for n in range(3)})
        for packet in room.peers[2].received.rtp:
            seen.setdefault(packet.ssrc, []).append(packet.sequence_number)
            elements = dict(packet.extensions)
            assert elements[5] == LEVEL[0][1]
            transport_wide.append(int.from_bytes(elements[6], "big"))
        room.peers[2].received.rtp.clear()
    assert sorted(seen) == [4000, 4001]
    for numbers in seen.values():
        assert numbers == list(range(numbers[0], numbers[0] + 20))
    assert transport_wide == list(range(transport_wide[0], transport_wide[0] + 40))


def test_more_speakers_than_fit_a_batch_are_all_heard() -> None:
    room = Conference([AEAD] * 40)
    payloads = {n: [sound(100, n)] for n in range(40)}
    for _ in range(2):
        room.speak(payloads)
        room.check(payloads)


def test_subscriber_with_many_slots_of_each_stream_hears_all() -> None:
    room = Conference([AEAD] * 14, copies=4)
    payloads = {n: [sound(90 + n, n)] for n in range(14)}
    for _ in range(2):
        room.speak(payloads)
        heard = room.heard(0)
        expected = {n + 1000 * copy: payloads[n] for n in range(1, 14) for copy in range(4)}
        assert heard == expected


def test_more_classes_of_subscribers_than_plans_are_all_served() -> None:
    count = 20
    room = Conference([AEAD] * count, payload_types={n: 35 + n for n in range(count)})
    payloads = {n: [sound(80, n)] for n in range(count)}
    room.speak(payloads)
    for n, peer in enumerate(room.peers):
        assert {packet.payload_type for packet in peer.received.rtp} == {35 + n}
    room.check(payloads)


def test_statistics_count_each_slot() -> None:
    room = Conference([AEAD] * 4)
    payloads = {n: [sound(100, n)] for n in range(4)}
    for _ in range(5):
        room.speak(payloads)
    for slot in room.slots.values():
        stats = room.plane.slot_stats(slot)
        assert stats is not None
        assert stats["packets"] == 5
    transport = room.plane.transport_stats(room.peers[0].id)
    assert transport is not None
    assert transport["packets_out"] == 15
