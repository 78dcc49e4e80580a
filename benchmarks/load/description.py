"""
A client's session descriptions, like those of Chromium (RFC 9429).

It keeps the sections in order, makes offers and answers, reads those of the server, and refuses
what a browser would refuse: sections that move and numbers that change their meaning.
"""

from dataclasses import dataclass, field, replace

from router.errors import RemoteProtocolError, WireFormatError
from router.sdp.attributes import (
    Direction,
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

SAVPF = "UDP/TLS/RTP/SAVPF"
SCTP = "UDP/DTLS/SCTP"
MAX_MESSAGE_SIZE = 262144

_VIDEO_FEEDBACK = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
_TEMPLATE = """v=0
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 102 103 108 109 45 46
a=extmap:14 urn:ietf:params:rtp-hdrext:toffset
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:13 urn:3gpp:video-orientation
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay
a=extmap:6 http://www.webrtc.org/experiments/rtp-hdrext/video-content-type
a=extmap:8 http://www.webrtc.org/experiments/rtp-hdrext/color-space
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id
a=rtpmap:96 VP8/90000
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:98 VP9/90000
a=fmtp:98 profile-id=0
a=rtpmap:99 rtx/90000
a=fmtp:99 apt=98
a=rtpmap:102 H264/90000
a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f
a=rtpmap:103 rtx/90000
a=fmtp:103 apt=102
a=rtpmap:108 H264/90000
a=fmtp:108 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:109 rtx/90000
a=fmtp:109 apt=108
a=rtpmap:45 AV1/90000
a=fmtp:45 level-idx=5;profile=0;tier=0
a=rtpmap:46 rtx/90000
a=fmtp:46 apt=45
"""


def _templates() -> dict[str, MediaDescription]:
    audio, video = parse_session_description(_TEMPLATE).media
    formats = tuple(
        item if item.name == "rtx" else replace(item, feedback=_VIDEO_FEEDBACK)
        for item in video.payload_formats
    )
    return {"audio": audio, "video": replace(video, payload_formats=formats)}


_TEMPLATES = _templates()


@dataclass(slots=True, kw_only=True)
class Section:
    """One m-section, and what goes over it."""

    kind: str
    """``audio``, ``video`` or ``application``."""
    mid: str = ""
    """Empty until it is first offered."""
    track_id: str = ""
    """Of what is sent; empty when nothing is."""
    ssrc: int = 0
    rtx_ssrc: int = 0
    stopped: bool = False
    current: Direction = Direction.INACTIVE
    """The direction agreed on, seen from here."""
    receiver_id: str = ""
    """Track id of the server's msid."""
    remote_ssrcs: tuple[int, ...] = ()
    """Media, then RTX."""
    payload_type: int | None = None
    """What to send the section's codec with, or None when the server takes no such codec."""
    rtx_payload_type: int | None = None
    extensions: dict[str, int] = field(default_factory=dict)
    """Ids of the header extensions agreed on, by URI."""
    accepted: MediaDescription | None = None
    """The server's offer of a section that it added; its numbers are kept for good."""

    @property
    def is_media(self) -> bool:
        """Whether it carries RTP."""
        return self.kind != "application"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTransport:
    """The server's end of the bundle."""

    ufrag: str
    pwd: str
    is_lite: bool
    fingerprints: tuple[str, ...]
    is_dtls_client: bool
    """Whether the server says hello first."""
    candidates: tuple[str, ...]
    sctp_port: int | None
    """None without data channels."""
    max_message_size: int


class ClientDescriptions:
    """
    The sections of one peer connection.

    All ``receive_...`` methods raise :class:`RemoteProtocolError` for what a browser would refuse.

    :param fingerprint: Ours, as SDP prints it.
    :param video_codecs: Names of the video codecs to offer.
    """

    def __init__(
        self,
        *,
        fingerprint: str,
        cname: str,
        session_id: int,
        video_codecs: tuple[str, ...] = ("VP8", "VP9", "H264", "AV1"),
        sent_codecs: tuple[str, ...] = ("opus", "VP8"),
        receives: bool = True,
    ) -> None:
        self.sections: list[Section] = []
        self.payload_types: dict[int, tuple[str, int, str]] = {}
        """Name, clock rate and parameters of each payload type that was ever agreed on."""
        self._fingerprint = fingerprint
        self._cname = cname
        self._session_id = session_id
        self._version = 0
        self._video_codecs = video_codecs
        self._sent_codecs = sent_codecs
        self._receives = receives
        self._extension_ids: dict[int, str] = {}
        self._dtls_client_agreed: bool | None = None
        self._before_offer: list[Section] | None = None

    # What to send.

    def section_to_send(self, kind: str) -> Section:
        """Return a section that sends nothing, as Chromium takes it, or a new one."""
        for section in self.sections:
            if section.kind == kind and not section.track_id and not section.stopped:
                return section
        return self.add_section(kind)

    def add_section(self, kind: str) -> Section:
        """Append a section; the next offer introduces it."""
        section = Section(kind=kind)
        self.sections.append(section)
        return section

    def has_data_channels(self) -> bool:
        """Return whether there is a section for data channels."""
        return any(item.kind == "application" and not item.stopped for item in self.sections)

    # Descriptions.

    def create_offer(self, *, ufrag: str, pwd: str) -> str:
        """Return an offer of all sections."""
        self._before_offer = [item for item in self.sections if item.mid]
        taken = {item.mid for item in self.sections}
        free = (str(number) for number in range(len(taken) + len(self.sections) + 1))
        unused = (mid for mid in free if mid not in taken)
        for section in self.sections:
            section.mid = section.mid or next(unused)
        transport = self._transport(ufrag, pwd, Setup.ACTPASS)
        media = [self._describe(item, transport, self._wanted(item)) for item in self.sections]
        return self._session(media)

    def rollback(self) -> None:
        """Forget the pending offer; sections that it introduced wait for the next one."""
        for section in self.sections:
            if section not in (self._before_offer or ()):
                section.mid = ""
        self._before_offer = None

    def receive_answer(self, sdp: str) -> ServerTransport:
        """Apply the answer to our offer."""
        answer = self._parse(sdp)
        if [media.mid for media in answer.media] != [section.mid for section in self.sections]:
            raise RemoteProtocolError("the sections of the answer are not those of the offer")
        transport = self._read_transport(answer)
        for media, section in zip(answer.media, self.sections, strict=True):
            self._read_section(media, section)
        self._before_offer = None
        return transport

    def receive_offer(self, sdp: str) -> ServerTransport:
        """Apply the server's offer; :meth:`create_answer` must follow."""
        offer = self._parse(sdp)
        placed = [section for section in self.sections if section.mid]
        waiting = [section for section in self.sections if not section.mid]
        if len(offer.media) < len(placed):
            raise RemoteProtocolError("sections of the server's offer are missing")
        sections: list[Section] = []
        for place, media in enumerate(offer.media):
            if place < len(placed) and placed[place].mid == media.mid:
                sections.append(placed[place])
            elif place < len(placed) and not placed[place].stopped:
                raise RemoteProtocolError(f"section {place} changed its mid")
            else:
                sections.append(Section(kind=media.kind, mid=media.mid, accepted=media))
            if sections[-1].kind != media.kind:
                raise RemoteProtocolError(f"section {place} changed its kind")
        transport = self._read_transport(offer)
        self.sections = sections + waiting
        for media, section in zip(offer.media, sections, strict=True):
            self._read_section(media, section)
        return transport

    def create_answer(self, *, ufrag: str, pwd: str) -> str:
        """Return the answer to the offer that was received last."""
        setup = Setup.ACTIVE if self._dtls_client_agreed is not False else Setup.PASSIVE
        transport = self._transport(ufrag, pwd, setup)
        media = [
            self._describe(section, transport, section.current)
            for section in self.sections
            if section.mid
        ]
        return self._session(media)

    # Writing.

    def _wanted(self, section: Section) -> Direction:
        return Direction.of(sends=bool(section.track_id), receives=self._receives)

    def _transport(self, ufrag: str, pwd: str, setup: Setup) -> TransportAttributes:
        algorithm, _, value = self._fingerprint.partition(" ")
        return TransportAttributes(
            ice_ufrag=ufrag,
            ice_pwd=pwd,
            ice_options=("trickle",),
            fingerprints=(Fingerprint(algorithm=algorithm, value=value),),
            setup=setup,
        )

    def _session(self, media: list[MediaDescription]) -> str:
        self._version += 1
        bundle = tuple(item.mid for item in media if item.port)
        return SessionDescription(
            origin=f"- {self._session_id} {self._version} IN IP4 127.0.0.1",
            groups=(Group(semantics="BUNDLE", members=bundle),),
            extmap_allow_mixed=True,
            msid_semantic="WMS",
            media=tuple(media),
        ).serialize()

    def _describe(
        self, section: Section, transport: TransportAttributes, direction: Direction
    ) -> MediaDescription:
        base = MediaDescription(
            kind=section.kind,
            port=0 if section.stopped else 9,
            protocol=SAVPF if section.is_media else SCTP,
            formats=("0",) if section.is_media else ("webrtc-datachannel",),
            mid=section.mid,
            direction=Direction.INACTIVE,
        )
        if section.stopped:
            return base
        base = replace(base, transport=transport)
        if not section.is_media:
            return replace(base, sctp_port=5000, max_message_size=MAX_MESSAGE_SIZE)
        formats = self._formats(section)
        template = section.accepted or _TEMPLATES[section.kind]
        sends = direction.sends
        ssrcs = tuple(ssrc for ssrc in (section.ssrc, section.rtx_ssrc) if ssrc)
        return replace(
            base,
            direction=direction,
            formats=tuple(str(item.payload_type) for item in formats),
            rtcp_mux=True,
            rtcp_rsize=True,
            payload_formats=formats,
            extmaps=template.extmaps,
            msids=(Msid(stream_id="-", track_id=section.track_id),) if sends else (),
            ssrcs=tuple(Ssrc(ssrc=ssrc, cname=self._cname) for ssrc in ssrcs) if sends else (),
            ssrc_groups=(
                (SsrcGroup(semantics="FID", ssrcs=ssrcs),) if sends and len(ssrcs) == 2 else ()
            ),
        )

    def _formats(self, section: Section) -> tuple[PayloadFormat, ...]:
        formats = (section.accepted or _TEMPLATES[section.kind]).payload_formats
        if section.kind == "audio":
            return formats
        chosen = {item.payload_type for item in formats if item.name in self._video_codecs}
        return tuple(
            item for item in formats if item.payload_type in chosen or _repaired(item) in chosen
        )

    # Reading.

    def _parse(self, sdp: str) -> SessionDescription:
        try:
            description = parse_session_description(sdp)
        except WireFormatError as error:
            raise RemoteProtocolError(f"the server's description does not parse: {error}") from None
        live = sorted(media.mid for media in description.media if media.port)
        if sorted(description.bundle) != live:
            raise RemoteProtocolError("the BUNDLE group is not the set of sections in use")
        return description

    def _read_transport(self, description: SessionDescription) -> ServerTransport:
        tagged = next(
            (item for item in description.media if item.mid in description.bundle[:1]), None
        )
        if tagged is None:
            raise RemoteProtocolError("the server's description has no transport")
        attributes = tagged.transport.over(description.transport)
        data = next(
            (item for item in description.media if item.kind == "application" and item.port), None
        )
        if attributes.setup in (Setup.ACTIVE, Setup.PASSIVE):
            self._dtls_client_agreed = attributes.setup is Setup.PASSIVE
        candidates = next((item.candidates for item in description.media if item.candidates), ())
        return ServerTransport(
            ufrag=attributes.ice_ufrag,
            pwd=attributes.ice_pwd,
            is_lite=description.ice_lite,
            fingerprints=tuple(map(str, attributes.fingerprints)),
            is_dtls_client=self._dtls_client_agreed is False,
            candidates=candidates,
            sctp_port=None if data is None else data.sctp_port or 5000,
            max_message_size=65536 if data is None else data.max_message_size or 65536,
        )

    def _read_section(self, media: MediaDescription, section: Section) -> None:
        if not media.port:
            section.stopped = True
            section.current = Direction.INACTIVE
            return
        if not section.is_media:
            return
        for item in media.payload_formats:
            meaning = (item.name, item.clock_rate, item.parameters)
            if self.payload_types.setdefault(item.payload_type, meaning) != meaning:
                raise RemoteProtocolError(f"payload type {item.payload_type} changed its meaning")
        for extmap in media.extmaps:
            if self._extension_ids.setdefault(extmap.id, extmap.uri) != extmap.uri:
                raise RemoteProtocolError(f"extension id {extmap.id} changed its meaning")
        section.extensions = {extmap.uri: extmap.id for extmap in media.extmaps}
        section.current = Direction.of(
            sends=media.direction.receives and bool(section.track_id),
            receives=media.direction.sends and self._receives,
        )
        if media.direction.sends:
            self._read_sent_media(media, section)
        self._choose_payload_types(media, section)

    def _read_sent_media(self, media: MediaDescription, section: Section) -> None:
        if len(media.msids) != 1:
            raise RemoteProtocolError(f"section {media.mid} sends without an msid")
        section.receiver_id = media.msids[0].track_id
        groups = [item.ssrcs for item in media.ssrc_groups if item.semantics == "FID"]
        section.remote_ssrcs = groups[0] if groups else tuple(item.ssrc for item in media.ssrcs)[:1]

    def _choose_payload_types(self, media: MediaDescription, section: Section) -> None:
        section.payload_type = section.rtx_payload_type = None
        for item in media.payload_formats:
            if item.name in self._sent_codecs:
                section.payload_type = item.payload_type
                break
        for item in media.payload_formats:
            if _repaired(item) == section.payload_type is not None:
                section.rtx_payload_type = item.payload_type


def _repaired(item: PayloadFormat) -> int | None:
    """Return the payload type that an RTX format repairs, or None for another format."""
    number = item.parameters.removeprefix("apt=")
    return int(number) if item.name.lower() == "rtx" and number.isdecimal() else None
