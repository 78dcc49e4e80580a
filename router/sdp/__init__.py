"""
Session descriptions and their negotiation for a forwarding server.

RFC 8866 (SDP), 3264 and 9429 (offer/answer, JSEP), 9143 (BUNDLE), 8839 and 8840 (ICE, trickle),
8842 (DTLS), 8841 (SCTP), 5576 (SSRC attributes), 8830 (msid), 8851 and 8853 (RID, simulcast), 8285
(extmap), 6184 (H.264).

Known deviations:

- RFC 9143 puts ICE and DTLS attributes on the tagged section alone. We repeat them on each section
  of the bundle, as browsers do and older peers need; candidates are on the tagged section only.
- RFC 6184 section 8.1 infers the baseline profile at level 1 when profile-level-id is absent. We
  infer constrained baseline, which is what peers that leave it out send.
- RFC 3264 section 6.1 lets the two sides number a codec differently. An answer that uses other
  numbers than our offer is taken not to have accepted the codec.
- An offer without BUNDLE gets its first section only; the others are rejected.
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
