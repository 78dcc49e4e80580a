"""One m-section as the server sees it, and how it is printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .attributes import (
    Direction,
    ExtMap,
    Msid,
    PayloadFormat,
    Rid,
    Simulcast,
    Ssrc,
    SsrcGroup,
    TransportAttributes,
)
from .description import MediaDescription
from .negotiated import InboundMedia, SctpParameters, Slot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .codecs import PayloadType

RTP_PROTOCOLS = frozenset(
    {"UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVP"}
)
"""Protocols of RTP sections that mean DTLS-SRTP in WebRTC (RFC 9429 section 5.1.2)."""

SCTP_PROTOCOLS = frozenset({"UDP/DTLS/SCTP", "TCP/DTLS/SCTP"})
"""Protocols of sections with data channels (RFC 8841)."""

DATA_CHANNEL_FORMAT = "webrtc-datachannel"

_DISCARD_PORT = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """The identity of what we send on a section; made once, kept for the section's life."""

    index: int
    """Slot index among its kind."""
    receiver_id: str
    """Track id of the msid."""
    stream_id: str
    """Stream id of the msid."""
    ssrc: int
    """SSRC of the media."""
    rtx_ssrc: int
    """SSRC of its RTX; announced only when RTX is negotiated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The agreed or proposed state of one m-section, directions seen from the server."""

    kind: str
    """``audio``, ``video``, ``application`` or what the peer printed in a rejected section."""
    protocol: str
    """Transport protocol to print."""
    formats: tuple[str, ...]
    """Format to print while stopped."""
    mid: str = ""
    """Media identification."""
    stopped: bool = False
    """Port 0: the section is out of use and its place can be taken by a new one."""
    sends: bool = False
    """Whether we send."""
    receives: bool = False
    """Whether the peer may send."""
    remote_receives: bool = False
    """Whether the peer last said, unasked, that it can receive here."""
    payload_types: tuple[int, ...] = ()
    """Numbers to print, RTX included."""
    feedback: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """rtcp-fb values by payload type."""
    payload_formats: tuple[PayloadFormat, ...] = ()
    """The payload types as they are printed; sections share them."""
    extmaps: tuple[ExtMap, ...] = ()
    """Header extensions to print."""
    rtcp_rsize: bool = True
    """Whether reduced-size RTCP is negotiated."""
    outbound: Outbound | None = None
    """What we send or once sent here."""
    inbound: InboundMedia | None = None
    """What the peer sends here."""
    sctp: SctpParameters | None = None
    """The SCTP parameters of an application section."""

    @property
    def is_media(self) -> bool:
        """Whether it is a live audio or video section."""
        return not self.stopped and self.kind in ("audio", "video")

    @property
    def is_slot(self) -> bool:
        """Whether we send here now."""
        return self.is_media and self.sends and self.outbound is not None

    def slot(self, payload_types: Mapping[int, PayloadType]) -> Slot:
        """Return the slot that this section is; only when :attr:`is_slot`."""
        assert self.outbound is not None
        return Slot(
            index=self.outbound.index,
            mid=self.mid,
            kind=self.kind,
            receiver_id=self.outbound.receiver_id,
            stream_id=self.outbound.stream_id,
            ssrc=self.outbound.ssrc,
            rtx_ssrc=self.outbound.rtx_ssrc if self._has_rtx(payload_types) else None,
            payload_types=self.payload_types,
        )

    def _has_rtx(self, payload_types: Mapping[int, PayloadType]) -> bool:
        return any(payload_types[number].apt is not None for number in self.payload_types)

    def describe(
        self,
        *,
        payload_types: Mapping[int, PayloadType],
        transport: TransportAttributes,
        candidates: tuple[str, ...],
        cname: str,
        sctp_port: int,
        max_message_size: int,
    ) -> MediaDescription:
        """
        Return the m-section to print.

        :param transport: Our ICE and DTLS attributes.
        :param candidates: Our candidates, for the section that carries them; else none.
        """
        if self.stopped:
            return MediaDescription(
                kind=self.kind,
                port=0,
                protocol=self.protocol,
                formats=self.formats,
                mid=self.mid,
                direction=Direction.INACTIVE,
            )
        if self.kind == "application":
            return MediaDescription(
                kind=self.kind,
                port=_DISCARD_PORT,
                protocol=self.protocol,
                formats=(DATA_CHANNEL_FORMAT,),
                mid=self.mid,
                transport=transport,
                candidates=candidates,
                end_of_candidates=bool(candidates),
                sctp_port=sctp_port,
                max_message_size=max_message_size,
            )
        rids = [stream.rid for stream in self.inbound.streams if stream.rid] if self.inbound else []
        slot = self.slot(payload_types) if self.is_slot else None
        return MediaDescription(
            kind=self.kind,
            port=_DISCARD_PORT,
            protocol=self.protocol,
            formats=tuple(map(str, self.payload_types)),
            mid=self.mid,
            direction=Direction.of(sends=self.sends, receives=self.receives),
            transport=transport,
            candidates=candidates,
            end_of_candidates=bool(candidates),
            rtcp_mux=True,
            rtcp_rsize=self.rtcp_rsize,
            payload_formats=self.payload_formats,
            extmaps=self.extmaps,
            rids=tuple(Rid(id=rid, direction="recv") for rid in rids),
            simulcast=Simulcast(recv=tuple((rid,) for rid in rids)) if len(rids) > 1 else None,
            msids=() if slot is None else (_msid(slot),),
            ssrcs=() if slot is None else _sources(slot, cname),
            ssrc_groups=() if slot is None else _source_groups(slot),
        )


def stopped_section(kind: str, protocol: str, formats: tuple[str, ...], mid: str) -> Section:
    """
    Return a section that is out of use.

    RFC 3264 section 6 wants some format on the line. RTP sections get 0, which needs no rtpmap.
    """
    formats = ("0",) if "RTP/" in protocol else formats[:1]
    return Section(kind=kind, protocol=protocol, formats=formats, mid=mid, stopped=True)


def _msid(slot: Slot) -> Msid:
    return Msid(stream_id=slot.stream_id, track_id=slot.receiver_id)


def _sources(slot: Slot, cname: str) -> tuple[Ssrc, ...]:
    numbers = [slot.ssrc] if slot.rtx_ssrc is None else [slot.ssrc, slot.rtx_ssrc]
    return tuple(Ssrc(ssrc=number, cname=cname) for number in numbers)


def _source_groups(slot: Slot) -> tuple[SsrcGroup, ...]:
    if slot.rtx_ssrc is None:
        return ()
    return (SsrcGroup(semantics="FID", ssrcs=(slot.ssrc, slot.rtx_ssrc)),)
