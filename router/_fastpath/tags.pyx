"""Tags ahead; the contract is in ``tags.pxd``."""

from libc.stdint cimport int64_t

from router._fastpath.binding cimport address_owner, same_path
from router._fastpath.sequence cimport sequence_estimate, sequence_is_new, sequence_window
from router._fastpath.sha1 cimport hmac_job, hmac_sha1_80
from router._fastpath.srtp cimport (
    SRTP_MAX_PAYLOAD,
    srtp_tag_length,
)
from router._fastpath.state cimport inbound_stream, ssrc_key, transport
from router._fastpath.table cimport table_find
from router._fastpath.udp cimport UDP_BATCH, udp_path
from router._fastpath.wire cimport load16, load32

cdef enum:
    LENGTHS = 4         # lengths that are gathered at the same time
    LEAST = 5           # packets from which it pays
    SHORTEST = 22       # RTP header and tag
    TAG_LENGTH = 10     # of AES-CM


# Datagrams of one length.
cdef struct equal_lengths:
    uint32_t length
    int count
    uint8_t members[UDP_BATCH]


cdef inline bint _may_be_rtp(const datagram *d) noexcept nogil:
    return (
        SHORTEST <= d.length <= SRTP_MAX_PAYLOAD
        and d.data[0] >> 6 == 2
        and not 192 <= d.data[1] <= 223
    )


# Which session and roll-over counter a packet will most likely be opened with; 0 when there is
# nothing to compute.
cdef bint _expect(
    plane_state *p, transport *t, const datagram *d, tag_ahead *ahead
) noexcept nogil:
    cdef uint32_t *found
    cdef inbound_stream *s
    cdef const sequence_window *window
    cdef int64_t index
    if t == NULL or not t.has_keys or srtp_tag_length(&t.keys.inbound) != TAG_LENGTH:
        return False
    found = table_find(
        &p.by_inbound_ssrc, ssrc_key(<uint32_t>(t - p.transports), load32(d.data + 8))
    )
    if found == NULL:
        return False
    s = &p.streams[found[0] // 2]
    window = &s.redundancy if found[0] & 1 else &s.media
    index = sequence_estimate(window, load16(d.data + 2))
    if not sequence_is_new(window, index):
        return False
    ahead.session = &t.keys.inbound
    ahead.roc = <uint32_t>(index >> 16)
    return True


cdef void _compute(
    plane_state *p, const datagram *batch, const equal_lengths *equal, tag_ahead *ahead
) noexcept nogil:
    cdef hmac_job jobs[UDP_BATCH]
    cdef const udp_path *path = NULL
    cdef transport *t = NULL
    cdef uint32_t which
    cdef int count = 0
    cdef int at
    cdef int i
    for i in range(equal.count):
        at = equal.members[i]
        if path == NULL or not same_path(path, &batch[at].path):
            path = &batch[at].path
            t = address_owner(p, path, &which)
        if not _expect(p, t, &batch[at], &ahead[at]):
            continue
        jobs[count].keys = &ahead[at].session.rtp
        jobs[count].message = batch[at].data
        jobs[count].tag = ahead[at].tag
        jobs[count].trailer = ahead[at].roc
        count += 1
    if count:
        hmac_sha1_80(jobs, count, equal.length - TAG_LENGTH, True)


# Whether the first and the last come from one peer, and so mostly all, that uses another profile.
cdef inline bint _come_without(
    plane_state *p, const datagram *batch, int number
) noexcept nogil:
    cdef uint32_t which
    cdef transport *t = address_owner(p, &batch[0].path, &which)
    return (
        t != NULL
        and t.has_keys
        and srtp_tag_length(&t.keys.inbound) != TAG_LENGTH
        and same_path(&batch[0].path, &batch[number - 1].path)
    )


cdef void tags_compute(
    plane_state *p, const datagram *batch, int number, tag_ahead *ahead
) noexcept nogil:
    cdef equal_lengths equal[LENGTHS]
    cdef int lengths = 0
    cdef int i
    cdef int k
    for i in range(number):
        ahead[i].session = NULL
    if number < LEAST or _come_without(p, batch, number):
        return
    for i in range(number):
        if not _may_be_rtp(&batch[i]):
            continue
        for k in range(lengths):
            if equal[k].length == batch[i].length:
                equal[k].members[equal[k].count] = <uint8_t>i
                equal[k].count += 1
                break
        else:
            if lengths < LENGTHS:
                equal[lengths].length = batch[i].length
                equal[lengths].members[0] = <uint8_t>i
                equal[lengths].count = 1
                lengths += 1
    for k in range(lengths):
        if equal[k].count >= LEAST:
            _compute(p, batch, &equal[k], ahead)
