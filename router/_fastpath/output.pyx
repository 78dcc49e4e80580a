"""The output; the contract is in ``output.pxd``."""

from libc.stdlib cimport calloc, free, malloc

from router._fastpath.srtp cimport srtp_seal_finish, srtp_seal_more
from router._fastpath.udp cimport UDP_MAX_RUN, UDP_MAX_RUN_BYTES

cdef extern from "<assert.h>" nogil:
    void debug_assert "assert"(bint condition)      # nothing in the release build


cdef int output_init(
    output *out, output_send send, output_implies implies, void *context
) noexcept nogil:
    out.arena = <uint8_t *>malloc(OUTPUT_ARENA_BYTES)
    out.messages = <out_message *>calloc(OUTPUT_MESSAGES, sizeof(out_message))
    out.paths = <udp_path *>calloc(OUTPUT_MESSAGES, sizeof(udp_path))
    out.owners = <uint32_t *>calloc(OUTPUT_MESSAGES, sizeof(uint32_t))
    out.send = send
    out.implies = implies
    out.context = context
    out.used = 0
    out.job_count = out.message_count = out.run = 0
    out.packets = out.bytes = out.messages_sent = 0
    if out.arena == NULL or out.messages == NULL:
        return -1
    return 0 if out.paths != NULL and out.owners != NULL else -1


cdef void output_free(output *out) noexcept nogil:
    free(out.arena)
    free(out.messages)
    free(out.paths)
    free(out.owners)
    out.arena = NULL
    out.messages = NULL
    out.paths = NULL
    out.owners = NULL


cdef void output_seal_jobs(output *out) noexcept nogil:
    if out.job_count:
        srtp_seal_more(&out.sealer, out.jobs, out.job_count)
        out.job_count = 0


cdef void output_flush(output *out) noexcept nogil:
    cdef int i
    output_seal_jobs(out)
    srtp_seal_finish(&out.sealer)
    if out.message_count:
        for i in range(out.message_count):
            if out.messages[i].length == out.messages[i].segment_size:
                out.messages[i].segment_size = 0    # alone: not worth a control message
        out.send(out.context, out.messages, out.message_count)
        out.messages_sent += out.message_count
    out.used = 0
    out.message_count = out.run = 0


cdef uint8_t *output_reserve(output *out) noexcept nogil:
    return output_reserve_run(out, 1)


cdef uint8_t *output_reserve_run(output *out, int packets) noexcept nogil:
    debug_assert(packets <= OUTPUT_RUN_MAX)
    if (
        out.used + <uint32_t>packets * OUTPUT_PACKET_MAX > OUTPUT_ARENA_BYTES
        or out.message_count == OUTPUT_MESSAGES
    ):
        output_flush(out)
    elif out.job_count + packets > OUTPUT_JOBS:
        output_seal_jobs(out)
    return out.arena + out.used


# Whether the packets fit behind the last message.
cdef inline bint _joins(
    const output *out, uint32_t owner, int packets, uint32_t segment, uint32_t last
) noexcept nogil:
    cdef int at = out.message_count - 1
    if at < 0 or owner == NO_OWNER or out.owners[at] != owner:
        return False
    return (
        out.run + packets <= UDP_MAX_RUN
        and out.messages[at].length + (<uint32_t>packets - 1) * segment + last
        <= UDP_MAX_RUN_BYTES
        and (segment == out.messages[at].segment_size if packets > 1 else
             last <= out.messages[at].segment_size)
    )


cdef void output_add_run(
    output *out, uint32_t owner, const udp_path *path, int packets, uint32_t segment, uint32_t last
) noexcept nogil:
    cdef int at = out.message_count
    cdef uint32_t length = (<uint32_t>packets - 1) * segment + last
    cdef out_message *message
    debug_assert(length <= <uint32_t>packets * OUTPUT_PACKET_MAX and last <= segment)
    out.packets += packets
    out.bytes += length
    if _joins(out, owner, packets, segment, last):
        at -= 1
        message = &out.messages[at]
        message.length += length
        out.run += packets
    else:
        message = &out.messages[at]
        out.paths[at] = path[0]
        out.owners[at] = owner if segment <= OUTPUT_SEGMENT_MAX else NO_OWNER
        message.data = out.arena + out.used
        message.length = length
        message.segment_size = segment
        message.path = &out.paths[at]
        out.message_count += 1
        out.run = packets
    out.used += length
    if last < message.segment_size:
        out.owners[at] = NO_OWNER       # a shorter segment is the last one


cdef void output_add(
    output *out, uint32_t owner, const udp_path *path, uint32_t length
) noexcept nogil:
    output_add_run(out, owner, path, 1, length, length)
