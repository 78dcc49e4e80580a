"""Transport-wide feedback; the contract is in ``transport_cc.pxd``."""

from libc.string cimport memset

from router._fastpath.sequence cimport sequence_nearest
from router._fastpath.wire cimport store16, store24, store32

cdef enum:
    NOT_RECEIVED = 0
    SMALL_DELTA = 1
    LARGE_DELTA = 2


cdef inline int64_t *_slot(arrival_log *log, int64_t ext_seq) noexcept nogil:
    return &log.at_us[<uint64_t>ext_seq & (ARRIVAL_LOG_SIZE - 1)]


cdef void arrival_note(arrival_log *log, uint16_t seq, int64_t now_us) noexcept nogil:
    cdef int64_t ext_seq
    cdef int64_t gap
    if not log.started:
        log.started = True
        log.base = log.highest = <int64_t>seq + 65536   # so that earlier ones stay positive
        _slot(log, log.base)[0] = now_us + 1
        log.unreported = 1
        return
    ext_seq = sequence_nearest(log.highest, seq)
    if ext_seq <= log.highest - ARRIVAL_LOG_SIZE:
        return
    if ext_seq > log.highest:
        if ext_seq - log.highest >= ARRIVAL_LOG_SIZE:
            memset(log.at_us, 0, sizeof(log.at_us))
            log.base = ext_seq
        else:
            for gap in range(log.highest + 1, ext_seq):
                _slot(log, gap)[0] = 0
        log.highest = ext_seq
        if log.base <= ext_seq - ARRIVAL_LOG_SIZE:
            log.base = ext_seq - ARRIVAL_LOG_SIZE + 1
    elif _slot(log, ext_seq)[0]:
        return      # a duplicate
    if ext_seq < log.base:
        log.base = ext_seq      # it was reported lost: report from here again
    _slot(log, ext_seq)[0] = now_us + 1
    log.unreported += 1


cdef int arrival_feedback(
    arrival_log *log, uint8_t *out, uint32_t sender_ssrc, uint32_t media_ssrc
) noexcept nogil:
    cdef uint8_t symbols[ARRIVAL_FEEDBACK_PACKETS]
    cdef int64_t ticks[ARRIVAL_FEEDBACK_PACKETS]
    cdef int64_t at_us
    cdef int64_t tick
    cdef int64_t last = 0
    cdef int64_t reference = -1
    cdef int count = 0
    cdef int deltas = 0
    cdef int received_end = 0
    cdef int at
    cdef int i
    if not log.started or log.base > log.highest:
        return 0
    while count < ARRIVAL_FEEDBACK_PACKETS and log.base + count <= log.highest:
        at_us = _slot(log, log.base + count)[0]
        symbols[count] = NOT_RECEIVED
        ticks[count] = 0
        if at_us:
            tick = (at_us - 1) // 250
            if reference < 0:
                reference = tick // 256
                last = reference * 256
            if not -32768 <= tick - last <= 32767:
                break       # the next packet has a reference time of its own
            ticks[count] = tick - last
            symbols[count] = SMALL_DELTA if 0 <= tick - last <= 255 else LARGE_DELTA
            deltas += symbols[count]    # which is also how many bytes it takes
            if deltas > ARRIVAL_FEEDBACK_DELTAS:
                break
            last = tick
            received_end = count + 1
        count += 1
    if reference < 0:   # a gap that fills a whole packet: it has no reference time, so skip it
        log.base += count
        return arrival_feedback(log, out, sender_ssrc, media_ssrc)
    count = received_end
    out[0] = 0x8F
    out[1] = 205
    store32(out + 4, sender_ssrc)
    store32(out + 8, media_ssrc)
    store16(out + 12, <uint32_t>log.base)
    store16(out + 14, <uint32_t>count)
    store24(out + 16, <uint32_t>reference)
    out[19] = log.feedback_count
    at = 20 + _write_chunks(out + 20, symbols, count)
    for i in range(count):
        if symbols[i] == SMALL_DELTA:
            out[at] = <uint8_t>ticks[i]
            at += 1
        elif symbols[i] == LARGE_DELTA:
            store16(out + at, <uint32_t>ticks[i])
            at += 2
    if at & 3:
        out[0] |= 0x20
        i = 4 - (at & 3)
        memset(out + at, 0, <size_t>i)
        at += i
        out[at - 1] = <uint8_t>i
    store16(out + 2, <uint32_t>(at // 4 - 1))
    log.feedback_count += 1
    log.base += count
    if log.base > log.highest:
        log.unreported = 0
    return at


# Packet status chunks: a run (0 SS LLLLLLLLLLLLL), or a vector of 14 one-bit (10) or 7 two-bit (11)
# symbols. Returns the bytes written: at most 2 for 7 symbols.
cdef int _write_chunks(uint8_t *out, const uint8_t *symbols, int count) noexcept nogil:
    cdef int at = 0
    cdef int i = 0
    cdef int run
    cdef int width
    cdef int k
    cdef uint32_t chunk
    while i < count:
        run = 1
        while i + run < count and symbols[i + run] == symbols[i]:
            run += 1
        width = 0
        while width < 14 and i + width < count and symbols[i + width] != LARGE_DELTA:
            width += 1
        if run >= 14 or (run >= 7 and width < 14) or i + run == count:
            chunk = <uint32_t>symbols[i] << 13 | <uint32_t>run
            i += run
        elif width == 14 or i + width == count:
            chunk = 0x8000
            for k in range(width):
                chunk |= <uint32_t>symbols[i + k] << (13 - k)
            i += width
        else:
            chunk = 0xC000
            for k in range(7):
                if i + k < count:
                    chunk |= <uint32_t>symbols[i + k] << (12 - 2 * k)
            i += 7
        store16(out + at, chunk)
        at += 2
    return at


def build_feedback(
    arrivals: list[tuple[int, int]], sender_ssrc: int, media_ssrc: int
) -> list[bytes]:
    """Return the feedback packets for (transport-wide sequence number, now_us) pairs. For tests."""
    cdef arrival_log log
    cdef uint8_t out[ARRIVAL_FEEDBACK_BYTES]
    cdef int length
    memset(&log, 0, sizeof(log))
    for seq, now_us in arrivals:
        arrival_note(&log, seq, now_us)
    packets = []
    while True:
        length = arrival_feedback(&log, out, sender_ssrc, media_ssrc)
        if length == 0:
            return packets
        packets.append(out[:length])
