"""The contents of RTP header extension elements that media servers read or write."""

from dataclasses import dataclass

from router.errors import WireFormatError

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
TOFFSET = "urn:ietf:params:rtp-hdrext:toffset"
VIDEO_ORIENTATION = "urn:3gpp:video-orientation"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
VIDEO_CONTENT_TYPE = "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type"
COLOR_SPACE = "http://www.webrtc.org/experiments/rtp-hdrext/color-space"
DEPENDENCY_DESCRIPTOR = (
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
)


def parse_transport_seq(data: bytes) -> int:
    """
    Return a transport-wide sequence number.

    :raises WireFormatError: unless there are 2 bytes, or 4 in version 2 of the extension.
    """
    if len(data) not in (2, 4):
        raise WireFormatError(f"transport-wide sequence number has {len(data)} bytes")
    return int.from_bytes(data[:2], "big")


def serialize_transport_seq(transport_seq: int) -> bytes:
    """Return the element for a 16-bit transport-wide sequence number."""
    return transport_seq.to_bytes(2, "big")


def parse_abs_send_time(data: bytes) -> float:
    """
    Return a send time in seconds, modulo 64, with a resolution of 4 us.

    :raises WireFormatError: unless there are 3 bytes.
    """
    if len(data) != 3:
        raise WireFormatError(f"absolute send time has {len(data)} bytes")
    return int.from_bytes(data, "big") / (1 << 18)


def serialize_abs_send_time(seconds: float) -> bytes:
    """Return the element for a time in seconds; only its value modulo 64 is carried."""
    return (int(seconds * (1 << 18)) & 0xFFFFFF).to_bytes(3, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioLevel:
    """How loud a packet is (RFC 6464)."""

    level: int
    """Minus dBov: 0 is the loudest, 127 is silence."""
    voice: bool
    """The sender takes it for speech."""

    def serialize(self) -> bytes:
        """Return the element."""
        return bytes([self.voice << 7 | self.level])


def parse_audio_level(data: bytes) -> AudioLevel:
    """
    Parse an audio level.

    :raises WireFormatError: if it is empty. RFC 6464 section 3 lets bytes follow the first.
    """
    if not data:
        raise WireFormatError("audio level is empty")
    return AudioLevel(level=data[0] & 127, voice=data[0] >> 7 == 1)
