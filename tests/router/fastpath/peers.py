"""Peers of a data plane that is driven by hand: STUN from ``router.stun``, SRTP from pylibsrtp."""

import random
from dataclasses import dataclass, field
from typing import Any

from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

from router._fastpath import plane as fp
from router.errors import WireFormatError
from router.rtp import RtcpPacket, RtpPacket, parse_compound, parse_packet, serialize_compound
from router.stun import (
    ICE_CONTROLLED,
    ICE_CONTROLLING,
    PRIORITY,
    USE_CANDIDATE,
    USERNAME,
    Message,
    MessageClass,
    Method,
    new_transaction_id,
    parse_message,
)

AEAD = 7
CM = 1

PROFILES = {
    AEAD: (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 12),
    CM: (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 14),
}

OPUS, VP8, H264, VP9, AV1, DATA, PCMU = 1, 2, 3, 4, 5, 6, 7
"""Codec numbers that :func:`new_plane` defines."""

PUBLISHER_TYPES = {111: OPUS, 96: VP8, 97: VP8 | fp.PAYLOAD_RTX, 102: H264, 98: VP9, 45: AV1}
PUBLISHER_EXTENSIONS = {
    1: fp.EXTENSION_AUDIO_LEVEL,
    2: fp.EXTENSION_ABS_SEND_TIME,
    3: fp.EXTENSION_TRANSPORT_CC,
    4: fp.EXTENSION_MID,
    10: fp.EXTENSION_RID,
    11: fp.EXTENSION_REPAIRED_RID,
    12: fp.EXTENSION_VIDEO_ORIENTATION,
    13: fp.EXTENSION_DEPENDENCY_DESCRIPTOR,
}


def new_plane(**arguments: int) -> fp.DataPlane:
    """Return a plane for driving by hand, with all codecs defined."""
    plane = fp.DataPlane(
        **{"max_transports": 64, "max_streams": 64, "max_slots": 256, "seed": 1, **arguments}
    )
    plane.define_codec(OPUS, fp.FORMAT_OPUS, 48000)
    plane.define_codec(VP8, fp.FORMAT_VP8, 90000)
    plane.define_codec(H264, fp.FORMAT_H264, 90000)
    plane.define_codec(VP9, fp.FORMAT_VP9, 90000)
    plane.define_codec(AV1, fp.FORMAT_AV1, 90000)
    plane.define_codec(DATA, fp.FORMAT_OPAQUE, 90000)
    plane.define_codec(PCMU, fp.FORMAT_OPAQUE, 8000)
    return plane


def by_index(table: dict[int, int], length: int, *, absent: int = 0) -> bytes:
    """Return ``length`` bytes, the value of each index that has one, else ``absent``."""
    return bytes(table.get(index, absent) for index in range(length))


@dataclass(kw_only=True)
class Received:
    """What a peer has opened."""

    rtp: list[RtpPacket] = field(default_factory=list)
    rtcp: list[RtcpPacket] = field(default_factory=list)
    stun: list[Message] = field(default_factory=list)
    dtls: list[bytes] = field(default_factory=list)
    rtcp_datagrams: list[list[RtcpPacket]] = field(default_factory=list)


