"""
A model of a browser's peer connection, as far as its session descriptions go (RFC 9429).

It keeps transceivers, makes offers and answers, and refuses what a browser would refuse in a
description of the server: sections that move, numbers that change, a bundle that does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from router.sdp import LocalTransport
from router.sdp.attributes import (
    Direction,
    ExtMap,
    Fingerprint,
    Group,
    Msid,
    PayloadFormat,
    Setup,
    Ssrc,
    SsrcGroup,
    TransportAttributes,
)
from router.sdp.description import (
    MediaDescription,
    SessionDescription,
    parse_session_description,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "sdp"

TRANSPORT = LocalTransport(
    ufrag="srvU",
    pwd="serverpasswordserverpw",
    fingerprint="sha-256 " + ":".join(["5A"] * 32),
    candidates=("candidate:1 1 udp 2130706431 192.0.2.1 8443 typ host",),
)

SAVPF = "UDP/TLS/RTP/SAVPF"
SCTP = "UDP/DTLS/SCTP"


def vector(name: str) -> str:
    """Return a captured description with the line ends of its file."""
    return (VECTORS / f"{name}.sdp").read_bytes().decode()


_TEMPLATES = {
    "chromium": parse_session_description(vector("chromium-sendrecv")),
    "firefox": parse_session_description(vector("firefox-sendrecv")),
}


class Refused(AssertionError):
    """The server's description is one that a browser would refuse."""


@dataclass(slots=True)
class Transceiver:
    """One section of the client."""

    kind: str
    mid: str = ""
    direction: Direction = Direction.RECVONLY
    track_id: str = ""
    ssrcs: tuple[int, ...] = ()
    rtx_ssrcs: tuple[int, ...] = ()
    stopped: bool = False
    current: Direction = Direction.INACTIVE
    receiver_id: str = ""
    remote_ssrcs: tuple[int, ...] = ()
    negotiated: bool = False
    recyclable: bool = False
    """Whether both sides know that it is stopped, so that its place can be taken."""
    offered: MediaDescription | None = None
    """The server's offer of a section that it added; its numbers are kept for good."""


