# The streams of a connection: its table of SSRCs, and taking streams and connections away.

from libc.stdint cimport int32_t, uint32_t

from benchmarks.engine.state cimport connection, engine_state


# Let packets of the SSRC (not 0) go to the stream. Returns 0, or -1 without memory.
cdef int table_put(connection *c, uint32_t ssrc, int32_t stream) noexcept nogil

cdef void outbound_close(engine_state *e, int32_t index) noexcept nogil
cdef void inbound_close(engine_state *e, int32_t index) noexcept nogil

# Take the connection's streams away too.
cdef void connection_close(engine_state *e, int32_t index) noexcept nogil
