"""Candidates: SDP form (RFC 8839 section 5.1), priority, foundation (RFC 8445 section 5.1)."""

import enum
import re
import zlib
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import WireFormatError
from ..net import Address, normalise_host

_FOUNDATION = re.compile(r"[A-Za-z0-9+/]{1,32}")
_NUMBER = re.compile(r"[0-9]{1,10}")
_HOST = re.compile(r"[A-Za-z0-9.:%_-]{1,255}")
_TOKEN = re.compile(r"[!#-'*+.0-9A-Z^-~-]{1,64}")
_EXTENSION_VALUE = re.compile(r"[!-~]{1,256}")
_MAX_LINE_LENGTH = 1024


class CandidateType(enum.Enum):
    """How a candidate came to be known."""

    HOST = "host"
    SERVER_REFLEXIVE = "srflx"
    PEER_REFLEXIVE = "prflx"
    RELAYED = "relay"


# RFC 8445 section 5.1.2.2.
_TYPE_PREFERENCES = {
    CandidateType.HOST: 126,
    CandidateType.PEER_REFLEXIVE: 110,
    CandidateType.SERVER_REFLEXIVE: 100,
    CandidateType.RELAYED: 0,
}


class RelatedAddress(NamedTuple):
    """``raddr`` and ``rport``, for diagnosis only; the host is not always an address."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One candidate of one component."""

    foundation: str
    """1..32 ice-chars; equal for candidates of like origin."""
    component: int = 1
    """1..256; 1 is RTP, and everything when multiplexed."""
    transport: str = "udp"
    """Lower case."""
    priority: int
    """0..2^32-1 as received; what this package computes is within 1..2^31-1."""
    host: str
    """An IP address in normal form, or a name (``...local`` of mDNS) that somebody must resolve."""
    port: int
    """0..65535."""
    type: CandidateType
    related: RelatedAddress | None = None
    """The base of a reflexive candidate, the mapped address of a relayed one."""
    extensions: tuple[tuple[str, str], ...] = ()
    """Names and values in wire order: ``tcptype``, ``generation``, ``ufrag`` and others."""

    @property
    def address(self) -> Address | None:
        """The transport address, or None when the host is a name."""
        try:
            return Address(normalise_host(self.host), self.port)
        except WireFormatError:
            return None

    def extension(self, name: str) -> str | None:
        """Return the value of an extension, or None."""
        return next((value for key, value in self.extensions if key == name), None)

    def serialize(self) -> str:
        """Return ``candidate:...``, the value of the SDP attribute with its name."""
        fields = [
            f"candidate:{self.foundation} {self.component} {self.transport} {self.priority}",
            f"{self.host} {self.port} typ {self.type.value}",
        ]
        if self.related is not None:
            fields.append(f"raddr {self.related.host} rport {self.related.port}")
        fields += [f"{name} {value}" for name, value in self.extensions]
        return " ".join(fields)


def parse_candidate(line: str) -> Candidate:
    """
    Return the candidate of an SDP attribute, given with or without ``a=``.

    :raises WireFormatError: if the line has another form, or a candidate type that RFC 8445 does
        not know (to be ignored, says RFC 8839).
    """
    line = line.strip().removeprefix("a=")
    if len(line) > _MAX_LINE_LENGTH or not line.startswith("candidate:"):
        raise WireFormatError("not a candidate attribute")
    fields = line.removeprefix("candidate:").split()
    if len(fields) < 8 or len(fields) % 2 or fields[6] != "typ":
        raise WireFormatError(f"candidate attribute has {len(fields)} fields")
    foundation, component, transport, priority, host, port, _, type_name = fields[:8]
    if not _FOUNDATION.fullmatch(foundation) or not _TOKEN.fullmatch(transport):
        raise WireFormatError("candidate foundation or transport is malformed")
    try:
        candidate_type = CandidateType(type_name)
    except ValueError:
        raise WireFormatError("candidate type is not known") from None

    pairs = list(zip(fields[8::2], fields[9::2], strict=True))
    related = None
    if pairs and pairs[0][0] == "raddr":
        related_host = _parse_host(pairs.pop(0)[1])
        related_port = 0
        if pairs and pairs[0][0] == "rport":
            related_port = _parse_number(pairs.pop(0)[1], 0xFFFF)
        related = RelatedAddress(related_host, related_port)
    for name, value in pairs:
        if not _TOKEN.fullmatch(name) or not _EXTENSION_VALUE.fullmatch(value):
            raise WireFormatError("candidate extension is malformed")
    return Candidate(
        foundation=foundation,
        component=_parse_number(component, 256),
        transport=transport.lower(),
        priority=_parse_number(priority, 0xFFFFFFFF),
        host=_parse_host(host),
        port=_parse_number(port, 0xFFFF),
        type=candidate_type,
        related=related,
        extensions=tuple(pairs),
    )


def compute_priority(
    candidate_type: CandidateType, *, local_preference: int = 0xFFFF, component: int = 1
) -> int:
    """
    Return the priority that RFC 8445 section 5.1.2.1 recommends.

    :param local_preference: 0..65535; higher for the interface and family to prefer.
    """
    return _TYPE_PREFERENCES[candidate_type] << 24 | local_preference << 8 | 256 - component


def compute_foundation(
    candidate_type: CandidateType, base_host: str, transport: str = "udp"
) -> str:
    """Return the same text for candidates of the same type, base host and transport."""
    return str(zlib.crc32(f"{candidate_type.value} {base_host} {transport}".encode()))


def host_candidate(address: Address, *, local_preference: int = 0xFFFF) -> Candidate:
    """Return the host candidate for a UDP socket's address."""
    return Candidate(
        foundation=compute_foundation(CandidateType.HOST, address.host),
        priority=compute_priority(CandidateType.HOST, local_preference=local_preference),
        host=address.host,
        port=address.port,
        type=CandidateType.HOST,
    )


def _parse_number(text: str, maximum: int) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > maximum:
        raise WireFormatError(f"candidate has a number that is not within 0..{maximum}")
    return int(text)


def _parse_host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise WireFormatError("candidate address is malformed")
    try:
        return normalise_host(text)
    except WireFormatError:
        return text
