/*
 * What forwarding can cost at best on this machine: a server without anything but the fan-out.
 *
 * Per wake-up: receive with GRO, open each packet once, then subscriber by subscriber rewrite and
 * seal the whole run back to back, and hand it to the kernel as one segmented message (UDP GSO).
 * Keys, SSRCs and destinations are fixed; there is no RTCP, no store, no statistics, no state.
 *
 * usage: limit LISTEN DESTINATION FIRST_PORT SUBSCRIBERS gcm|cm PUBLISHERS
 *
 * Prints its port. For each line on stdin it prints packets received, packets forwarded, messages,
 * packets it could not open, and messages refused; it ends with stdin.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "limit_srtp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define MAX_SUBSCRIBERS 1024
#define MAX_PUBLISHERS 64
#define FIRST_SSRC 1000 /* of the publishers */
#define PACKETS 64      /* of one publisher that are forwarded together */
#define RUN_MAX 32      /* segments of one message */
#define PAD_MAX 2       /* bytes of RTP padding that may join two runs */
#define RECEIVES 4      /* messages per recvmmsg, each of up to 64 KiB with GRO */
#define MESSAGES 256    /* that can wait to be sent */
#define MESSAGES_PER_CALL 64
#define MESSAGE_ROOM 40960
#define ELEMENTS 6 /* header extension elements whose ids are rewritten */
#define TRANSPORT_CC_ID 5

typedef struct {
    uint8_t *data;
    int length, header_length; /* without the tag */
    int publisher;
    int padding;
    const uint8_t *payload; /* padded where padding is set */
    uint16_t sequence_number;
    uint32_t timestamp;
    uint8_t elements, element_at[ELEMENTS], transport_cc_at;
} packet;

/* Of one subscriber and stream: one cache line. */
typedef struct __attribute__((aligned(64))) {
    uint32_t ssrc_be, timestamp_offset;
    uint16_t sequence_offset;
    uint8_t extension_ids[16];
} rewrite_state;

static struct {
    int fd, subscribers, publishers, is_cm;
    struct sockaddr_in destinations[MAX_SUBSCRIBERS];
    uint16_t transport_cc[MAX_SUBSCRIBERS];
    gcm_key *gcm;
    cm_key *cm;
    rewrite_state *rewrites; /* [publisher][subscriber] */
    gcm_key inbound[MAX_PUBLISHERS];
    uint8_t *output;
    size_t output_length;
    int messages;
    struct mmsghdr headers[MESSAGES];
    struct iovec vectors[MESSAGES];
    char controls[MESSAGES][CMSG_SPACE(2)] __attribute__((aligned(16)));
    unsigned long received, forwarded, sent, bad, refused;
} limit;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void *allocate(size_t bytes) {
    void *memory = NULL;
    if (posix_memalign(&memory, 4096, bytes))
        fail("memory");
    memset(memory, 0, bytes);
    return memory;
}

/* The keys that the load generator knows too. */
static void make_key(int kind, int index, uint8_t key[16], uint8_t salt[14]) {
    for (int j = 0; j < 16; j++)
        key[j] = (uint8_t)(kind * 101 + index * 7 + j * 13 + (index >> 5));
    for (int j = 0; j < 14; j++)
        salt[j] = (uint8_t)(kind * 31 + index * 3 + j * 29);
}

static void flush(void) {
    for (int done = 0; done < limit.messages;) {
        int sent = sendmmsg(limit.fd, limit.headers + done, limit.messages - done, 0);
        if (sent <= 0) {
            limit.refused++;
            sent = 1;
        }
        done += sent;
    }
    limit.sent += limit.messages;
    limit.messages = 0;
    limit.output_length = 0;
}

static void push(int subscriber, uint8_t *data, size_t length, int segment) {
    struct msghdr *header = &limit.headers[limit.messages].msg_hdr;
    struct iovec *vector = &limit.vectors[limit.messages];
    *vector = (struct iovec){data, length};
    header->msg_iov = vector;
    header->msg_iovlen = 1;
    header->msg_name = &limit.destinations[subscriber];
    header->msg_namelen = sizeof limit.destinations[0];
    header->msg_control = NULL;
    header->msg_controllen = 0;
    if (segment) {
        struct cmsghdr *control = (struct cmsghdr *)limit.controls[limit.messages];
        header->msg_control = control;
        header->msg_controllen = CMSG_SPACE(2);
        control->cmsg_level = SOL_UDP;
        control->cmsg_type = UDP_SEGMENT;
        control->cmsg_len = CMSG_LEN(2);
        uint16_t value = (uint16_t)segment;
        memcpy(CMSG_DATA(control), &value, 2);
    }
    limit.messages++;
}

