"""The hash table; the contract is in ``table.pxd``."""

from libc.stdlib cimport free
from libc.string cimport memset


cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)


cdef inline uint64_t _mix(uint64_t x) noexcept nogil:
    x ^= x >> 32
    x *= <uint64_t>0xD6E8FEB86659FD93
    x ^= x >> 32
    x *= <uint64_t>0xD6E8FEB86659FD93
    x ^= x >> 32
    return x


cdef inline uint64_t _home(const table *t, uint64_t key) noexcept nogil:
    return _mix(key ^ t.seed) & t.mask


cdef int table_init(table *t, uint32_t capacity, uint64_t seed) noexcept nogil:
    cdef uint64_t size = 16
    while size < 2 * <uint64_t>capacity:
        size *= 2
    t.mask = size - 1
    t.seed = seed
    t.count = 0
    t.entries = <table_entry *>aligned_alloc(64, size * sizeof(table_entry))
    if t.entries == NULL:
        return -1
    # Keys fall anywhere: without this, each would touch another page for the first time.
    memset(t.entries, 0, size * sizeof(table_entry))
    return 0


cdef void table_free(table *t) noexcept nogil:
    free(t.entries)
    t.entries = NULL


cdef uint32_t *table_find(const table *t, uint64_t key) noexcept nogil:
    cdef uint64_t at = _home(t, key)
    while t.entries[at].used:
        if t.entries[at].key == key:
            return &t.entries[at].value
        at = (at + 1) & t.mask
    return NULL


cdef int table_put(table *t, uint64_t key, uint32_t value) noexcept nogil:
    cdef uint64_t at = _home(t, key)
    while t.entries[at].used:
        if t.entries[at].key == key:
            t.entries[at].value = value
            return 0
        at = (at + 1) & t.mask
    if 2 * <uint64_t>t.count > t.mask:
        return -1
    t.entries[at].key = key
    t.entries[at].value = value
    t.entries[at].used = 1
    t.count += 1
    return 0


cdef void table_remove(table *t, uint64_t key) noexcept nogil:
    cdef uint64_t hole = _home(t, key)
    cdef uint64_t at
    while t.entries[hole].used and t.entries[hole].key != key:
        hole = (hole + 1) & t.mask
    if not t.entries[hole].used:
        return
    t.count -= 1
    # Close the hole: move back each follower that may live at it, as Knuth's algorithm 6.4 R does.
    at = hole
    while True:
        t.entries[hole].used = 0
        while True:
            at = (at + 1) & t.mask
            if not t.entries[at].used:
                return
            if ((at - _home(t, t.entries[at].key)) & t.mask) >= ((at - hole) & t.mask):
                break
        t.entries[hole] = t.entries[at]
        hole = at


cdef uint64_t table_digest(const table *t, const uint8_t *data, int length) noexcept nogil:
    cdef uint64_t digest = t.seed ^ <uint64_t>length
    cdef uint64_t word
    cdef int at = 0
    cdef int byte
    while at < length:
        word = 0
        for byte in range(8):
            word = word << 8 | (data[at + byte] if at + byte < length else 0)
        digest = _mix(digest ^ word) + (t.seed << 1 | 1)
        at += 8
    return digest


def exercise_table(operations: list[tuple[str, int, int]], capacity: int) -> list[int | None]:
    """Run put, find and remove operations on a new table; return what each gave. For tests."""
    cdef table t
    cdef uint32_t *found
    if table_init(&t, capacity, 1):
        raise MemoryError
    results: list[int | None] = []
    for operation, key, value in operations:
        if operation == "put":
            results.append(table_put(&t, key, value))
        elif operation == "remove":
            table_remove(&t, key)
            results.append(t.count)
        else:
            found = table_find(&t, key)
            results.append(None if found == NULL else found[0])
    table_free(&t)
    return results
