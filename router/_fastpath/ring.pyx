"""The ring between two threads, as a Python object: for tests of both sides."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from .errors cimport FP_ERR_FORMAT, FP_OK
from .ring cimport (
    ring, ring_bell, ring_close, ring_commit, ring_doorbells, ring_dropped, ring_length, ring_open,
    ring_peek, ring_pop, ring_publish, ring_reserve, ring_sleep, ring_wake,
)

cdef enum:
    LENGTH_FIELD = 4    # each slot begins with the length of its bytes


cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)
    void free(void *p)


cdef class Ring:
    cdef ring *r                # owned; 64-byte aligned
    cdef uint32_t slot_bytes

    def __cinit__(self, uint32_t slots, uint32_t slot_bytes):
        cdef int status
        self.r = <ring *>aligned_alloc(64, sizeof(ring))
        if self.r == NULL:
            raise MemoryError
        status = ring_open(self.r, slots, slot_bytes + LENGTH_FIELD)
        if status != FP_OK:
            free(self.r)
            self.r = NULL
            if status == FP_ERR_FORMAT:
                raise ValueError("slots: a power of two up to 2**20; a slot: up to 65,532 bytes")
            raise OSError("no memory or no descriptor for a ring")
        self.slot_bytes = slot_bytes

    def __dealloc__(self):
        if self.r != NULL:
            ring_close(self.r)
            free(self.r)

    def __len__(self):
        return ring_length(self.r)

    @property
    def dropped(self):
        return ring_dropped(self.r)

    @property
    def doorbells(self):
        return ring_doorbells(self.r)

    def fileno(self):
        return self.r.doorbell

    def put(self, const uint8_t[::1] data, *, bint bell=True):
        cdef uint32_t length = <uint32_t>data.shape[0]
        cdef uint8_t *slot
        if data.shape[0] > self.slot_bytes:
            raise ValueError(f"a slot has {self.slot_bytes} bytes")
        slot = <uint8_t *>ring_reserve(self.r)
        if slot == NULL:
            return False
        memcpy(slot, &length, LENGTH_FIELD)
        if length:
            memcpy(slot + LENGTH_FIELD, &data[0], length)
        if bell:
            ring_commit(self.r)
        else:
            ring_publish(self.r)
        return True

    def bell(self):
        ring_bell(self.r)

    def get(self):
        cdef uint32_t length
        cdef const uint8_t *slot = <const uint8_t *>ring_peek(self.r)
        if slot == NULL:
            return None
        memcpy(&length, slot, LENGTH_FIELD)
        data = slot[LENGTH_FIELD:LENGTH_FIELD + length]
        ring_pop(self.r)
        return data

    def sleep(self):
        return bool(ring_sleep(self.r))

    def wake(self):
        ring_wake(self.r)
