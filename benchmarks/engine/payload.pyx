"""Payloads; the contract is in ``payload.pxd``."""

from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

import random

from router._fastpath.wire cimport load16, load32, load64, store16, store32, store64

cdef enum:
    FILLER_BYTES = 6144
    FILLER_STEPS = 1024
    STAMP_SEARCH = 32
    VP8_DESCRIPTOR = 4
    VP8_FRAME_HEADER = 3
    VP8_KEY_FRAME_HEADER = 10

cdef uint8_t filler[FILLER_BYTES]
cdef const uint8_t *MAGIC = b"plsm"
cdef const uint8_t *KEY_FRAME = b"\x9d\x01\x2a\x80\x02\x68\x01"     # start code, 640 x 360

cdef bytes _filler = random.Random(8).randbytes(FILLER_BYTES)
memcpy(filler, <const uint8_t *><const char *>_filler, FILLER_BYTES)


cdef inline const uint8_t *_filler_of(uint32_t frame, uint32_t index) noexcept nogil:
    return filler + (frame * 7 + index * 13) % FILLER_STEPS


cdef void payload_write(
    const sent_packet *packet, bint is_video, uint32_t publisher, uint8_t *out
) noexcept nogil:
    cdef int at = 0
    cdef uint32_t tag
    if is_video:
        # RFC 7741 section 4.2: extended, 15-bit picture id; S on the first packet.
        out[0] = 0x90 if packet.index == 0 else 0x80
        out[1] = 0x80
        store16(out + 2, 0x8000 | packet.picture_id)
        at = VP8_DESCRIPTOR
        if packet.index == 0:
            # RFC 6386 section 9.1: shown, and whether it is a key frame.
            tag = packet.frame_bytes << 5 | 0x10 | (0 if packet.is_key else 1)
            out[at] = <uint8_t>tag
            out[at + 1] = <uint8_t>(tag >> 8)
            out[at + 2] = <uint8_t>(tag >> 16)
            at += VP8_FRAME_HEADER
            if packet.is_key:
                memcpy(out + at, KEY_FRAME, VP8_KEY_FRAME_HEADER - VP8_FRAME_HEADER)
                at += VP8_KEY_FRAME_HEADER - VP8_FRAME_HEADER
    else:
        out[0] = 0xFC       # RFC 6716 section 3.1: configuration 31, stereo, one frame
        at = 1
    memcpy(out + at, MAGIC, 4)
    store32(out + at + 4, publisher)
    store32(out + at + 8, packet.frame)
    store16(out + at + 12, packet.index)
    store16(out + at + 14, packet.packets)
    store64(out + at + 16, <uint64_t>packet.sent_us)
    at += STAMP_LENGTH
    memcpy(out + at, _filler_of(packet.frame, packet.index), packet.payload_length - at)


cdef int payload_check(const uint8_t *payload, int length, int64_t *sent_us) noexcept nogil:
    cdef int at = 0
    while at + STAMP_LENGTH <= length and memcmp(payload + at, MAGIC, 4) != 0:
        at += 1
        if at > STAMP_SEARCH:
            return 0
    if at + STAMP_LENGTH > length:
        return 0
    sent_us[0] = <int64_t>load64(payload + at + 16)
    if memcmp(
        payload + at + STAMP_LENGTH,
        _filler_of(load32(payload + at + 8), load16(payload + at + 12)),
        length - at - STAMP_LENGTH,
    ) != 0:
        return -1
    return 1
