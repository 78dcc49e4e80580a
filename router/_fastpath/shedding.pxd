"""
What a plane does when more is asked of it than it can do: it sends less video.

A socket whose reader is too slow delays what it does not lose, audio too. So every 20 ms of work
the plane looks whether it keeps up, and how long what it took last had waited in the socket. When
that grows, look after look, a second of what comes takes more than a second of work: by how much
says how many video slots are too many. One look is not enough: a machine that is shared stops the
thread now and then, and what waits since then goes by itself. Slots are taken from those who have
most of them: first down to a lower rendition of the same source, where there is one, then off. When
there is time again, they come back, each with a key frame: as many as the time that is free should
allow, and later each time that it was too early.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from router._fastpath.state cimport inbound_stream, outbound_slot, plane_state


cdef enum:
    LOAD_WINDOW_US = 20000      # of work at least, between two looks


# What was seen between two looks.
cdef struct load_window:
    int64_t busy_us
    int64_t length_us
    uint64_t drops              # datagrams that the kernel has dropped since the start
    int64_t taken_at_us         # when something was last taken from the socket
    int64_t waited_us           # how long the newest of that had waited there; -1: unknown
    bint emptied                # nothing was left to be received, at least once


# Take a window into account: shed or restore slots.
cdef void shedding_look(plane_state *p, const load_window *window, int64_t now_us) noexcept nogil

# The slot is pointed elsewhere, or goes: it is not shed any more.
cdef void shedding_forget(plane_state *p, outbound_slot *slot) noexcept nogil

# The stream ends: slots that were lowered to it go back to where they were.
cdef void shedding_stream_ends(plane_state *p, inbound_stream *s, int64_t now_us) noexcept nogil
