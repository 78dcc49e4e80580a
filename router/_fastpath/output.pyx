"""The output; the contract is in ``output.pxd``."""

from libc.stdlib cimport calloc, free, malloc

from router._fastpath.srtp cimport srtp_seal
from router._fastpath.udp cimport UDP_MAX_RUN, UDP_MAX_RUN_BYTES

cdef extern from "<assert.h>" nogil:
    void debug_assert "assert"(bint condition)      # nothing in the release build


cdef int output_init(
    output *out, output_send send, output_implies implies, void *context
) noexcept nogil:
    out.arena = <uint8_t *>malloc(OUTPUT_ARENA_BYTES)
    out.jobs = <srtp_job *>calloc(OUTPUT_JOBS, sizeof(srtp_job))
    out.messages = <out_message *>calloc(OUTPUT_MESSAGES, sizeof(out_message))
    out.paths = <udp_path *>calloc(OUTPUT_MESSAGES, sizeof(udp_path))
    out.owners = <uint32_t *>calloc(OUTPUT_MESSAGES, sizeof(uint32_t))
    out.send = send
    out.implies = implies
    out.context = context
    out.used = 0
    out.job_count = out.message_count = out.run = 0
    out.packets = out.bytes = out.messages_sent = 0
    if out.arena == NULL or out.jobs == NULL or out.messages == NULL:
        return -1
    return 0 if out.paths != NULL and out.owners != NULL else -1


cdef void output_free(output *out) noexcept nogil:
    free(out.arena)
    free(out.jobs)
    free(out.messages)
    free(out.paths)
    free(out.owners)
    out.arena = NULL
    out.jobs = NULL
    out.messages = NULL
    out.paths = NULL
    out.owners = NULL


cdef void output_flush(output *out) noexcept nogil:
    cdef int i
    if out.job_count:
        srtp_seal(out.jobs, out.job_count)
    if out.message_count:
        for i in range(out.message_count):
            if out.messages[i].length == out.messages[i].segment_size:
                out.messages[i].segment_size = 0    # alone: not worth a control message
        out.send(out.context, out.messages, out.message_count)
        out.messages_sent += out.message_count
    out.used = 0
    out.job_count = out.message_count = out.run = 0


cdef uint8_t *output_reserve(output *out) noexcept nogil:
    if (
        out.used + OUTPUT_PACKET_MAX > OUTPUT_ARENA_BYTES
        or out.job_count == OUTPUT_JOBS
        or out.message_count == OUTPUT_MESSAGES
    ):
        output_flush(out)
    return out.arena + out.used


cdef void output_add(
    output *out, uint32_t owner, const udp_path *path, uint32_t length
) noexcept nogil:
    cdef int last = out.message_count - 1
    cdef out_message *message
    debug_assert(length <= OUTPUT_PACKET_MAX)
    out.packets += 1
    out.bytes += length
    if last >= 0 and owner != NO_OWNER and out.owners[last] == owner:
        message = &out.messages[last]
        if (
            length <= message.segment_size
            and out.run < UDP_MAX_RUN
            and message.length + length <= UDP_MAX_RUN_BYTES
        ):
            out.used += length
            message.length += length
            out.run += 1
            if length < message.segment_size:
                out.owners[last] = NO_OWNER     # a shorter segment is the last one
            return
    message = &out.messages[out.message_count]
    out.paths[out.message_count] = path[0]
    out.owners[out.message_count] = owner if length <= OUTPUT_SEGMENT_MAX else NO_OWNER
    message.data = out.arena + out.used
    message.length = length
    message.segment_size = length
    message.path = &out.paths[out.message_count]
    out.message_count += 1
    out.run = 1
    out.used += length
