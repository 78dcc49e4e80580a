"""What SDP negotiated, as the data plane wants it: flat tables of payload types and extensions."""

from collections.abc import Mapping
from dataclasses import dataclass

from router._fastpath import plane
from router.plane.shard import PlaneShard
from router.sdp import config as sdp
from router.sdp.codecs import PayloadType
from router.sdp.negotiated import Feedback

_EXTENSIONS = {
    sdp.MID_EXTENSION: plane.EXTENSION_MID,
    sdp.RTP_STREAM_ID_EXTENSION: plane.EXTENSION_RID,
    sdp.REPAIRED_RTP_STREAM_ID_EXTENSION: plane.EXTENSION_REPAIRED_RID,
    sdp.AUDIO_LEVEL_EXTENSION: plane.EXTENSION_AUDIO_LEVEL,
    sdp.TRANSPORT_WIDE_CC_EXTENSION: plane.EXTENSION_TRANSPORT_CC,
    sdp.ABS_SEND_TIME_EXTENSION: plane.EXTENSION_ABS_SEND_TIME,
    sdp.VIDEO_ORIENTATION_EXTENSION: plane.EXTENSION_VIDEO_ORIENTATION,
    sdp.TOFFSET_EXTENSION: plane.EXTENSION_TOFFSET,
    sdp.PLAYOUT_DELAY_EXTENSION: plane.EXTENSION_PLAYOUT_DELAY,
    sdp.VIDEO_CONTENT_TYPE_EXTENSION: plane.EXTENSION_VIDEO_CONTENT_TYPE,
    sdp.COLOR_SPACE_EXTENSION: plane.EXTENSION_COLOR_SPACE,
    sdp.DEPENDENCY_DESCRIPTOR_EXTENSION: plane.EXTENSION_DEPENDENCY_DESCRIPTOR,
}
_ONE_BYTE_IDS = range(1, 15)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaTables:
    """The arguments of ``DataPlane.configure_transport``."""

    payload_in: bytes
    payload_out: bytes
    rtx_out: bytes
    extensions_in: bytes
    extensions_out: bytes
    transport_cc: bool
    remb: bool


def media_tables(
    shard: PlaneShard,
    payload_types: Mapping[int, PayloadType],
    extensions: Mapping[int, str],
    feedback: Mapping[int, Feedback],
) -> MediaTables:
    """Return the tables of one transport; codecs get their numbers on ``shard`` meanwhile."""
    payload_in = bytearray(128)
    payload_out = bytearray([plane.PAYLOAD_NONE] * 64)
    rtx_out = bytearray([plane.PAYLOAD_NONE] * 64)
    for number, payload_type in payload_types.items():
        if payload_type.apt is None:
            codec = shard.codec_number(payload_type.codec)
            if codec == 0:
                continue
            payload_in[number] = codec
            if payload_out[codec] == plane.PAYLOAD_NONE:
                payload_out[codec] = number
        else:
            repaired = payload_types.get(payload_type.apt)
            if repaired is None:
                continue
            codec = shard.codec_number(repaired.codec)
            if codec == 0:
                continue
            payload_in[number] = codec | plane.PAYLOAD_RTX
            if rtx_out[codec] == plane.PAYLOAD_NONE:
                rtx_out[codec] = number
    extensions_in = bytearray(256)
    extensions_out = bytearray(16)
    for identifier, uri in extensions.items():
        extension = _EXTENSIONS.get(uri, 0)
        extensions_in[identifier] = extension
        if extension and identifier in _ONE_BYTE_IDS:
            extensions_out[extension] = identifier
    return MediaTables(
        payload_in=bytes(payload_in),
        payload_out=bytes(payload_out),
        rtx_out=bytes(rtx_out),
        extensions_in=bytes(extensions_in),
        extensions_out=bytes(extensions_out),
        transport_cc=any(entry.transport_cc for entry in feedback.values()),
        remb=any(entry.goog_remb for entry in feedback.values()),
    )
