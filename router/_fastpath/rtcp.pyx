"""RTCP packets; the contract is in ``rtcp.pxd``."""

from libc.string cimport memcpy, memset

from router._fastpath.wire cimport load16, store16, store32, store64


cdef int rtcp_next(
    const uint8_t *data, int length, int *at, rtcp_packet *packet
) noexcept nogil:
    cdef const uint8_t *start = data + at[0]
    cdef int left = length - at[0]
    cdef int size
    cdef int padding = 0
    if left == 0:
        return 0
    if left < 4 or start[0] >> 6 != 2:
        return -1
    size = 4 * (load16(start + 2) + 1)
    if size > left:
        return -1
    if start[0] & 0x20:
        padding = start[size - 1]
        if padding == 0 or padding > size - 4:
            return -1
    packet.packet_type = start[1]
    packet.count = start[0] & 31
    packet.body = start + 4
    packet.length = size - 4 - padding
    at[0] += size
    return 1


cdef int rtcp_nack_expand(
    const uint8_t *fci, int length, uint16_t *out, int capacity
) noexcept nogil:
    cdef int number = 0
    cdef int at = 0
    cdef int bit
    cdef uint16_t pid
    cdef uint16_t blp
    while at + 4 <= length and number + 17 <= capacity:
        pid = load16(fci + at)
        blp = load16(fci + at + 2)
        out[number] = pid
        number += 1
        for bit in range(16):
            if blp >> bit & 1:
                out[number] = <uint16_t>(pid + 1 + bit)
                number += 1
        at += 4
    return number


cdef inline void _head(uint8_t *out, int count, int packet_type, int length) noexcept nogil:
    out[0] = <uint8_t>(0x80 | count)
    out[1] = <uint8_t>packet_type
    store16(out + 2, <uint32_t>(length // 4 - 1))


cdef int rtcp_write_sr(
    uint8_t *out, uint32_t ssrc, uint64_t ntp, uint32_t rtp_ts, uint32_t packets, uint32_t octets
) noexcept nogil:
    _head(out, 0, RTCP_SR, 28)
    store32(out + 4, ssrc)
    store64(out + 8, ntp)
    store32(out + 16, rtp_ts)
    store32(out + 20, packets)
    store32(out + 24, octets)
    return 28


cdef int rtcp_write_rr(uint8_t *out, uint32_t ssrc, int blocks) noexcept nogil:
    _head(out, blocks, RTCP_RR, 8 + blocks * RTCP_REPORT_BLOCK)
    store32(out + 4, ssrc)
    return 8


cdef int rtcp_write_sdes(
    uint8_t *out, const uint32_t *ssrcs, int count, const uint8_t *cname, int cname_length
) noexcept nogil:
    cdef int at = 4
    cdef int end
    cdef int i
    for i in range(count):
        store32(out + at, ssrcs[i])
        out[at + 4] = 1     # CNAME
        out[at + 5] = <uint8_t>cname_length
        memcpy(out + at + 6, cname, <size_t>cname_length)
        end = at + 6 + cname_length
        at = (end + 4) & ~3     # at least one null byte ends the items, then up to a word
        memset(out + end, 0, <size_t>(at - end))
    _head(out, count, RTCP_SDES, at)
    return at


cdef int rtcp_write_bye(uint8_t *out, const uint32_t *ssrcs, int count) noexcept nogil:
    cdef int i
    _head(out, count, RTCP_BYE, 4 + 4 * count)
    for i in range(count):
        store32(out + 4 + 4 * i, ssrcs[i])
    return 4 + 4 * count


cdef int rtcp_write_nack(
    uint8_t *out, uint32_t sender_ssrc, uint32_t media_ssrc, const uint16_t *seqs, int count
) noexcept nogil:
    cdef int at = 12
    cdef int i = 0
    cdef uint16_t pid
    cdef uint32_t blp
    while i < count:
        pid = seqs[i]
        blp = 0
        i += 1
        while i < count and <uint16_t>(seqs[i] - pid - 1) < 16:
            blp |= <uint32_t>1 << <uint16_t>(seqs[i] - pid - 1)
            i += 1
        store16(out + at, pid)
        store16(out + at + 2, blp)
        at += 4
    _head(out, RTPFB_NACK, RTCP_RTPFB, at)
    store32(out + 4, sender_ssrc)
    store32(out + 8, media_ssrc)
    return at


cdef int rtcp_write_pli(uint8_t *out, uint32_t sender_ssrc, uint32_t media_ssrc) noexcept nogil:
    _head(out, PSFB_PLI, RTCP_PSFB, 12)
    store32(out + 4, sender_ssrc)
    store32(out + 8, media_ssrc)
    return 12


# draft-alvestrand-rmcat-remb-03: "REMB", number of SSRCs, 6-bit exponent, 18-bit mantissa.
cdef int rtcp_write_remb(
    uint8_t *out, uint32_t sender_ssrc, uint64_t bitrate_bps, const uint32_t *ssrcs, int count
) noexcept nogil:
    cdef uint32_t exponent = 0
    cdef int i
    while bitrate_bps > 0x3FFFF:
        bitrate_bps >>= 1
        exponent += 1
    _head(out, PSFB_ALFB, RTCP_PSFB, 20 + 4 * count)
    store32(out + 4, sender_ssrc)
    store32(out + 8, 0)
    store32(out + 12, 0x52454D42)
    store32(out + 16, <uint32_t>count << 24 | exponent << 18 | <uint32_t>bitrate_bps)
    for i in range(count):
        store32(out + 20 + 4 * i, ssrcs[i])
    return 20 + 4 * count
