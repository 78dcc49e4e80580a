# What packets carry: VP8 and Opus to a router, behind it a stamp and filler that can be checked.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from benchmarks.engine.state cimport sent_packet


cdef enum:
    STAMP_LENGTH = 24
    MIN_PAYLOAD = 40

# Write `packet.payload_length` (MIN_PAYLOAD or more) bytes.
cdef void payload_write(
    const sent_packet *packet, bint is_video, uint32_t publisher, uint8_t *out
) noexcept nogil

# Check the payload of an opened packet. Returns 1 and the time at which it was sent, 0 for padding
# and media of another origin, or -1 when it is not what was sent.
cdef int payload_check(const uint8_t *payload, int length, int64_t *sent_us) noexcept nogil
