"""
A hash table from 64-bit keys to 32-bit values: open addressing, fixed capacity, no tombstones.

Keys are mixed with a secret seed, so that a peer that chooses them cannot make chains long.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef struct table_entry:
    uint64_t key
    uint32_t value
    uint32_t used


cdef struct table:
    table_entry *entries    # owned; mask + 1 of them, a power of two
    uint64_t mask
    uint64_t seed
    uint32_t count


# Room for ``capacity`` keys at half load. Returns 0, or -1 without memory.
cdef int table_init(table *t, uint32_t capacity, uint64_t seed) noexcept nogil
cdef void table_free(table *t) noexcept nogil

# Return a pointer to the value, borrowed until the next change, or NULL.
cdef uint32_t *table_find(const table *t, uint64_t key) noexcept nogil

# Insert or replace. Returns 0, or -1 when the table is at its capacity.
cdef int table_put(table *t, uint64_t key, uint32_t value) noexcept nogil

# Remove the key if it is there.
cdef void table_remove(table *t, uint64_t key) noexcept nogil

# Return a keyed 64-bit digest of ``length`` bytes, for keys that are longer than 64 bits.
cdef uint64_t table_digest(const table *t, const uint8_t *data, int length) noexcept nogil
