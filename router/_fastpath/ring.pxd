# A ring of fixed slots for one producer thread and one consumer thread, with a doorbell.

from libc.stdint cimport uint32_t, uint64_t


cdef extern from "ring.h" nogil:
    struct ring:
        int doorbell            # owned eventfd; readable when a sleeping consumer is to wake
        uint32_t slot_size      # bytes, as given, rounded up to 64

    # Allocates. slots: a power of two, at most 2^20. Returns FP_OK, FP_ERR_FORMAT or FP_ERR_SYSTEM.
    int ring_open(ring *r, uint32_t slots, uint32_t slot_size)
    void ring_close(ring *r)

    # Producer: the next free slot, or NULL when the ring is full (then `dropped` goes up by one).
    # Fill it, then commit. Reserving again without a commit returns the same slot.
    void *ring_reserve(ring *r)
    # Producer: hand the reserved slot over without a doorbell: the consumer sees it when it looks.
    void ring_publish(ring *r)
    # Producer: ring the doorbell if the consumer sleeps.
    void ring_bell(ring *r)
    # Producer: publish and bell.
    void ring_commit(ring *r)

    # Consumer: the oldest slot, valid until ring_pop, or NULL.
    void *ring_peek(ring *r)
    void ring_pop(ring *r)
    # Consumer: declare sleep. 1: the ring is empty, wait for `doorbell`. 0: look again.
    int ring_sleep(ring *r)
    # Consumer, when it woke, by the doorbell or otherwise: awake again, bell cleared.
    void ring_wake(ring *r)
    # Consumer: the same where `doorbell` is known not to be readable, or was not waited for.
    void ring_stay_awake(ring *r)

    # Any thread, approximate while the other one runs.
    uint32_t ring_capacity(const ring *r)
    uint32_t ring_length(const ring *r)
    uint64_t ring_dropped(const ring *r)
    uint64_t ring_doorbells(const ring *r)
