"""
What the stages of the packet path cost by themselves, in CPU time of the calling thread.

For ``python -m benchmarks``: the loops are compiled, so that nothing of Python is in the figures.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from router._fastpath.rtp cimport rtp_parse, rtp_strip_padding, rtp_view
from router._fastpath.srtp cimport (
    SRTP_MAX_TAG,
    srtp_job,
    srtp_open,
    srtp_seal,
    srtp_session,
    srtp_session_init,
    srtp_tag_length,
)

cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)

cdef extern from "<time.h>" nogil:
    struct timespec:
        int64_t tv_sec
        int64_t tv_nsec
    enum:
        CLOCK_THREAD_CPUTIME_ID
    int clock_gettime(int clock, timespec *now)

cdef enum:
    HEADER_BYTES = 24       # an RTP header with an extension
    FRAME_MAX = 64          # packets of one session that are sealed together
    BATCH_MAX = 1024        # jobs of one call, as the plane gathers them
    SLOT_BYTES = 2048


cdef inline int64_t _cpu_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
    return now.tv_sec * 1000000000 + now.tv_nsec


cdef void *_aligned(size_t size) except NULL:
    cdef void *block = aligned_alloc(64, (size + 63) & ~<size_t>63)
    if block == NULL:
        raise MemoryError
    memset(block, 0, size)
    return block


cdef srtp_session *_sessions(int profile, uint32_t count) except NULL:
    cdef srtp_session *made = <srtp_session *>_aligned(count * sizeof(srtp_session))
    cdef uint8_t[16] key
    cdef uint8_t[16] salt
    cdef uint32_t i
    for i in range(count):
        memset(key, <int>(i * 7 + 1) & 0xFF, 16)
        memset(salt, <int>(i * 13 + 5) & 0xFF, 16)
        if srtp_session_init(&made[i], profile, key, salt):
            free(made)
            raise ValueError(f"profile {profile} is not supported")
    return made


cdef void _header(uint8_t *at, uint32_t ssrc, uint32_t seq) noexcept nogil:
    memset(at, 0, HEADER_BYTES)
    at[0] = 0x90
    at[1] = 96
    at[2] = <uint8_t>(seq >> 8)
    at[3] = <uint8_t>seq
    memcpy(at + 8, &ssrc, 4)
    at[12] = 0xBE
    at[13] = 0xDE
    at[15] = 2
    at[16] = 0x32


def seal(int profile, *, uint32_t length, uint32_t sessions, uint32_t frame, uint32_t rounds):
    cdef uint32_t batch = BATCH_MAX // frame * frame
    cdef srtp_session *keys
    cdef srtp_job *jobs
    cdef uint8_t *out
    cdef uint8_t *plain
    cdef uint32_t stride = (length + SRTP_MAX_TAG + 63) & ~<uint32_t>63
    cdef uint32_t i, done = 0, filled = 0, n = 0, seq = 0
    cdef int64_t started
    cdef int64_t spent = 0
    if not 1 <= frame <= FRAME_MAX or not HEADER_BYTES < length <= 1500 or sessions == 0:
        raise ValueError("frame is 1..64, length 25..1500, sessions at least 1")
    keys = _sessions(profile, sessions)
    jobs = <srtp_job *>_aligned(BATCH_MAX * sizeof(srtp_job))
    out = <uint8_t *>_aligned(<size_t>BATCH_MAX * stride)
    plain = <uint8_t *>_aligned(<size_t>FRAME_MAX * SLOT_BYTES)
    with nogil:
        while done < rounds:
            for i in range(frame):
                seq += 1
                _header(out + <size_t>filled * stride, n, seq)
                jobs[filled].session = &keys[n]
                jobs[filled].packet = out + <size_t>filled * stride
                jobs[filled].payload = plain + <size_t>i * SLOT_BYTES
                jobs[filled].header_length = HEADER_BYTES
                jobs[filled].payload_length = length - HEADER_BYTES
                jobs[filled].roc = 0
                filled += 1
            n = (n + 1) % sessions
            if filled == batch:
                started = _cpu_ns()
                srtp_seal(jobs, <int>filled)
                spent += _cpu_ns() - started
                done += filled
                filled = 0
    free(keys)
    free(jobs)
    free(out)
    free(plain)
    return spent / done


def unseal(int profile, *, uint32_t length, uint32_t sessions, uint32_t rounds):
    cdef srtp_session *keys
    cdef uint8_t *sealed
    cdef uint8_t *work
    cdef srtp_job job
    cdef uint32_t tag, i, done = 0, failed = 0
    cdef int64_t started
    cdef int64_t spent = 0
    if not HEADER_BYTES < length <= 1500 or not 1 <= sessions <= 1024:
        raise ValueError("length is 25..1500, sessions 1..1024")
    keys = _sessions(profile, sessions)
    sealed = <uint8_t *>_aligned(<size_t>sessions * SLOT_BYTES)
    work = <uint8_t *>_aligned(<size_t>sessions * SLOT_BYTES)
    with nogil:
        tag = <uint32_t>srtp_tag_length(keys)
        for i in range(sessions):
            _header(sealed + <size_t>i * SLOT_BYTES, i, i)
            job.session = &keys[i]
            job.packet = sealed + <size_t>i * SLOT_BYTES
            job.payload = job.packet + HEADER_BYTES
            job.header_length = HEADER_BYTES
            job.payload_length = length - HEADER_BYTES
            job.roc = 0
            srtp_seal(&job, 1)
        while done < rounds:
            memcpy(work, sealed, <size_t>sessions * SLOT_BYTES)
            started = _cpu_ns()
            for i in range(sessions):
                failed += srtp_open(
                    &keys[i], work + <size_t>i * SLOT_BYTES, <int>(length + tag), HEADER_BYTES, 0
                ) < 0
            spent += _cpu_ns() - started
            done += sessions
    free(keys)
    free(sealed)
    free(work)
    if failed:
        raise AssertionError(f"{failed} packets of our own did not open")
    return spent / done


def parse(bytes packet, bytes kinds, *, uint32_t rounds):
    cdef bytearray copy = bytearray(packet)
    cdef uint8_t *data = copy
    cdef const uint8_t *table = kinds
    cdef int length = <int>len(packet)
    cdef rtp_view view
    cdef uint32_t i, failed = 0
    cdef int64_t started
    if len(kinds) != 256:
        raise ValueError(f"kinds has {len(kinds)} bytes, not 256")
    with nogil:
        started = _cpu_ns()
        for i in range(rounds):
            data[3] = <uint8_t>i    # so that no two rounds are the same
            failed += rtp_parse(&view, data, length, table) or rtp_strip_padding(&view, length)
        started = _cpu_ns() - started
    if failed:
        raise ValueError("the packet does not parse")
    return started / rounds
