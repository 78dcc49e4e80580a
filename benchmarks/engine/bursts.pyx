"""Frames in bulk; documented in ``bursts.pyi``."""

from libc.errno cimport errno
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

import os
import random

from benchmarks.engine.capture cimport Capture, intake, intake_read
from benchmarks.engine.state cimport (
    net_connect,
    net_monotonic_us,
    net_realtime_ns,
    net_send,
    net_sleep_until_us,
    net_thread_setup,
)
from router._fastpath.srtp cimport GCM_TAG_LENGTH, SrtpSession, srtp_job, srtp_seal, srtp_session
from router._fastpath.wire cimport store16, store32

from benchmarks.engine.figures import SentFrame


cdef enum:
    LEAST_PACKETS = 5           # of a frame
    MOST_PACKETS = 15
    PACKET_BYTES = 1200         # a full packet with header and tag
    LEAST_BYTES = 100           # of the last packet, without the tag
    HEADER_BYTES = 20           # with one extension element
    DESCRIPTOR_BYTES = 5        # RFC 7741 section 4.2, and a byte of the frame's header
    MARK_BYTES = 14
    FILLER_BYTES = 4096
    FILLER_STEPS = 1024
    HISTORY = 2048              # frames; a power of two
    CATCH_UP_NS = 50000000      # behind by more, the schedule starts anew
    REST_NS = 1000000           # a sleep at least: waking costs as much as a frame
    READ_NS = 10000000          # between two looks at sockets; nobody sleeps on them

cdef const uint8_t *MAGIC = b"plbf"
cdef uint8_t filler[FILLER_BYTES]
cdef bytes _filler = random.Random(3).randbytes(FILLER_BYTES)
memcpy(filler, <const uint8_t *><const char *>_filler, FILLER_BYTES)

cdef struct sent_frame:
    int64_t at_ns               # CLOCK_REALTIME
    uint32_t frame
    uint32_t timestamp
    uint16_t sequence_number    # of the first packet
    uint16_t picture_id
    uint16_t packets            # 0: nothing yet

cdef struct burst:
    const srtp_session *session     # borrowed
    sent_frame *sent                # owned
    int fd                          # borrowed
    uint64_t random
    uint32_t publisher, ssrc, timestamp, rollover, frame
    uint16_t sequence_number, transport_cc, picture_id
    uint8_t payload_type, transport_cc_id
    bint wraps, key_frame_wanted
    int64_t timestamp_us
    uint64_t packets, refused


cdef inline uint32_t _below(burst *b, uint32_t bound) noexcept nogil:
    """Return 0..bound-1, by xorshift64*."""
    b.random ^= b.random >> 12
    b.random ^= b.random << 25
    b.random ^= b.random >> 27
    return <uint32_t>((b.random * <uint64_t>2685821657736338717) >> 33) % bound


# Write a packet but for its tag.
cdef void _write_packet(
    const burst *b, uint32_t index, bint is_last, bint is_key, uint32_t length, uint8_t *out
) noexcept nogil:
    cdef uint8_t *payload = out + HEADER_BYTES
    cdef uint8_t *body = payload + DESCRIPTOR_BYTES + MARK_BYTES
    out[0] = 0x90
    out[1] = <uint8_t>(is_last << 7 | b.payload_type)
    store16(out + 2, b.sequence_number)
    store32(out + 4, b.timestamp)
    store32(out + 8, b.ssrc)
    store32(out + 12, 0xBEDE0001)
    out[16] = <uint8_t>(b.transport_cc_id << 4 | 1)
    store16(out + 17, b.transport_cc)
    out[19] = 0
    payload[0] = 0x90 if index == 0 else 0x80
    payload[1] = 0x80
    store16(payload + 2, 0x8000 | b.picture_id)
    # The bit of a key frame (RFC 6386 section 9.1) counts behind the descriptor with S set.
    payload[4] = 0x10 if is_key and index == 0 else 0x11
    memcpy(payload + DESCRIPTOR_BYTES, MAGIC, 4)
    store32(payload + DESCRIPTOR_BYTES + 4, b.publisher)
    store32(payload + DESCRIPTOR_BYTES + 8, b.frame)
    store16(payload + DESCRIPTOR_BYTES + 12, index)
    memcpy(body, filler + (b.frame * 7 + index * 13) % FILLER_STEPS, <size_t>(out + length - body))


