# What a connection receives: counting without opening, but for repairs and sampled connections.

from libc.stdint cimport int64_t, uint8_t, uint32_t

from benchmarks.engine.state cimport connection, engine_state, inbound, net_message


# Take a message of RTP packets of equal length, the last one perhaps shorter.
cdef void inbound_receive(
    engine_state *e, connection *c, const net_message *m, int64_t now_us
) noexcept nogil

# Write a generic NACK for what is due; return its length, or 0.
cdef int inbound_nack(
    engine_state *e, inbound *s, uint32_t sender_ssrc, uint8_t *out, int64_t now_us
) noexcept nogil
