"""Padding with which a publisher probes: not forwarded, and no gap where it was."""

import random
import struct
from dataclasses import replace

import pytest

from router._fastpath import plane as fp
from router.rtp import GenericNack, RtpPacket, unwrap_rtx, wrap_rtx

from .room import OUT_RTX_SSRC, OUT_SSRC, RTX_SSRC, SSRC, STREAM, Room, new_room, video
from .test_plane_recovery import nack, nacked_upward

MILLISECOND = 1000


def probe(seq: int, *, rtp_ts: int = 0) -> RtpPacket:
    """A packet that is all padding, on the stream itself, as senders without RTX probe."""
    return RtpPacket(
        payload_type=96, sequence_number=seq & 0xFFFF, rtp_timestamp=rtp_ts, ssrc=SSRC, padding=255
    )


def offsets(room: Room) -> list[int]:
    """Return the numbers of what the first subscriber got, counted from the first."""
    received = room.subscribers[0].received.rtp
    return [(p.sequence_number - received[0].sequence_number) & 0xFFFF for p in received]


def stats(room: Room) -> dict[str, int]:
    found = room.plane.stream_stats(STREAM)
    assert found is not None
    return found


def test_probes_are_received_and_not_forwarded() -> None:
    room = new_room()
    room.publish(video(65534, key=True), probe(65535), probe(65536), video(65537), video(65538))
    room.publish(probe(65539))
    room.publish(video(65540))
    assert offsets(room) == [0, 1, 2, 3]
    assert all(packet.payload for packet in room.subscribers[0].received.rtp)
    assert stats(room)["packets"] == 7
    assert room.plane.counters()["rtp_padding_only"] == 3
    room.run(100 * MILLISECOND)
    assert nacked_upward(room) == []


def test_stream_does_not_start_with_a_probe() -> None:
    room = new_room()
    room.publish(probe(7))
    assert [e for e in room.plane.next_events() if e[0] == fp.EVENT_STREAM_STARTED] == []
    room.publish(video(8, key=True))
    assert len(room.subscribers[0].received.rtp) == 1


def test_probes_that_are_lost_among_others_are_not_asked_for() -> None:
    room = new_room()
    end = video(0, key=True)
    room.publish(end, *(probe(n, rtp_ts=end.rtp_timestamp) for n in (2, 3, 7)), video(8))
    room.run(100 * MILLISECOND)
    assert nacked_upward(room) == []
    # One of them was only late.
    room.publish(probe(5, rtp_ts=end.rtp_timestamp), video(9))
    assert offsets(room) == [0, 1, 2]
    assert stats(room)["given_up"] == 0
    assert room.plane.counters()["rtp_padding_only"] == 4


@pytest.mark.parametrize("case", ["in a frame", "of a frame", "before media"])
def test_what_may_be_media_is_asked_for(case: str) -> None:
    room = new_room()
    end = replace(video(0, key=True), marker=case != "in a frame")
    timestamp = end.rtp_timestamp
    room.publish(end)
    if case == "before media":
        room.publish(video(2))
    else:
        room.publish(probe(2, rtp_ts=timestamp + 3000 * (case == "of a frame")))
    room.run(6 * MILLISECOND)
    assert nacked_upward(room) == [1]


def test_very_many_packets_missing_before_a_probe_are_not_skipped() -> None:
    room = new_room()
    end = video(0, key=True)
    room.publish(end, probe(300, rtp_ts=end.rtp_timestamp), video(301))
    assert offsets(room) == [0, 300]


def test_late_probe_fills_the_gap_that_was_left_for_it() -> None:
    room = new_room()
    room.publish(video(0, key=True), probe(1), video(3))
    room.publish(probe(2), after_us=2 * MILLISECOND)
    room.publish(probe(4), video(5))
    assert offsets(room) == [0, 2, 1, 3]
    assert [len(p.payload) > 0 for p in room.subscribers[0].received.rtp] == [
        True,
        True,
        False,
        True,
    ]


