"""
The compiled data plane: one sans-IO core, driven by a thread (``run``) or, in tests, by hand.

Ids are chosen by the caller: ``index | generation << 16`` with ``index`` below the capacity of its
kind; a command or an event with a stale generation changes nothing. Stream id 0 means "no stream",
so ids should begin with generation 1. Commands are copied into a ring and executed in order on the
plane's thread; they return False when the ring is full, and raise ValueError for arguments that no
plane would take. All times are CLOCK_MONOTONIC microseconds.

An outbound SSRC should not be used for a second slot of the same transport: SRTP forbids that an
index is sealed twice under one key. The plane remembers where the last few removed ones stopped
and goes on from there, but not all.
"""

from collections.abc import Sequence
from typing import Any, final

EVENT_VALIDATED: int  # (EVENT_VALIDATED, transport_id, at_us, address, port, first)
EVENT_DATAGRAM: int  # (EVENT_DATAGRAM, transport_id, at_us, data): DTLS from a validated address
EVENT_SSRC: int  # (EVENT_SSRC, transport_id, at_us, ssrc, payload_type, mid, rid, repaired_rid)
EVENT_CONSENT_LOST: int  # (EVENT_CONSENT_LOST, transport_id, at_us)
EVENT_STREAM_STARTED: int  # (EVENT_STREAM_STARTED, stream_id, at_us): its first valid packet
EVENT_BYE: int  # (EVENT_BYE, stream_id, at_us)
EVENT_SLOT_STARTED: int  # (EVENT_SLOT_STARTED, slot_id, at_us): first packet after a bind
EVENT_SHED: int  # (EVENT_SHED, slots, at_us): overload sheds the first slots, or 0: none any more

EXTENSION_MID: int
EXTENSION_RID: int
EXTENSION_REPAIRED_RID: int
EXTENSION_AUDIO_LEVEL: int
EXTENSION_ABS_SEND_TIME: int
EXTENSION_TRANSPORT_CC: int
EXTENSION_VIDEO_ORIENTATION: int
EXTENSION_TOFFSET: int
EXTENSION_PLAYOUT_DELAY: int
EXTENSION_VIDEO_CONTENT_TYPE: int
EXTENSION_COLOR_SPACE: int
EXTENSION_DEPENDENCY_DESCRIPTOR: int

FORMAT_OPAQUE: int
FORMAT_OPUS: int
FORMAT_VP8: int
FORMAT_H264: int
FORMAT_VP9: int
FORMAT_AV1: int

PAYLOAD_RTX: int  # flag in payload_in: the payload type is RTX of the codec in the low bits
PAYLOAD_NONE: int  # in payload_out and rtx_out: the peer does not take this codec

