"""
Session descriptions (RFC 8866) with the attributes that WebRTC uses.

Lines may end in CRLF or LF. Unknown lines and attributes are skipped, except that the unknown
attributes of a section are kept in ``other``. Every list is bounded, so the work is linear in the
text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from router.errors import WireFormatError

from .attributes import (
    Direction,
    ExtMap,
    Fingerprint,
    Group,
    Msid,
    PayloadFormat,
    Rid,
    Setup,
    Simulcast,
    Ssrc,
    SsrcGroup,
    TransportAttributes,
    parse_fingerprint,
    parse_group,
    parse_ice_chars,
    parse_msid,
    parse_number,
    parse_rid,
    parse_setup,
    parse_simulcast,
    parse_ssrc_group,
    parse_token,
    parse_visible,
)
from .formats import SHARED_ATTRIBUTES, read_formats

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

MAX_DESCRIPTION_LENGTH = 1 << 20
"""Longest description that is read, in characters: what one signaling message can carry."""

MAX_LINE_LENGTH = 8192
"""Longest line, in characters."""

MAX_LINES = 32768
"""Most lines of a description: 512 sections as browsers print them have fewer."""

MAX_SECTION_LINES = 2048
"""Most attributes of one section, known or not; browsers print about a hundred."""

MAX_SECTIONS = 512
"""Most m-sections."""

MAX_FORMATS = 128
"""Most formats of one section: one for each payload type."""

MAX_SSRCS = 64
"""Most announced SSRCs, and most SSRC groups, of one section."""

MAX_CANDIDATES = 200
"""Most candidates of one section."""

MAX_ATTRIBUTES = 256
"""Most unknown attributes, and most entries of every other list, of one section."""

_NO_TRANSPORT = TransportAttributes()


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaDescription:
    """One m-section."""

    kind: str
    """``audio``, ``video``, ``application`` or another media type."""
    port: int
    """0 means rejected, unless :attr:`bundle_only`."""
    protocol: str
    """Transport protocol, such as ``UDP/TLS/RTP/SAVPF``."""
    formats: tuple[str, ...]
    """Format tokens of the m-line, without duplicates."""
    mid: str = ""
    """Media identification; empty when the line is absent."""
    direction: Direction = Direction.SENDRECV
    """Direction, the session's or the default when the section has none."""
    transport: TransportAttributes = _NO_TRANSPORT
    """ICE and DTLS attributes of this section alone."""
    candidates: tuple[str, ...] = ()
    """``candidate:...`` texts, as printed."""
    end_of_candidates: bool = False
    """Whether no more candidates follow."""
    bundle_only: bool = False
    """Whether port 0 means "only inside the bundle"."""
    rtcp_mux: bool = False
    """Whether RTCP shares the RTP port (RFC 5761)."""
    rtcp_rsize: bool = False
    """Whether reduced-size RTCP is taken (RFC 5506)."""
    extmap_allow_mixed: bool = False
    """Whether one- and two-byte extension headers may be mixed (RFC 8285 section 6)."""
    payload_formats: tuple[PayloadFormat, ...] = ()
    """The formats of an RTP section that have an rtpmap or a static meaning, in m-line order."""
    extmaps: tuple[ExtMap, ...] = ()
    """Header extensions."""
    msids: tuple[Msid, ...] = ()
    """The ``a=msid`` lines of the section."""
    ssrcs: tuple[Ssrc, ...] = ()
    """Announced sources, in order of first appearance."""
    ssrc_groups: tuple[SsrcGroup, ...] = ()
    """Groups of announced sources."""
    rids: tuple[Rid, ...] = ()
    """Streams by RID."""
    simulcast: Simulcast | None = None
    """Simulcast by RID."""
    sctp_port: int | None = None
    """SCTP port of an application section (RFC 8841)."""
    max_message_size: int | None = None
    """Largest message that the writer takes, in bytes; 0 for any."""
    other: tuple[str, ...] = ()
    """Unknown attributes as printed after ``a=``."""

    @property
    def is_rtp(self) -> bool:
        """Whether formats are RTP payload types."""
        return "RTP/" in self.protocol

    @property
    def is_rejected(self) -> bool:
        """Whether port 0 means that the section is not in use (RFC 9143 section 6)."""
        return self.port == 0 and not self.bundle_only


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDescription:
    """A whole description."""

    origin: str = "- 0 0 IN IP4 127.0.0.1"
    """Value of the o= line."""
    name: str = "-"
    """Value of the s= line."""
    groups: tuple[Group, ...] = ()
    """Groups of sections, BUNDLE among them."""
    transport: TransportAttributes = _NO_TRANSPORT
    """ICE and DTLS attributes at session level."""
    ice_lite: bool = False
    """Whether the writer is an ICE-lite agent."""
    extmap_allow_mixed: bool = False
    """Whether one- and two-byte extension headers may be mixed in all sections."""
    msid_semantic: str = ""
    """Value of the msid-semantic line, or an empty string."""
    media: tuple[MediaDescription, ...] = ()
    """The m-sections, in order."""

    def serialize(self) -> str:
        """Return the text, with CRLF line ends and a final CRLF."""
        lines = ["v=0", f"o={self.origin}", f"s={self.name}", "t=0 0"]
        lines += [f"a=group:{group}" for group in self.groups]
        if self.ice_lite:
            lines.append("a=ice-lite")
        if self.extmap_allow_mixed:
            lines.append("a=extmap-allow-mixed")
        if self.msid_semantic:
            lines.append(f"a=msid-semantic: {self.msid_semantic}")
        _serialize_transport(lines, self.transport)
        printed: dict[int, list[str]] = {}
        for media in self.media:
            _serialize_media(lines, media, printed)
        return "\r\n".join(lines) + "\r\n"

    def serialize_fragment(self) -> str:
        """Return the text as a trickle ICE fragment (RFC 8840 section 9): no v=, o=, s=, t=, c=."""
        skipped = ("v=", "o=", "s=", "t=", "c=")
        lines = self.serialize().split("\r\n")
        return "\r\n".join(line for line in lines if not line.startswith(skipped))

    @property
    def bundle(self) -> tuple[str, ...]:
        """The mids of the first BUNDLE group, the tagged one first; empty without a group."""
        for group in self.groups:
            if group.semantics == "BUNDLE":
                return group.members
        return ()


