"""
Links between planes, for rooms with more subscribers than one thread can serve.

A stream whose subscribers are on another plane has a copy there: an inbound stream without a peer.
Its packets cross once for each copy, opened; the copy stores them, fans them out and answers NACKs
as if they had come from a socket. Key frame requests cross the other way.

A link is two rings, one for each direction, each written by one plane's thread and read by the
other's. Nobody waits for room: what finds the ring full is dropped and counted, and the next packet
tells the copy to ask for a key frame. A plane that sleeps is woken by its commands' doorbell, once
for all that a wake-up brought.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from router._fastpath.payload cimport payload_view
from router._fastpath.rtp cimport rtp_view
from router._fastpath.srtp cimport SRTP_MAX_PAYLOAD
from router._fastpath.state cimport inbound_stream, plane_state
from router._fastpath.store cimport stored_packet


cdef enum:
    LINK_SLOTS = 1024           # packets that may wait: some 20 ms at 50,000 a second
    LINK_BATCH = 256            # of one link in one go


cdef enum:
    LINK_PACKET = 1
    LINK_REPORT = 2             # the publisher's last sender report
    LINK_KEY_FRAME = 3          # towards the publisher: a key frame is wanted


cdef struct link_packet:
    int64_t ext_seq             # as it is forwarded
    payload_view payload
    rtp_view view               # all but the data
    uint8_t codec
    uint8_t owed                # COPY_OWES_*: what happened since the last packet
    uint8_t data[SRTP_MAX_PAYLOAD]      # header and payload


cdef struct link_report:
    uint64_t ntp
    uint64_t ntp_offset         # of the publisher, see transport
    uint32_t rtp_ts


cdef union link_body:
    link_packet packet
    link_report report


cdef struct link_message:
    uint8_t kind
    uint32_t id                 # of the stream at the plane that reads
    link_body body


# Send a packet to all copies of its stream.
cdef void copies_send(
    plane_state *p, inbound_stream *s, const stored_packet *packet
) noexcept nogil

# Tell all copies of the stream's last sender report, if there was one.
cdef void copies_report(plane_state *p, inbound_stream *s) noexcept nogil

# The stream's numbers begin anew.
cdef void copies_restart(inbound_stream *s) noexcept nogil

# Begin to send a stream's packets to a copy, or with copy_id 0 end it. Returns -1 when the stream
# has as many copies as it may have.
cdef int copy_set(
    plane_state *p, inbound_stream *s, uint8_t link, uint32_t copy_id
) noexcept nogil

# Ask the plane of the stream that this is a copy of for a key frame.
cdef void copy_ask_key_frame(plane_state *p, const inbound_stream *s) noexcept nogil

# Wake the planes that something was sent to.
cdef void links_ring(plane_state *p) noexcept nogil

# Whether other planes sent something.
cdef bint links_wait(plane_state *p) noexcept nogil