class Peer:
    """
    One WebRTC peer of a plane.

    :param transport_id: Chosen by the test.
    :param profile: ``AEAD`` or ``CM``.
    """

    def __init__(
        self,
        plane: fp.DataPlane,
        transport_id: int,
        *,
        profile: int = AEAD,
        address: tuple[str, int] | None = None,
        keys: bool = True,
    ) -> None:
        self.plane = plane
        self.id = transport_id
        self.address = address or ("198.51.100.7", 20000 + transport_id % 40000)
        self.rng = random.Random(transport_id)
        self.ufrag = f"ufrag{transport_id}".encode()
        self.password = self.rng.randbytes(12).hex().encode()
        self.received = Received()
        self.undecipherable = 0
        self._profile, self._salt_length = PROFILES[profile]
        self.profile = profile
        self._draw_keys()
        plane.add_transport(self.id, self.ufrag, self.password)
        if keys:
            self.install_keys()

    def _draw_keys(self) -> None:
        # master key then salt, as in RFC 5764
        self.send_key, self.receive_key = (
            self.rng.randbytes(16 + self._salt_length) for _ in range(2)
        )
        self._sender = self._session(self.send_key, Policy.SSRC_ANY_OUTBOUND)
        self._receiver = self._session(self.receive_key, Policy.SSRC_ANY_INBOUND)

    def renew_keys(self) -> None:
        """Do what follows a new DTLS association: new keys, new roll-over counters."""
        self._draw_keys()
        self.install_keys()

    def _session(self, key: bytes, ssrc_type: int) -> Session:
        policy = Policy(key=key, ssrc_type=ssrc_type, srtp_profile=self._profile)
        policy.window_size = 1024
        policy.allow_repeat_tx = True
        return Session(policy)

    def install_keys(self) -> None:
        self.plane.set_keys(
            self.id,
            self.profile,
            self.send_key[:16],
            self.send_key[16:],
            self.receive_key[:16],
            self.receive_key[16:],
        )

    def configure(
        self,
        *,
        types_in: dict[int, int] | None = None,
        types_out: dict[int, int] | None = None,
        rtx_out: dict[int, int] | None = None,
        extensions_in: dict[int, int] | None = None,
        extensions_out: dict[int, int] | None = None,
        **options: Any,
    ) -> None:
        """Configure the transport; tables as {payload type: codec}, {codec: payload type}, ..."""
        self.plane.configure_transport(
            self.id,
            payload_in=by_index(PUBLISHER_TYPES if types_in is None else types_in, 128),
            payload_out=by_index(types_out or {}, 64, absent=fp.PAYLOAD_NONE),
            rtx_out=by_index(rtx_out or {}, 64, absent=fp.PAYLOAD_NONE),
            extensions_in=by_index(
                PUBLISHER_EXTENSIONS if extensions_in is None else extensions_in, 256
            ),
            extensions_out=by_index(extensions_out or {}, 16),
            **{"transport_cc": False, "remb": False, "cname": b"plane", **options},
        )

    def check(
        self,
        *,
        nominate: bool = False,
        controlled: bool = False,
        password: bytes | None = None,
        ufrag: bytes | None = None,
    ) -> bytes:
        """Return a connectivity check."""
        message = Message(
            method=Method.BINDING,
            message_class=MessageClass.REQUEST,
            transaction_id=new_transaction_id(self.rng),
        )
        message = message.with_attribute(USERNAME, f"{(ufrag or self.ufrag).decode()}:peer")
        message = message.with_attribute(PRIORITY, 1)
        if controlled:
            message = message.with_attribute(ICE_CONTROLLED, 7)
        else:
            message = message.with_attribute(ICE_CONTROLLING, 7)
        if nominate:
            message = message.with_attribute(USE_CANDIDATE, True)
        return message.serialize(key=self.password if password is None else password)

    def connect(self, now_us: int, *, nominate: bool = True) -> None:
        """Validate the peer's address."""
        self.send([self.check(nominate=nominate)], now_us)
        self.collect()

    def send(self, datagrams: list[bytes], now_us: int) -> None:
        """Let the plane receive datagrams from this peer's address, as one wake-up."""
        self.plane.receive_datagrams([(data, self.address) for data in datagrams], now_us)

    def seal(self, packet: RtpPacket) -> bytes:
        return bytes(self._sender.protect(packet.serialize()))

    def send_rtp(self, packets: list[RtpPacket], now_us: int) -> None:
        self.send([self.seal(packet) for packet in packets], now_us)

    def seal_rtcp(self, packets: list[RtcpPacket]) -> bytes:
        return bytes(self._sender.protect_rtcp(serialize_compound(packets)))

    def send_rtcp(self, packets: list[RtcpPacket], now_us: int) -> None:
        self.send([self.seal_rtcp(packets)], now_us)

    def take(self, data: bytes) -> None:
        """Read one datagram that the plane sent to this peer."""
        if data[0] <= 3:
            self.received.stun.append(parse_message(data))
        elif 20 <= data[0] <= 63:
            self.received.dtls.append(data)
        else:
            try:
                if 192 <= data[1] <= 223:
                    packets = parse_compound(self._receiver.unprotect_rtcp(data))
                    self.received.rtcp += packets
                    self.received.rtcp_datagrams.append(packets)
                else:
                    self.received.rtp.append(parse_packet(self._receiver.unprotect(data)))
            except (SrtpError, WireFormatError):
                self.undecipherable += 1

    def collect(self) -> None:
        deliver(self.plane, [self])


def deliver(plane: fp.DataPlane, peers: list[Peer]) -> list[tuple[bytes, tuple[str, int]]]:
    """Hand what the plane sent to the peers by address; return all of it."""
    sent = plane.datagrams_to_send()
    by_address = {peer.address: peer for peer in peers}
    for data, destination in sent:
        if destination in by_address:
            by_address[destination].take(data)
    return sent


def vp8_payload(
    size: int = 200, *, key: bool = False, picture_id: int | None = None, tl0: int | None = None
) -> bytes:
    """Return the first packet of a VP8 frame."""
    from router.rtp import Vp8Descriptor

    descriptor = Vp8Descriptor(picture_id=picture_id, tl0_picture_index=tl0).serialize()
    return descriptor + bytes([0 if key else 1]) + bytes(size)
