"""Reception statistics; the contract is in ``reception.pxd``."""

from router._fastpath.wire cimport store24, store32


cdef void reception_note(
    reception *r, int64_t ext_seq, uint32_t length, uint32_t rtp_ts, uint32_t clock_rate,
    int64_t now_us
) noexcept nogil:
    cdef uint32_t transit
    cdef uint32_t difference
    if not r.started:
        r.started = True
        r.base_ext_seq = r.highest_ext_seq = ext_seq
    if ext_seq > r.highest_ext_seq:
        r.highest_ext_seq = ext_seq
    if ext_seq < r.base_ext_seq:
        r.base_ext_seq = ext_seq    # the first packets were reordered
    r.packets += 1
    r.bytes += length
    if clock_rate == 0:
        return
    transit = <uint32_t>(now_us // 1000000 * clock_rate
                         + now_us % 1000000 * clock_rate // 1000000) - rtp_ts
    if r.transit_known:
        difference = transit - r.transit
        if difference >> 31:
            difference = 0 - difference
        r.jitter_q4 += difference - ((r.jitter_q4 + 8) >> 4)
    r.transit = transit
    r.transit_known = True


cdef int64_t reception_lost(const reception *r) noexcept nogil:
    cdef int64_t lost
    if not r.started:
        return 0
    lost = r.highest_ext_seq - r.base_ext_seq + 1 - <int64_t>r.packets
    return lost if lost > 0 else 0


cdef void reception_report(
    reception *r, uint8_t *out, uint32_t ssrc, uint32_t last_sr, uint32_t delay_since_sr
) noexcept nogil:
    cdef uint64_t expected = <uint64_t>(r.highest_ext_seq - r.base_ext_seq + 1) if r.started else 0
    cdef int64_t lost_in_interval = (
        <int64_t>(expected - r.expected_prior) - <int64_t>(r.packets - r.received_prior)
    )
    cdef int64_t lost = reception_lost(r)
    cdef uint32_t fraction = 0
    if lost_in_interval > 0 and expected > r.expected_prior:
        fraction = <uint32_t>((lost_in_interval << 8) // <int64_t>(expected - r.expected_prior))
        if fraction > 255:
            fraction = 255
    r.expected_prior = expected
    r.received_prior = r.packets
    store32(out, ssrc)
    out[4] = <uint8_t>fraction
    store24(out + 5, <uint32_t>(lost if lost < 0x7FFFFF else 0x7FFFFF))
    store32(out + 8, <uint32_t>r.highest_ext_seq)
    store32(out + 12, r.jitter_q4 >> 4)
    store32(out + 16, last_sr)
    store32(out + 20, delay_since_sr)
