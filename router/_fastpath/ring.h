/*
 * A ring of fixed slots between two threads: one only writes, the other only reads.
 *
 * head counts slots that were published, tail slots that were popped; both run over. The producer
 * stores head with release and the consumer loads it with acquire, so a slot's bytes are visible
 * before its number is; tail goes the other way round. Each side keeps a copy of the other's
 * counter and reads the shared line only when the copy says full or empty.
 *
 * The doorbell is an eventfd that is written only when the consumer said that it sleeps. Sleeping
 * (store `sleeping`, then load head) and ringing (store head, then load `sleeping`) each have a
 * sequentially consistent fence between store and load: at least one side sees the other's store,
 * so no wake-up is lost.
 */
#ifndef PARLOUR_RING_H
#define PARLOUR_RING_H

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RING_MAX_SLOTS (1u << 20)
#define RING_ERR_FORMAT (-2) /* FP_ERR_FORMAT and FP_ERR_SYSTEM of errors.pxd */
#define RING_ERR_SYSTEM (-5)

typedef struct ring {
    /* Written by the producer. */
    _Alignas(64) _Atomic uint32_t head;
    uint32_t known_tail;
    _Atomic uint64_t dropped;
    _Atomic uint64_t doorbells;

    /* Written by the consumer. */
    _Alignas(64) _Atomic uint32_t tail;
    uint32_t known_head;

    /* Set by the consumer, cleared by either. */
    _Alignas(64) _Atomic int sleeping;

    /* Constant while open. */
    _Alignas(64) uint8_t *slots; /* owned */
    uint32_t mask;               /* capacity - 1 */
    uint32_t slot_size;          /* bytes, a multiple of 64 */
    int doorbell;                /* owned eventfd, non-blocking */
} ring;

static inline int ring_open(ring *r, uint32_t slots, uint32_t slot_size) {
    memset(r, 0, sizeof *r);
    r->doorbell = -1;
    if (slots == 0 || slots > RING_MAX_SLOTS || slots & (slots - 1)) return RING_ERR_FORMAT;
    if (slot_size == 0 || slot_size > 65536) return RING_ERR_FORMAT;
    r->mask = slots - 1;
    r->slot_size = (slot_size + 63) & ~63u;
    r->slots = aligned_alloc(64, (size_t)slots * r->slot_size);
    if (!r->slots) return RING_ERR_SYSTEM;
    memset(r->slots, 0, (size_t)slots * r->slot_size); /* no page fault on the packet path */
    r->doorbell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (r->doorbell < 0) {
        free(r->slots);
        r->slots = NULL;
        return RING_ERR_SYSTEM;
    }
    return 0;
}

static inline void ring_close(ring *r) {
    if (r->doorbell >= 0) close(r->doorbell);
    free(r->slots);
    r->doorbell = -1;
    r->slots = NULL;
}

static inline void *ring_slot(const ring *r, uint32_t number) {
    return r->slots + (size_t)(number & r->mask) * r->slot_size;
}

/* Producer. */

static inline void *ring_reserve(ring *r) {
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    if (head - r->known_tail > r->mask) {
        r->known_tail = atomic_load_explicit(&r->tail, memory_order_acquire);
        if (head - r->known_tail > r->mask) {
            atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
            return NULL;
        }
    }
    return ring_slot(r, head);
}

static inline void ring_publish(ring *r) {
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    assert(head - r->known_tail <= r->mask); /* reserved before */
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
}

static inline void ring_bell(ring *r) {
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&r->sleeping, memory_order_relaxed)) return;
    if (!atomic_exchange_explicit(&r->sleeping, 0, memory_order_acq_rel)) return;
    const uint64_t one = 1;
    atomic_fetch_add_explicit(&r->doorbells, 1, memory_order_relaxed);
    /* Can only fail with EAGAIN, when the counter is full: then it is readable all the same. */
    while (write(r->doorbell, &one, sizeof one) < 0 && errno == EINTR) {}
}

static inline void ring_commit(ring *r) {
    ring_publish(r);
    ring_bell(r);
}

/* Consumer. */

static inline void *ring_peek(ring *r) {
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    if (tail == r->known_head) {
        r->known_head = atomic_load_explicit(&r->head, memory_order_acquire);
        if (tail == r->known_head) return NULL;
    }
    return ring_slot(r, tail);
}

static inline void ring_pop(ring *r) {
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    assert(tail != r->known_head); /* peeked before */
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
}

static inline int ring_sleep(ring *r) {
    atomic_store_explicit(&r->sleeping, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (!ring_peek(r)) return 1;
    atomic_store_explicit(&r->sleeping, 0, memory_order_relaxed);
    return 0;
}

static inline void ring_stay_awake(ring *r) {
    atomic_store_explicit(&r->sleeping, 0, memory_order_relaxed);
}

static inline void ring_wake(ring *r) {
    uint64_t rings;
    ring_stay_awake(r);
    while (read(r->doorbell, &rings, sizeof rings) < 0 && errno == EINTR) {}
}

/* Any thread. */

static inline uint32_t ring_capacity(const ring *r) { return r->mask + 1; }

static inline uint32_t ring_length(const ring *r) {
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    uint32_t length = atomic_load_explicit(&r->head, memory_order_acquire) - tail;
    /* Between the two loads both sides may have gone on. */
    return length > r->mask + 1 ? r->mask + 1 : length;
}

static inline uint64_t ring_dropped(const ring *r) {
    return atomic_load_explicit(&r->dropped, memory_order_relaxed);
}

static inline uint64_t ring_doorbells(const ring *r) {
    return atomic_load_explicit(&r->doorbells, memory_order_relaxed);
}

#endif
