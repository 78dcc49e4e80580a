"""Payload descriptors; the contract is in ``payload.pxd``."""

from libc.string cimport memset

from router._fastpath.wire cimport load16


cdef int payload_parse(
    payload_view *view, uint8_t payload_format, const uint8_t *data, int length
) noexcept nogil:
    memset(view, 0, sizeof(payload_view))
    if length == 0:     # late padding, which fills the gap that was left for it
        return 0
    if payload_format == PAYLOAD_FORMAT_VP8:
        return _parse_vp8(view, data, length)
    if payload_format == PAYLOAD_FORMAT_H264:
        return _parse_h264(view, data, length)
    if payload_format == PAYLOAD_FORMAT_VP9:
        return _parse_vp9(view, data, length)
    if payload_format == PAYLOAD_FORMAT_AV1:
        # Aggregation header: N, the first packet of a coded video sequence (AV1 RTP section 4.4).
        view.key_frame = data[0] >> 3 & 1
    return 0


# RFC 7741 section 4.2: X R N S R PID | I L T K RSV | M PictureID | TL0PICIDX | TID Y KEYIDX
cdef int _parse_vp8(payload_view *view, const uint8_t *data, int length) noexcept nogil:
    cdef int at = 1
    cdef uint8_t flags = 0
    if data[0] & 0x80:
        if length < 2:
            return -1
        flags = data[1]
        at = 2
    if flags & 0x80:
        if at >= length:
            return -1
        view.picture_id_at = <uint16_t>at
        if data[at] & 0x80:
            if at + 2 > length:
                return -1
            view.picture_id = load16(data + at) & 0x7FFF
            view.picture_id_bytes = 2
        else:
            view.picture_id = data[at]
            view.picture_id_bytes = 1
        at += view.picture_id_bytes
    if flags & 0x40:
        if at >= length:
            return -1
        view.tl0_present = 1
        view.tl0_at = <uint16_t>at
        view.tl0 = data[at]
        at += 1
    if flags & 0x30:
        at += 1
    if at >= length:
        return -1
    # S set and PID 0: the VP8 payload header follows, and its P bit is 0 in a key frame.
    view.key_frame = data[0] & 0x17 == 0x10 and data[at] & 1 == 0
    return 0


# RFC 6184 section 5.2. A key frame starts where its parameter sets are, or its IDR slice.
cdef int _parse_h264(payload_view *view, const uint8_t *data, int length) noexcept nogil:
    cdef int kind = data[0] & 31
    cdef int at = 1
    cdef int size
    if kind == 24:      # STAP-A
        while at + 2 < length:
            size = load16(data + at)
            if size == 0 or at + 2 + size > length:
                return -1
            if _starts_key_frame(data[at + 2] & 31):
                view.key_frame = 1
            at += 2 + size
        return 0
    if kind == 28:      # FU-A
        if length < 2:
            return -1
        view.key_frame = data[1] & 0x80 and data[1] & 31 == 5
        return 0
    view.key_frame = _starts_key_frame(kind)
    return 0


cdef inline bint _starts_key_frame(int nal_unit_type) noexcept nogil:
    return nal_unit_type == 5 or nal_unit_type == 7     # IDR slice, sequence parameter set


# RFC 9628 section 4.2: I P L F B E V Z; then, with L, TID U SID D. A key frame has no inter-picture
# prediction (P 0) and begins (B) with its lowest spatial layer.
cdef int _parse_vp9(payload_view *view, const uint8_t *data, int length) noexcept nogil:
    cdef int at = 1
    cdef int spatial_id = 0
    if data[0] & 0x80:
        if length < 2:
            return -1
        at += 2 if data[1] & 0x80 else 1
    if data[0] & 0x20:
        if at >= length:
            return -1
        spatial_id = data[at] >> 1 & 7
    view.key_frame = data[0] & 0x48 == 0x08 and spatial_id == 0
    return 0


def describe_payload(payload_format: int, data: bytes) -> dict[str, int] | None:
    """Return what the plane reads from a payload, or None if it is malformed. For tests."""
    cdef payload_view view
    if payload_parse(&view, payload_format, data, <int>len(data)):
        return None
    described = {"key_frame": view.key_frame}
    if view.picture_id_bytes:
        described["picture_id"] = view.picture_id
    if view.tl0_present:
        described["tl0_picture_index"] = view.tl0
    return described
