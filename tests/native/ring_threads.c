/*
 * Two threads on one ring, for ThreadSanitizer: a producer that bursts and pauses, a consumer that
 * sleeps on the doorbell as the event loop does. Checks that every item arrives once, in order and
 * whole, and that no wake-up is lost: after many bursts the producer waits, silent, until the ring
 * is empty, so a lost one leaves the consumer in poll() until it times out.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "ring.h"

#define SLOTS 64
#define WORDS 16 /* of 8 bytes in an item */
#define ITEMS 200000
#define PATIENCE_MS 20000

static ring shared;

static void fail(const char *what, uint64_t seen, uint64_t expected) {
    fprintf(stderr, "%s: %llu, expected %llu\n", what, (unsigned long long)seen,
            (unsigned long long)expected);
    exit(1);
}

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void *produce(void *unused) {
    uint64_t random = 1;
    (void)unused;
    for (uint64_t item = 0; item < ITEMS;) {
        uint64_t burst = 1 + next_random(&random) % 8;
        for (; burst && item < ITEMS; burst--) {
            uint64_t *slot = ring_reserve(&shared);
            if (!slot) {
                ring_bell(&shared); /* of what was published before */
                sched_yield();
                continue;
            }
            for (uint64_t i = 0; i < WORDS; i++) slot[i] = item * WORDS + i;
            item++;
            if (next_random(&random) & 1) ring_commit(&shared);
            else ring_publish(&shared);
        }
        ring_bell(&shared);
        if (next_random(&random) & 1)
            while (ring_length(&shared)) sched_yield();
    }
    return NULL;
}

static void *consume(void *unused) {
    uint64_t expected = 0;
    (void)unused;
    while (expected < ITEMS) {
        const uint64_t *slot = ring_peek(&shared);
        if (slot) {
            for (uint64_t i = 0; i < WORDS; i++)
                if (slot[i] != expected * WORDS + i) fail("word", slot[i], expected * WORDS + i);
            ring_pop(&shared);
            expected++;
            continue;
        }
        if (!ring_sleep(&shared)) continue;
        struct pollfd bell = {.fd = shared.doorbell, .events = POLLIN};
        if (poll(&bell, 1, PATIENCE_MS) != 1) fail("lost wake-up at item", expected, ITEMS);
        ring_wake(&shared);
    }
    return NULL;
}

int main(void) {
    pthread_t producer, consumer;
    if (ring_open(&shared, SLOTS, WORDS * 8) != 0) fail("ring_open", 1, 0);
    pthread_create(&consumer, NULL, consume, NULL);
    pthread_create(&producer, NULL, produce, NULL);
    pthread_join(producer, NULL);
    pthread_join(consumer, NULL);
    if (ring_length(&shared) != 0) fail("length", ring_length(&shared), 0);
    printf("%d items, %llu doorbells\n", ITEMS, (unsigned long long)ring_doorbells(&shared));
    ring_close(&shared);
    return 0;
}
