/*
 * The system calls of a UDP socket that serves many peers: recvmmsg with UDP_GRO, sendmmsg with
 * UDP_SEGMENT (udp(7)). Addresses are struct sockaddr_in6 throughout, IPv4 as ::ffff:a.b.c.d.
 *
 * A socket that is bound to a wildcard address has all the machine's addresses. Left to itself the
 * kernel sends from the one that it would use towards the destination, which need not be the one
 * that the peer knows; so datagrams carry the address that they came to, and messages the one that
 * they leave from (RFC 3542 section 6, ip(7)). Of an IPv6 message that makes sending faster, of an
 * IPv4 message slower, so there it is left out where the kernel's choice is known to be the same.
 */
#ifndef PARLOUR_UDP_H
#define PARLOUR_UDP_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

#define UDP_BATCH 64
#define UDP_MAX_RUN 64            /* UDP_MAX_SEGMENTS of Linux before 6.9; 128 since */
#define UDP_MAX_RUN_BYTES 65507   /* 65,535 less IPv4 and UDP headers */
#define UDP_SLOT_BYTES 65536      /* one receive slot: GRO joins up to 64 KiB */
#define UDP_SEND_WAIT_US 2000     /* for buffer space, per udp_send */
#define UDP_GSO_DOUBT 16          /* runs refused in a row before GSO is switched off */

#define UDP_OK 0
#define UDP_ERR_FORMAT (-2)       /* FP_ERR_FORMAT and FP_ERR_SYSTEM of errors.pxd */
#define UDP_ERR_SYSTEM (-5)

typedef struct udp_path {
    struct sockaddr_in6 remote;
    struct in6_pktinfo local;
    uint8_t implied;
} udp_path;

typedef struct datagram {
    uint8_t *data;
    uint32_t length;
    udp_path path;
} datagram;

typedef struct out_message {
    const uint8_t *data;
    uint32_t length;
    uint32_t segment_size;
    const udp_path *path;
} out_message;

typedef struct udp_counters {
    uint64_t received, received_bytes;
    uint64_t sent, sent_bytes;
    uint64_t failed;
    uint64_t dropped;
    uint64_t truncated;
    uint64_t receive_drops;    /* as udp_count_drops last found them */
    uint64_t receive_calls, send_calls, send_waits;
    uint64_t gso_fallbacks;
} udp_counters;

/*
 * Control messages: an int (GRO) or a uint16_t (GSO), and a struct in6_pktinfo (or the shorter
 * in_pktinfo).
 */
typedef union udp_control {
    char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct in6_pktinfo))];
    struct cmsghdr align;
} udp_control;

/* What recvmmsg and sendmmsg read and write; allocated once. */
typedef struct udp_buffers {
    struct mmsghdr receive[UDP_BATCH], send[UDP_BATCH];
    struct iovec receive_parts[UDP_BATCH], send_parts[UDP_BATCH];
    udp_control receive_control[UDP_BATCH], send_control[UDP_BATCH];
    struct sockaddr_in6 sources[UDP_BATCH];
    struct sockaddr_in v4_destinations[UDP_BATCH]; /* for AF_INET sockets */
    uint8_t slots[UDP_BATCH][UDP_SLOT_BYTES];
} udp_buffers;

typedef struct udp_socket {
    int fd;
    int error;
    uint16_t port;
    int family;
    int gro, gso;
    int many_addresses;
    int receive_buffer, send_buffer;
    udp_counters counters;

    udp_buffers *buffers;      /* owned */
    int probe;                 /* owned: never sends; -1 when there is none */
    int filled;                /* slots that the last recvmmsg filled */
    int used;                  /* receive headers that the kernel has written to since they were set */
    int slot;                  /* the one being split */
    uint32_t offset;           /* bytes of it that were handed out */
    int refused_runs;          /* GSO messages refused since one went out */
} udp_socket;

/* Addresses */

/* `received` holds a struct sockaddr_in, which is shorter. */
static inline void udp_map_v4(struct sockaddr_in6 *address, const struct sockaddr_in6 *received) {
    struct sockaddr_in v4;
    memcpy(&v4, received, sizeof v4);
    memset(address, 0, sizeof *address);
    address->sin6_family = AF_INET6;
    address->sin6_port = v4.sin_port;
    address->sin6_addr.s6_addr[10] = 0xff;
    address->sin6_addr.s6_addr[11] = 0xff;
    memcpy(&address->sin6_addr.s6_addr[12], &v4.sin_addr, 4);
}

