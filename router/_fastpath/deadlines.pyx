"""Deadlines; the contract is in ``deadlines.pxd``."""

from libc.stdlib cimport calloc, free


cdef int deadlines_init(deadlines *d, uint32_t owners) noexcept nogil:
    d.at_us = <int64_t *>calloc(owners, sizeof(int64_t))
    d.heap = <uint32_t *>calloc(owners, sizeof(uint32_t))
    d.place = <uint32_t *>calloc(owners, sizeof(uint32_t))
    d.length = 0
    return 0 if d.at_us != NULL and d.heap != NULL and d.place != NULL else -1


cdef void deadlines_free(deadlines *d) noexcept nogil:
    free(d.at_us)
    free(d.heap)
    free(d.place)
    d.at_us = NULL
    d.heap = d.place = NULL


cdef inline void _put(deadlines *d, uint32_t at, uint32_t owner) noexcept nogil:
    d.heap[at] = owner
    d.place[owner] = at + 1


cdef void _rise(deadlines *d, uint32_t at) noexcept nogil:
    cdef uint32_t owner = d.heap[at]
    cdef uint32_t parent
    while at > 0:
        parent = (at - 1) // 2
        if d.at_us[d.heap[parent]] <= d.at_us[owner]:
            break
        _put(d, at, d.heap[parent])
        at = parent
    _put(d, at, owner)


cdef void _sink(deadlines *d, uint32_t at) noexcept nogil:
    cdef uint32_t owner = d.heap[at]
    cdef uint32_t child
    while 2 * at + 1 < d.length:
        child = 2 * at + 1
        if child + 1 < d.length and d.at_us[d.heap[child + 1]] < d.at_us[d.heap[child]]:
            child += 1
        if d.at_us[owner] <= d.at_us[d.heap[child]]:
            break
        _put(d, at, d.heap[child])
        at = child
    _put(d, at, owner)


cdef void deadlines_set(deadlines *d, uint32_t owner, int64_t at_us) noexcept nogil:
    cdef uint32_t at = d.place[owner]
    cdef uint32_t last
    d.at_us[owner] = at_us
    if at_us == NEVER_US:
        if at == 0:
            return
        d.place[owner] = 0
        d.length -= 1
        last = d.heap[d.length]
        if last != owner:
            _put(d, at - 1, last)
            _rise(d, at - 1)
            _sink(d, d.place[last] - 1)
        return
    if at == 0:
        _put(d, d.length, owner)
        d.length += 1
        at = d.length
    _rise(d, at - 1)
    _sink(d, d.place[owner] - 1)


def exercise_deadlines(owners: int, operations: list[tuple[int, int | None]]) -> list[int | None]:
    """Set (or, with None, remove) deadlines; return the earliest after each step. For tests."""
    cdef deadlines d
    if deadlines_init(&d, owners):
        raise MemoryError
    results: list[int | None] = []
    for owner, at_us in operations:
        deadlines_set(&d, owner, NEVER_US if at_us is None else <int64_t>at_us)
        results.append(None if d.length == 0 else deadlines_next(&d))
    deadlines_free(&d)
    return results
