"""
RTCP packets (RFC 3550, 4585, 5104, REMB): a bounded walk over a compound, and writers.

Writers return the bytes written, always a multiple of 4; the caller has the room.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef enum:
    RTCP_SR = 200
    RTCP_RR = 201
    RTCP_SDES = 202
    RTCP_BYE = 203
    RTCP_APP = 204
    RTCP_RTPFB = 205
    RTCP_PSFB = 206

    RTPFB_NACK = 1
    RTPFB_TRANSPORT_CC = 15
    PSFB_PLI = 1
    PSFB_FIR = 4
    PSFB_ALFB = 15

    RTCP_REPORT_BLOCK = 24
    RTCP_CNAME_MAX = 63


cdef struct rtcp_packet:
    uint8_t packet_type
    uint8_t count           # RC, SC or FMT
    const uint8_t *body     # behind the first 4 bytes
    int length              # of the body, without padding


# Take the packet at ``at[0]`` and move ``at[0]`` behind it. Returns 1, 0 at the end, or -1 when
# what is left is malformed.
cdef int rtcp_next(
    const uint8_t *data, int length, int *at, rtcp_packet *packet
) noexcept nogil

# Expand a generic NACK's (PID, BLP) pairs; return how many sequence numbers, at most ``capacity``.
cdef int rtcp_nack_expand(
    const uint8_t *fci, int length, uint16_t *out, int capacity
) noexcept nogil

cdef int rtcp_write_sr(
    uint8_t *out, uint32_t ssrc, uint64_t ntp, uint32_t rtp_ts, uint32_t packets, uint32_t octets
) noexcept nogil
# Report blocks (24 bytes each) are written behind it by the caller.
cdef int rtcp_write_rr(uint8_t *out, uint32_t ssrc, int blocks) noexcept nogil
# One SDES packet with the same CNAME for ``count`` (1..31) SSRCs.
cdef int rtcp_write_sdes(
    uint8_t *out, const uint32_t *ssrcs, int count, const uint8_t *cname, int cname_length
) noexcept nogil
cdef int rtcp_write_bye(uint8_t *out, const uint32_t *ssrcs, int count) noexcept nogil
# seqs: ascending in serial order. Returns the length; at most 12 + 4 * count.
cdef int rtcp_write_nack(
    uint8_t *out, uint32_t sender_ssrc, uint32_t media_ssrc, const uint16_t *seqs, int count
) noexcept nogil
cdef int rtcp_write_pli(uint8_t *out, uint32_t sender_ssrc, uint32_t media_ssrc) noexcept nogil
cdef int rtcp_write_remb(
    uint8_t *out, uint32_t sender_ssrc, uint64_t bitrate_bps, const uint32_t *ssrcs, int count
) noexcept nogil
