"""What the plane's thread tells Python: one fixed record for each event."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from router._fastpath.udp cimport sockaddr_in6


cdef enum:
    EVENT_KIND_VALIDATED = 1
    EVENT_KIND_DATAGRAM = 2
    EVENT_KIND_SSRC = 3
    EVENT_KIND_CONSENT_LOST = 4
    EVENT_KIND_STREAM_STARTED = 5
    EVENT_KIND_BYE = 6
    EVENT_KIND_SLOT_STARTED = 7
    EVENT_KIND_SHED = 8

    EVENT_DATA_MAX = 1984
    EVENT_ID_MAX = 32       # bytes of a mid or rid


cdef struct ssrc_report:
    uint32_t ssrc
    uint8_t payload_type
    uint8_t mid_length
    uint8_t rid_length
    uint8_t repaired_rid_length
    uint8_t mid[EVENT_ID_MAX]
    uint8_t rid[EVENT_ID_MAX]
    uint8_t repaired_rid[EVENT_ID_MAX]


cdef union event_body:
    uint8_t data[EVENT_DATA_MAX]
    sockaddr_in6 address
    ssrc_report report


cdef struct plane_event:
    uint8_t kind
    uint8_t first           # VALIDATED: the transport had no validated address before
    uint16_t length         # DATAGRAM: bytes of body.data
    uint32_t id             # of the transport, stream or slot
    int64_t at_us
    event_body body
