"""
The values of the attributes that WebRTC descriptions use, each with a parser and ``str``.

Every ``parse_x`` takes what follows the colon of ``a=name:`` and raises only ``WireFormatError``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from router.errors import WireFormatError

MAX_TOKEN_LENGTH = 255
"""Longest mid, msid, rid or similar identifier that is read, in characters."""

MAX_GROUP_MEMBERS = 512
"""Most members of one group line."""

_TOKEN = re.compile(r"[!#-'*+\-.0-9A-Z^-~]+\Z")
"""RFC 8866 section 9: token."""
_VISIBLE = re.compile(r"[\x21-\x7e]+\Z")
_ICE_CHARS = re.compile(r"[A-Za-z0-9+/]+\Z")
_RID = re.compile(r"[A-Za-z0-9_-]+\Z")
_DECIMAL = re.compile(r"[0-9]{1,10}\Z")
_HASH = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})*\Z")


class Direction(Enum):
    """Direction of a section, seen from who wrote the description (RFC 8866 section 6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whether the writer sends."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Whether the writer receives."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @property
    def reversed(self) -> Direction:
        """The same direction as the other side writes it."""
        return Direction.of(sends=self.receives, receives=self.sends)

    @staticmethod
    def of(*, sends: bool, receives: bool) -> Direction:
        """Return the direction of a writer that does what is said."""
        if sends:
            return Direction.SENDRECV if receives else Direction.SENDONLY
        return Direction.RECVONLY if receives else Direction.INACTIVE


class Setup(Enum):
    """DTLS role (RFC 8842, RFC 4145)."""

    ACTIVE = "active"
    PASSIVE = "passive"
    ACTPASS = "actpass"
    HOLDCONN = "holdconn"


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadFormat:
    """One payload type of a section: its rtpmap, fmtp and rtcp-fb lines together."""

    payload_type: int
    """0 to 127."""
    name: str
    """Encoding name as printed."""
    clock_rate: int
    """RTP clock rate in Hz."""
    channels: int = 1
    """Audio channels; 1 when not printed."""
    parameters: str = ""
    """Value of the fmtp line, or an empty string."""
    feedback: tuple[str, ...] = ()
    """Values of the rtcp-fb lines that apply, ``*`` lines included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtMap:
    """A mapped RTP header extension (RFC 8285 section 5)."""

    id: int
    """Local identifier, 1 to 255 (or above for offers that negotiate numbers later)."""
    uri: str
    """Its meaning."""
    direction: Direction | None = None
    """Direction, when one is printed."""
    attributes: str = ""
    """Extension attributes after the URI."""

    def __str__(self) -> str:
        """Return the value as it is printed."""
        direction = "" if self.direction is None else f"/{self.direction.value}"
        attributes = f" {self.attributes}" if self.attributes else ""
        return f"{self.id}{direction} {self.uri}{attributes}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Hash of a certificate (RFC 8122)."""

    algorithm: str
    """Hash function, lower case."""
    value: str
    """Upper-case hexadecimal bytes joined by colons."""

    def __str__(self) -> str:
        """Return the value as it is printed."""
        return f"{self.algorithm} {self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Msid:
    """The stream and the track that a section carries (RFC 8830)."""

    stream_id: str
    """First token; ``-`` for no stream."""
    track_id: str = ""
    """Second token, or an empty string."""

    def __str__(self) -> str:
        """Return the value as it is printed."""
        return f"{self.stream_id} {self.track_id}" if self.track_id else self.stream_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of sections or of SSRCs: BUNDLE, LS, FID, SIM (RFC 5888, RFC 5576)."""

    semantics: str
    """What the members have in common."""
    members: tuple[str, ...]
    """Mids, or SSRCs in decimal."""

    def __str__(self) -> str:
        """Return the value as it is printed."""
        return " ".join((self.semantics, *self.members))


@dataclass(frozen=True, slots=True, kw_only=True)
class SsrcGroup:
    """SSRCs that belong together (RFC 5576 section 4.2)."""

    semantics: str
    """``FID`` (media, RTX), ``SIM`` (layers, lowest first) or ``FEC-FR``."""
    ssrcs: tuple[int, ...]
    """The members in printed order."""

    def __str__(self) -> str:
        """Return the value as it is printed."""
        return " ".join((self.semantics, *map(str, self.ssrcs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssrc:
    """One announced source with the attributes that matter (RFC 5576 section 4.1)."""

    ssrc: int
    """The identifier."""
    cname: str = ""
    """Its canonical name, or an empty string."""
    msid: Msid | None = None
    """Stream and track, where an older peer prints them per source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rid:
    """An encoded stream known by name (RFC 8851)."""

    id: str
    """The identifier that packets carry."""
    direction: str
    """``send`` or ``recv``."""
    restrictions: str = ""
    """What follows the direction, as printed."""

    def __str__(self) -> str:
        """Return the value as it is printed."""
        restrictions = f" {self.restrictions}" if self.restrictions else ""
        return f"{self.id} {self.direction}{restrictions}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulcast:
    """Simulcast streams by RID (RFC 8853): streams, each a tuple of alternatives."""

    send: tuple[tuple[str, ...], ...] = ()
    """Streams that the writer sends; a ``~`` in front of a RID means paused."""
    recv: tuple[tuple[str, ...], ...] = ()
    """Streams that the writer receives."""

    def __str__(self) -> str:
        """Return the value as it is printed."""
        return " ".join(
            f"{word} {';'.join(','.join(alternatives) for alternatives in streams)}"
            for word, streams in (("send", self.send), ("recv", self.recv))
            if streams
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportAttributes:
    """ICE and DTLS attributes; at session level they are the default of every section."""

    ice_ufrag: str = ""
    """Username fragment; empty when the line is absent."""
    ice_pwd: str = ""
    """Password; empty when the line is absent."""
    ice_options: tuple[str, ...] = ()
    """ICE options."""
    fingerprints: tuple[Fingerprint, ...] = ()
    """Certificate hashes, in printed order."""
    setup: Setup | None = None
    """DTLS role; None when the line is absent."""

    def over(self, default: TransportAttributes) -> TransportAttributes:
        """Return these attributes with what is absent taken from ``default``."""
        credentials = self if self.ice_ufrag or self.ice_pwd else default
        return TransportAttributes(
            ice_ufrag=credentials.ice_ufrag,
            ice_pwd=credentials.ice_pwd,
            ice_options=self.ice_options or default.ice_options,
            fingerprints=self.fingerprints or default.fingerprints,
            setup=self.setup or default.setup,
        )


def parse_number(text: str, highest: int, what: str) -> int:
    """
    Return a decimal number from 0 to ``highest``.

    :raises WireFormatError: if it is something else.
    """
    if not _DECIMAL.match(text) or (number := int(text)) > highest:
        raise WireFormatError(f"{what} is not a number from 0 to {highest}")
    return number


def parse_token(text: str, what: str) -> str:
    """
    Return ``text`` if it is a token of RFC 8866 of at most 255 characters.

    :raises WireFormatError: if it is something else.
    """
    if len(text) > MAX_TOKEN_LENGTH or not _TOKEN.match(text):
        raise WireFormatError(f"{what} is not a token")
    return text


def parse_visible(text: str, what: str) -> str:
    """
    Return ``text`` if it is printable ASCII without spaces, of at most 255 characters.

    :raises WireFormatError: if it is something else.
    """
    if len(text) > MAX_TOKEN_LENGTH or not _VISIBLE.match(text):
        raise WireFormatError(f"{what} has characters that are not printable")
    return text


def parse_ice_chars(text: str, what: str) -> str:
    """
    Return an ice-ufrag or ice-pwd: ice-chars of RFC 8839, at most 256 of them.

    :raises WireFormatError: if it is something else.
    """
    # Lengths below RFC 8839's 4 and 22 are taken as they come: they weaken only their owner.
    if len(text) > 256 or not _ICE_CHARS.match(text):
        raise WireFormatError(f"{what} has characters that RFC 8839 does not allow")
    return text


def parse_rtpmap(value: str) -> PayloadFormat:
    """Parse ``111 opus/48000/2``."""
    number, _, encoding = value.partition(" ")
    parts = encoding.strip().split("/")
    if not 2 <= len(parts) <= 3:
        raise WireFormatError("rtpmap is not 'payload-type name/clock-rate[/channels]'")
    channels = parse_number(parts[2], 255, "channel count") if len(parts) == 3 else 1
    return PayloadFormat(
        payload_type=parse_number(number, 127, "payload type"),
        name=parse_token(parts[0], "encoding name"),
        clock_rate=parse_number(parts[1], 0xFFFFFFFF, "clock rate"),
        channels=channels,
    )


def parse_extmap(value: str) -> ExtMap:
    """Parse ``4/recvonly urn:... [attributes]``."""
    mapping, _, rest = value.partition(" ")
    number, slash, direction = mapping.partition("/")
    uri, _, attributes = rest.strip().partition(" ")
    identifier = parse_number(number, 0xFFFF, "extmap id")
    if identifier == 0:
        raise WireFormatError("extmap id 0 is reserved")
    return ExtMap(
        id=identifier,
        uri=parse_visible(uri, "extmap URI"),
        direction=parse_direction(direction) if slash else None,
        attributes=attributes.strip(),
    )


def parse_direction(value: str) -> Direction:
    """Parse ``sendrecv`` and its like."""
    try:
        return Direction(value)
    except ValueError:
        raise WireFormatError("unknown direction") from None


def parse_setup(value: str) -> Setup:
    """Parse a DTLS role."""
    try:
        return Setup(value)
    except ValueError:
        raise WireFormatError("unknown setup role") from None


def parse_fingerprint(value: str) -> Fingerprint:
    """Parse ``sha-256 AA:BB:...``; at most 64 bytes of hash."""
    algorithm, _, digest = value.partition(" ")
    digest = digest.strip()
    # 64 bytes is SHA-512; nothing longer is registered, and the length check keeps the match cheap.
    if len(digest) > 64 * 3 or not _HASH.match(digest):
        raise WireFormatError("fingerprint is not hexadecimal bytes joined by colons")
    return Fingerprint(
        algorithm=parse_token(algorithm, "hash function").lower(), value=digest.upper()
    )


def parse_msid(value: str) -> Msid:
    """Parse ``stream [track]``."""
    stream, _, track = value.strip().partition(" ")
    track = track.strip()
    return Msid(
        stream_id=parse_visible(stream, "msid stream"),
        track_id=parse_visible(track, "msid track") if track else "",
    )


def parse_group(value: str) -> Group:
    """Parse ``BUNDLE 0 1``."""
    semantics, *members = value.split()[: MAX_GROUP_MEMBERS + 2] or [""]
    if len(members) > MAX_GROUP_MEMBERS:
        raise WireFormatError(f"a group has more than {MAX_GROUP_MEMBERS} members")
    return Group(
        semantics=parse_token(semantics, "group semantics"),
        members=tuple(parse_token(member, "group member") for member in members),
    )


def parse_ssrc_group(value: str) -> SsrcGroup:
    """Parse ``FID 1 2``."""
    group = parse_group(value)
    return SsrcGroup(
        semantics=group.semantics,
        ssrcs=tuple(parse_number(member, 0xFFFFFFFF, "SSRC") for member in group.members),
    )


def parse_rid(value: str) -> Rid:
    """Parse ``h send [restrictions]``."""
    identifier, _, rest = value.partition(" ")
    direction, _, restrictions = rest.strip().partition(" ")
    if direction not in ("send", "recv"):
        raise WireFormatError("rid direction is neither send nor recv")
    return Rid(id=_parse_rid_id(identifier), direction=direction, restrictions=restrictions.strip())


def parse_simulcast(value: str) -> Simulcast:
    """Parse ``send q;h,x;~f recv a``."""
    words = value.split()
    if len(words) not in (2, 4) or len(set(words[::2])) != len(words) // 2:
        raise WireFormatError("simulcast is not one or two pairs of direction and streams")
    streams = {"send": (), "recv": ()} | {
        word: tuple(
            tuple(_parse_simulcast_id(name) for name in alternatives.split(","))
            for alternatives in listing.split(";")
        )
        for word, listing in zip(words[::2], words[1::2], strict=True)
    }
    if len(streams) != 2:
        raise WireFormatError("simulcast direction is neither send nor recv")
    return Simulcast(send=streams["send"], recv=streams["recv"])


def _parse_rid_id(text: str) -> str:
    if len(text) > MAX_TOKEN_LENGTH or not _RID.match(text):
        raise WireFormatError("rid has characters that RFC 8851 does not allow")
    return text


def _parse_simulcast_id(text: str) -> str:
    _parse_rid_id(text.removeprefix("~"))
    return text
