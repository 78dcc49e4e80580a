/*
 * udp_send over a kernel that fails on demand: errors that loopback cannot be made to give.
 *
 * sendmmsg and poll are replaced. Each step of a script is how many messages the next sendmmsg
 * takes, or an errno when it is negative; behind its end everything is taken.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

static const int *script;
static int script_length, polls;

static int scripted_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    (void)fd;
    (void)messages;
    (void)flags;
    int step = (int)count;
    if (script_length) {
        step = *script++;
        script_length--;
    }
    if (step >= 0) return step > (int)count ? (int)count : step;
    errno = -step;
    return -1;
}

static int counted_poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    (void)fds;
    (void)count;
    (void)timeout_ms;
    polls++;
    return 0;
}

#define sendmmsg scripted_sendmmsg
#define poll counted_poll
#include "udp.h"

#define FULL -EAGAIN
#define FOREVER 1000000

static udp_path path;
static uint8_t data[1000];
static udp_socket s;
static int failures;

/* Sends four messages: one datagram, a run of ten, one datagram, a run of ten. */
static int send_four(const int *steps, int count) {
    const out_message messages[4] = {
        {data, 100, 0, &path},
        {data, 1000, 100, &path},
        {data, 100, 0, &path},
        {data, 1000, 100, &path},
    };
    memset(&s.counters, 0, sizeof s.counters);
    s.gso = 1;
    s.refused_runs = 0;
    script = steps;
    script_length = count;
    polls = 0;
    return udp_send(&s, messages, 4);
}

static void expect(const char *what, uint64_t seen, uint64_t expected) {
    if (seen == expected) return;
    fprintf(stderr, "%s: %llu, expected %llu\n", what, (unsigned long long)seen,
            (unsigned long long)expected);
    failures++;
}

#define SEND(...) send_four((const int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int))

int main(void) {
    static int always_full[FOREVER];
    for (int i = 0; i < FOREVER; i++) always_full[i] = FULL;
    udp_open(&s, "127.0.0.1", 0, 0, 0);
    path.remote.sin6_family = AF_INET6;
    path.remote.sin6_addr.s6_addr[10] = path.remote.sin6_addr.s6_addr[11] = 0xff;

    expect("partial sends: whole", (uint64_t)SEND(1, 2, 1), 4);
    expect("partial sends: sent", s.counters.sent, 22);
    expect("partial sends: calls", s.counters.send_calls, 3);

    expect("interrupted: whole", (uint64_t)SEND(-EINTR, 2, -EINTR, -EINTR), 4);
    expect("interrupted: failed", s.counters.failed, 0);

    expect("full for a moment: whole", (uint64_t)SEND(1, FULL, FULL, -ENOBUFS), 4);
    expect("full for a moment: polls", (uint64_t)polls, 3);
    expect("full for a moment: dropped", s.counters.dropped, 0);

    int64_t before = udp_now_us();
    expect("full: whole", (uint64_t)send_four(always_full, FOREVER), 0);
    expect("full: dropped", s.counters.dropped, 22);
    expect("full: is bounded", udp_now_us() - before < 100 * UDP_SEND_WAIT_US, 1);
    expect("full: failed", s.counters.failed, 0);

    expect("ICMP error: whole", (uint64_t)SEND(1, -ECONNREFUSED, 1, -EHOSTUNREACH), 4);
    expect("ICMP error: failed", s.counters.failed, 0);

    expect("refused twice: whole", (uint64_t)SEND(1, -ECONNREFUSED, -ECONNREFUSED), 3);
    expect("refused twice: failed", s.counters.failed, 10);

    expect("filtered: whole", (uint64_t)SEND(-EPERM, -EPERM, -EPERM, -EPERM), 0);
    expect("filtered: failed", s.counters.failed, 22);

    expect("no GSO: whole", (uint64_t)SEND(1, -EIO, 10, 1, -EIO, 10), 4);
    expect("no GSO: fallbacks", s.counters.gso_fallbacks, 2);
    expect("no GSO: sent", s.counters.sent, 22);
    expect("no GSO: still tried", (uint64_t)s.gso, 1);

    static int refused[4 * UDP_GSO_DOUBT * 22];
    for (int i = 0; i < 4 * UDP_GSO_DOUBT * 22; i++) refused[i] = -EINVAL;
    for (int i = 0; i < UDP_GSO_DOUBT; i++) {
        expect("no local address: whole", (uint64_t)send_four(refused, 24), 0);
        expect("no local address: failed", s.counters.failed, 22);
        expect("no local address: GSO is not to blame", (uint64_t)s.refused_runs, 0);
    }

    expect("run fails in part: whole", (uint64_t)SEND(1, -EIO, 4, -EPERM, 5), 3);
    expect("run fails in part: sent", s.counters.sent, 21);
    expect("run fails in part: failed", s.counters.failed, 1);

    expect("run meets a full buffer: whole", (uint64_t)send_four(
        (const int[]){1, -EIO, 4, -EPERM, -EPERM, 5}, 6), 3);
    expect("run meets a full buffer: failed", s.counters.failed, 2);

    udp_close(&s);
    if (!failures) puts("ok");
    return failures != 0;
}
