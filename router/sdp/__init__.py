"""
Session descriptions and their negotiation for a forwarding server.

RFC 8866 (SDP), 3264 and 9429 (offer/answer, JSEP), 9143 (BUNDLE), 8839 (ICE), 8842 (DTLS), 8841
(SCTP), 5576 (SSRC attributes), 8830 (msid), 8851 and 8853 (RID, simulcast), 8285 (extmap).
"""

from .codecs import (
    DEFAULT_AUDIO_CODECS,
    DEFAULT_VIDEO_CODECS,
    Codec,
    CodecPreference,
    PayloadType,
)
from .config import LocalTransport, NegotiationConfig
from .negotiated import (
    AnswerOutcome,
    Feedback,
    InboundMedia,
    InboundStream,
    OfferOutcome,
    RemoteTransport,
    SctpParameters,
    Slot,
)
from .negotiation import Negotiator, SignalingState

__all__ = [
    "DEFAULT_AUDIO_CODECS",
    "DEFAULT_VIDEO_CODECS",
    "AnswerOutcome",
    "Codec",
    "CodecPreference",
    "Feedback",
    "InboundMedia",
    "InboundStream",
    "LocalTransport",
    "NegotiationConfig",
    "Negotiator",
    "OfferOutcome",
    "PayloadType",
    "RemoteTransport",
    "SctpParameters",
    "SignalingState",
    "Slot",
]