AINL void rewrite(uint8_t *out, const packet *p, const rewrite_state *state,
                  uint16_t *transport_cc) {
    __m512i header = _mm512_maskz_loadu_epi8(lmask(p->header_length), p->data);
    _mm512_mask_storeu_epi8(out, lmask(p->header_length), header);
    uint16_t number = __builtin_bswap16((uint16_t)(p->sequence_number + state->sequence_offset));
    uint32_t timestamp = __builtin_bswap32(p->timestamp + state->timestamp_offset);
    memcpy(out + 2, &number, 2);
    memcpy(out + 4, &timestamp, 4);
    memcpy(out + 8, &state->ssrc_be, 4);
    if (p->padding)
        out[0] |= 0x20;
    for (int i = 0; i < p->elements; i++) {
        uint8_t byte = out[p->element_at[i]];
        out[p->element_at[i]] = (uint8_t)(state->extension_ids[byte >> 4] << 4) | (byte & 15);
    }
    if (p->transport_cc_at) {
        uint16_t count = __builtin_bswap16((*transport_cc)++);
        memcpy(out + p->transport_cc_at, &count, 2);
    }
}

static int parse(packet *p) {
    const uint8_t *b = p->data;
    if (p->length < 28 || b[0] >> 6 != 2)
        return -1;
    int at = 12 + 4 * (b[0] & 15);
    p->sequence_number = (uint16_t)(b[2] << 8 | b[3]);
    memcpy(&p->timestamp, b + 4, 4);
    p->timestamp = __builtin_bswap32(p->timestamp);
    p->elements = p->transport_cc_at = 0;
    p->padding = 0;
    if (b[0] & 0x10) {
        if (at + 4 > p->length)
            return -1;
        int end = at + 4 + 4 * (b[at + 2] << 8 | b[at + 3]);
        if (end > p->length)
            return -1;
        for (int i = at + 4; i < end;) {
            if (!b[i]) {
                i++;
                continue;
            }
            if (p->elements < ELEMENTS)
                p->element_at[p->elements++] = (uint8_t)i;
            if (b[i] >> 4 == TRANSPORT_CC_ID)
                p->transport_cc_at = (uint8_t)(i + 1);
            i += 2 + (b[i] & 15);
        }
        at = end;
    }
    p->header_length = at;
    uint32_t ssrc;
    memcpy(&ssrc, b + 8, 4);
    p->publisher = (int)(__builtin_bswap32(ssrc) - FIRST_SSRC);
    return at > p->length || p->publisher < 0 || p->publisher >= limit.publishers ? -1 : 0;
}

static int open_packet(packet *p) {
    if (parse(p))
        return -1;
    uint8_t iv[16];
    uint32_t ssrc_be;
    const gcm_key *key = &limit.inbound[p->publisher];
    memcpy(&ssrc_be, p->data + 8, 4);
    gcm_iv(iv, key->salt, ssrc_be, 0, p->sequence_number);
    p->length -= 16;
    p->payload = p->data + p->header_length;
    return fg_open(key, iv, p->data, p->header_length, p->payload, p->data + p->header_length,
                   p->length - p->header_length);
}

/* Equal packets are a run, the last may be shorter; up to PAD_MAX bytes make packets equal. */
static int plan_runs(packet **packets, int count, int ends[PACKETS]) {
    static uint8_t padded[PACKETS][2048];
    int runs = 0;
    for (int i = 0; i < count;) {
        int largest = packets[i]->length, smallest = largest, end = i + 1;
        for (; end < count && end - i < RUN_MAX; end++) {
            int length = packets[end]->length;
            int high = length > largest ? length : largest;
            int low = length < smallest ? length : smallest;
            if (high - low > PAD_MAX)
                break;
            largest = high;
            smallest = low;
        }
        int shorter = end < count && end - i < RUN_MAX && packets[end]->length < largest;
        int last = shorter ? end : end - 1; /* needs no padding */
        for (int j = i; j < last; j++) {
            packet *p = packets[j];
            int length = p->length - p->header_length;
            p->padding = largest - p->length;
            if (!p->padding)
                continue;
            memcpy(padded[j], p->payload, length);
            memset(padded[j] + length, 0, p->padding);
            padded[j][length + p->padding - 1] = (uint8_t)p->padding;
            p->payload = padded[j];
        }
        ends[runs++] = i = last + 1;
    }
    return runs;
}

