"""The RTP header; the contract is in ``rtp.pxd``."""

from libc.string cimport memset

from router._fastpath.wire cimport load16, load32


cdef int rtp_parse(
    rtp_view *view, uint8_t *data, int length, const uint8_t *kinds
) noexcept nogil:
    cdef int header
    cdef int end
    cdef uint32_t profile
    if length < RTP_FIXED_HEADER or data[0] >> 6 != 2:
        return -1
    header = RTP_FIXED_HEADER + 4 * (data[0] & 15)
    if header > length:
        return -1
    memset(view, 0, sizeof(rtp_view))
    view.data = data
    view.marker = data[1] >> 7
    view.payload_type = data[1] & 127
    view.seq = load16(data + 2)
    view.rtp_ts = load32(data + 4)
    view.ssrc = load32(data + 8)
    if data[0] & 0x10:
        if header + 4 > length:
            return -1
        profile = load16(data + header)
        end = header + 4 + 4 * load16(data + header + 2)
        if end > length:
            return -1
        if profile == 0xBEDE:
            _one_byte_elements(view, header + 4, end, kinds)
        elif profile & 0xFFF0 == 0x1000:
            _two_byte_elements(view, header + 4, end, kinds)
        header = end
    view.header_length = <uint16_t>header
    return 0


cdef void _one_byte_elements(
    rtp_view *view, int at, int end, const uint8_t *kinds
) noexcept nogil:
    cdef int size
    cdef uint8_t head
    while at < end:
        head = view.data[at]
        if head == 0:       # padding
            at += 1
            continue
        if head >> 4 == 15:     # RFC 8285 section 4.2: stop, and ignore the rest
            return
        size = (head & 15) + 1
        if at + 1 + size > end:
            return
        _note(view, kinds[head >> 4], at + 1, size)
        at += 1 + size


cdef void _two_byte_elements(
    rtp_view *view, int at, int end, const uint8_t *kinds
) noexcept nogil:
    cdef int size
    cdef uint8_t number
    while at < end:
        number = view.data[at]
        if number == 0:
            at += 1
            continue
        if at + 2 > end:
            return
        size = view.data[at + 1]
        if at + 2 + size > end:
            return
        if size:
            _note(view, kinds[number], at + 2, size)
        at += 2 + size


cdef inline void _note(rtp_view *view, uint8_t kind, int at, int size) noexcept nogil:
    if 0 < kind < EXTENSION_KINDS:
        view.extension_at[kind] = <uint16_t>at
        view.extension_length[kind] = <uint8_t>size


cdef int rtp_strip_padding(rtp_view *view, int length) noexcept nogil:
    cdef int payload = length - view.header_length
    cdef int padding = 0
    if payload < 0:
        return -1
    if view.data[0] & 0x20:
        if payload == 0:
            return -1
        padding = view.data[length - 1]
        if padding == 0 or padding > payload:
            return -1
    view.payload_length = <uint16_t>(payload - padding)
    return 0


def describe_packet(data: bytes, kinds: bytes) -> dict[str, object] | None:
    """Return what the plane reads from a plain RTP packet, or None if it drops it. For tests."""
    cdef rtp_view view
    cdef int kind
    cdef bytearray copy = bytearray(data)
    if len(kinds) != 256:
        raise ValueError(f"kinds has {len(kinds)} bytes, not 256")
    if not 1 <= len(data) <= 65535:
        return None
    if rtp_parse(&view, copy, <int>len(copy), kinds) or rtp_strip_padding(&view, <int>len(copy)):
        return None
    return {
        "payload_type": view.payload_type,
        "marker": view.marker == 1,
        "sequence_number": view.seq,
        "rtp_timestamp": view.rtp_ts,
        "ssrc": view.ssrc,
        "payload": data[view.header_length : view.header_length + view.payload_length],
        "extensions": {
            kind: data[view.extension_at[kind] :][: view.extension_length[kind]]
            for kind in range(EXTENSION_KINDS)
            if view.extension_at[kind]
        },
    }