def _serialize_transport(lines: list[str], transport: TransportAttributes) -> None:
    if transport.ice_ufrag:
        lines.append(f"a=ice-ufrag:{transport.ice_ufrag}")
    if transport.ice_pwd:
        lines.append(f"a=ice-pwd:{transport.ice_pwd}")
    if transport.ice_options:
        lines.append(f"a=ice-options:{' '.join(transport.ice_options)}")
    lines += [f"a=fingerprint:{fingerprint}" for fingerprint in transport.fingerprints]
    if transport.setup is not None:
        lines.append(f"a=setup:{transport.setup.value}")


def _serialize_media(
    lines: list[str], media: MediaDescription, printed: dict[int, list[str]]
) -> None:
    lines.append(f"m={media.kind} {media.port} {media.protocol} {' '.join(media.formats)}")
    lines.append("c=IN IP4 0.0.0.0")
    if media.mid:
        lines.append(f"a=mid:{media.mid}")
    if media.bundle_only:
        lines.append("a=bundle-only")
    _serialize_transport(lines, media.transport)
    lines.append(f"a={media.direction.value}")
    lines += [f"a=msid:{msid}" for msid in media.msids]
    for present, name in (
        (media.rtcp_mux, "rtcp-mux"),
        (media.rtcp_rsize, "rtcp-rsize"),
        (media.extmap_allow_mixed, "extmap-allow-mixed"),
    ):
        if present:
            lines.append(f"a={name}")
    # Sections of one kind share them: what was printed once is known by the identity of the tuple.
    for shared in (media.payload_formats, media.extmaps):
        known = printed.get(id(shared))
        if known is None:
            known = printed[id(shared)] = []
            for item in shared:
                _serialize_shared(known, item)
        lines += known
    lines += [f"a=rid:{rid}" for rid in media.rids]
    if media.simulcast is not None:
        lines.append(f"a=simulcast:{media.simulcast}")
    lines += [f"a=ssrc-group:{group}" for group in media.ssrc_groups]
    for source in media.ssrcs:
        lines.append(f"a=ssrc:{source.ssrc} cname:{source.cname}")
        if source.msid is not None:
            lines.append(f"a=ssrc:{source.ssrc} msid:{source.msid}")
    if media.sctp_port is not None:
        lines.append(f"a=sctp-port:{media.sctp_port}")
    if media.max_message_size is not None:
        lines.append(f"a=max-message-size:{media.max_message_size}")
    lines += [f"a={candidate}" for candidate in media.candidates]
    if media.end_of_candidates:
        lines.append("a=end-of-candidates")
    lines += [f"a={attribute}" for attribute in media.other]


