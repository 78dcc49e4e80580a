"""A small room on a plane driven by hand: one publisher and its subscribers."""

from dataclasses import dataclass, field
from typing import Any

from router._fastpath import plane as fp
from router.rtp import RtpPacket

from .peers import AEAD, H264, OPUS, VP8, Peer, deliver, new_plane, vp8_payload

SSRC, RTX_SSRC, AUDIO_SSRC = 1111, 1112, 1113
STREAM, AUDIO_STREAM = 0x10001, 0x10002
OUT_SSRC, OUT_RTX_SSRC, OUT_AUDIO_SSRC = 2222, 2223, 2224


@dataclass
class Room:
    """A publisher with one video and one audio stream, and subscribers to them."""

    plane: fp.DataPlane
    publisher: Peer
    subscribers: list[Peer]
    slots: list[int]
    audio_slots: list[int] = field(default_factory=list)
    now_us: int = 0

    def deliver(self) -> list[tuple[bytes, tuple[str, int]]]:
        return deliver(self.plane, [self.publisher, *self.subscribers])

    def publish(self, *packets: RtpPacket, after_us: int = 0) -> None:
        """Send packets as one wake-up and deliver what comes of it."""
        self.now_us += after_us
        self.publisher.send_rtp(list(packets), self.now_us)
        self.deliver()

    def run(self, duration_us: int) -> None:
        """Let time pass, timer by timer."""
        until = self.now_us + duration_us
        while 0 <= self.plane.next_timer() <= until:
            self.now_us = max(self.now_us, self.plane.next_timer())
            self.plane.handle_timer(self.now_us)
            self.deliver()
        self.now_us = until


def video(
    seq: int,
    *,
    rtp_ts: int | None = None,
    key: bool = False,
    picture_id: int | None = None,
    tl0: int | None = None,
    size: int = 200,
    ssrc: int = SSRC,
    extensions: tuple[tuple[int, bytes], ...] = (),
) -> RtpPacket:
    """A VP8 packet that is a frame by itself."""
    return RtpPacket(
        payload_type=96,
        sequence_number=seq & 0xFFFF,
        rtp_timestamp=(seq * 3000 if rtp_ts is None else rtp_ts) & 0xFFFFFFFF,
        ssrc=ssrc,
        payload=vp8_payload(size, key=key, picture_id=picture_id, tl0=tl0),
        marker=True,
        extensions=extensions,
    )


def new_room(
    *,
    subscribers: int = 1,
    profile: int = AEAD,
    subscriber_profile: int = AEAD,
    rtx: bool = True,
    extensions_out: dict[int, int] | None = None,
    publisher_options: dict[str, Any] | None = None,
    audio: bool = False,
    bind: bool = True,
    reduced_size: bool = True,
) -> Room:
    """Return a room at time 0, everybody connected and the first key frame requested."""
    plane = new_plane()
    publisher = Peer(plane, 0x10000, profile=profile)
    publisher.configure(reduced_size=reduced_size, **(publisher_options or {}))
    publisher.connect(0)
    plane.add_stream(STREAM, publisher.id, SSRC, RTX_SSRC, video=True)
    if audio:
        plane.add_stream(AUDIO_STREAM, publisher.id, AUDIO_SSRC, 0, video=False)
    room = Room(plane, publisher, [], [])
    for n in range(subscribers):
        peer = Peer(plane, 0x10001 + n, profile=subscriber_profile)
        peer.configure(
            types_out={VP8: 100, H264: 102, OPUS: 110},
            rtx_out={VP8: 101} if rtx else {},
            extensions_out=extensions_out,
            reduced_size=reduced_size,
        )
        peer.connect(0)
        slot = 0x10000 + 2 * n
        plane.add_slot(slot, peer.id, OUT_SSRC, OUT_RTX_SSRC if rtx else 0, video=True)
        room.slots.append(slot)
        if audio:
            plane.add_slot(slot + 1, peer.id, OUT_AUDIO_SSRC, 0, video=False)
            room.audio_slots.append(slot + 1)
        if bind:
            plane.bind_slot(slot, STREAM)
            if audio:
                plane.bind_slot(slot + 1, AUDIO_STREAM)
        room.subscribers.append(peer)
    plane.handle_timer(0)
    room.deliver()
    plane.next_events()
    return room