def test_retransmission_among_probes_goes_to_its_place() -> None:
    room = new_room()
    lost = video(3, picture_id=9)
    room.publish(video(0, key=True), probe(1), video(2), probe(4), probe(5), video(6))
    room.run(6 * MILLISECOND)
    assert nacked_upward(room) == [3]
    room.publish(wrap_rtx(lost, payload_type=97, sequence_number=1, ssrc=RTX_SSRC))
    assert offsets(room) == [0, 1, 3, 2]
    assert room.subscribers[0].received.rtp[3].payload == lost.payload


def test_subscriber_is_served_what_it_asks_for_among_probes() -> None:
    room = new_room()
    sent = [video(n, key=n == 0, picture_id=n) for n in (0, 3, 4, 9)]
    room.publish(sent[0], probe(1), probe(2), *sent[1:3], *(probe(n) for n in range(5, 9)), sent[3])
    numbers = [p.sequence_number for p in room.subscribers[0].received.rtp]
    nack(room, *numbers[1:])
    answers = [
        unwrap_rtx(p, payload_type=100, ssrc=OUT_SSRC) for p in room.subscribers[0].received.rtp
    ]
    assert [p.sequence_number for p in answers] == numbers[1:]
    assert [p.payload for p in answers] == [p.payload for p in sent[1:]]


def test_new_keys_begin_without_what_was_skipped_before() -> None:
    room = new_room()
    room.publish(video(40000, key=True), probe(40001), probe(40002), video(40003))
    room.publisher.renew_keys()
    room.publish(video(5, key=True), probe(6), video(7))
    assert offsets(room) == [0, 1, 2, 3]
    assert room.subscribers[0].undecipherable == 0


class Model:
    """What the rule says: numbers without what was skipped, seen or unseen."""

    def __init__(self) -> None:
        self.skipped: set[int] = set()
        self.highest = -1
        self.last: RtpPacket | None = None

    def take(self, seq: int, packet: RtpPacket) -> int | None:
        padding = not packet.payload
        if seq > self.highest:
            last = self.last
            if padding and last and last.rtp_timestamp == packet.rtp_timestamp and last.marker:
                self.skipped |= set(range(self.highest + 1, seq))
            self.highest = seq
            self.last = replace(packet, marker=True) if padding else packet
            if padding:
                self.skipped.add(seq)
        if seq in self.skipped:
            return None
        return seq - sum(other < seq for other in self.skipped)


@pytest.mark.parametrize("seed", range(4))
def test_numbers_are_those_of_the_model(seed: int) -> None:
    rng = random.Random(seed)
    room = new_room()
    model = Model()
    start = 65000
    newest = video(start, key=True)
    room.publish(newest)
    first = room.subscribers[0].received.rtp[0].sequence_number
    model.take(start, newest)
    held: list[tuple[int, int, RtpPacket]] = []  # (due, number, packet)
    expected = []
    for seq in range(start + 1, start + 4000):
        room.now_us += MILLISECOND
        padding = rng.random() < (0.9 if seq % 1500 > 1000 else 0.2)
        if padding:
            packet = probe(seq, rtp_ts=newest.rtp_timestamp)
        else:
            packet = newest = replace(video(seq, size=20), marker=rng.random() < 0.7)
        chance = rng.random()
        if chance < 0.05:
            continue
        due = seq + rng.choice((0, 1, 3, 30, 900)) if chance < 0.2 else seq
        held.append((due, seq, packet))
        now, held = [h for h in held if h[0] <= seq], [h for h in held if h[0] > seq]
        for _, number, late in now:
            place = model.take(number, late)
            if place is not None:
                expected.append((first + place - start) & 0xFFFF)
        room.publish(*(late for _, _, late in now))
    got = [p.sequence_number for p in room.subscribers[0].received.rtp][1:]
    assert got == expected
    assert len(set(got)) == len(got)