def _serialize_shared(lines: list[str], item: PayloadFormat | ExtMap) -> None:
    if isinstance(item, ExtMap):
        lines.append(f"a=extmap:{item}")
    else:
        _serialize_payload_format(lines, item)


def _serialize_payload_format(lines: list[str], payload_format: PayloadFormat) -> None:
    number = payload_format.payload_type
    channels = f"/{payload_format.channels}" if payload_format.channels != 1 else ""
    lines.append(f"a=rtpmap:{number} {payload_format.name}/{payload_format.clock_rate}{channels}")
    lines += [f"a=rtcp-fb:{number} {feedback}" for feedback in payload_format.feedback]
    if payload_format.parameters:
        lines.append(f"a=fmtp:{number} {payload_format.parameters}")


def parse_session_description(text: str) -> SessionDescription:
    """
    Parse a description.

    :param text: Lines that end in CRLF or LF; at most 1 MiB.
    :raises WireFormatError: if the text is no description or exceeds a limit of this module.
    """
    lines = _split_lines(text)
    if not lines or lines[0] != "v=0":
        raise WireFormatError("a description begins with v=0")
    return _parse_lines(lines)


def parse_fragment(text: str) -> SessionDescription:
    """
    Parse a trickle ICE fragment (RFC 8840 section 9), as WHIP and WHEP send it in a PATCH.

    :raises WireFormatError: if the text is no fragment or exceeds a limit of this module.
    """
    return _parse_lines(_split_lines(text))


def _parse_lines(lines: list[str]) -> SessionDescription:
    session = _SessionBuilder()
    section: _SessionBuilder | _MediaBuilder = session
    sections: list[_MediaBuilder] = []
    shared: list[str] = []
    for line in lines:
        if line.startswith(SHARED_ATTRIBUTES):
            # Most lines are such; at session level they mean nothing.
            shared.append(line)
        elif line.startswith("m="):
            if len(sections) == MAX_SECTIONS:
                raise WireFormatError(f"more than {MAX_SECTIONS} m-sections")
            section = media = _MediaBuilder(line[2:], session)
            sections.append(media)
            shared = media.shared_lines
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            section.add(name, value, line[2:])
        elif section is session:
            session.add_line(line)
    return session.build(tuple(section.build() for section in sections))


def _split_lines(text: str) -> list[str]:
    if len(text) > MAX_DESCRIPTION_LENGTH:
        raise WireFormatError(f"a description has more than {MAX_DESCRIPTION_LENGTH} characters")
    if text.count("\n") > MAX_LINES:
        raise WireFormatError(f"a description has more than {MAX_LINES} lines")
    lines = text.removesuffix("\r").replace("\r\n", "\n").split("\n")
    lines = [line for line in lines if line]
    if len(max(lines, key=len, default="")) > MAX_LINE_LENGTH:
        raise WireFormatError(f"a line has more than {MAX_LINE_LENGTH} characters")
    if any(line[1:2] != "=" for line in lines):
        raise WireFormatError("a line is not a letter, '=' and a value")
    # isprintable() also keeps carriage returns, NUL and lone surrogates out of what we echo.
    if not "".join(lines).replace("\t", " ").isprintable():
        raise WireFormatError("a line has control characters")
    return lines


def _append(items: list[_T], item: _T, what: str, limit: int = MAX_ATTRIBUTES) -> None:
    if len(items) >= limit:
        raise WireFormatError(f"a section has more than {limit} {what}")
    items.append(item)


