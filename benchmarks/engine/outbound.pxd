# What a connection sends: frames on time, retransmissions, sender reports.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t

from benchmarks.engine.state cimport connection, engine_state, outbound


cdef enum:
    ARENA_BYTES = 1 << 17

# Send the frames that are due, and set when the next one is.
cdef void outbound_send_due(engine_state *e, outbound *s, int64_t now_us) noexcept nogil

# Send a packet again, by RTX where that was agreed on. Unknown ones are left alone.
cdef void outbound_retransmit(
    engine_state *e, connection *c, outbound *s, uint16_t seq
) noexcept nogil

# Write a sender report without blocks; return its length, or 0 when nothing was sent yet.
cdef int outbound_report(
    const outbound *s, int64_t now_us, uint64_t ntp, uint8_t *out
) noexcept nogil
