"""The other end of an engine: what libsrtp seals and opens, and packets to send to it."""

import random
import socket
import struct
import time
from collections.abc import Callable

from benchmarks.engine import Engine
from router.rtp import (
    PacketType,
    RtcpPacket,
    RtpPacket,
    parse_compound,
    parse_packet,
    serialize_compound,
)
from router.sdp.config import (
    AUDIO_LEVEL_EXTENSION,
    MID_EXTENSION,
    TRANSPORT_WIDE_CC_EXTENSION,
)
from tests.support.libsrtp import PROFILE_GCM, libsrtp_session, random_keys

LEVEL, TRANSPORT_CC, MID = 1, 3, 4
EXTENSIONS = {
    AUDIO_LEVEL_EXTENSION: LEVEL,
    TRANSPORT_WIDE_CC_EXTENSION: TRANSPORT_CC,
    MID_EXTENSION: MID,
}
SSRC, RTX, REMOTE = 5, 6, 77
UDP_SEGMENT = 103
"""The kernel's; the socket module does not know it."""
DEADLINE = 20.0


class Server:
    """The other end: a socket whose packets libsrtp seals and opens."""

    def __init__(
        self,
        engine: Engine,
        *,
        profile: int = PROFILE_GCM,
        sampled: float = 1.0,
        reads: bool = True,
        place: tuple[socket.socket, str] | None = None,
    ) -> None:
        rng = random.Random(profile)
        to_server, to_client = random_keys(profile, rng), random_keys(profile, rng)
        self.engine = engine
        self.client, self.socket = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
        for one in (self.client, self.socket):
            one.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self.client.getsockname()
        if place is not None:
            self.client.close()
            self.client, source = place
            self.address = (source, self.client.getsockname()[1])
        self.socket.settimeout(DEADLINE)
        self._open = libsrtp_session(profile, *to_server, inbound=True)
        self._seal = libsrtp_session(profile, *to_client, inbound=False)
        self.rtp: list[RtpPacket] = []
        self.rtcp: list[RtcpPacket] = []
        self.connection = engine.add_connection(
            self.client.fileno(),
            self.socket.getsockname(),
            profile=profile,
            send_key=to_server[0],
            send_salt=to_server[1],
            receive_key=to_client[0],
            receive_salt=to_client[1],
            extensions=EXTENSIONS,
            sampled=sampled,
            reads=reads,
            source=None if place is None else place[1],
        )

    def seal(self, packet: RtpPacket) -> bytes:
        sealed: bytes = self._seal.protect(packet.serialize())
        return sealed

    def send_rtp(self, packet: RtpPacket) -> None:
        self.send(self.seal(packet))

    def send_rtcp(self, *packets: RtcpPacket) -> None:
        self.send(self._seal.protect_rtcp(serialize_compound(list(packets))))

    def send(self, data: bytes) -> None:
        self.socket.sendto(data, self.address)

    def receive_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, "it did not come"
            data, source = self.socket.recvfrom(2048)
            assert source == self.address
            if 192 <= data[1] <= 223:
                self.rtcp += parse_compound(self._open.unprotect_rtcp(data))
            else:
                self.rtp.append(parse_packet(self._open.unprotect(data)))

    def send_run(self, datagrams: list[bytes]) -> None:
        """As one message: all have one length, the last one may be shorter."""
        size = struct.pack("H", len(datagrams[0]))
        self.socket.sendmsg(
            [b"".join(datagrams)],
            [(socket.SOL_UDP, UDP_SEGMENT, size)],
            0,
            self.address,
        )

    def feedback(self, packet_type: PacketType, count: int) -> list[RtcpPacket]:
        return [p for p in self.rtcp if (p.packet_type, p.count) == (packet_type, count)]

    def close(self) -> None:
        self.engine.remove_connection(self.connection)
        self.client.close()
        self.socket.close()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def inbound_packets(count: int) -> list[RtpPacket]:
    """A VP8 stream of another origin, numbered over the wrap."""
    return [
        RtpPacket(
            payload_type=96,
            sequence_number=(65_500 + number) & 0xFFFF,
            rtp_timestamp=number * 3000,
            ssrc=REMOTE,
            payload=b"\x90\x80\x80\x01" + bytes(200),
            extensions=((TRANSPORT_CC, number.to_bytes(2, "big")),),
        )
        for number in range(count)
    ]


def video_frames(frames: int, packets: int, ssrc: int = REMOTE) -> list[list[RtpPacket]]:
    """Frames of full packets; transport-wide numbers are left out."""
    return [
        [
            RtpPacket(
                payload_type=96,
                sequence_number=frame * packets + index,
                rtp_timestamp=frame * 3000,
                ssrc=ssrc,
                payload=b"\x80\x80\x80\x01" + bytes(1000),
            )
            for index in range(packets)
        ]
        for frame in range(frames)
    ]
