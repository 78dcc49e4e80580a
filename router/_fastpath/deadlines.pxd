"""One deadline for each of a fixed number of owners: a binary heap that knows where each one is."""

from libc.stdint cimport int64_t, uint32_t


cdef extern from *:
    """
    #define NEVER_US INT64_MAX
    """
    const int64_t NEVER_US


cdef struct deadlines:
    int64_t *at_us      # owned; by owner
    uint32_t *heap      # owned; owners, the earliest first
    uint32_t *place     # owned; by owner: its position in the heap plus 1, 0 when it has none
    uint32_t length


cdef int deadlines_init(deadlines *d, uint32_t owners) noexcept nogil
cdef void deadlines_free(deadlines *d) noexcept nogil

# Set the owner's deadline, earlier or later than before. NEVER_US removes it.
cdef void deadlines_set(deadlines *d, uint32_t owner, int64_t at_us) noexcept nogil


# Bring the owner's deadline forward if ``at_us`` is earlier.
cdef inline void deadlines_advance(deadlines *d, uint32_t owner, int64_t at_us) noexcept nogil:
    if d.place[owner] == 0 or at_us < d.at_us[owner]:
        deadlines_set(d, owner, at_us)


cdef inline int64_t deadlines_next(const deadlines *d) noexcept nogil:
    return d.at_us[d.heap[0]] if d.length else NEVER_US
