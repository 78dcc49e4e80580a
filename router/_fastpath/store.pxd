"""
The retransmission store: opened packets of one inbound stream, kept once for all subscribers.

A ring of bytes holds them back to back; a ring of entries finds them by extended sequence number.
The newest packets displace the oldest ones. Behind each packet there is room for the padding with
which it may be forwarded.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from router._fastpath.payload cimport payload_view
from router._fastpath.rtp cimport rtp_view


cdef enum:
    STORE_PADDING_MAX = 16      # bytes


cdef struct stored_packet:
    int64_t ext_seq             # as it is forwarded: without what is skipped
    uint64_t position           # bytes written to the store before this packet
    uint16_t length             # bytes; 0 when empty
    uint8_t padding             # bytes of padding behind it, with which it is forwarded
    uint8_t planned             # the padding is settled; before, nothing may be sent
    rtp_view view               # view.data: borrowed from the store, good while it is findable
    payload_view payload
    uint8_t codec


cdef struct packet_store:
    stored_packet *packets      # owned; mask + 1
    uint8_t *bytes              # owned; size bytes
    uint32_t mask
    uint32_t size
    uint64_t written            # bytes used since the start, the skipped ends included


# slots: a power of two. size: bytes, several times the largest packet.
# Returns 0, or -1 without memory.
cdef int store_init(packet_store *store, uint32_t slots, uint32_t size) noexcept nogil
cdef void store_free(packet_store *store) noexcept nogil
cdef void store_clear(packet_store *store) noexcept nogil

# Copy ``view`` (header and payload without padding) in. Returns the entry, whose view points at
# the copy; it stays where it is while at most half a store of bytes comes after it.
cdef stored_packet *store_put(
    packet_store *store, int64_t ext_seq, const rtp_view *view
) noexcept nogil

# Return the entry or NULL.
cdef stored_packet *store_find(packet_store *store, int64_t ext_seq) noexcept nogil