cdef void _send_frame(burst *b) noexcept nogil:
    cdef uint8_t arena[MOST_PACKETS * PACKET_BYTES]
    cdef srtp_job jobs[MOST_PACKETS]
    cdef uint32_t count = LEAST_PACKETS + _below(b, MOST_PACKETS - LEAST_PACKETS + 1)
    cdef uint32_t full = PACKET_BYTES - GCM_TAG_LENGTH
    cdef uint32_t last = LEAST_BYTES + _below(b, full - LEAST_BYTES)
    cdef uint32_t length
    cdef uint32_t index
    cdef uint8_t *out
    cdef sent_frame *sent = &b.sent[b.frame & (HISTORY - 1)]
    cdef int64_t now_us = net_monotonic_us()
    cdef bint is_key = b.key_frame_wanted
    b.key_frame_wanted = False      # before it is sent, as the next wish may come meanwhile
    b.timestamp += <uint32_t>max(1, (now_us - b.timestamp_us) * 9 // 100)
    b.timestamp_us = now_us
    sent.frame, sent.timestamp = b.frame, b.timestamp
    sent.sequence_number, sent.picture_id = b.sequence_number, b.picture_id
    sent.packets = <uint16_t>count
    for index in range(count):
        length = last if index == count - 1 else full
        out = arena + index * PACKET_BYTES
        _write_packet(b, index, index == count - 1, is_key, length, out)
        jobs[index].session = b.session
        jobs[index].packet = out
        jobs[index].payload = out + HEADER_BYTES
        jobs[index].header_length = HEADER_BYTES
        jobs[index].payload_length = length - HEADER_BYTES
        jobs[index].roc = b.rollover
        b.sequence_number += 1
        b.rollover += b.wraps and b.sequence_number == 0
        b.transport_cc += 1
    srtp_seal(jobs, <int>count)
    length = (count - 1) * PACKET_BYTES + last + GCM_TAG_LENGTH
    sent.at_ns = net_realtime_ns()
    if net_send(b.fd, NULL, arena, length, PACKET_BYTES) != 0:
        b.refused += count
    b.picture_id = (b.picture_id + 1) & 0x7FFF
    b.frame += 1
    b.packets += count


cdef class FrameSender:
    cdef burst b
    cdef SrtpSession session
    cdef object socket

    def __cinit__(
        self, socket, remote, SrtpSession session not None, *, uint32_t publisher, uint32_t ssrc,
        int payload_type, int transport_cc_id, uint16_t sequence_number=0, uint32_t timestamp=0,
        uint16_t picture_id=0, bint wraps=True,
    ):
        if session.tag_length != GCM_TAG_LENGTH:
            raise ValueError("frames are sealed with AEAD_AES_128_GCM")
        if not 0 <= payload_type <= 127 or not 1 <= transport_cc_id <= 14:
            raise ValueError(f"payload type {payload_type}, extension {transport_cc_id}")
        self.b.sent = <sent_frame *>calloc(HISTORY, sizeof(sent_frame))
        if self.b.sent == NULL:
            raise MemoryError()
        if net_connect(socket.fileno(), remote[0].encode(), remote[1]) != 0:
            raise OSError(errno, f"{os.strerror(errno)}: {remote[0]} port {remote[1]}")
        self.socket, self.session = socket, session
        self.b.fd, self.b.session = socket.fileno(), session.session
        self.b.random = publisher * <uint64_t>2 + 1
        self.b.publisher, self.b.ssrc = publisher, ssrc
        self.b.payload_type, self.b.transport_cc_id = payload_type, transport_cc_id
        self.b.sequence_number, self.b.timestamp = sequence_number, timestamp
        self.b.picture_id = picture_id & 0x7FFF
        self.b.wraps = wraps
        self.b.key_frame_wanted = True
        self.b.timestamp_us = net_monotonic_us()

    def __dealloc__(self):
        free(self.b.sent)

    def send(self):
        with nogil:
            _send_frame(&self.b)

    def want_key_frame(self):
        self.b.key_frame_wanted = True

    def sent(self, uint32_t frame):
        cdef sent_frame *found = &self.b.sent[frame & (HISTORY - 1)]
        if found.frame != frame or not found.packets:
            return None
        return SentFrame(
            at_ns=found.at_ns, sequence_number=found.sequence_number,
            timestamp=found.timestamp, picture_id=found.picture_id, packets=found.packets,
        )

    @property
    def publisher(self):
        return self.b.publisher

    @property
    def frames(self):
        return self.b.frame

    @property
    def packets(self):
        return self.b.packets

    @property
    def refused(self):
        return self.b.refused

    @property
    def timestamp(self):
        return self.b.timestamp

    @property
    def transport_cc(self):
        return self.b.transport_cc

    @transport_cc.setter
    def transport_cc(self, uint16_t number):
        self.b.transport_cc = number


# What a pace sends and reads.
cdef struct pace_work:
    burst **bursts              # owned
    intake **intakes            # owned
    int senders, captures
    int64_t step_ns, length_ns


cdef void _pace(pace_work *work, const int *stopped) noexcept nogil:
    cdef int64_t started_ns = net_monotonic_us() * 1000
    cdef int64_t due_ns = started_ns
    cdef int64_t read_ns = started_ns
    cdef int64_t now_ns
    cdef int index = 0
    cdef int i
    net_thread_setup("load-frames")
    while due_ns < started_ns + work.length_ns and not stopped[0]:
        now_ns = net_monotonic_us() * 1000
        if now_ns < due_ns:
            if now_ns - read_ns >= READ_NS:
                for i in range(work.captures):
                    intake_read(work.intakes[i])
                read_ns = now_ns
                now_ns = net_monotonic_us() * 1000
            net_sleep_until_us(max(due_ns, now_ns + REST_NS) // 1000)
        elif now_ns - due_ns > CATCH_UP_NS:
            due_ns = now_ns
        _send_frame(work.bursts[index])
        index = (index + 1) % work.senders
        due_ns += work.step_ns


cdef class Pace:
    cdef int stopped

    def run(self, senders, *, double seconds, double rate, captures=()):
        cdef pace_work work
        cdef int index
        if not senders or not rate > 0:
            raise ValueError(f"{len(senders)} senders, {rate} frames/s")
        work.senders, work.captures = <int>len(senders), <int>len(captures)
        work.step_ns = <int64_t>(1e9 / (rate * work.senders))
        work.length_ns = <int64_t>(seconds * 1e9)
        work.bursts = <burst **>malloc(work.senders * sizeof(void *))
        work.intakes = <intake **>malloc((work.captures + 1) * sizeof(void *))
        try:
            if work.bursts == NULL or work.intakes == NULL:
                raise MemoryError()
            for index in range(work.senders):
                work.bursts[index] = &(<FrameSender?>senders[index]).b
            for index in range(work.captures):
                work.intakes[index] = &(<Capture?>captures[index]).k
            with nogil:
                _pace(&work, &self.stopped)
        finally:
            free(work.bursts)
            free(work.intakes)

    def stop(self):
        self.stopped = True