class Line:
    """Loses and reorders SRTP packets: 5 % never come, 2 % come 20 ms late."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._waiting: list[tuple[int, bytes]] = []
        self.lost: set[tuple[int, int]] = set()
        """SSRC and sequence number."""
        self.on = False

    def pass_on(self, datagrams: list[bytes], now_us: int) -> list[bytes]:
        for data in datagrams:
            if self.on and self._rng.random() < 0.05:
                number, _, ssrc = struct.unpack_from("!HLL", data, 2)
                self.lost.add((ssrc, number))
                continue
            late = self.on and self._rng.random() < 0.02
            self._waiting.append((now_us + 20 * MILLISECOND * late, data))
        due = [data for at_us, data in self._waiting if at_us <= now_us]
        self._waiting = [entry for entry in self._waiting if entry[0] > now_us]
        return due


class Asker:
    """A subscriber that asks every 20 ms for what it misses, as browsers do on a short path."""

    def __init__(self, room: Room, line: Line, rng: random.Random) -> None:
        self._room, self._line, self._rng = room, line, rng
        self._peer = room.subscribers[0]
        self._first = -1
        self.got: dict[int, RtpPacket] = {}

    def deliver(self) -> None:
        """Let the plane's output through the line, to whom it belongs."""
        media = []
        for data, address in self._room.plane.datagrams_to_send():
            if address != self._peer.address:
                self._room.publisher.take(data)
            elif data[0] >> 6 == 2 and not 192 <= data[1] <= 223:
                media.append(data)
        for data in self._line.pass_on(media, self._room.now_us):
            self._peer.take(data)
        for packet in self._peer.received.rtp:
            if packet.ssrc == OUT_RTX_SSRC:
                packet = unwrap_rtx(packet, payload_type=100, ssrc=OUT_SSRC)
            if self._first < 0:
                self._first = packet.sequence_number
            self.got[(packet.sequence_number - self._first) & 0xFFFF] = packet
        self._peer.received.rtp.clear()

    def ask(self) -> None:
        highest = max(self.got, default=0)
        missing = [n for n in range(max(0, highest - 60), highest) if n not in self.got]
        if missing and self._rng.random() >= 0.05:
            numbers = tuple((self._first + n) & 0xFFFF for n in missing)
            request = GenericNack(sender_ssrc=1, media_ssrc=OUT_SSRC, sequence_numbers=numbers)
            self._peer.send_rtcp([request.to_packet()], self._room.now_us)


@pytest.mark.parametrize("rtx", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_every_media_packet_arrives_over_lossy_lines_with_probes(seed: int, rtx: bool) -> None:
    room = new_room(rtx=rtx)
    rng = random.Random(seed)
    up, down = Line(rng), Line(rng)
    asker = Asker(room, down, rng)
    sent: dict[int, RtpPacket] = {}
    rtx_seq = 0
    seq = 100
    for tick in range(5000):
        room.now_us += MILLISECOND
        outbox = []
        # The clean end shows that the last packets of the lossy part are missing.
        up.on = down.on = 20 < tick < 4000
        if tick < 4200 and tick % 33 == 0:
            for left in reversed(range(rng.choice((1, 3, 6)))):
                packet = video(seq, key=seq == 100, picture_id=seq, rtp_ts=tick * 90)
                sent[seq] = replace(packet, marker=left == 0)
                outbox.append(sent[seq])
                seq += 1
        elif tick < 4200 and rng.random() < 0.3:
            outbox.append(probe(seq, rtp_ts=tick // 33 * 33 * 90))
            seq += 1
        for number in nacked_upward(room):
            if number not in sent:
                continue  # padding is not kept for sending it again
            again = sent[number]
            if rtx:
                rtx_seq += 1
                again = wrap_rtx(again, payload_type=97, sequence_number=rtx_seq, ssrc=RTX_SSRC)
            outbox.append(again)
        sealed = [room.publisher.seal(packet) for packet in outbox]
        room.publisher.send(up.pass_on(sealed, room.now_us), room.now_us)
        room.plane.handle_timer(room.now_us)
        asker.deliver()
        if tick % 20 == 0:
            asker.ask()
    lost = {number for ssrc, number in up.lost if ssrc == SSRC}
    assert len(lost & sent.keys()) > 10
    assert sum(ssrc == OUT_SSRC for ssrc, _ in down.lost) > 10
    payloads = [asker.got[n].payload for n in sorted(asker.got) if asker.got[n].payload]
    assert payloads == [packet.payload for packet in sent.values()]
    # What was given up was padding, and only where no other padding showed that it was.
    assert stats(room)["given_up"] < len(lost - sent.keys())
    assert room.plane.counters()["rtp_given_up"] == stats(room)["given_up"]