static inline int udp_unmap_v4(struct sockaddr_in *v4, const struct sockaddr_in6 *address) {
    if (!IN6_IS_ADDR_V4MAPPED(&address->sin6_addr)) return UDP_ERR_FORMAT;
    memset(v4, 0, sizeof *v4);
    v4->sin_family = AF_INET;
    v4->sin_port = address->sin6_port;
    memcpy(&v4->sin_addr, &address->sin6_addr.s6_addr[12], 4);
    return UDP_OK;
}

/* Opening */

/* Has the kernel tell the address that a datagram came to, if it can be one of several. */
static inline int udp_receive_local(const udp_socket *s, const struct sockaddr_storage *bound) {
    const int on = 1;
    if (s->family == AF_INET)
        return ((const struct sockaddr_in *)bound)->sin_addr.s_addr == htonl(INADDR_ANY)
            && setsockopt(s->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) == 0;
    return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)bound)->sin6_addr)
        && setsockopt(s->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) == 0;
}

/* FORCE passes net.core.*mem_max and needs CAP_NET_ADMIN. The kernel reports twice what it holds. */
static inline int udp_set_buffer(int fd, int force_option, int option, int bytes) {
    int granted = 0;
    socklen_t size = sizeof granted;
    if (bytes > 0 && setsockopt(fd, SOL_SOCKET, force_option, &bytes, sizeof bytes) < 0)
        (void)!setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes);
    if (getsockopt(fd, SOL_SOCKET, option, &granted, &size) < 0) return 0;
    return granted / 2;
}

static inline int udp_bind(udp_socket *s, const struct sockaddr *address, socklen_t size) {
    int off = 0;
    s->fd = socket(address->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
    if (s->fd < 0) return UDP_ERR_SYSTEM;
    if (address->sa_family == AF_INET6)
        (void)!setsockopt(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(s->fd, address, size) == 0) return UDP_OK;
    int error = errno;
    close(s->fd);
    s->fd = -1;
    errno = error;
    return UDP_ERR_SYSTEM;
}

static inline int udp_open_address(udp_socket *s, const char *address, uint16_t port) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    s->family = AF_INET;
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return udp_bind(s, (const struct sockaddr *)&v4, sizeof v4);
    s->family = AF_INET6;
    if (inet_pton(AF_INET6, address, &v6.sin6_addr) != 1) return UDP_ERR_FORMAT;
    if (udp_bind(s, (const struct sockaddr *)&v6, sizeof v6) == UDP_OK) return UDP_OK;
    int absent = errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL;
    if (!absent || !IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr)) return UDP_ERR_SYSTEM;
    s->family = AF_INET; /* a machine without IPv6; v4 is 0.0.0.0 still */
    return udp_bind(s, (const struct sockaddr *)&v4, sizeof v4);
}

/* The kernel's own count is a uint32_t for the life of the socket; it costs packets nothing. */
static inline void udp_count_drops(udp_socket *s) {
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof memory;
    if (s->fd >= 0 && getsockopt(s->fd, SOL_SOCKET, SO_MEMINFO, memory, &size) == 0)
        s->counters.receive_drops = memory[SK_MEMINFO_DROPS];
}

