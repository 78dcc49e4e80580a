"""
Codecs: which two payload formats are the same, and which ones this server forwards.

Numbers differ from peer to peer, so a codec is compared by :class:`Codec`: encoding name, clock
rate, channels and the part of its format parameters that tells incompatible bit streams apart.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container

    from .attributes import PayloadFormat

OPUS_PARAMETERS = "minptime=10;useinbandfec=1"
"""What every opus line of ours says; never left out, since the SDK edits it to turn DTX on."""

H264_PROFILE_LEVEL_ID_DEFAULT = "42e01f"
"""
Used when an offer names no profile-level-id. RFC 6184 section 8.1 infers "the Baseline profile
without additional constraints at Level 1"; browsers and encoders that leave it out mean constrained
baseline at level 3.1.
"""

_LOWEST_DYNAMIC_PAYLOAD_TYPE = 96
_HIGHEST_PAYLOAD_TYPE = 127
_LOWEST_UNASSIGNED_PAYLOAD_TYPE = 35

RTCP_CONFLICTS = range(64, 96)
"""Payload types that a receiver would take for RTCP (RFC 5761 section 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """What makes two payload types interchangeable; equal for peers with different numbers."""

    kind: str
    """``audio`` or ``video``."""
    name: str
    """Encoding name in the spelling of its registration (``opus``, ``VP8``, ``H264``, ``rtx``)."""
    clock_rate: int
    """RTP clock rate in Hz."""
    channels: int = 1
    """Audio channels of the rtpmap; 1 for video."""
    variant: str = ""
    """
    Canonical parameters that must be equal for a stream to be decodable, such as
    ``packetization-mode=1;profile=constrained-baseline``. Empty when the codec has none.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadType:
    """One payload type number of a bundle; never changes once negotiated."""

    number: int
    """0 to 127."""
    codec: Codec
    """The codec, or the ``rtx`` codec of the same kind when :attr:`apt` is set."""
    parameters: str = ""
    """The value of our ``a=fmtp`` line; empty when there is none."""
    apt: int | None = None
    """For RTX (RFC 4588): the number of the payload type that it repairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecPreference:
    """A codec that may be negotiated; the order of a list of them is the order of our answers."""

    name: str
    """Encoding name; compared without regard to case."""
    clock_rate: int
    """RTP clock rate in Hz."""
    channels: int = 1
    """Audio channels; 1 for video."""
    variant: str | None = None
    """The one :attr:`Codec.variant` that is meant, or None for all of them."""
    payload_type: int
    """The number to propose when we offer the codec to a peer that never named one."""
    rtx_payload_type: int | None = None
    """The number to propose for its RTX, or None to offer none."""
    parameters: str = ""
    """``a=fmtp`` value to propose with it."""

    def matches(self, codec: Codec) -> bool:
        """Say whether this entry allows ``codec``."""
        return (
            self.clock_rate == codec.clock_rate
            and (self.variant is None or self.variant == codec.variant)
            and self.channels == codec.channels
            and self.name.lower() == codec.name.lower()
        )

    def codec(self, kind: str) -> Codec:
        """Return the codec that we propose for this entry."""
        return Codec(
            kind=kind,
            name=self.name,
            clock_rate=self.clock_rate,
            channels=self.channels,
            variant=_variant(self.name.lower(), parse_parameters(self.parameters)),
        )


def _h264(
    profile: str, mode: int, profile_level_id: str, payload_type: int, rtx_payload_type: int
) -> CodecPreference:
    return CodecPreference(
        name="H264",
        clock_rate=90000,
        variant=f"packetization-mode={mode};profile={profile}",
        payload_type=payload_type,
        rtx_payload_type=rtx_payload_type,
        parameters=(
            f"level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile_level_id}"
        ),
    )


def _vp9(profile: int, payload_type: int, rtx_payload_type: int) -> CodecPreference:
    return CodecPreference(
        name="VP9",
        clock_rate=90000,
        variant=f"profile-id={profile}",
        payload_type=payload_type,
        rtx_payload_type=rtx_payload_type,
        parameters=f"profile-id={profile}",
    )


DEFAULT_AUDIO_CODECS: tuple[CodecPreference, ...] = (
    CodecPreference(
        name="opus", clock_rate=48000, channels=2, payload_type=111, parameters=OPUS_PARAMETERS
    ),
    CodecPreference(name="G722", clock_rate=8000, payload_type=9),
    CodecPreference(name="PCMU", clock_rate=8000, payload_type=0),
    CodecPreference(name="PCMA", clock_rate=8000, payload_type=8),
    CodecPreference(name="telephone-event", clock_rate=48000, payload_type=110, parameters="0-15"),
    CodecPreference(name="telephone-event", clock_rate=8000, payload_type=126, parameters="0-15"),
)
"""Audio codecs that are forwarded, preferred first."""

DEFAULT_VIDEO_CODECS: tuple[CodecPreference, ...] = (
    CodecPreference(name="VP8", clock_rate=90000, payload_type=96, rtx_payload_type=97),
    _h264("constrained-baseline", 1, "42e01f", 102, 103),
    _h264("constrained-baseline", 0, "42e01f", 104, 105),
    _h264("baseline", 1, "42001f", 106, 107),
    _h264("baseline", 0, "42001f", 108, 109),
    _h264("main", 1, "4d001f", 112, 113),
    _h264("main", 0, "4d001f", 114, 115),
    _h264("high", 1, "64001f", 116, 117),
    _h264("high", 0, "64001f", 118, 119),
    _h264("constrained-high", 1, "640c1f", 120, 121),
    _h264("constrained-high", 0, "640c1f", 122, 123),
    _vp9(0, 98, 99),
    _vp9(2, 100, 101),
    CodecPreference(
        name="AV1",
        clock_rate=90000,
        variant="profile=0;tier=0",
        payload_type=45,
        rtx_payload_type=46,
        parameters="level-idx=5;profile=0;tier=0",
    ),
)
"""Video codecs that are forwarded, preferred first: VP8 first keeps simulcast on in the SDK."""


def parse_parameters(text: str) -> dict[str, str]:
    """Return the ``name=value`` pairs of an ``a=fmtp`` value, names in lower case; never raises."""
    parameters: dict[str, str] = {}
    for item in text.split(";"):
        name, _, value = item.partition("=")
        name = name.strip().lower()
        if name:
            parameters.setdefault(name, value.strip())
    return parameters


def h264_profile(profile_level_id: str) -> str:
    """
    Return the profile that a profile-level-id names (RFC 6184 table 5), or an empty string.

    :param profile_level_id: Six hexadecimal digits: profile_idc, profile-iop, level_idc.
    """
    try:
        value = int(profile_level_id, 16)
    except ValueError:
        return ""
    if len(profile_level_id) != 6 or not profile_level_id.isalnum():
        return ""
    profile_idc, profile_iop = value >> 16, value >> 8 & 0xFF
    for idc, mask, pattern, name in _H264_PROFILES:
        if profile_idc == idc and profile_iop & mask == pattern:
            return name
    return ""


_H264_PROFILES = (
    (0x42, 0b01001111, 0b01000000, "constrained-baseline"),
    (0x4D, 0b10001111, 0b10000000, "constrained-baseline"),
    (0x58, 0b11001111, 0b11000000, "constrained-baseline"),
    (0x42, 0b01001111, 0b00000000, "baseline"),
    (0x58, 0b11001111, 0b10000000, "baseline"),
    (0x4D, 0b10101111, 0b00000000, "main"),
    (0x64, 0b11111111, 0b00000000, "high"),
    (0x64, 0b11111111, 0b00001100, "constrained-high"),
)
"""profile_idc, mask and pattern of profile-iop, name; rows of RFC 6184 table 5 that are in use."""


def _variant(name: str, parameters: dict[str, str]) -> str:
    """Return the canonical parameters of a codec, from its lower-case name and fmtp pairs."""
    if name == "h264":
        profile = h264_profile(parameters.get("profile-level-id", H264_PROFILE_LEVEL_ID_DEFAULT))
        mode = parameters.get("packetization-mode") or "0"
        return f"packetization-mode={mode};profile={profile}"
    if name == "vp9":
        return f"profile-id={parameters.get('profile-id') or '0'}"
    if name == "av1":
        return f"profile={parameters.get('profile') or '0'};tier={parameters.get('tier') or '0'}"
    return ""


def codec_of(kind: str, payload_format: PayloadFormat) -> Codec:
    """Return the codec that a parsed payload format of an ``audio`` or ``video`` section means."""
    parameters = payload_format.parameters
    make = _codec if len(parameters) <= _KEPT_LENGTH else _codec.__wrapped__
    return make(
        kind,
        payload_format.name,
        payload_format.clock_rate,
        payload_format.channels,
        parameters,
    )


_KEPT_LENGTH = 256
"""Longest parameters whose codec is kept, in characters."""


@lru_cache(maxsize=256)
def _codec(kind: str, name: str, clock_rate: int, channels: int, parameters: str) -> Codec:
    return Codec(
        kind=kind,
        name=_SPELLINGS.get(name.lower(), name),
        clock_rate=clock_rate,
        channels=channels,
        variant=_variant(name.lower(), parse_parameters(parameters)),
    )


_SPELLINGS: dict[str, str] = {
    name.lower(): name
    for name in ("opus", "PCMU", "PCMA", "G722", "VP8", "VP9", "H264", "AV1", "rtx")
} | {"av1x": "AV1"}


def answered_parameters(payload_format: PayloadFormat) -> str:
    """
    Return the ``a=fmtp`` value with which an offered payload format is accepted.

    A forwarding server decodes nothing, so what was offered is accepted as it is. H.264 keeps the
    offered profile-level-id: with the same level no ``level-asymmetry-allowed`` can be violated.
    """
    name = payload_format.name.lower()
    parameters = parse_parameters(payload_format.parameters)
    if name == "opus":
        return OPUS_PARAMETERS
    if name == "h264":
        level = parameters.get("profile-level-id", H264_PROFILE_LEVEL_ID_DEFAULT).lower()
        mode = parameters.get("packetization-mode") or "0"
        asymmetry = (
            "level-asymmetry-allowed=1;"
            if (parameters.get("level-asymmetry-allowed") == "1")
            else ""
        )
        return f"{asymmetry}packetization-mode={mode};profile-level-id={level}"
    if name == "telephone-event":
        return "0-15"
    kept = _KEPT_PARAMETERS.get(name, ())
    return ";".join(f"{key}={parameters[key]}" for key in kept if key in parameters)


_KEPT_PARAMETERS = {
    "vp9": ("profile-id",),
    "av1": ("level-idx", "profile", "tier"),
    "av1x": ("level-idx", "profile", "tier"),
}
"""Parameters that an answer repeats; limits such as ``max-fs`` speak of the offerer's decoder."""


def free_payload_type(preferred: int, taken: Container[int]) -> int | None:
    """
    Return ``preferred`` or another number that is not in ``taken``, or None when all are.

    Dynamic numbers come first, then 35 to 63. 64 to 95 would be read as RTCP (RFC 5761 section 4).
    """
    if preferred not in taken:
        return preferred
    dynamic = range(_LOWEST_DYNAMIC_PAYLOAD_TYPE, _HIGHEST_PAYLOAD_TYPE + 1)
    unassigned = range(_LOWEST_UNASSIGNED_PAYLOAD_TYPE, RTCP_CONFLICTS.start)
    return next((n for n in itertools.chain(dynamic, unassigned) if n not in taken), None)
