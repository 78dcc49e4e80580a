"""How many nanoseconds does the plane need to parse a packet, and to forward it once more?"""

import random
import time
from collections.abc import Iterator

from router._fastpath import measure, srtp
from router._fastpath import plane as fastpath
from router.rtp import RtpPacket
from router.stun import (
    ICE_CONTROLLING,
    PRIORITY,
    USE_CANDIDATE,
    USERNAME,
    Message,
    MessageClass,
    Method,
    new_transaction_id,
)

from .figures import Case

VP8 = 1
SSRC = 1111
FRAME_PACKETS = 10
PACKET_BYTES = 1180
FRAMES = 60
FRAME_INTERVAL_US = 33_333
SALT_BYTES = {7: 12, 1: 14}
PROFILE_NAMES = {7: "GCM", 1: "CM"}


def table(entries: dict[int, int], length: int, absent: int = 0) -> bytes:
    """Return one byte per index."""
    return bytes(entries.get(index, absent) for index in range(length))


class Room:
    """
    One publisher and its subscribers on a plane without a socket.

    Everything of the forwarding path is on: statistics, retransmission store, transport-wide
    numbers, sequence, timestamp and VP8 picture id rewriting.

    :param profile: SRTP profile of all peers, 7 or 1.
    :param slots: How often each subscriber receives the publisher.
    """

    def __init__(self, profile: int, subscribers: int, *, slots: int = 1) -> None:
        self._rng = random.Random(1)
        self._now_us = 1_000_000
        self._sequence_number = 0
        self._frame = 0
        plane = self._plane = fastpath.DataPlane(
            max_transports=subscribers + 2, max_streams=4, max_slots=subscribers * slots + 2, seed=1
        )
        plane.discard_output()
        plane.define_codec(VP8, fastpath.FORMAT_VP8, 90000)
        key = self._add(1 << 16, profile, receives=False)
        self._sealer = srtp.SrtpSession(profile, key[:16], key[16:])
        plane.add_stream(1 << 16 | 1, 1 << 16, SSRC, 0, video=True)
        for index in range(1, subscribers + 1):
            transport = 1 << 16 | index
            self._add(transport, profile, receives=True)
            for number in range(slots):
                slot = 1 << 16 | (index - 1) * slots + number + 1
                plane.add_slot(slot, transport, 2 * number + 2222, 2 * number + 2223, video=True)
                plane.bind_slot(slot, 1 << 16 | 1)
        plane.handle_timer(self._now_us)

    def frame(self) -> int:
        """Publish one frame of video as one wake-up; return the CPU time it took, in ns."""
        datagrams = [
            (
                self._sealer.seal(packet.serialize(), self._sequence_number >> 16),
                ("198.51.100.1", 10000),
            )
            for packet in self._packets()
        ]
        self._now_us += FRAME_INTERVAL_US
        started = time.thread_time_ns()
        self._plane.receive_datagrams(datagrams, self._now_us)
        spent = time.thread_time_ns() - started
        if self._frame % 30 == 0:
            self._keep_alive()
        return spent

    def forwarded(self) -> int:
        """Return how many packets were sent to subscribers so far."""
        return self._plane.counters()["rtp_out"]

    def _packets(self) -> Iterator[RtpPacket]:
        self._frame += 1
        for index in range(FRAME_PACKETS):
            self._sequence_number += 1
            picture_id = (0x8000 | self._frame & 0x7FFF).to_bytes(2, "big")
            descriptor = bytes([0x90 if index == 0 else 0x80, 0x80]) + picture_id
            start = b"\x00" if self._frame == 1 else b"\x01"
            yield RtpPacket(
                payload_type=96,
                sequence_number=self._sequence_number & 0xFFFF,
                rtp_timestamp=self._frame * 3000 & 0xFFFFFFFF,
                ssrc=SSRC,
                marker=index == FRAME_PACKETS - 1,
                payload=descriptor + start + self._rng.randbytes(PACKET_BYTES - 30),
                extensions=((3, self._sequence_number.to_bytes(4, "big")[2:]),),
            )

    def _add(self, transport: int, profile: int, *, receives: bool) -> bytes:
        keys = [self._rng.randbytes(16 + SALT_BYTES[profile]) for _ in range(2)]
        plane = self._plane
        plane.add_transport(transport, f"u{transport}".encode(), b"p" * 24)
        plane.set_keys(transport, profile, keys[0][:16], keys[0][16:], keys[1][:16], keys[1][16:])
        plane.configure_transport(
            transport,
            payload_in=table({96: VP8}, 128),
            payload_out=table({VP8: 100} if receives else {}, 64, fastpath.PAYLOAD_NONE),
            rtx_out=table({VP8: 101} if receives else {}, 64, fastpath.PAYLOAD_NONE),
            extensions_in=table({3: fastpath.EXTENSION_TRANSPORT_CC}, 256),
            extensions_out=table({fastpath.EXTENSION_TRANSPORT_CC: 5}, 16),
            transport_cc=True,
            remb=False,
            cname=b"bench",
        )
        self._check(transport)
        return keys[0]

    def _keep_alive(self) -> None:
        """Renew the consent of all peers, and let reports and feedback go out."""
        for index in range(self._plane.counters()["transports"]):
            self._check(1 << 16 | index)
        self._plane.handle_timer(self._now_us)

    def _check(self, transport: int) -> None:
        message = Message(
            method=Method.BINDING,
            message_class=MessageClass.REQUEST,
            transaction_id=new_transaction_id(self._rng),
        )
        message = message.with_attribute(USERNAME, f"u{transport}:peer")
        message = message.with_attribute(PRIORITY, 1)
        message = message.with_attribute(ICE_CONTROLLING, 7)
        message = message.with_attribute(USE_CANDIDATE, True)
        index = transport & 0xFFFF
        address = ("198.51.100.1", 10000 + index)
        self._plane.receive_datagrams([(message.serialize(key=b"p" * 24), address)], self._now_us)


