# What comes to a socket, kept for Python: read there, or by a thread that sends, without the GIL.

from libc.stdint cimport int64_t, uint8_t, uint32_t

from benchmarks.engine.rounds cimport pthread_mutex_t


cdef struct taken:
    int64_t at_ns
    size_t offset
    uint32_t length
    uint32_t ssrc               # of media


cdef struct packet_log:
    uint8_t *data               # owned
    taken *packets              # owned
    size_t size, room           # of data, in bytes
    size_t count, places        # of packets


cdef struct intake:
    pthread_mutex_t lock        # of all that follows
    packet_log media, others
    size_t counted              # of the media, by arrivals()
    int fd                      # borrowed
    bint out_of_memory


# Keep what waits in the socket; takes the lock.
cdef void intake_read(intake *k) noexcept nogil


cdef class Capture:
    cdef intake k
    cdef object socket
