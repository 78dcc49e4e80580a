"""Which streams the peer sends on a section, by SSRC groups or by RID."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .negotiated import InboundMedia, InboundStream

if TYPE_CHECKING:
    from .description import MediaDescription

_REDUNDANT = frozenset({"FID", "FEC-FR", "FEC"})
"""Groups of which only the first member is media (RFC 5576 section 4.2, RFC 5956)."""


def read_inbound(
    media: MediaDescription,
    *,
    payload_types: tuple[int, ...],
    rtx: bool,
    rid: bool,
    max_streams: int,
    claimed: set[int],
) -> InboundMedia:
    """
    Return what the peer sends on a section whose direction says that it sends.

    :param payload_types: The payload types negotiated in the section.
    :param rtx: Whether RTX is among them; without it announced RTX streams never come.
    :param rid: Whether packets can carry a RID, that is, the extension was accepted.
    :param max_streams: Most streams to report.
    :param claimed: SSRCs that earlier sections announced; what is reported here is added. A later
        claim to the same SSRC is ignored.
    """
    streams = _streams_by_rid(media) if rid else ()
    if not streams:
        streams = _streams_by_ssrc(media, rtx=rtx)
    kept: list[InboundStream] = []
    for stream in streams:
        ssrcs = {stream.ssrc, stream.rtx_ssrc} - {None}
        if len(kept) < max_streams and not ssrcs & claimed:
            claimed |= {ssrc for ssrc in ssrcs if ssrc is not None}
            kept.append(stream)
    return InboundMedia(
        mid=media.mid,
        kind=media.kind,
        track_id=_track_id(media),
        streams=tuple(kept),
        payload_types=payload_types,
    )


def _track_id(media: MediaDescription) -> str:
    for msid in media.msids:
        if msid.track_id:
            return msid.track_id
    if media.msids:
        return ""
    # Peers older than Unified Plan name the track on their SSRC lines only.
    return next((source.msid.track_id for source in media.ssrcs if source.msid), "")


def _streams_by_rid(media: MediaDescription) -> tuple[InboundStream, ...]:
    sent = {rid.id for rid in media.rids if rid.direction == "send"}
    if media.simulcast is None:
        return tuple(InboundStream(ssrc=None, rid=rid) for rid in dict.fromkeys(sent))[:1]
    # Of alternatives (RFC 8853 section 5.1) the first, which the sender prefers, stands for all.
    names = [alternatives[0].removeprefix("~") for alternatives in media.simulcast.send]
    return tuple(InboundStream(ssrc=None, rid=rid) for rid in dict.fromkeys(names) if rid in sent)


def _streams_by_ssrc(media: MediaDescription, *, rtx: bool) -> tuple[InboundStream, ...]:
    rtx_of: dict[int, int] = {}
    redundant: set[int] = set()
    layers: tuple[int, ...] = ()
    for group in media.ssrc_groups:
        if group.semantics in _REDUNDANT:
            redundant.update(group.ssrcs[1:])
        if group.semantics == "FID" and len(group.ssrcs) == 2:
            rtx_of.setdefault(group.ssrcs[0], group.ssrcs[1])
        if group.semantics == "SIM" and not layers:
            layers = group.ssrcs
    if not layers:
        # A section carries one track; without a SIM group it has one encoded stream.
        media_ssrcs = (source.ssrc for source in media.ssrcs if source.ssrc not in redundant)
        layers = tuple(media_ssrcs)[:1]
    return tuple(
        InboundStream(ssrc=ssrc, rtx_ssrc=rtx_of.get(ssrc) if rtx else None)
        for ssrc in dict.fromkeys(layers)
    )