static inline int64_t udp_newest_came_at_us(const udp_socket *s) {
    struct timespec at;
    if (ioctl(s->fd, SIOCGSTAMPNS, &at) < 0) {
        /* None yet; from now on there are. */
        if (errno != ENOENT) return 0;
        clock_gettime(CLOCK_REALTIME, &at);
    }
    return (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000;
}

static inline void udp_close(udp_socket *s) {
    if (s->fd >= 0) {
        udp_count_drops(s);
        close(s->fd);
        if (s->probe >= 0) close(s->probe);
    }
    s->fd = s->probe = -1;
    free(s->buffers);
    s->buffers = NULL;
    s->filled = s->slot = 0;
    s->offset = 0;
}

static inline void udp_prepare_receive(udp_buffers *b) {
    for (int i = 0; i < UDP_BATCH; i++) {
        struct msghdr *header = &b->receive[i].msg_hdr;
        b->receive_parts[i] = (struct iovec){b->slots[i], UDP_SLOT_BYTES};
        header->msg_iov = &b->receive_parts[i];
        header->msg_iovlen = 1;
        header->msg_name = &b->sources[i];
        header->msg_control = b->receive_control[i].bytes;
    }
}

static inline int udp_open(
    udp_socket *s, const char *address, uint16_t port, int receive_buffer, int send_buffer
) {
    const int on = 1;
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    memset(s, 0, sizeof *s);
    s->fd = s->probe = -1;
    int status = udp_open_address(s, address, port);
    if (status != UDP_OK) {
        s->error = errno;
        return status;
    }
    s->buffers = calloc(1, sizeof *s->buffers);
    if (!s->buffers || getsockname(s->fd, (struct sockaddr *)&bound, &size) < 0) {
        s->error = errno;
        udp_close(s);
        return UDP_ERR_SYSTEM;
    }
    s->port = ntohs(
        s->family == AF_INET ? ((struct sockaddr_in *)&bound)->sin_port
                             : ((struct sockaddr_in6 *)&bound)->sin6_port
    );
    s->receive_buffer = udp_set_buffer(s->fd, SO_RCVBUFFORCE, SO_RCVBUF, receive_buffer);
    s->send_buffer = udp_set_buffer(s->fd, SO_SNDBUFFORCE, SO_SNDBUF, send_buffer);
    s->gro = setsockopt(s->fd, SOL_UDP, UDP_GRO, &on, sizeof on) == 0;
    s->gso = 1;
    s->many_addresses = udp_receive_local(s, &bound);
    if (s->many_addresses) s->probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
    udp_prepare_receive(s->buffers);
    s->used = UDP_BATCH;
    return UDP_OK;
}

/* Receiving */

static inline void udp_map_local_v4(struct in6_pktinfo *local, const struct cmsghdr *control) {
    struct in_pktinfo v4;
    memcpy(&v4, CMSG_DATA(control), sizeof v4);
    local->ipi6_addr.s6_addr[10] = 0xff;
    local->ipi6_addr.s6_addr[11] = 0xff;
    memcpy(&local->ipi6_addr.s6_addr[12], &v4.ipi_spec_dst, 4);
}

/* Reads the segment size (length without GRO) and the local address (:: when not told). */
static inline void udp_read_control(
    struct msghdr *header, uint32_t length, uint32_t *segment, struct in6_pktinfo *local
) {
    *segment = length;
    memset(local, 0, sizeof *local);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            if (size > 0 && (uint32_t)size < length) *segment = (uint32_t)size;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            memcpy(local, CMSG_DATA(c), sizeof *local);
            /* Routing chooses the interface, unless the address means nothing without it. */
            if (!IN6_IS_ADDR_LINKLOCAL(&local->ipi6_addr)) local->ipi6_ifindex = 0;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            udp_map_local_v4(local, c);
        }
    }
}

/* Fills the slots; returns how many, or UDP_ERR_SYSTEM. */
static inline int udp_fill(udp_socket *s) {
    udp_buffers *b = s->buffers;
    for (int i = 0; i < s->used; i++) {
        b->receive[i].msg_hdr.msg_namelen = sizeof b->sources[i];
        b->receive[i].msg_hdr.msg_controllen = sizeof b->receive_control[i].bytes;
    }
    s->used = 1; /* also a call that fails may write to the first */
    s->slot = s->filled = 0;
    s->offset = 0;
    for (int attempt = 0; attempt < UDP_BATCH; attempt++) {
        s->counters.receive_calls++;
        int filled = recvmmsg(s->fd, b->receive, UDP_BATCH, MSG_DONTWAIT, NULL);
        if (filled > 0) s->used = filled;
        if (filled >= 0) return s->filled = filled;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
        if (errno == EBADF || errno == ENOTSOCK || errno == EFAULT || errno == EINVAL) break;
        /* EINTR, or what an ICMP message about an earlier datagram left behind: look again. */
    }
    s->error = errno;
    return UDP_ERR_SYSTEM;
}