static void forward_gcm(packet **packets, int count, const int *ends, int runs) {
    rewrite_state *states = limit.rewrites + (size_t)packets[0]->publisher * MAX_SUBSCRIBERS;
    for (int subscriber = 0; subscriber < limit.subscribers; subscriber++) {
        const gcm_key *key = &limit.gcm[subscriber];
        vkeys keys;
        vkeys_load(&keys, key->rk);
        if (subscriber + 1 < limit.subscribers)
            for (int line = 0; line < (int)sizeof *key; line += 64)
                _mm_prefetch((const char *)(key + 1) + line, _MM_HINT_T0);
        for (int run = 0, i = 0; run < runs; run++) {
            uint8_t *start = limit.output + limit.output_length;
            int first = i, segment = 0;
            for (; i < ends[run]; i++) {
                packet *p = packets[i];
                rewrite_state *state = &states[subscriber];
                uint8_t *out = limit.output + limit.output_length, iv[16];
                int length = p->length - p->header_length + p->padding;
                rewrite(out, p, state, &limit.transport_cc[subscriber]);
                gcm_iv(iv, key->salt, state->ssrc_be, 0,
                       (uint16_t)(p->sequence_number + state->sequence_offset));
                gcm_body(1, &keys, key, iv, out, p->header_length, p->payload,
                         out + p->header_length, length, out + p->header_length + length);
                limit.output_length += p->header_length + length + 16;
                if (i == first)
                    segment = p->header_length + length + 16;
            }
            push(subscriber, start, limit.output + limit.output_length - start,
                 i - first > 1 ? segment : 0);
        }
        limit.forwarded += count;
        if (limit.messages >= MESSAGES_PER_CALL || limit.messages + PACKETS > MESSAGES)
            flush();
    }
}

/* 16 subscribers at a time, so that equal packets fill the lanes of SHA-1. */
static void forward_cm(packet **packets, int count, const int *ends, int runs) {
    rewrite_state *states = limit.rewrites + (size_t)packets[0]->publisher * MAX_SUBSCRIBERS;
    const cm_key *lane_keys[16];
    uint8_t *lanes[16];
    const uint32_t rollovers[16] = {0};
    size_t offsets[PACKETS + 1] = {0};
    for (int i = 0; i < count; i++)
        offsets[i + 1] = offsets[i] + packets[i]->length + packets[i]->padding + 10;
    for (int first = 0; first < limit.subscribers; first += 16) {
        int group = limit.subscribers - first < 16 ? limit.subscribers - first : 16;
        size_t bases[16];
        for (int x = 0; x < group; x++) {
            const cm_key *key = &limit.cm[first + x];
            rewrite_state *state = &states[first + x];
            vkeys keys;
            vkeys_load(&keys, key->rk);
            bases[x] = limit.output_length;
            for (int i = 0; i < count; i++) {
                packet *p = packets[i];
                uint8_t *out = limit.output + limit.output_length, iv[16];
                int length = p->length - p->header_length + p->padding;
                rewrite(out, p, state, &limit.transport_cc[first + x]);
                cm_iv(iv, key->salt, state->ssrc_be, 0,
                      (uint16_t)(p->sequence_number + state->sequence_offset));
                cm_body(&keys, iv, p->payload, out + p->header_length, length);
                limit.output_length += p->header_length + length + 10;
            }
        }
        int filled = 0, current = -1;
        for (int i = 0; i < count; i++) {
            int length = packets[i]->length + packets[i]->padding;
            if (filled && length != current) {
                hmac80_x16(lane_keys, lanes, rollovers, current, filled);
                filled = 0;
            }
            current = length;
            for (int x = 0; x < group; x++) {
                lane_keys[filled] = &limit.cm[first + x];
                lanes[filled] = limit.output + bases[x] + offsets[i];
                if (++filled == 16) {
                    hmac80_x16(lane_keys, lanes, rollovers, current, 16);
                    filled = 0;
                }
            }
        }
        if (filled)
            hmac80_x16(lane_keys, lanes, rollovers, current, filled);
        for (int x = 0; x < group; x++) {
            for (int run = 0, i = 0; run < runs; i = ends[run++]) {
                int segment = (int)(offsets[i + 1] - offsets[i]);
                push(first + x, limit.output + bases[x] + offsets[i],
                     offsets[ends[run]] - offsets[i], ends[run] - i > 1 ? segment : 0);
                if (limit.messages == MESSAGES - 1) {
                    size_t length = limit.output_length;
                    flush();
                    limit.output_length = length;
                }
            }
        }
        limit.forwarded += (unsigned long)count * group;
        flush();
    }
}

/* Stream by stream, in order. */
static void forward(packet *packets, int count) {
    uint64_t done = 0;
    for (int i = 0; i < count; i++) {
        if (done >> i & 1)
            continue;
        packet *stream[PACKETS];
        int ends[PACKETS], length = 0;
        for (int j = i; j < count; j++)
            if (packets[j].publisher == packets[i].publisher) {
                stream[length++] = &packets[j];
                done |= 1ULL << j;
            }
        int runs = plan_runs(stream, length, ends);
        (limit.is_cm ? forward_cm : forward_gcm)(stream, length, ends, runs);
    }
    flush();
}

