"""
RTP and RTCP in Python: for tests, tools and the load generator.

The data plane has its own, compiled reading of the same formats; the tests hold the two together.
"""

from .feedback import (
    FullIntraRequest,
    GenericNack,
    PayloadFeedback,
    PictureLossIndication,
    ReceiverEstimatedMaximumBitrate,
    TransportFeedback,
    parse_fir,
    parse_nack,
    parse_pli,
    parse_remb,
)
from .packet import RtpPacket, parse_packet, unwrap_rtx, wrap_rtx
from .payload import (
    Vp8Descriptor,
    is_av1_key_frame,
    is_h264_key_frame,
    is_vp8_key_frame,
    is_vp9_key_frame,
    parse_vp8,
)
from .rtcp import (
    Bye,
    PacketType,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    parse_bye,
    parse_compound,
    parse_receiver_report,
    parse_sender_report,
    parse_source_description,
    serialize_compound,
)
from .transport_cc import TransportCcFeedback, parse_transport_cc

__all__ = [
    "Bye",
    "FullIntraRequest",
    "GenericNack",
    "PacketType",
    "PayloadFeedback",
    "PictureLossIndication",
    "ReceiverEstimatedMaximumBitrate",
    "ReceiverReport",
    "ReportBlock",
    "RtcpPacket",
    "RtpPacket",
    "SenderReport",
    "SourceDescription",
    "TransportCcFeedback",
    "TransportFeedback",
    "Vp8Descriptor",
    "is_av1_key_frame",
    "is_h264_key_frame",
    "is_vp8_key_frame",
    "is_vp9_key_frame",
    "parse_bye",
    "parse_compound",
    "parse_fir",
    "parse_nack",
    "parse_packet",
    "parse_pli",
    "parse_receiver_report",
    "parse_remb",
    "parse_sender_report",
    "parse_source_description",
    "parse_transport_cc",
    "parse_vp8",
    "serialize_compound",
    "unwrap_rtx",
    "wrap_rtx",
]