/* Hands out datagrams of the slots that are filled; returns how many fitted into the batch. */
static inline int udp_split(udp_socket *s, datagram *batch, int capacity) {
    udp_buffers *b = s->buffers;
    int count = 0;
    while (s->slot < s->filled && count < capacity) {
        struct mmsghdr *message = &b->receive[s->slot];
        uint32_t length = message->msg_len;
        if (message->msg_hdr.msg_flags & MSG_TRUNC) {
            s->counters.truncated++;
            length = 0;
        }
        uint32_t segment;
        struct in6_pktinfo local;
        udp_read_control(&message->msg_hdr, length, &segment, &local);
        while (s->offset < length && count < capacity) {
            datagram *d = &batch[count++];
            uint32_t left = length - s->offset;
            d->data = b->slots[s->slot] + s->offset;
            d->length = left < segment ? left : segment;
            if (s->family == AF_INET)
                udp_map_v4(&d->path.remote, &b->sources[s->slot]);
            else
                d->path.remote = b->sources[s->slot];
            d->path.local = local;
            d->path.implied = 0;
            s->offset += d->length;
            s->counters.received++;
            s->counters.received_bytes += d->length;
        }
        if (s->offset < length) break;
        s->slot++;
        s->offset = 0;
    }
    return count;
}

static inline int udp_receive(udp_socket *s, datagram *batch, int capacity) {
    /* Slots are not overwritten while datagrams of theirs are out in the same batch. */
    int count = udp_split(s, batch, capacity);
    if (count) return count;
    int filled = udp_fill(s);
    return filled <= 0 ? filled : udp_split(s, batch, capacity);
}

/* Sending */

static inline uint32_t udp_datagrams_in(const out_message *m) {
    if (!m->segment_size || m->length <= m->segment_size) return 1;
    return (m->length + m->segment_size - 1) / m->segment_size;
}

/*
 * Adds a control message to a header whose control buffer has room for it. There is no padding
 * behind the last one, because up to 36 bytes the kernel needs no memory for a copy.
 */
static inline void udp_add_control(
    struct msghdr *header, int level, int type, const void *data, size_t size
) {
    const size_t at = CMSG_ALIGN(header->msg_controllen);
    struct cmsghdr *control = (struct cmsghdr *)((char *)header->msg_control + at);
    control->cmsg_level = level;
    control->cmsg_type = type;
    control->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(control), data, size);
    header->msg_controllen = at + CMSG_LEN(size);
}

static inline void udp_add_local(struct msghdr *header, const struct in6_pktinfo *local) {
    if (IN6_IS_ADDR_V4MAPPED(&local->ipi6_addr)) {
        struct in_pktinfo v4 = {0}; /* sockets of either family take it for IPv4 */
        memcpy(&v4.ipi_spec_dst, &local->ipi6_addr.s6_addr[12], 4);
        udp_add_control(header, IPPROTO_IP, IP_PKTINFO, &v4, sizeof v4);
    } else {
        udp_add_control(header, IPPROTO_IPV6, IPV6_PKTINFO, local, sizeof *local);
    }
}

/* Whether a message has to say which address it leaves from. */
static inline int udp_gives_local(const udp_socket *s, const udp_path *path) {
    return s->many_addresses && !path->implied && !IN6_IS_ADDR_UNSPECIFIED(&path->local.ipi6_addr);
}

/* Fills header i of the batch with length bytes at data; segment 0: one datagram. */
static inline int udp_prepare_send(
    udp_socket *s, int i, const out_message *m, uint32_t offset, uint32_t length, uint32_t segment
) {
    udp_buffers *b = s->buffers;
    struct msghdr *header = &b->send[i].msg_hdr;
    memset(header, 0, sizeof *header);
    if (s->family == AF_INET) {
        if (udp_unmap_v4(&b->v4_destinations[i], &m->path->remote) != UDP_OK) return UDP_ERR_FORMAT;
        header->msg_name = &b->v4_destinations[i];
        header->msg_namelen = sizeof b->v4_destinations[i];
    } else {
        header->msg_name = (void *)&m->path->remote;
        header->msg_namelen = sizeof m->path->remote;
    }
    b->send_parts[i] = (struct iovec){(void *)(m->data + offset), length};
    header->msg_iov = &b->send_parts[i];
    header->msg_iovlen = 1;
    header->msg_control = b->send_control[i].bytes;
    if (segment) {
        const uint16_t size = (uint16_t)segment;
        udp_add_control(header, SOL_UDP, UDP_SEGMENT, &size, sizeof size);
    }
    if (udp_gives_local(s, m->path)) udp_add_local(header, &m->path->local);
    return UDP_OK;
}