class _TransportBuilder:
    """Collects the attributes that sessions and sections share; the first line of a kind counts."""

    def __init__(self) -> None:
        self.direction: Direction | None = None
        self.extmap_allow_mixed = False
        self._ice_ufrag = ""
        self._ice_pwd = ""
        self._ice_options: tuple[str, ...] = ()
        self._fingerprints: list[Fingerprint] = []
        self._setup: Setup | None = None

    def add_shared(self, name: str, value: str) -> bool:
        """Take an attribute; return False if it is not one of those shared."""
        match name:
            case "sendrecv" | "sendonly" | "recvonly" | "inactive":
                self.direction = self.direction or Direction(name)
            case "extmap-allow-mixed":
                self.extmap_allow_mixed = True
            case "ice-ufrag":
                self._ice_ufrag = self._ice_ufrag or parse_ice_chars(value, "ice-ufrag")
            case "ice-pwd":
                self._ice_pwd = self._ice_pwd or parse_ice_chars(value, "ice-pwd")
            case "ice-options":
                options = tuple(parse_token(option, "ice-option") for option in value.split()[:16])
                self._ice_options = self._ice_options or options
            case "fingerprint":
                _append(self._fingerprints, parse_fingerprint(value), "fingerprints", 16)
            case "setup":
                self._setup = self._setup or parse_setup(value)
            case _:
                return False
        return True

    def transport(self) -> TransportAttributes:
        """Return what was collected."""
        return TransportAttributes(
            ice_ufrag=self._ice_ufrag,
            ice_pwd=self._ice_pwd,
            ice_options=self._ice_options,
            fingerprints=tuple(dict.fromkeys(self._fingerprints)),
            setup=self._setup,
        )


class _SessionBuilder(_TransportBuilder):
    """Collects the lines before the first m-line."""

    def __init__(self) -> None:
        super().__init__()
        self._origin = ""
        self._name = ""
        self._groups: list[Group] = []
        self._ice_lite = False
        self._msid_semantic = ""

    def add_line(self, line: str) -> None:
        """Take a line that is no attribute."""
        if line.startswith("o="):
            self._origin = self._origin or line[2:].strip()
        elif line.startswith("s="):
            self._name = self._name or line[2:].strip()

    def add(self, name: str, value: str, text: str) -> None:
        """Take an attribute; unknown ones are skipped."""
        if self.add_shared(name, value):
            return
        if name == "group":
            _append(self._groups, parse_group(value), "groups", 16)
        elif name == "ice-lite":
            self._ice_lite = True
        elif name == "msid-semantic":
            self._msid_semantic = self._msid_semantic or value.strip()

    def build(self, media: tuple[MediaDescription, ...]) -> SessionDescription:
        """Return the description, given its sections."""
        return SessionDescription(
            origin=self._origin or "- 0 0 IN IP4 127.0.0.1",
            name=self._name or "-",
            groups=tuple(self._groups),
            transport=self.transport(),
            ice_lite=self._ice_lite,
            extmap_allow_mixed=self.extmap_allow_mixed,
            msid_semantic=self._msid_semantic,
            media=media,
        )


