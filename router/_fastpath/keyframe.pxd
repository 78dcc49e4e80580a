"""
Key frame requests towards publishers: PLI, throttled, and repeated until the key frame comes.

RFC 4585 section 6.3.1. Whoever waits for a key frame asks here; all who wait share one request.
"""

from libc.stdint cimport int64_t

from router._fastpath.state cimport inbound_stream, plane_state, transport


cdef enum:
    PLI_INTERVAL_US = 500000
    PLI_SLOW_INTERVAL_US = 2000000
    PLI_QUICK_REPEATS = 8       # after so many without an answer they become slow
    COPY_INTERVAL_US = 50000    # between planes, where requests cost nothing


# Ask for a key frame: at once, or when the throttle allows.
cdef void key_frame_request(plane_state *p, inbound_stream *s, int64_t now_us) noexcept nogil

# Ask for the key frames with which a subscriber begins that can receive from now on: those which
# came before it had keys and an address were not for it.
cdef void key_frames_for_subscriber(plane_state *p, transport *t, int64_t now_us) noexcept nogil

# Send the request that is due, if any.
cdef void key_frame_timer(plane_state *p, inbound_stream *s, int64_t now_us) noexcept nogil


# The stream's numbers begin anew. Its slots may not add what they added so far: the sums would be
# indices that were sealed before, under the subscribers' keys, which did not change.
cdef void slots_restart(plane_state *p, inbound_stream *s, int64_t now_us) noexcept nogil

# Return when key_frame_timer has work, or NEVER_US.
cdef int64_t key_frame_due(const inbound_stream *s) noexcept nogil


# Note that the first packet of a key frame came.
cdef inline void key_frame_arrived(inbound_stream *s) noexcept nogil:
    s.key_frame_wanted = False
    s.pli_repeats = 0
