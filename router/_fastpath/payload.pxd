"""What the plane reads from payload descriptors: where key frames start, and VP8 picture ids."""

from libc.stdint cimport uint8_t, uint16_t

from router._fastpath.wire cimport store16


cdef enum:
    PAYLOAD_FORMAT_OPAQUE = 0
    PAYLOAD_FORMAT_OPUS = 1
    PAYLOAD_FORMAT_VP8 = 2
    PAYLOAD_FORMAT_H264 = 3
    PAYLOAD_FORMAT_VP9 = 4
    PAYLOAD_FORMAT_AV1 = 5


cdef struct payload_view:
    uint8_t key_frame           # this packet is the first of a key frame
    uint8_t picture_id_bytes    # 1 or 2; 0 when there is none (VP8)
    uint8_t tl0_present
    uint8_t tl0                 # TL0PICIDX
    uint16_t picture_id
    uint16_t picture_id_at      # offset into the payload
    uint16_t tl0_at


# Return 1 when the format tells where a key frame starts, so that a slot can wait for one.
cdef inline bint payload_shows_key_frames(uint8_t payload_format) noexcept nogil:
    return payload_format >= PAYLOAD_FORMAT_VP8


# Fill ``view``. Returns 0, or -1 when the descriptor is cut off or contradicts itself.
cdef int payload_parse(
    payload_view *view, uint8_t payload_format, const uint8_t *data, int length
) noexcept nogil


# Write another picture id and TL0PICIDX into a payload, where it has any.
cdef inline void payload_number(
    const payload_view *view, uint8_t *payload, uint16_t picture_id, uint8_t tl0
) noexcept nogil:
    if view.picture_id_bytes == 2:
        store16(payload + view.picture_id_at, 0x8000 | (picture_id & 0x7FFF))
    elif view.picture_id_bytes == 1:
        payload[view.picture_id_at] = <uint8_t>(picture_id & 0x7F)
    if view.tl0_present:
        payload[view.tl0_at] = tl0
