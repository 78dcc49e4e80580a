"""
Answers to generic NACKs from subscribers: RTX (RFC 4588) where negotiated, else the packet again.

A plain resend must be the same byte for byte: with AEAD the nonce is that of the first time, and
a different header under it would give the authentication key away. So slots without RTX take no
header extension that changes at each sending.
"""

from libc.stdint cimport int64_t, uint16_t

from router._fastpath.state cimport outbound_slot, plane_state


cdef enum:
    # Or the RTT, if that is longer: what was sent in that time may still be under way. Browsers
    # repeat a request every 20 ms on a short path, now and then a little earlier.
    RESEND_MIN_INTERVAL_US = 10000
    RESEND_MAX_TIMES = 6
    RESEND_BUDGET_BYTES = 1 << 18       # at most; half of the bytes that are forwarded fill it


# Send the packet with ``seq`` of the slot again, if it may be and is still stored.
cdef void resend(
    plane_state *p, outbound_slot *slot, uint16_t seq, int64_t now_us
) noexcept nogil
