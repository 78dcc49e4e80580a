"""How many nanoseconds does the plane need to parse a packet, and to forward it once more?"""

import random
import statistics
import time
from collections.abc import Iterator

from router._fastpath import measure, srtp
from router._fastpath import plane as fastpath
from router.rtp import ReceiverReport, ReportBlock, RtpPacket
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
CONTROL = ("STUN consent check", "RTCP receiver report")
CONTROL_ROUNDS = 20
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
        self._round = 0
        plane = self._plane = fastpath.DataPlane(
            max_transports=subscribers + 2, max_streams=4, max_slots=subscribers * slots + 2, seed=1
        )
        plane.discard_output()
        plane.define_codec(VP8, fastpath.FORMAT_VP8, 90000)
        self._subscribers = subscribers
        self._sealers: dict[int, srtp.SrtpSession] = {}
        self._add(1 << 16, profile, receives=False)
        self._sealer = self._sealers[1 << 16]
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

    def control(self, kind: str) -> float:
        """
        Let each subscriber send one datagram of a kind of :data:`CONTROL`; return the CPU time of
        one, in ns.
        """
        self._round += 1
        transports = [1 << 16 | index for index in range(1, self._subscribers + 1)]
        datagrams = [self._control(kind, transport) for transport in transports]
        counter = "stun_requests" if kind == "STUN consent check" else "rtcp_in"
        before = self._plane.counters()[counter]
        started = time.thread_time_ns()
        self._plane.receive_datagrams(datagrams, self._now_us)
        spent = time.thread_time_ns() - started
        if self._plane.counters()[counter] - before != len(datagrams):
            raise AssertionError(f"not every {kind} was taken")
        return spent / len(datagrams)

    def _control(self, kind: str, transport: int) -> tuple[bytes, tuple[str, int]]:
        if kind == "STUN consent check":
            return self._request(transport)
        report = ReportBlock(
            ssrc=2222,
            fraction_lost=0,
            packets_lost=0,
            highest_sequence_number=self._sequence_number,
            jitter=0,
            last_sr=0,
            delay_since_last_sr=0,
        )
        packet = ReceiverReport(ssrc=1, blocks=(report,)).to_packet().serialize()
        address = ("198.51.100.1", 10000 + (transport & 0xFFFF))
        return self._sealers[transport].seal_rtcp(packet, self._round), address

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

    def _add(self, transport: int, profile: int, *, receives: bool) -> None:
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
        self._sealers[transport] = srtp.SrtpSession(profile, keys[0][:16], keys[0][16:])

    def _keep_alive(self) -> None:
        """Renew the consent of all peers, and let reports and feedback go out."""
        for index in range(self._plane.counters()["transports"]):
            self._check(1 << 16 | index)
        self._plane.handle_timer(self._now_us)

    def _check(self, transport: int) -> None:
        self._plane.receive_datagrams([self._request(transport)], self._now_us)

    def _request(self, transport: int) -> tuple[bytes, tuple[str, int]]:
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
        return message.serialize(key=b"p" * 24), address


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


def control(kind: str) -> float:
    """Return nanoseconds per datagram of a kind, from 100 subscribers who have received media."""
    srtp.set_kernels()
    room = Room(7, 100)
    spent = []
    for _ in range(CONTROL_ROUNDS):
        room.frame()
        spent.append(room.control(kind))
    return statistics.median(spent)


def cases() -> Iterator[Case]:
    """Yield parse, what is no media, and the fan-out for both profiles to 10 and 100."""
    yield Case("parse, 4 extensions", parse)
    for kind in CONTROL:

        def run_control(kind: str = kind) -> float:
            return control(kind)

        yield Case(f"{kind}, GCM", run_control)
    for profile, name in PROFILE_NAMES.items():
        for subscribers in (10, 100):

            def run(profile: int = profile, subscribers: int = subscribers) -> float:
                return fan_out(profile, subscribers)

            yield Case(f"fan-out {name} N={subscribers}, {PACKET_BYTES} B", run)
