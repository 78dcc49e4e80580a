"""Sealed RTCP datagrams; the contract is in ``rtcp_send.pxd``."""

from libc.stdint cimport uint32_t

from router._fastpath.binding cimport selected_path
from router._fastpath.counters cimport COUNT_INDICES_EXHAUSTED, COUNT_RTCP_OUT
from router._fastpath.output cimport NO_OWNER, output_add, output_reserve
from router._fastpath.rtcp cimport rtcp_write_rr, rtcp_write_sdes
from router._fastpath.srtp cimport srtcp_seal
from router._fastpath.state cimport count


cdef uint8_t *rtcp_begin_reports(plane_state *p, transport *t) noexcept nogil:
    if not t.has_keys or t.selected < 0:
        return NULL
    return output_reserve(&p.out)


cdef uint8_t *rtcp_begin(plane_state *p, transport *t, int *length) noexcept nogil:
    cdef uint8_t *out = rtcp_begin_reports(p, t)
    length[0] = 0
    if out != NULL and not t.configuration.reduced_size:
        length[0] = rtcp_write_rr(out, t.local_ssrc, 0)
        length[0] += rtcp_write_sdes(
            out + length[0], &t.local_ssrc, 1,
            t.configuration.cname, t.configuration.cname_length,
        )
    return out


cdef void rtcp_end(plane_state *p, transport *t, uint8_t *packet, int length) noexcept nogil:
    # Refuses index 2^31: no index may be used twice (RFC 3711 section 9.2).
    cdef int sealed = srtcp_seal(&t.keys.outbound, packet, length, t.keys.srtcp_index)
    if sealed < 0:
        count(p, COUNT_INDICES_EXHAUSTED)
        return
    t.keys.srtcp_index += 1
    output_add(&p.out, NO_OWNER, selected_path(t), <uint32_t>sealed)
    count(p, COUNT_RTCP_OUT)