class _MediaBuilder(_TransportBuilder):
    """Collects one m-section."""

    def __init__(self, m_line: str, session: _SessionBuilder) -> None:
        super().__init__()
        words = m_line.split()
        if len(words) < 4:
            raise WireFormatError("an m-line is not media, port, protocol and formats")
        self._kind = parse_token(words[0], "media type")
        self._port = parse_number(words[1].partition("/")[0], 65535, "port")
        self._protocol = parse_visible(words[2], "protocol")
        if len(words) - 3 > MAX_FORMATS:
            raise WireFormatError(f"a section has more than {MAX_FORMATS} formats")
        self._formats = words[3:]
        self.shared_lines: list[str] = []
        """The lines that other sections of its kind print as well."""
        self._session = session
        self._scalars: dict[str, str] = {}
        self._flags: set[str] = set()
        self._candidates: list[str] = []
        self._msids: list[Msid] = []
        self._ssrcs: dict[int, Ssrc] = {}
        self._ssrc_groups: list[SsrcGroup] = []
        self._rids: list[Rid] = []
        self._simulcast: Simulcast | None = None
        self._other: list[str] = []
        self._lines = 0

    def add(self, name: str, value: str, text: str) -> None:
        """Take an attribute; ``text`` is the whole of it, for those that are only kept."""
        self._lines += 1
        if self.add_shared(name, value):
            return
        handler = _MEDIA_ATTRIBUTES.get(name)
        if handler is not None:
            handler(self, value)
        elif name in _MEDIA_FLAGS:
            self._flags.add(name)
        else:
            _append(self._other, text, "unknown attributes")

    def add_mid(self, value: str) -> None:
        self._scalars.setdefault("mid", parse_token(value.strip(), "mid"))

    def add_candidate(self, value: str) -> None:
        _append(self._candidates, f"candidate:{value}", "candidates", MAX_CANDIDATES)

    def add_msid(self, value: str) -> None:
        _append(self._msids, parse_msid(value), "msid lines")

    def add_ssrc(self, value: str) -> None:
        number, _, attribute = value.partition(" ")
        ssrc = parse_number(number, 0xFFFFFFFF, "SSRC")
        name, _, text = attribute.strip().partition(":")
        if ssrc not in self._ssrcs and len(self._ssrcs) == MAX_SSRCS:
            raise WireFormatError(f"a section has more than {MAX_SSRCS} SSRCs")
        source = self._ssrcs.setdefault(ssrc, Ssrc(ssrc=ssrc))
        if name == "cname" and not source.cname:
            self._ssrcs[ssrc] = replace(source, cname=text.strip())
        elif name == "msid" and source.msid is None:
            self._ssrcs[ssrc] = replace(source, msid=parse_msid(text))

    def add_ssrc_group(self, value: str) -> None:
        _append(self._ssrc_groups, parse_ssrc_group(value), "SSRC groups", MAX_SSRCS)

    def add_rid(self, value: str) -> None:
        _append(self._rids, parse_rid(value), "rids", MAX_SSRCS)

    def add_simulcast(self, value: str) -> None:
        self._simulcast = self._simulcast or parse_simulcast(value)

    def add_sctp_port(self, value: str) -> None:
        port = parse_number(value.strip(), 65535, "sctp-port")
        self._scalars.setdefault("sctp-port", str(port))

    def add_max_message_size(self, value: str) -> None:
        # RFC 8841 section 6 sets no upper bound; anything above 32 bits means the same to us.
        text = value.strip()
        size = 0xFFFFFFFF if len(text) > 10 and text.isdecimal() else None
        size = parse_number(text, 9_999_999_999, "max-message-size") if size is None else size
        self._scalars.setdefault("max-message-size", str(min(size, 0xFFFFFFFF)))

    def build(self) -> MediaDescription:
        """Return the section."""
        sctp_port = self._scalars.get("sctp-port")
        max_message_size = self._scalars.get("max-message-size")
        if self._lines + len(self.shared_lines) > MAX_SECTION_LINES:
            raise WireFormatError(f"a section has more than {MAX_SECTION_LINES} attributes")
        formats = read_formats(self._formats, self.shared_lines)
        return MediaDescription(
            kind=self._kind,
            port=self._port,
            protocol=self._protocol,
            formats=formats.tokens,
            mid=self._scalars.get("mid", ""),
            direction=self.direction or self._session.direction or Direction.SENDRECV,
            transport=self.transport(),
            candidates=tuple(self._candidates),
            end_of_candidates="end-of-candidates" in self._flags,
            bundle_only="bundle-only" in self._flags,
            rtcp_mux="rtcp-mux" in self._flags,
            rtcp_rsize="rtcp-rsize" in self._flags,
            extmap_allow_mixed=self.extmap_allow_mixed,
            payload_formats=formats.payload_formats if "RTP/" in self._protocol else (),
            extmaps=formats.extmaps,
            msids=tuple(self._msids),
            ssrcs=tuple(self._ssrcs.values()),
            ssrc_groups=tuple(self._ssrc_groups),
            rids=tuple(self._rids),
            simulcast=self._simulcast,
            sctp_port=None if sctp_port is None else int(sctp_port),
            max_message_size=None if max_message_size is None else int(max_message_size),
            other=tuple(self._other),
        )


_MEDIA_ATTRIBUTES: dict[str, Callable[[_MediaBuilder, str], None]] = {
    "mid": _MediaBuilder.add_mid,
    "candidate": _MediaBuilder.add_candidate,
    "msid": _MediaBuilder.add_msid,
    "ssrc": _MediaBuilder.add_ssrc,
    "ssrc-group": _MediaBuilder.add_ssrc_group,
    "rid": _MediaBuilder.add_rid,
    "simulcast": _MediaBuilder.add_simulcast,
    "sctp-port": _MediaBuilder.add_sctp_port,
    "max-message-size": _MediaBuilder.add_max_message_size,
}

_MEDIA_FLAGS = frozenset({"bundle-only", "rtcp-mux", "rtcp-rsize", "end-of-candidates"})
