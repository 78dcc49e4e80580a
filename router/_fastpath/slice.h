/*
 * How long a thread may run before others get their turn (sched_setattr(2)).
 *
 * Since Linux 6.12 a thread of the normal policy can ask for a slice of its own, without any
 * privilege. Its share of the processor stays the same; but when it wakes, it need not wait for the
 * slice of another thread to end, which takes some milliseconds. Older kernels take no notice.
 */
#ifndef PARLOUR_SLICE_H
#define PARLOUR_SLICE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct slice_attributes {         /* struct sched_attr of Linux 3.14, which libc may lack */
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns;          /* the slice, of the normal policy */
    uint64_t deadline_ns;
    uint64_t period_ns;
};

/* Asks for the calling thread. Another policy than the normal one stays as it is. */
static inline void slice_ask(uint64_t ns) {
    struct slice_attributes wanted;
    memset(&wanted, 0, sizeof wanted);
    if (syscall(SYS_sched_getattr, 0, &wanted, sizeof wanted, 0) || wanted.policy != SCHED_OTHER)
        return;
    wanted.size = sizeof wanted;
    wanted.runtime_ns = ns;
    syscall(SYS_sched_setattr, 0, &wanted, 0);
}

#endif
