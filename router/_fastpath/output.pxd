"""
What is to be sent: packets back to back in one arena, gathered into segmented messages.

Packets of one subscriber that follow each other with equal lengths (the last may be shorter)
become one message. RTP packets are sealed in runs, soon after their headers were written.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from router._fastpath.srtp cimport srtp_job, srtp_sealer, srtp_session
from router._fastpath.udp cimport UDP_MAX_RUN, UDP_MAX_RUN_BYTES, out_message, udp_path


cdef enum:
    OUTPUT_ARENA_BYTES = 1 << 20
    OUTPUT_MESSAGES = 64
    OUTPUT_JOBS = 64
    # An inbound packet has at most SRTP_MAX_PAYLOAD bytes with header and tag, so its payload at
    # least 22 less. RTX adds 2, the header may grow to PLAN_HEADER_MAX, and SRTP_MAX_TAG follows.
    OUTPUT_PACKET_MAX = 4608
    # Longest that joins a run: fits into 1500 bytes with IPv6 and UDP. The kernel refuses a run of
    # longer ones, and may cut a single one into fragments.
    OUTPUT_SEGMENT_MAX = 1452


# Sends the messages; everything is borrowed during the call.
ctypedef void (*output_send)(void *context, const out_message *messages, int count) noexcept nogil

# Tells whether the path's local address need not be given; may take some microseconds.
ctypedef bint (*output_implies)(void *context, const udp_path *path) noexcept nogil


cdef struct output:
    uint8_t *arena              # owned
    uint32_t used
    srtp_job jobs[OUTPUT_JOBS]
    int job_count
    srtp_sealer sealer
    out_message *messages       # owned; OUTPUT_MESSAGES
    udp_path *paths             # owned; one for each message
    uint32_t *owners            # owned; whom each message is for, NO_OWNER for nobody to add to
    int message_count
    int run                     # packets in the last message
    output_send send
    output_implies implies
    void *context               # borrowed for the life of the output
    uint64_t packets, bytes, messages_sent


cdef enum:
    NO_OWNER = 0xFFFFFFFF
    OUTPUT_RUN_MAX = 64         # packets of output_reserve_run and output_add_run


# Returns 0, or -1 without memory.
cdef int output_init(
    output *out, output_send send, output_implies implies, void *context
) noexcept nogil
cdef void output_free(output *out) noexcept nogil

# Seal what was written. Then payloads are not borrowed any more; keys are until the flush.
cdef void output_seal_jobs(output *out) noexcept nogil

# Seal and send everything.
cdef void output_flush(output *out) noexcept nogil

# Return where to write the next packet of at most OUTPUT_PACKET_MAX bytes; flushes when there is
# no room. The bytes count only after output_add.
cdef uint8_t *output_reserve(output *out) noexcept nogil

# Add the reserved packet, ``length`` bytes with the tag. Packets of one ``owner`` (a transport
# index) share a message when they can, so flush before an owner's path changes; it is copied.
cdef void output_add(
    output *out, uint32_t owner, const udp_path *path, uint32_t length
) noexcept nogil

# Make room for a run of that many packets; as output_reserve.
cdef uint8_t *output_reserve_run(output *out, int packets) noexcept nogil

# Add packets that were written back to back; likewise. All but the last have ``segment`` bytes,
# the last has up to as many.
cdef void output_add_run(
    output *out, uint32_t owner, const udp_path *path, int packets, uint32_t segment, uint32_t last
) noexcept nogil


# Have the reserved packet sealed; call before output_add. The payload is borrowed until
# output_seal_jobs.
cdef inline void output_seal(
    output *out, const srtp_session *session, uint8_t *packet, const uint8_t *payload,
    uint32_t header_length, uint32_t payload_length, uint32_t roc
) noexcept nogil:
    cdef srtp_job *job = &out.jobs[out.job_count]
    out.job_count += 1
    job.session = session
    job.packet = packet
    job.payload = payload
    job.header_length = header_length
    job.payload_length = payload_length
    job.roc = roc


# Returns where the message ends that begins with packet ``start``: as many packets of equal length
# as the kernel takes at once, of which the last may be shorter.
cdef inline int output_message_end(
    const uint32_t *lengths, int number, int start
) noexcept nogil:
    cdef uint32_t segment = lengths[start]
    cdef uint32_t bytes = segment
    cdef int end = start + 1
    if segment > OUTPUT_SEGMENT_MAX:
        return end
    while (
        end < number and end - start < UDP_MAX_RUN and lengths[end] <= segment
        and bytes + lengths[end] <= UDP_MAX_RUN_BYTES
    ):
        bytes += lengths[end]
        end += 1
        if lengths[end - 1] < segment:
            break
    return end
