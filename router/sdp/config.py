"""What a negotiation is told from outside: our transport, the codecs and extensions we accept."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .codecs import DEFAULT_AUDIO_CODECS, DEFAULT_VIDEO_CODECS, CodecPreference

MID_EXTENSION = "urn:ietf:params:rtp-hdrext:sdes:mid"
RTP_STREAM_ID_EXTENSION = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RTP_STREAM_ID_EXTENSION = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
AUDIO_LEVEL_EXTENSION = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
TRANSPORT_WIDE_CC_EXTENSION = (
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
)
ABS_SEND_TIME_EXTENSION = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
VIDEO_ORIENTATION_EXTENSION = "urn:3gpp:video-orientation"
TOFFSET_EXTENSION = "urn:ietf:params:rtp-hdrext:toffset"
PLAYOUT_DELAY_EXTENSION = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
VIDEO_CONTENT_TYPE_EXTENSION = "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type"
COLOR_SPACE_EXTENSION = "http://www.webrtc.org/experiments/rtp-hdrext/color-space"
DEPENDENCY_DESCRIPTOR_EXTENSION = (
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
)

DEFAULT_AUDIO_EXTENSIONS: tuple[str, ...] = (
    MID_EXTENSION,
    AUDIO_LEVEL_EXTENSION,
    TRANSPORT_WIDE_CC_EXTENSION,
    ABS_SEND_TIME_EXTENSION,
)
DEFAULT_VIDEO_EXTENSIONS: tuple[str, ...] = (
    MID_EXTENSION,
    RTP_STREAM_ID_EXTENSION,
    REPAIRED_RTP_STREAM_ID_EXTENSION,
    TRANSPORT_WIDE_CC_EXTENSION,
    ABS_SEND_TIME_EXTENSION,
    VIDEO_ORIENTATION_EXTENSION,
    TOFFSET_EXTENSION,
    PLAYOUT_DELAY_EXTENSION,
    VIDEO_CONTENT_TYPE_EXTENSION,
    COLOR_SPACE_EXTENSION,
    DEPENDENCY_DESCRIPTOR_EXTENSION,
)

_ICE_CHARS = re.compile(r"[A-Za-z0-9+/]+\Z")
_FINGERPRINT = re.compile(r"[a-z0-9-]+ [0-9A-F]{2}(:[0-9A-F]{2})+\Z")
_LINE = re.compile(r"[\x20-\x7e]+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTransport:
    """Our end of the one bundled transport, as descriptions announce it."""

    ufrag: str
    """ICE username fragment, 4 to 256 characters of A-Z a-z 0-9 + / (RFC 8839 section 5.4)."""
    pwd: str
    """ICE password, 22 to 256 characters of the same alphabet."""
    fingerprint: str
    """Hash of our certificate: ``sha-256 AA:BB:...`` (RFC 8122)."""
    candidates: tuple[str, ...] = ()
    """Our candidates as ``candidate:...`` texts (RFC 8839 section 5.1), all of them."""
    cname: str = "parlour"
    """RTCP canonical name of all that we send (RFC 3550 section 6.5.1)."""

    def __post_init__(self) -> None:
        """
        Refuse what would produce an unreadable description.

        :raises ValueError: if a field has characters or a length that RFC 8839 does not allow.
        """
        if not (_ICE_CHARS.match(self.ufrag) and 4 <= len(self.ufrag) <= 256):
            raise ValueError("ufrag must be 4 to 256 characters of A-Z a-z 0-9 + /")
        if not (_ICE_CHARS.match(self.pwd) and 22 <= len(self.pwd) <= 256):
            raise ValueError("pwd must be 22 to 256 characters of A-Z a-z 0-9 + /")
        if not _FINGERPRINT.match(self.fingerprint):
            raise ValueError("fingerprint must look like 'sha-256 AA:BB:...'")
        for candidate in self.candidates:
            if not (candidate.startswith("candidate:") and _LINE.match(candidate)):
                raise ValueError("candidates must be 'candidate:...' texts without line ends")
        if not _LINE.match(self.cname) or " " in self.cname:
            raise ValueError("cname must be printable characters without spaces")


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiationConfig:
    """What one peer connection may negotiate."""

    transport: LocalTransport
    """Our transport until :meth:`Negotiator.set_local_transport` replaces it."""
    audio_codecs: tuple[CodecPreference, ...] = DEFAULT_AUDIO_CODECS
    """Audio codecs that are accepted, preferred first."""
    video_codecs: tuple[CodecPreference, ...] = DEFAULT_VIDEO_CODECS
    """Video codecs that are accepted, preferred first; the first one decides simulcast."""
    audio_extensions: tuple[str, ...] = DEFAULT_AUDIO_EXTENSIONS
    """URIs of the RTP header extensions accepted in audio sections (RFC 8285)."""
    video_extensions: tuple[str, ...] = DEFAULT_VIDEO_EXTENSIONS
    """URIs of the RTP header extensions accepted in video sections."""
    audio_feedback: tuple[str, ...] = ("transport-cc", "nack")
    """rtcp-fb values accepted for audio codecs (RFC 4585)."""
    video_feedback: tuple[str, ...] = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
    """rtcp-fb values accepted for video codecs."""
    max_extension_id: int = 14
    """Highest extension id that is accepted; 14 is the most that a one-byte header can name."""
    max_sections: int = 256
    """Most m-sections a session may have, ours and the peer's together, 1 to 512."""
    max_streams: int = 8
    """Most encoded streams (simulcast) that are taken from one section."""
    sctp_port: int = 5000
    """Our SCTP port (RFC 8841)."""
    max_message_size: int = 262144
    """Largest data channel message that we take, in bytes."""
    dtls_client: bool = False
    """Whether we can be the DTLS client, for a peer that insists on ``setup:passive``."""

    def __post_init__(self) -> None:
        """:raises ValueError: if a limit is out of its range."""
        if not 1 <= self.max_sections <= 512:
            raise ValueError("max_sections must be 1 to 512")
        if not 1 <= self.max_extension_id <= 255:
            raise ValueError("max_extension_id must be 1 to 255")

    def codecs(self, kind: str) -> tuple[CodecPreference, ...]:
        """Return the codecs accepted for ``audio`` or ``video``."""
        return self.audio_codecs if kind == "audio" else self.video_codecs

    def extensions(self, kind: str) -> tuple[str, ...]:
        """Return the extension URIs accepted for ``audio`` or ``video``."""
        return self.audio_extensions if kind == "audio" else self.video_extensions

    def feedback(self, kind: str) -> tuple[str, ...]:
        """Return the rtcp-fb values accepted for ``audio`` or ``video``."""
        return self.audio_feedback if kind == "audio" else self.video_feedback
