/*
 * What the engine asks of the kernel: datagrams of many sockets in batches with UDP_GRO and times of
 * arrival, runs out with UDP_SEGMENT, and clocks.
 */
#ifndef PARLOUR_ENGINE_NET_H
#define PARLOUR_ENGINE_NET_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

#define NET_BATCH 32
#define NET_SLOT 65536
#define NET_RECEIVE_BUFFER (8 << 20)

typedef struct net_buffers {
    struct mmsghdr headers[NET_BATCH];
    struct iovec parts[NET_BATCH];
    union {
        char bytes[128];
        size_t aligned;
    } control[NET_BATCH];
    uint8_t bytes[NET_BATCH * NET_SLOT];
    uint32_t size; /* of each slot, that is in use */
} net_buffers;

typedef struct net_message {
    uint8_t *data;
    uint32_t length;
    uint32_t seen;    /* bytes of it that are at data */
    uint32_t segment; /* bytes of each datagram but the last */
    uint32_t to;      /* IPv4 address that it came to; 0: not asked for */
    int64_t at_ns;    /* CLOCK_REALTIME at which the kernel took it; 0: not told */
} net_message;

/* From where to where, for a socket that is not connected. */
typedef struct net_way {
    uint32_t source; /* 0: the socket is connected */
    struct sockaddr_in remote;
} net_way;

static inline int64_t net_clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int64_t net_monotonic_us(void) { return net_clock_ns(CLOCK_MONOTONIC) / 1000; }
static inline int64_t net_realtime_ns(void) { return net_clock_ns(CLOCK_REALTIME); }

static inline void net_sleep_until_us(int64_t at_us) {
    struct timespec until = {.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* Whether a call that failed may do better: an ICMP error of an earlier datagram is told once. */
static inline int net_may_retry(void) {
    return errno == EINTR || errno == ECONNREFUSED || errno == EHOSTUNREACH;
}

/* Names the calling thread and lets its sleeps end on time. */
static inline void net_thread_setup(const char *name) {
    prctl(PR_SET_NAME, name);
    prctl(PR_SET_TIMERSLACK, 1);
}

static inline int64_t net_thread_cpu_ns(pthread_t thread) {
    clockid_t clock;
    return pthread_getcpuclockid(thread, &clock) ? 0 : net_clock_ns(clock);
}

/* Sets the options that the engine needs of a socket; none is vital. */
static inline void net_prepare(int fd) {
    int on = 1, size = NET_RECEIVE_BUFFER, found = 0;
    socklen_t length = sizeof found;
    setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &found, &length) == 0 && found >= size) return;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size))
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

/* Tells of each message which address it came to. Returns 0, or -1 with errno. */
static inline int net_tell_address(int fd) {
    int on = 1;
    return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
}

/* Returns 0, or -1 for what are no numeric IPv4 addresses. */
static inline int net_way_init(net_way *way, const char *source, const char *host, uint16_t port) {
    struct in_addr from;
    memset(way, 0, sizeof *way);
    way->remote.sin_family = AF_INET;
    way->remote.sin_port = htons(port);
    if (inet_pton(AF_INET, source, &from) != 1 || inet_pton(AF_INET, host, &way->remote.sin_addr) != 1)
        return -1;
    way->source = ntohl(from.s_addr);
    return 0;
}

/* Datagrams that found the receive buffer full. */
static inline uint64_t net_drops(int fd) {
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t length = sizeof info;
    return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length) ? 0 : info[SK_MEMINFO_DROPS];
}

/*
 * Connects a socket, so that the kernel need not look for the way of each message. Returns 0, or -1
 * with errno: EINVAL for a host that is not numeric.
 */
static inline int net_connect(int fd, const char *host, uint16_t port) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        return connect(fd, (struct sockaddr *)&v4, sizeof v4);
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
        return connect(fd, (struct sockaddr *)&v6, sizeof v6);
    errno = EINVAL;
    return -1;
}

static inline void net_buffers_init(net_buffers *b) {
    b->size = 0;
    for (int i = 0; i < NET_BATCH; i++) {
        struct msghdr *header = &b->headers[i].msg_hdr;
        memset(header, 0, sizeof *header);
        header->msg_iov = &b->parts[i];
        header->msg_iovlen = 1;
        header->msg_control = b->control[i].bytes;
    }
}

