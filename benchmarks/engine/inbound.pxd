# What a connection receives: counting without opening, but for repairs and sampled connections.

from libc.stdint cimport int64_t, uint8_t, uint32_t

from benchmarks.engine.state cimport (
    NET_SLOT,
    connection,
    engine_state,
    inbound,
    net_message,
    next_random,
    udp_socket,
)


cdef enum:
    REPORT = 64                 # bytes for each stream that a report tells of
    SPEECH = 192                # of what a speaker says at a time
    SHORT_READ = 512            # of a few streams of both
    SHORT_READ_MAX = 1536       # any single datagram
    FEW_SPEAKERS = 4


# Take a message of RTP packets of equal length, the last one perhaps shorter. Its end may be
# missing.
cdef void inbound_receive(
    engine_state *e, connection *c, const net_message *m, int64_t now_us
) noexcept nogil

# Ask for the memory that messages of the connection will touch: before the kernel looks for them.
cdef void inbound_prefetch(const engine_state *e, const connection *c) noexcept nogil

# Likewise for one that came with packets of many streams.
cdef void inbound_prefetch_each(
    const engine_state *e, const connection *c, const net_message *m
) noexcept nogil

# Go on behind ``highest``, an extended sequence number: what came until then was counted elsewhere.
cdef void inbound_resume(
    engine_state *e, connection *c, inbound *s, int64_t highest
) noexcept nogil

# Count packets behind the highest as if they had come.
cdef void inbound_assume(engine_state *e, inbound *s, int64_t count) noexcept nogil

# Read messages whole for a while: twice as long each time.
cdef void inbound_doubt(engine_state *e, connection *c, int64_t now_us) noexcept nogil

# How much of each message to read: all of it, or as much as a message has that is no video. Of a
# run of a frame's packets the first headers and the kernel's count tell the numbers of all, and the
# next run's first number tells whether that was right.
cdef inline uint32_t inbound_read_size(
    engine_state *e, const udp_socket *sock, int64_t now_us
) noexcept nogil:
    if sock.lossy or now_us < sock.whole_until_us:
        return NET_SLOT
    if sock.sampled and <uint32_t>(next_random(e) >> 32) <= sock.sampled:
        return NET_SLOT
    if sock.speakers > FEW_SPEAKERS:
        return <uint32_t>min(SPEECH * (sock.speakers + 1), NET_SLOT)
    return <uint32_t>min(
        max(SHORT_READ, REPORT * sock.streams, SPEECH * sock.speakers), SHORT_READ_MAX
    )

# Write a generic NACK for what is due; return its length, or 0.
cdef int inbound_nack(
    engine_state *e, inbound *s, uint32_t sender_ssrc, uint8_t *out, int64_t now_us
) noexcept nogil