@final
class DataPlane:
    """
    One data plane: peers, streams and slots behind one UDP socket.

    :param max_transports: Capacity, at most 65,535; likewise the other capacities.
    :param command_slots: Capacity of the command ring, a power of two.
    :param event_slots: Capacity of the event ring, a power of two.
    :param seed: Seeds SSRC-independent randomness (RTCP jitter); 0 draws one.
    """

    def __new__(
        cls,
        *,
        max_transports: int = 4096,
        max_streams: int = 8192,
        max_slots: int = 65536 - 1,
        command_slots: int = 4096,
        event_slots: int = 4096,
        seed: int = 0,
    ) -> DataPlane: ...

    # The thread. bind() opens the socket; run() blocks without the GIL until stop().
    def bind(self, address: str, port: int, *, receive_buffer: int, send_buffer: int) -> int:
        """Open the UDP socket (dual stack for ``::``) and return its port. :raises OSError:"""
    def run(self) -> None:
        """Run the loop until :meth:`stop`. :raises DataPlaneError: when it ends with a failure."""
    def stop(self) -> None: ...
    def close(self) -> None: ...
    def fileno(self) -> int:
        """Return the eventfd that becomes readable when events wait."""
    def next_events(self, limit: int = 256) -> list[tuple[Any, ...]]:
        """Return up to ``limit`` events, oldest first, and forget them (clears the eventfd)."""

    # Commands.
    def define_codec(self, codec: int, payload_format: int, clock_rate: int) -> bool:
        """Describe codec number ``codec`` (1..63), the same for all transports of this plane."""
    def add_transport(self, transport_id: int, ufrag: bytes, password: bytes) -> bool:
        """
        Add a peer with our ICE credentials; it is answered at once by its ufrag.

        :param ufrag: 1 to 32 bytes, unique on this plane.
        :param password: 1 to 64 bytes.
        """
    def restart_transport(self, transport_id: int, ufrag: bytes, password: bytes) -> bool:
        """Accept new credentials too; the old ones die when the new ones are first used."""
    def set_keys(
        self,
        transport_id: int,
        profile: int,
        receive_key: bytes,
        receive_salt: bytes,
        send_key: bytes,
        send_salt: bytes,
    ) -> bool:
        """
        Install SRTP master keys (16 bytes) and salts (12 or 14 bytes).

        :param profile: 7 (AEAD_AES_128_GCM) or 1 (AES128_CM_HMAC_SHA1_80), as in RFC 5764/7714.
        """
    def configure_transport(
        self,
        transport_id: int,
        *,
        payload_in: bytes,
        payload_out: bytes,
        rtx_out: bytes,
        extensions_in: bytes,
        extensions_out: bytes,
        transport_cc: bool,
        remb: bool,
        cname: bytes,
        reduced_size: bool = False,
        extmap_allow_mixed: bool = False,
    ) -> bool:
        """
        Install what SDP negotiated; may be repeated.

        :param payload_in: 128 bytes: codec number of each payload type, 0 for none, or'd with
            ``PAYLOAD_RTX`` where the payload type is that codec's RTX.
        :param payload_out: 64 bytes: payload type of each codec number, or ``PAYLOAD_NONE``.
        :param rtx_out: 64 bytes: RTX payload type of each codec number, or ``PAYLOAD_NONE``.
        :param extensions_in: 256 bytes: ``EXTENSION_*`` of each extmap id, 0 for none.
        :param extensions_out: 16 bytes: extmap id (1..14) of each ``EXTENSION_*``, 0 for none.
        :param transport_cc: The peer takes transport-wide feedback for what it sends.
        :param remb: It takes REMB (used when transport_cc is false).
        :param cname: Our SDES CNAME towards this peer, at most 63 bytes.
        :param reduced_size: The peer takes reduced-size RTCP (RFC 5506), so feedback goes without
            an empty RR and SDES before it.
        :param extmap_allow_mixed: The peer takes both forms of header extensions in one stream (RFC
            8285 section 4.1.2). Without it, elements of more than 16 bytes are left out.
        """
    def send_datagram(self, transport_id: int, data: bytes) -> bool:
        """
        Send DTLS to the selected address; dropped (counted) when none is validated.

        :param data: One datagram of 1 to 2,000 bytes.
        """
    def remove_transport(self, transport_id: int) -> bool:
        """Forget the peer with all its streams and slots; sends RTCP BYE for its slots."""
    def add_stream(
        self, stream_id: int, transport_id: int, ssrc: int, rtx_ssrc: int, *, video: bool
    ) -> bool:
        """Accept an inbound SSRC (with its RTX SSRC or 0)."""
    def set_stream_rtx(self, stream_id: int, rtx_ssrc: int) -> bool:
        """
        Give a stream an RTX SSRC that was learned later (an EVENT_SSRC whose payload type is RTX,
        with ``repaired_rid``); 0 takes it away.
        """
    def set_stream_lower(self, stream_id: int, lower_id: int) -> bool:
        """Name the next lower rendition of the same source, to fall back to; 0 for none."""
    def remove_stream(self, stream_id: int) -> bool: ...
    def add_slot(
        self, slot_id: int, transport_id: int, ssrc: int, rtx_ssrc: int, *, video: bool
    ) -> bool:
        """Add a down-link slot: an outbound SSRC (with RTX SSRC or 0) that can be re-pointed."""
    def bind_slot(self, slot_id: int, stream_id: int) -> bool:
        """
        Forward ``stream_id`` on the slot from its next key frame on (audio: at once).

        Sequence numbers and timestamps go on from what the slot sent before. A key frame is
        requested. 0 unbinds. Binding to the same stream again starts anew with a key frame.
        """
    def remove_slot(self, slot_id: int) -> bool: ...
    def request_key_frame(self, stream_id: int) -> bool: ...

    # Several planes: streams whose subscribers are on another plane.
    def link(self, other: DataPlane) -> bool:
        """
        Let streams of either plane have copies on the other; a second call does nothing.

        It takes some megabytes. Close neither plane while the other one runs.
        """
    def add_copy(
        self, stream_id: int, other: DataPlane, other_stream_id: int, *, video: bool
    ) -> bool:
        """
        Add a stream whose packets another plane sends: slots can be bound to it as to any other.

        It ends with ``remove_stream``; a peer that goes away does not take it along.
        """
    def copy_stream(self, stream_id: int, other: DataPlane, copy_id: int) -> bool:
        """
        Send the stream's packets to its copy on another plane, one for each plane; 0 ends it.

        Refused (counted) when the stream has 7 copies.
        """

    # Facts, read in place while the thread runs.
    def load(self) -> float:
        """Return the share of the last half second or so in which the thread had work, 0 to 1."""
    def counters(self) -> dict[str, int]:
        """Return all counters of the plane (packets, bytes, drops by reason, RTCP, rings...)."""
    def transport_stats(self, transport_id: int) -> dict[str, Any] | None: ...
    def stream_stats(self, stream_id: int) -> dict[str, Any] | None: ...
    def slot_stats(self, slot_id: int) -> dict[str, Any] | None: ...

    # By hand: only while no thread runs. The same core without socket and clock.
    def receive_datagrams(
        self,
        datagrams: Sequence[
            tuple[bytes, tuple[str, int]] | tuple[bytes, tuple[str, int], str | None]
        ],
        now_us: int,
    ) -> None:
        """
        Carry out the commands, take one wake-up's datagrams from their sources, forward.

        A third element is the address of ours that the datagram came to, as a socket that is bound
        to ``::`` tells it; answers leave from there.
        """
    def handle_timer(self, now_us: int) -> None: ...
    def look_at_load(
        self,
        now_us: int,
        *,
        busy_us: int,
        length_us: int = 20000,
        drops: int = 0,
        waited_us: int = 0,
        taken_ago_us: int = 0,
        emptied: bool = False,
    ) -> None:
        """
        Do what the thread does every 20 ms of work: see whether it keeps up.

        :param busy_us: Time with work, of ``length_us``.
        :param drops: Datagrams that the kernel has dropped so far.
        :param waited_us: How long what was taken last had waited in the socket; -1: unknown.
        :param taken_ago_us: When that was.
        :param emptied: The socket was empty at least once.
        """
    def next_timer(self) -> int:
        """Return when handle_timer has work: 0 while commands wait, -1 for never."""
    def discard_output(self) -> None:
        """Drop from now on what would be sent: for measuring everything but sending."""
    def datagrams_to_send(self) -> list[tuple[bytes, tuple[str, int]]]:
        """Return what would have been sent, GSO runs already split, and forget it."""
    def datagrams_to_send_from(self) -> list[tuple[bytes, tuple[str, int], str | None]]:
        """Do the same, and tell the address to send from; None leaves it to the kernel."""