@dataclass(slots=True)
class Client:
    """A peer connection; ``browser`` chooses whose numbers and habits it has."""

    browser: str = "chromium"
    transceivers: list[Transceiver] = field(default_factory=list)
    ufrag: str = "cliU"
    fingerprint: str = ":".join(["C1"] * 32)
    version: int = 0
    next_mid: int = 0
    next_ssrc: int = 1000
    pending: SessionDescription | None = None
    before: list[Transceiver] = field(default_factory=list)
    payload_types: dict[int, tuple[str, int, str]] = field(default_factory=dict)
    extensions: dict[int, str] = field(default_factory=dict)

    def add(self, kind: str, track_id: str = "", *, simulcast: bool = False) -> Transceiver:
        """Add a transceiver, sending ``track_id`` when it is not empty."""
        transceiver = Transceiver(kind=kind)
        self.transceivers.append(transceiver)
        if track_id:
            self.publish(transceiver, track_id, simulcast=simulcast)
        return transceiver

    def publish(self, transceiver: Transceiver, track_id: str, *, simulcast: bool = False) -> None:
        """Send a track on a transceiver that sends none."""
        transceiver.track_id = track_id
        transceiver.direction = Direction.SENDRECV
        count = 3 if simulcast else 1
        transceiver.ssrcs = tuple(range(self.next_ssrc, self.next_ssrc + count))
        transceiver.rtx_ssrcs = (
            tuple(ssrc + 500_000 for ssrc in transceiver.ssrcs)
            if transceiver.kind == "video"
            else ()
        )
        self.next_ssrc += count

    def unpublish(self, transceiver: Transceiver) -> None:
        """Stop sending; like browsers, the msid stays printed."""
        transceiver.direction = Direction.RECVONLY

    def by_mid(self, mid: str) -> Transceiver:
        """Return the transceiver of a section."""
        return next(item for item in self.transceivers if item.mid == mid)

    # --- descriptions --------------------------------------------------------------------------

    def offer(self) -> str:
        """Return an offer and keep it pending; new transceivers take stopped places first."""
        self.before = list(self.transceivers)
        for transceiver in [item for item in self.transceivers if not item.mid]:
            taken = {item.mid for item in self.transceivers}
            while str(self.next_mid) in taken:
                self.next_mid += 1
            transceiver.mid = str(self.next_mid)
            for place, old in enumerate(self.transceivers):
                if old.recyclable:
                    self.transceivers.remove(transceiver)
                    self.transceivers[place] = transceiver
                    break
        media = [
            self._section(item, Setup.ACTPASS, first=i == 0)
            for i, item in enumerate(self.transceivers)
        ]
        self.pending = self._session(media)
        return self.pending.serialize()

    def rollback(self) -> None:
        """Forget the pending offer; sections that it introduced lose their mid and their place."""
        self.pending = None
        self.transceivers = self.before
        for transceiver in self.transceivers:
            if not transceiver.negotiated:
                transceiver.mid = ""

    def receive_answer(self, sdp: str) -> None:
        """Apply the server's answer, and refuse it like a browser."""
        assert self.pending is not None
        offered, self.pending = self.pending, None
        answer = self._read(sdp)
        if [(m.kind, m.mid) for m in answer.media] != [(m.kind, m.mid) for m in offered.media]:
            raise Refused("sections of the answer differ from the offer")
        if not set(answer.bundle) <= set(offered.bundle):
            raise Refused("bundle of the answer names what was not offered")
        for media, mine in zip(answer.media, offered.media, strict=True):
            self._check_section(answer, media)
            if media.port and media.transport.setup not in (Setup.PASSIVE, Setup.ACTIVE):
                raise Refused("an answer chooses a DTLS role")
            if not set(media.formats) <= set(mine.formats) and media.port:
                raise Refused("the answer has formats that were not offered")
            if not media.is_rtp:
                self._apply(media, self.by_mid(media.mid))
                continue
            if media.direction.sends and not mine.direction.receives:
                raise Refused("the answer sends where we do not receive")
            if media.direction.receives and not mine.direction.sends:
                raise Refused("the answer receives where we do not send")
            self._apply(media, self.by_mid(media.mid))

    def receive_offer(self, sdp: str) -> None:
        """Apply the server's offer, and refuse it like a browser."""
        assert self.pending is None
        offer = self._read(sdp)
        if len(offer.media) < len([item for item in self.transceivers if item.mid]):
            raise Refused("sections vanished")
        placed = [item for item in self.transceivers if item.mid]
        waiting = [item for item in self.transceivers if not item.mid]
        transceivers: list[Transceiver] = []
        for i, media in enumerate(offer.media):
            self._check_section(offer, media)
            if media.port and media.transport.setup is not Setup.ACTPASS:
                raise Refused("an offer says actpass")
            if i < len(placed) and placed[i].mid == media.mid:
                if media.kind != placed[i].kind:
                    raise Refused("a section changed its kind")
                transceivers.append(placed[i])
            elif i < len(placed) and not placed[i].stopped:
                raise Refused("a section in use changed its mid")
            else:
                transceivers.append(Transceiver(kind=media.kind, mid=media.mid, offered=media))
        self.transceivers = transceivers + waiting
        for media in offer.media:
            self._apply(media, self.by_mid(media.mid))

    def answer(self, *, refuse: frozenset[str] = frozenset()) -> str:
        """Return the answer to the offer received; kinds in ``refuse`` are rejected."""
        media = []
        for transceiver in self.transceivers:
            if not transceiver.mid:
                continue
            if transceiver.kind in refuse and not transceiver.receiver_id:
                transceiver.stopped = True
            transceiver.recyclable = transceiver.stopped
            section = self._section(transceiver, Setup.ACTIVE, first=True)
            direction = Direction.of(
                sends=transceiver.direction.sends and transceiver.current.sends,
                receives=transceiver.direction.receives and transceiver.current.receives,
            )
            media.append(section if transceiver.stopped else replace(section, direction=direction))
        return self._session(media).serialize()

    # --- parts -----------------------------------------------------------------------------------

    def _session(self, media: list[MediaDescription]) -> SessionDescription:
        self.version += 1
        bundle = tuple(section.mid for section in media if section.port or section.bundle_only)
        return SessionDescription(
            origin=f"- 42 {self.version} IN IP4 127.0.0.1",
            groups=(Group(semantics="BUNDLE", members=bundle),),
            extmap_allow_mixed=True,
            msid_semantic="WMS",
            media=tuple(media),
        )

    def _section(self, transceiver: Transceiver, setup: Setup, *, first: bool) -> MediaDescription:
        protocol = SCTP if transceiver.kind == "application" else SAVPF
        bundle_only = self.browser == "firefox" and not first and not transceiver.stopped
        base = MediaDescription(
            kind=transceiver.kind,
            port=0 if transceiver.stopped or bundle_only else 9,
            protocol=protocol,
            formats=("webrtc-datachannel",) if protocol == SCTP else ("0",),
            mid=transceiver.mid,
            bundle_only=bundle_only,
            direction=Direction.INACTIVE,
        )
        if transceiver.stopped:
            return base
        base = replace(
            base,
            transport=TransportAttributes(
                ice_ufrag=self.ufrag,
                ice_pwd="clientpasswordclientpw",
                ice_options=("trickle",),
                fingerprints=(Fingerprint(algorithm="sha-256", value=self.fingerprint),),
                setup=setup,
            ),
        )
        if transceiver.kind == "application":
            return replace(base, sctp_port=5000, max_message_size=262144)
        template = _TEMPLATES[self.browser].media[0 if transceiver.kind == "audio" else 1]
        if transceiver.offered is not None:
            template = transceiver.offered
        ssrcs = (*transceiver.ssrcs, *transceiver.rtx_ssrcs)
        groups = [
            SsrcGroup(semantics="FID", ssrcs=pair)
            for pair in zip(transceiver.ssrcs, transceiver.rtx_ssrcs, strict=False)
        ]
        if len(transceiver.ssrcs) > 1:
            groups.insert(0, SsrcGroup(semantics="SIM", ssrcs=transceiver.ssrcs))
        # Browsers print the last msid on sections that no longer send as well.
        msids = (Msid(stream_id="-", track_id=transceiver.track_id),) if ssrcs else ()
        sends = transceiver.direction.sends
        return replace(
            base,
            formats=template.formats,
            direction=transceiver.direction,
            rtcp_mux=True,
            rtcp_rsize=True,
            payload_formats=template.payload_formats,
            extmaps=template.extmaps,
            msids=msids,
            ssrcs=tuple(Ssrc(ssrc=ssrc, cname="c") for ssrc in ssrcs) if sends else (),
            ssrc_groups=tuple(groups) if sends else (),
        )

    def _read(self, sdp: str) -> SessionDescription:
        if not sdp.endswith("\r\n") or sdp.count("\n") != sdp.count("\r\n"):
            raise Refused("line ends are not CRLF")
        description = parse_session_description(sdp)
        if not description.ice_lite:
            raise Refused("the server is ICE-lite")
        live = [media.mid for media in description.media if media.port]
        if description.groups and sorted(description.bundle) != sorted(live):
            raise Refused("the BUNDLE group is not the set of sections in use")
        carriers = [media.mid for media in description.media if media.candidates]
        if live and carriers != [description.bundle[0]]:
            raise Refused("candidates belong to the tagged section")
        return description

    def _check_section(self, description: SessionDescription, media: MediaDescription) -> None:
        if not media.port:
            return
        if media.is_rtp:
            if not media.rtcp_mux:
                raise Refused("rtcp-mux is required")
            if len(media.formats) != len(media.payload_formats):
                raise Refused("a format has no rtpmap")
        if media.direction.sends and media.is_rtp and len(media.msids) != 1:
            raise Refused("a section that sends has one msid")
        for item in media.payload_formats:
            self._check_number(item, media)
        for extmap in media.extmaps:
            self._check_extension(extmap)

    def _check_number(self, item: PayloadFormat, media: MediaDescription) -> None:
        meaning = (item.name, item.clock_rate, item.parameters)
        if self.payload_types.setdefault(item.payload_type, meaning) != meaning:
            raise Refused(f"payload type {item.payload_type} changed its meaning")
        if item.name == "rtx" and item.parameters.removeprefix("apt=") not in media.formats:
            raise Refused("an RTX without its codec")

    def _check_extension(self, extmap: ExtMap) -> None:
        if self.extensions.setdefault(extmap.id, extmap.uri) != extmap.uri:
            raise Refused(f"extmap {extmap.id} changed its meaning")

    def _apply(self, media: MediaDescription, transceiver: Transceiver) -> None:
        transceiver.negotiated = True
        if not media.port:
            transceiver.stopped = transceiver.recyclable = True
            transceiver.current = Direction.INACTIVE
            return
        # What the server sends we receive.
        transceiver.current = Direction.of(
            sends=media.direction.receives, receives=media.direction.sends
        )
        if media.direction.sends and media.is_rtp:
            identity = media.msids[0].track_id
            if transceiver.receiver_id not in ("", identity):
                raise Refused("the msid of a section changed")
            ssrcs = tuple(source.ssrc for source in media.ssrcs)
            if transceiver.remote_ssrcs not in ((), ssrcs):
                raise Refused("the SSRCs of a section changed")
            transceiver.receiver_id, transceiver.remote_ssrcs = identity, ssrcs