static inline int64_t udp_now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static inline int udp_implies_local(const udp_socket *s, const udp_path *path) {
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    struct sockaddr_in remote, chosen;
    socklen_t size = sizeof chosen;
    if (s->probe < 0 || udp_unmap_v4(&remote, &path->remote) != UDP_OK) return 0;
    /* Connecting a UDP socket sends nothing; it looks for a route, and so for an address. */
    int implied = connect(s->probe, (struct sockaddr *)&remote, sizeof remote) == 0
        && getsockname(s->probe, (struct sockaddr *)&chosen, &size) == 0
        && memcmp(&chosen.sin_addr, &path->local.ipi6_addr.s6_addr[12], 4) == 0;
    (void)!connect(s->probe, &nowhere, sizeof nowhere);
    return implied;
}

/* What udp_send_headers says about the header at which it stopped. */
enum { UDP_ALL_SENT, UDP_REFUSED, UDP_NO_SPACE };

/*
 * Sends headers first..end-1 of the batch; *next becomes the first that did not go out. Waits for
 * buffer space until *deadline_us (0: not waited yet). s->error: why it stopped.
 */
static inline int udp_send_headers(
    udp_socket *s, int first, int end, int *next, int64_t *deadline_us
) {
    int again = 0;
    *next = first;
    while (*next < end) {
        s->counters.send_calls++;
        int sent = sendmmsg(
            s->fd, s->buffers->send + *next, (unsigned)(end - *next), MSG_DONTWAIT | MSG_NOSIGNAL
        );
        if (sent > 0) {
            *next += sent;
            again = 0;
            continue;
        }
        s->error = errno;
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            int64_t now = udp_now_us();
            if (*deadline_us == 0) *deadline_us = now + UDP_SEND_WAIT_US;
            if (now >= *deadline_us) return UDP_NO_SPACE;
            struct pollfd writable = {.fd = s->fd, .events = POLLOUT};
            s->counters.send_waits++;
            if (errno == ENOBUFS) poll(NULL, 0, 1); /* the device's queue: not in POLLOUT */
            else poll(&writable, 1, 1);
            continue;
        }
        /*
         * A refusal may be an ICMP error about an earlier datagram, which the kernel reports once
         * and instead of sending: the same message is tried once more.
         */
        int reported = errno == ECONNREFUSED || errno == EHOSTUNREACH || errno == ENETUNREACH;
        if (!reported || again++) return UDP_REFUSED;
    }
    return UDP_ALL_SENT;
}

/* One message as single datagrams. Returns 1 when all went out. */
static inline int udp_send_singly(udp_socket *s, const out_message *m, int64_t *deadline_us) {
    uint32_t segment = m->segment_size ? m->segment_size : m->length, offset = 0;
    int whole = 1, full = 0;
    while (offset < m->length) {
        int count = 0, next = 0;
        for (; count < UDP_BATCH && offset < m->length; count++) {
            uint32_t length = m->length - offset < segment ? m->length - offset : segment;
            udp_prepare_send(s, count, m, offset, length, 0); /* the address was mapped before */
            offset += length;
        }
        while (next < count) {
            int from = next;
            int why = full ? UDP_NO_SPACE : udp_send_headers(s, from, count, &next, deadline_us);
            for (int i = from; i < next; i++) {
                s->counters.sent++;
                s->counters.sent_bytes += s->buffers->send_parts[i].iov_len;
            }
            if (why == UDP_ALL_SENT) break;
            whole = 0;
            if (why == UDP_NO_SPACE) {
                full = 1;
                s->counters.dropped += (uint64_t)(count - next);
                break;
            }
            s->counters.failed++;
            next++;
        }
    }
    return whole;
}

/* Whether the kernel refused the segmentation rather than the datagrams. */
static inline int udp_is_gso_error(int error) {
    return error == EIO || error == EINVAL || error == EMSGSIZE || error == EOPNOTSUPP
        || error == ENOPROTOOPT;
}

/* Whether a message goes as one GSO run: it has segments, and keeps the kernel's limits. */
static inline int udp_is_run(const out_message *m) {
    return m->segment_size && m->length > m->segment_size && m->length <= UDP_MAX_RUN_BYTES
        && udp_datagrams_in(m) <= UDP_MAX_RUN;
}

