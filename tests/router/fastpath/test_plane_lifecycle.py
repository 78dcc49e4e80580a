"""Commands, ids and what removal leaves behind: nothing."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from router._fastpath import plane as fp
from router.errors import DataPlaneError

from .peers import OPUS, VP8, Peer, deliver, new_plane
from .room import SSRC, STREAM, new_room, video


def used(plane: fp.DataPlane) -> tuple[int, int, int]:
    counters = plane.counters()
    return counters["transports"], counters["streams"], counters["slots"]


def test_removing_transports_frees_everything() -> None:
    room = new_room(subscribers=3, audio=True)
    room.publish(video(0, key=True))
    assert used(room.plane) == (4, 2, 6)
    for peer in (room.publisher, *room.subscribers):
        room.plane.remove_transport(peer.id)
    room.run(0)
    assert used(room.plane) == (0, 0, 0)
    assert room.plane.next_timer() == -1
    assert room.plane.stream_stats(STREAM) is None
    assert room.plane.slot_stats(room.slots[0]) is None


def test_index_can_be_used_again_at_once() -> None:
    room = new_room()
    plane = room.plane
    plane.remove_transport(room.publisher.id)
    again = Peer(plane, 0x20000)  # the same index, the next generation
    again.configure()
    again.connect(0)
    plane.add_stream(STREAM + 0x10000, again.id, SSRC, 0, video=True)
    plane.bind_slot(room.slots[0], STREAM + 0x10000)
    again.send_rtp([video(0, key=True)], 0)
    room.deliver()
    assert len(room.subscribers[0].received.rtp) == 1
    assert plane.transport_stats(room.publisher.id) is None
    assert plane.transport_stats(again.id) is not None


def test_stale_ids_change_nothing() -> None:
    room = new_room()
    plane, subscriber = room.plane, room.subscribers[0]
    before = used(plane)
    stale = 0x7FFF0000
    plane.remove_transport(room.publisher.id + stale)
    plane.remove_stream(STREAM + stale)
    plane.remove_slot(room.slots[0] + stale)
    plane.bind_slot(room.slots[0] + stale, STREAM)
    plane.request_key_frame(STREAM + stale)
    plane.send_datagram(subscriber.id + stale, b"\x16")
    plane.add_stream(5, 999, 1, 0, video=True)
    plane.add_slot(5, 999, 1, 0, video=True)
    plane.restart_transport(999, b"u", b"p")
    plane.handle_timer(0)
    assert used(plane) == before
    assert plane.counters()["commands_stale"] == 9
    room.publish(video(0, key=True))
    assert len(subscriber.received.rtp) == 1


def test_binding_to_a_stream_that_is_gone_leaves_the_slot_silent() -> None:
    room = new_room()
    room.plane.bind_slot(room.slots[0], STREAM + 0x10000)
    room.publish(video(0, key=True))
    assert room.subscribers[0].received.rtp == []


@pytest.mark.parametrize("outbound", [False, True])
def test_ssrc_is_refused_twice_on_one_transport(outbound: bool) -> None:
    plane = new_plane()
    peer, other = Peer(plane, 0x10000), Peer(plane, 0x10001)
    add = plane.add_slot if outbound else plane.add_stream
    add(1, peer.id, 50, 51, video=True)
    add(2, peer.id, 50, 0, video=True)
    add(3, peer.id, 60, 51, video=True)
    add(4, peer.id, 51, 0, video=True)
    add(5, other.id, 50, 51, video=True)
    plane.handle_timer(0)
    assert plane.counters()["commands_refused"] == 3
    assert sum(used(plane)[1:]) == 2


def test_ids_beyond_the_capacity_are_refused() -> None:
    plane = new_plane(max_transports=2)
    for index in range(4):
        plane.add_transport(index, b"u%d" % index, b"password")
    plane.handle_timer(0)
    assert used(plane) == (2, 0, 0)


def test_removed_stream_unbinds_its_slots() -> None:
    room = new_room(subscribers=3)
    room.publish(video(0, key=True))
    room.plane.remove_stream(STREAM)
    room.run(0)
    for slot in room.slots:
        stats = room.plane.slot_stats(slot)
        assert stats is not None
        assert not stats["bound"]
    room.publish(video(1))
    assert room.plane.counters()["rtp_unknown_ssrc"] == 1


def test_slot_that_is_added_again_goes_on_with_its_numbers() -> None:
    """An index must not be sealed twice under one key."""
    room = new_room()
    room.publish(video(0, key=True), video(1))
    last = room.subscribers[0].received.rtp[-1].sequence_number
    room.plane.remove_slot(room.slots[0])
    room.plane.add_slot(room.slots[0] + 0x10000, room.subscribers[0].id, 2222, 0, video=True)
    room.plane.bind_slot(room.slots[0] + 0x10000, STREAM)
    room.publish(video(2, key=True))
    assert room.subscribers[0].received.rtp[-1].sequence_number == last + 1


def test_full_command_ring_refuses_and_loses_nothing_that_it_took() -> None:
    plane = fp.DataPlane(max_transports=64, command_slots=16, event_slots=16, seed=1)
    taken = [plane.add_transport(n, b"u%d" % n, b"p") for n in range(20)]
    assert taken == [True] * 16 + [False] * 4
    plane.handle_timer(0)
    assert used(plane) == (16, 0, 0)
    assert plane.counters()["commands_dropped"] == 4


def test_full_event_ring_drops_and_counts() -> None:
    plane = new_plane(event_slots=8)
    peer = Peer(plane, 0x10000)
    peer.connect(0)
    for n in range(20):
        peer.send([b"\x16" + bytes([n])], 0)
    assert len(plane.next_events()) == 6  # the rest is for what must not be lost
    assert plane.counters()["events_dropped"] == 15
    peer.send([b"\x16again"], 0)
    assert len(plane.next_events()) == 1


def test_events_come_in_the_asked_portions() -> None:
    plane = new_plane()
    peer = Peer(plane, 0x10000)
    peer.connect(0)
    for n in range(9):
        peer.send([b"\x16" + bytes([n])], 0)
    assert [len(plane.next_events(4)) for _ in range(4)] == [4, 4, 2, 0]


@pytest.mark.parametrize(
    "call",
    [
        lambda p: p.add_transport(1, b"", b"p"),
        lambda p: p.add_transport(1, b"u" * 33, b"p"),
        lambda p: p.add_transport(1, b"u", b"p" * 65),
        lambda p: p.set_keys(1, 2, bytes(16), bytes(14), bytes(16), bytes(14)),
        lambda p: p.set_keys(1, 7, bytes(16), bytes(14), bytes(16), bytes(14)),
        lambda p: p.define_codec(0, 0, 90000),
        lambda p: p.define_codec(64, 0, 90000),
        lambda p: p.define_codec(1, 9, 90000),
        lambda p: p.define_codec(1, 0, 0),
        lambda p: p.add_stream(0, 1, 1, 0, video=True),
        lambda p: p.add_stream(1, 1, 7, 7, video=True),
        lambda p: p.send_datagram(1, b""),
        lambda p: p.send_datagram(1, bytes(2001)),
        lambda p: fp.DataPlane(max_transports=0),
        lambda p: fp.DataPlane(command_slots=3),
        lambda p: p.bind("nowhere", 0, receive_buffer=0, send_buffer=0),
    ],
)
def test_arguments_that_make_no_sense_are_refused(call: Callable[[Any], object]) -> None:
    plane = new_plane()
    with pytest.raises(ValueError, match=r"not|both|bytes|ring|none"):
        call(plane)


def test_run_needs_a_socket() -> None:
    with pytest.raises(DataPlaneError):
        new_plane().run()


def test_thousands_of_joins_and_leaves_leave_nothing_behind() -> None:
    plane = new_plane()
    rng = random.Random(4)
    publisher = Peer(plane, 0x10000)
    publisher.configure()
    publisher.connect(0)
    plane.add_stream(STREAM, publisher.id, SSRC, 0, video=True)
    before = None
    for round_ in range(1, 400):
        peer = Peer(plane, round_ << 16 | 1 + rng.randrange(20), keys=False)
        peer.install_keys()
        peer.configure(types_out={VP8: 96, OPUS: 111}, transport_cc=True)
        peer.connect(round_ * 1000)
        plane.add_stream(round_ << 16 | 5, peer.id, 9, 10, video=rng.random() < 0.5)
        plane.add_slot(round_ << 16 | 7, peer.id, 11, 12, video=True)
        plane.bind_slot(round_ << 16 | 7, STREAM)
        publisher.send_rtp([video(round_, key=True)], round_ * 1000)
        deliver(plane, [publisher, peer])
        assert len(peer.received.rtp) == 1
        plane.remove_transport(peer.id)
        plane.handle_timer(round_ * 1000)
        plane.datagrams_to_send()
        plane.next_events()
        if before is None:
            before = used(plane)
        assert used(plane) == before


def test_thousand_subscribers_are_served() -> None:
    plane = new_plane(max_transports=1100, max_slots=1100)
    publisher = Peer(plane, 0x10000)
    publisher.configure()
    publisher.connect(0)
    plane.add_stream(STREAM, publisher.id, SSRC, 0, video=True)
    plane.handle_timer(0)
    subscribers = []
    for n in range(1, 1001):
        peer = Peer(plane, 0x10000 + n, profile=7 if n % 2 else 1)
        peer.configure(types_out={VP8: 96})
        peer.connect(0)
        plane.add_slot(0x10000 + n, peer.id, 2222, 0, video=True)
        plane.bind_slot(0x10000 + n, STREAM)
        subscribers.append(peer)
    publisher.send_rtp([video(n, key=n == 0, size=500) for n in range(4)], 0)
    deliver(plane, [publisher, *subscribers])
    assert [len(peer.received.rtp) for peer in subscribers] == [4] * 1000
    assert sum(peer.undecipherable for peer in subscribers) == 0
