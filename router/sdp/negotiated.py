"""What a completed exchange of descriptions established; read by the owner of the transport."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTransport:
    """The peer's end of the one bundled transport."""

    ufrag: str
    """ICE username fragment."""
    pwd: str
    """ICE password."""
    fingerprints: tuple[str, ...]
    """Certificate hashes, ``sha-256 AA:BB:...``; any one that we can compute must match."""
    setup: str
    """The peer's DTLS role after the exchange: ``active`` (it is the client) or ``passive``."""
    ice_options: tuple[str, ...] = ()
    """ICE options such as ``trickle`` and ``renomination``."""
    candidates: tuple[str, ...] = ()
    """The peer's candidates as printed, ``candidate:...``; an ICE-lite server needs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportChange:
    """How the peer's transport differs from the one known before."""

    ice_restart: bool = False
    """The peer has a new ufrag or pwd: give us new ones too before the answer (RFC 8839 4.4.1)."""
    fingerprint_changed: bool = False
    """The peer has another certificate: a new DTLS association is due (RFC 8842 section 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferOutcome(TransportChange):
    """What the owner must know before it lets the answer be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOutcome(TransportChange):
    """What the peer's answer changed in the transport; False for both is the ordinary case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundStream:
    """One encoded stream that the peer sends, lowest simulcast layer first."""

    ssrc: int | None
    """Its SSRC, or None when only its RID is announced."""
    rtx_ssrc: int | None = None
    """SSRC of its RTX stream (FID group), or None."""
    rid: str | None = None
    """Its RID (RFC 8851), or None when it is known by SSRC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMedia:
    """A section on which the peer sends: at most one published track."""

    mid: str
    """Media identification (RFC 9143); also in the ``sdes:mid`` extension."""
    kind: str
    """``audio`` or ``video``."""
    track_id: str
    """Second token of the section's msid, as printed (Firefox has braces); empty if none."""
    streams: tuple[InboundStream, ...]
    """Its encoded streams in SIM or RID order; empty when only the mid tells packets apart."""
    payload_types: tuple[int, ...]
    """Payload types negotiated in this section, ours preferred first, RTX included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """
    A section on which we send now.

    All fields except :attr:`payload_types` stay the same for the life of the section; media is
    switched under it without SDP.
    """

    index: int
    """Position among the slots of its kind; slot k of audio and of video share a stream id."""
    mid: str
    """Media identification of the section."""
    kind: str
    """``audio`` or ``video``."""
    receiver_id: str
    """Track id of its msid, by which the client finds the receiver."""
    stream_id: str
    """Stream id of its msid; the client lip-syncs slots that share it."""
    ssrc: int
    """SSRC of the media."""
    rtx_ssrc: int | None
    """SSRC for retransmissions, or None when RTX was not negotiated."""
    payload_types: tuple[int, ...]
    """Payload types that the peer takes in this section, RTX included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """RTCP feedback negotiated for one payload type (RFC 4585, RFC 5104)."""

    nack: bool = False
    """Generic NACK."""
    pli: bool = False
    """Picture loss indication."""
    fir: bool = False
    """Full intra request."""
    transport_cc: bool = False
    """Transport-wide congestion control feedback."""
    goog_remb: bool = False
    """Receiver estimated maximum bit rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SctpParameters:
    """The negotiated SCTP association (RFC 8841)."""

    mid: str
    """Media identification of the application section."""
    remote_port: int
    """The peer's SCTP port."""
    max_message_size: int
    """Largest message that the peer takes, in bytes; 0 means any size."""