static inline void udp_count_sent(udp_socket *s, const out_message *m) {
    s->counters.sent += udp_datagrams_in(m);
    s->counters.sent_bytes += m->length;
    if (udp_is_run(m)) s->refused_runs = 0;
}

/* The message behind a header was refused: fall back or count. Returns 1 when it went out whole. */
static inline int udp_handle_refusal(udp_socket *s, const out_message *m, int64_t *deadline_us) {
    if (!udp_is_run(m) || !udp_is_gso_error(s->error)) {
        s->counters.failed += udp_datagrams_in(m);
        return 0;
    }
    /*
     * EINVAL and EMSGSIZE may be about this path only (its MTU, or IPsec), so one refusal does not
     * switch GSO off for all; refusals without a success between them do. Where single datagrams
     * are refused too, it was not the segmentation: the local address may be gone.
     */
    s->counters.gso_fallbacks++;
    const uint64_t sent_before = s->counters.sent;
    const int whole = udp_send_singly(s, m, deadline_us);
    if (s->counters.sent != sent_before && ++s->refused_runs >= UDP_GSO_DOUBT) s->gso = 0;
    return whole;
}

/*
 * Takes up to UDP_BATCH messages that one sendmmsg can carry; returns how many. Stops before a
 * message that has to be sent singly: that one, when it is the first, is 0.
 */
static inline int udp_gather(udp_socket *s, const out_message *messages, int count) {
    int n = 0;
    for (; n < count && n < UDP_BATCH; n++) {
        const out_message *m = &messages[n];
        int run = udp_is_run(m);
        if (!run && udp_datagrams_in(m) > 1) break;
        if (run && !s->gso) break;
        if (udp_prepare_send(s, n, m, 0, m->length, run ? m->segment_size : 0) != UDP_OK) break;
    }
    return n;
}

/* Sends with a deadline that several calls share; returns how many went out whole. */
static inline int udp_send_until(
    udp_socket *s, const out_message *messages, int count, int64_t *deadline_us
);

/* A run that is over the kernel's limits, as several. Returns 1 when all went out. */
static inline int udp_send_long_run(udp_socket *s, const out_message *m, int64_t *deadline_us) {
    uint32_t segments = UDP_MAX_RUN_BYTES / m->segment_size;
    if (segments > UDP_MAX_RUN) segments = UDP_MAX_RUN;
    const uint32_t step = segments * m->segment_size;
    int whole = 1;
    for (uint32_t offset = 0; offset < m->length; offset += step) {
        out_message part = *m;
        part.data += offset;
        part.length = m->length - offset < step ? m->length - offset : step;
        whole &= udp_send_until(s, &part, 1, deadline_us);
    }
    return whole;
}

/* A message that udp_gather left: too long, without GSO, or not for this address family. */
static inline int udp_send_special(udp_socket *s, const out_message *m, int64_t *deadline_us) {
    struct sockaddr_in unused;
    const int foreign = s->family == AF_INET && udp_unmap_v4(&unused, &m->path->remote) != UDP_OK;
    if (foreign || m->segment_size > UDP_MAX_RUN_BYTES) {
        s->counters.failed += udp_datagrams_in(m);
        return 0;
    }
    if (s->gso && !udp_is_run(m)) return udp_send_long_run(s, m, deadline_us);
    return udp_send_singly(s, m, deadline_us);
}

static inline int udp_send_until(
    udp_socket *s, const out_message *messages, int count, int64_t *deadline_us
) {
    int done = 0, whole = 0;
    while (done < count) {
        const out_message *m = &messages[done];
        int gathered = udp_gather(s, m, count - done), next = 0;
        if (gathered == 0) {
            whole += udp_send_special(s, m, deadline_us);
            done++;
            continue;
        }
        int why = udp_send_headers(s, 0, gathered, &next, deadline_us);
        for (int i = 0; i < next; i++) udp_count_sent(s, &m[i]);
        whole += next;
        done += next;
        if (why == UDP_REFUSED) {
            whole += udp_handle_refusal(s, &messages[done], deadline_us);
            done++;
        } else if (why == UDP_NO_SPACE) {
            for (; done < count; done++) s->counters.dropped += udp_datagrams_in(&messages[done]);
        }
    }
    return whole;
}

static inline int udp_send(udp_socket *s, const out_message *messages, int count) {
    int64_t deadline_us = 0;
    return udp_send_until(s, messages, count, &deadline_us);
}

#endif
