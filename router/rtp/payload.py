"""Payload descriptors: VP8, VP9, H.264 and AV1, as far as a forwarder reads or writes them."""

from dataclasses import dataclass, replace

from router.errors import WireFormatError


@dataclass(frozen=True, slots=True, kw_only=True)
class Vp8Descriptor:
    """The VP8 payload descriptor (RFC 7741 section 4.2)."""

    start_of_partition: bool = True
    partition_index: int = 0
    """0 to 7 (PID)."""
    non_reference: bool = False
    picture_id: int | None = None
    """15 bits, or 7 when ``long_picture_id`` is False."""
    long_picture_id: bool = True
    tl0_picture_index: int | None = None
    """8 bits."""
    temporal_id: int | None = None
    """0 to 3; present together with ``layer_sync``."""
    layer_sync: bool = False
    key_index: int | None = None
    """5 bits."""

    def serialize(self) -> bytes:
        """Return the descriptor; the X bit is set when it has any optional field."""
        flags = (
            (self.picture_id is not None) << 7
            | (self.tl0_picture_index is not None) << 6
            | (self.temporal_id is not None) << 5
            | (self.key_index is not None) << 4
        )
        out = bytearray(
            [
                bool(flags) << 7
                | self.non_reference << 5
                | self.start_of_partition << 4
                | self.partition_index
            ]
        )
        if flags:
            out.append(flags)
        if self.picture_id is not None:
            if self.long_picture_id:
                out += (0x8000 | self.picture_id).to_bytes(2, "big")
            else:
                out.append(self.picture_id)
        if self.tl0_picture_index is not None:
            out.append(self.tl0_picture_index)
        if flags & 0x30:
            out.append((self.temporal_id or 0) << 6 | self.layer_sync << 5 | (self.key_index or 0))
        return bytes(out)


def parse_vp8(payload: bytes) -> tuple[Vp8Descriptor, bytes]:
    """
    Return the descriptor and the VP8 data behind it.

    :raises WireFormatError: if the descriptor is cut off or nothing follows it.
    """
    data = payload + b"\0" * 5  # so that reading on is safe; the end is checked below
    if not payload:
        raise WireFormatError("VP8 payload is empty")
    descriptor = Vp8Descriptor(
        start_of_partition=bool(data[0] & 0x10),
        partition_index=data[0] & 7,
        non_reference=bool(data[0] & 0x20),
    )
    at = 1
    flags = 0
    if data[0] & 0x80:
        flags = data[1]
        at = 2
    if flags & 0x80:
        long_picture_id = bool(data[at] & 0x80)
        size = 2 if long_picture_id else 1
        picture_id = int.from_bytes(data[at : at + size], "big") & 0x7FFF
        descriptor = replace(descriptor, picture_id=picture_id, long_picture_id=long_picture_id)
        at += size
    if flags & 0x40:
        descriptor = replace(descriptor, tl0_picture_index=data[at])
        at += 1
    if flags & 0x30:
        descriptor = replace(
            descriptor,
            temporal_id=data[at] >> 6 if flags & 0x20 else None,
            layer_sync=bool(data[at] & 0x20),
            key_index=data[at] & 31 if flags & 0x10 else None,
        )
        at += 1
    if at >= len(payload):
        raise WireFormatError(f"VP8 payload of {len(payload)} bytes is all descriptor")
    return descriptor, payload[at:]


def is_vp8_key_frame(payload: bytes) -> bool:
    """
    Return whether the payload starts a VP8 key frame (RFC 7741 section 4.3: the P bit is 0).

    :raises WireFormatError: if the descriptor is malformed.
    """
    descriptor, data = parse_vp8(payload)
    starts_frame = descriptor.start_of_partition and descriptor.partition_index == 0
    return starts_frame and not data[0] & 1


_H264_IDR = 5
_H264_SPS = 7
_H264_STAP_A = 24
_H264_FU_A = 28


def is_h264_key_frame(payload: bytes) -> bool:
    """
    Return whether the payload starts a key frame: has an SPS or begins an IDR slice (RFC 6184).

    :raises WireFormatError: if an aggregate or a fragment is malformed.
    """
    if not payload:
        raise WireFormatError("H.264 payload is empty")
    kind = payload[0] & 31
    if kind == _H264_STAP_A:
        at = 1
        found = False
        while at + 2 < len(payload):
            size = int.from_bytes(payload[at : at + 2], "big")
            if size == 0 or at + 2 + size > len(payload):
                raise WireFormatError(f"NAL unit of {size} bytes does not fit")
            found |= payload[at + 2] & 31 in (_H264_IDR, _H264_SPS)
            at += 2 + size
        return found
    if kind == _H264_FU_A:
        if len(payload) < 2:
            raise WireFormatError("FU-A has no FU header")
        return bool(payload[1] & 0x80) and payload[1] & 31 == _H264_IDR
    return kind in (_H264_IDR, _H264_SPS)


def is_vp9_key_frame(payload: bytes) -> bool:
    """
    Return whether the payload starts a VP9 key picture (RFC 9628 section 4.2).

    :raises WireFormatError: if the descriptor is cut off.
    """
    if not payload:
        raise WireFormatError("VP9 payload is empty")
    at = 1
    if payload[0] & 0x80:
        if len(payload) < 2:
            raise WireFormatError("VP9 picture id is cut off")
        at += 2 if payload[1] & 0x80 else 1
    spatial_id = 0
    if payload[0] & 0x20:
        if at >= len(payload):
            raise WireFormatError("VP9 layer indices are cut off")
        spatial_id = payload[at] >> 1 & 7
    return payload[0] & 0x48 == 0x08 and spatial_id == 0


def is_av1_key_frame(payload: bytes) -> bool:
    """
    Return whether the payload is the first of a coded video sequence: the N bit is set.

    :raises WireFormatError: if it is empty.
    """
    if not payload:
        raise WireFormatError("AV1 payload is empty")
    return bool(payload[0] & 0x08)