/*
 * Takes what waits, up to NET_BATCH messages; fewer means that nothing is left. Of each message the
 * kernel copies size bytes at most, and tells how long it was.
 */
static inline int net_receive(net_buffers *b, int fd, uint32_t size) {
    if (size != b->size) {
        for (int i = 0; i < NET_BATCH; i++)
            b->parts[i] = (struct iovec){&b->bytes[(size_t)i * size], size};
        b->size = size;
    }
    for (int i = 0; i < NET_BATCH; i++)
        b->headers[i].msg_hdr.msg_controllen = sizeof b->control[i].bytes;
    for (int attempt = 0; attempt < 8; attempt++) {
        int count = recvmmsg(fd, b->headers, NET_BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
        if (count >= 0) return count;
        if (!net_may_retry()) break;
    }
    return 0;
}

/* What the kernel says of a message. */
static inline void net_describe(struct msghdr *header, uint32_t length, net_message *m) {
    m->data = header->msg_iov->iov_base;
    m->length = m->segment = length;
    m->seen = length < header->msg_iov->iov_len ? length : (uint32_t)header->msg_iov->iov_len;
    m->at_ns = 0;
    m->to = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            if (size > 0 && (uint32_t)size < m->length) m->segment = (uint32_t)size;
        } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(c), sizeof at);
            m->at_ns = (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            m->to = ntohl(info.ipi_addr.s_addr);
        }
    }
}

static inline void net_read(net_buffers *b, int i, net_message *m) {
    net_describe(&b->headers[i].msg_hdr, b->headers[i].msg_len, m);
}

/* Takes one message, NET_SLOT bytes at most. Returns 1, or 0 when none waits. */
static inline int net_take(int fd, uint8_t *data, net_message *m) {
    union {
        char bytes[128];
        size_t aligned;
    } control;
    struct iovec part = {data, NET_SLOT};
    for (int attempt = 0; attempt < 8; attempt++) {
        struct msghdr header = {.msg_iov = &part,
                                .msg_iovlen = 1,
                                .msg_control = control.bytes,
                                .msg_controllen = sizeof control.bytes};
        ssize_t length = recvmsg(fd, &header, MSG_DONTWAIT);
        if (length >= 0) {
            net_describe(&header, (uint32_t)length, m);
            return 1;
        }
        if (!net_may_retry()) break;
    }
    return 0;
}

/*
 * Sends one datagram, or with a segment size a run of them; way may be NULL for a connected socket.
 * Returns 0, or -1: not sent.
 */
static inline int net_send(int fd, const net_way *way, const uint8_t *data, uint32_t length,
                           uint32_t segment) {
    union {
        char bytes[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
        size_t aligned;
    } control;
    struct iovec part = {(void *)data, length};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    struct cmsghdr *c = (struct cmsghdr *)control.bytes;
    size_t used = 0;
    if (segment && segment < length) {
        uint16_t size = (uint16_t)segment;
        c->cmsg_len = CMSG_LEN(sizeof size);
        c->cmsg_level = SOL_UDP;
        c->cmsg_type = UDP_SEGMENT;
        memcpy(CMSG_DATA(c), &size, sizeof size);
        used = CMSG_SPACE(sizeof size);
        c = (struct cmsghdr *)(control.bytes + used);
    }
    if (way && way->source) {
        struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(way->source)};
        header.msg_name = (void *)&way->remote;
        header.msg_namelen = sizeof way->remote;
        c->cmsg_len = CMSG_LEN(sizeof info);
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        memcpy(CMSG_DATA(c), &info, sizeof info);
        used += CMSG_SPACE(sizeof info);
    }
    if (used) {
        header.msg_control = control.bytes;
        header.msg_controllen = used;
    }
    for (int attempt = 0; attempt < 3; attempt++) {
        if (sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
        if (!net_may_retry()) break;
    }
    return -1;
}

/* How many threads wait for the engine's lock: it lets them in between two rounds. */
static inline void net_waiters_add(int *waiters, int by) {
    __atomic_add_fetch(waiters, by, __ATOMIC_SEQ_CST);
}
static inline int net_waiters(const int *waiters) {
    return __atomic_load_n(waiters, __ATOMIC_SEQ_CST);
}

#endif