def parse() -> float:
    """Return nanoseconds to parse one packet with four header extensions."""
    packet = RtpPacket(
        payload_type=96,
        sequence_number=1,
        rtp_timestamp=2,
        ssrc=3,
        payload=bytes(1150),
        extensions=((2, b"\x01\x02\x03"), (3, b"\x00\x07"), (4, b"1"), (13, b"\x00")),
    ).serialize()
    kinds = table(
        {
            2: fastpath.EXTENSION_ABS_SEND_TIME,
            3: fastpath.EXTENSION_TRANSPORT_CC,
            4: fastpath.EXTENSION_MID,
            13: fastpath.EXTENSION_VIDEO_ORIENTATION,
        },
        256,
    )
    return measure.parse(packet, kinds, rounds=200_000)


def fan_out(profile: int, subscribers: int) -> float:
    """Return nanoseconds per forwarded packet."""
    srtp.set_kernels()
    room = Room(profile, subscribers)
    for _ in range(5):
        room.frame()
    before = room.forwarded()
    spent = sum(room.frame() for _ in range(FRAMES))
    forwarded = room.forwarded() - before
    expected = FRAMES * FRAME_PACKETS * subscribers
    if forwarded != expected:
        raise AssertionError(f"{forwarded} packets were forwarded, {expected} expected")
    return spent / forwarded


def cases() -> Iterator[Case]:
    """Yield parse, and the fan-out for both profiles to 10 and 100 subscribers."""
    yield Case("parse, 4 extensions", parse)
    for profile, name in PROFILE_NAMES.items():
        for subscribers in (10, 100):

            def run(profile: int = profile, subscribers: int = subscribers) -> float:
                return fan_out(profile, subscribers)

            yield Case(f"fan-out {name} N={subscribers}, {PACKET_BYTES} B", run)