static void receive(void) {
    static uint8_t buffers[RECEIVES][65536];
    static struct mmsghdr headers[RECEIVES];
    static struct iovec vectors[RECEIVES];
    static char controls[RECEIVES][64];
    packet packets[PACKETS];
    int count = 0;
    for (int i = 0; i < RECEIVES; i++) {
        vectors[i] = (struct iovec){buffers[i], sizeof buffers[i]};
        headers[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i],
                                             .msg_iovlen = 1,
                                             .msg_control = controls[i],
                                             .msg_controllen = sizeof controls[i]};
    }
    int messages = recvmmsg(limit.fd, headers, RECEIVES, MSG_DONTWAIT, NULL);
    for (int i = 0; i < messages; i++) {
        int length = (int)headers[i].msg_len, segment = length;
        struct msghdr *header = &headers[i].msg_hdr;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c))
            if (c->cmsg_type == UDP_GRO)
                memcpy(&segment, CMSG_DATA(c), sizeof segment);
        for (int at = 0; at < length; at += segment) {
            if (count == PACKETS) {
                forward(packets, count);
                count = 0;
            }
            packet *p = &packets[count];
            p->data = buffers[i] + at;
            p->length = length - at < segment ? length - at : segment;
            limit.received++;
            if (open_packet(p))
                limit.bad++;
            else
                count++;
        }
    }
    if (count)
        forward(packets, count);
}

static void set_up(char **arguments) {
    limit.subscribers = atoi(arguments[4]);
    limit.publishers = atoi(arguments[6]);
    limit.is_cm = !strcmp(arguments[5], "cm");
    if (limit.subscribers < 1 || limit.subscribers > MAX_SUBSCRIBERS || limit.publishers < 1 ||
        limit.publishers > MAX_PUBLISHERS) {
        fprintf(stderr, "1 to %d subscribers, 1 to %d publishers\n", MAX_SUBSCRIBERS,
                MAX_PUBLISHERS);
        exit(2);
    }
    limit.gcm = allocate(sizeof *limit.gcm * MAX_SUBSCRIBERS);
    limit.cm = allocate(sizeof *limit.cm * MAX_SUBSCRIBERS);
    limit.rewrites = allocate(sizeof *limit.rewrites * MAX_SUBSCRIBERS * limit.publishers);
    limit.output = allocate((size_t)MESSAGES * MESSAGE_ROOM);
    for (int i = 0; i < limit.subscribers; i++) {
        struct sockaddr_in *to = &limit.destinations[i];
        uint8_t key[16], salt[14], authentication[20];
        to->sin_family = AF_INET;
        to->sin_port = htons((uint16_t)(atoi(arguments[3]) + i));
        inet_pton(AF_INET, arguments[2], &to->sin_addr);
        make_key(2, i, key, salt);
        memset(authentication, i, sizeof authentication);
        gcm_setkey(&limit.gcm[i], key, salt);
        cm_setkey(&limit.cm[i], key, salt, authentication);
        for (int p = 0; p < limit.publishers; p++) {
            rewrite_state *state = limit.rewrites + (size_t)p * MAX_SUBSCRIBERS + i;
            state->ssrc_be = htonl(5000u + i * 64u + p);
            state->timestamp_offset = i * 1000u;
            for (int id = 1; id < 15; id++)
                state->extension_ids[id] = (uint8_t)(id % 14 + 1);
        }
    }
    for (int p = 0; p < limit.publishers; p++) {
        uint8_t key[16], salt[14];
        make_key(1, p, key, salt);
        gcm_setkey(&limit.inbound[p], key, salt);
    }
    struct sockaddr_in local = {.sin_family = AF_INET};
    socklen_t length = sizeof local;
    int bytes = 8 << 20, one = 1;
    inet_pton(AF_INET, arguments[1], &local.sin_addr);
    limit.fd = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(limit.fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
    setsockopt(limit.fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    setsockopt(limit.fd, SOL_UDP, UDP_GRO, &one, sizeof one);
    if (bind(limit.fd, (void *)&local, sizeof local))
        fail("bind");
    getsockname(limit.fd, (void *)&local, &length);
    printf("%d\n", ntohs(local.sin_port));
    fflush(stdout);
}

int main(int count, char **arguments) {
    if (count != 7) {
        fprintf(stderr,
                "usage: limit LISTEN DESTINATION FIRST_PORT SUBSCRIBERS gcm|cm PUBLISHERS\n");
        return 2;
    }
    set_up(arguments);
    struct pollfd waits[2] = {{limit.fd, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    for (;;) {
        if (poll(waits, 2, -1) < 0)
            fail("poll");
        if (waits[0].revents)
            receive();
        if (waits[1].revents) {
            char line[64];
            if (read(STDIN_FILENO, line, sizeof line) <= 0)
                return 0;
            printf("%lu %lu %lu %lu %lu\n", limit.received, limit.forwarded, limit.sent, limit.bad,
                   limit.refused);
            fflush(stdout);
        }
    }
}
