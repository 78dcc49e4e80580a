"""The retransmission store; the contract is in ``store.pxd``."""

from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy


cdef int store_init(packet_store *store, uint32_t slots, uint32_t size) noexcept nogil:
    store.packets = <stored_packet *>calloc(slots, sizeof(stored_packet))
    # Not touched until it is written: a stream that never sends costs no memory for it.
    store.bytes = <uint8_t *>malloc(size)
    store.mask = slots - 1
    store.size = size
    store.written = 0
    if store.packets == NULL or store.bytes == NULL:
        store_free(store)
        return -1
    return 0


cdef void store_free(packet_store *store) noexcept nogil:
    free(store.packets)
    free(store.bytes)
    store.packets = NULL
    store.bytes = NULL


cdef void store_clear(packet_store *store) noexcept nogil:
    cdef uint32_t i
    for i in range(store.mask + 1):
        store.packets[i].length = 0


cdef stored_packet *store_put(
    packet_store *store, int64_t ext_seq, const rtp_view *view
) noexcept nogil:
    cdef stored_packet *entry = &store.packets[<uint64_t>ext_seq & store.mask]
    cdef uint32_t length = <uint32_t>view.header_length + view.payload_length
    cdef uint32_t at = <uint32_t>(store.written % store.size)
    if at + length + STORE_PADDING_MAX > store.size:
        store.written += store.size - at
        at = 0
    memcpy(store.bytes + at, view.data, length)
    entry.ext_seq = ext_seq
    entry.position = store.written
    entry.length = <uint16_t>length
    entry.padding = entry.planned = 0
    entry.view = view[0]
    entry.view.data = store.bytes + at
    store.written += length + STORE_PADDING_MAX
    return entry


cdef stored_packet *store_find(packet_store *store, int64_t ext_seq) noexcept nogil:
    cdef stored_packet *entry = &store.packets[<uint64_t>ext_seq & store.mask]
    if entry.length == 0 or entry.ext_seq != ext_seq:
        return NULL
    if store.written - entry.position > store.size:
        return NULL     # its bytes were written over
    return entry
