"""
The RTP header: one bounds check, then offsets that later stages trust (RFC 3550, 8285).

::

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    |V=2|P|X|  CC   |M|     PT      |       sequence number         |
    |                           timestamp                           |
    |                             SSRC                              |
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t


cdef enum:
    RTP_FIXED_HEADER = 12
    EXTENSION_KINDS = 16    # kinds are 1..15; 0 is none

cdef enum:
    KIND_MID = 1
    KIND_RID = 2
    KIND_REPAIRED_RID = 3
    KIND_AUDIO_LEVEL = 4
    KIND_ABS_SEND_TIME = 5
    KIND_TRANSPORT_CC = 6
    KIND_VIDEO_ORIENTATION = 7
    KIND_TOFFSET = 8
    KIND_PLAYOUT_DELAY = 9
    KIND_VIDEO_CONTENT_TYPE = 10
    KIND_COLOR_SPACE = 11
    KIND_DEPENDENCY_DESCRIPTOR = 12


cdef struct rtp_view:
    uint8_t *data               # borrowed: the header, followed by the payload
    uint16_t header_length      # with CSRCs and extensions
    uint16_t payload_length     # without padding
    uint16_t seq
    uint8_t payload_type
    uint8_t marker              # 0 or 1
    uint32_t rtp_ts
    uint32_t ssrc
    uint16_t extension_at[EXTENSION_KINDS]      # offset of the element's bytes, 0 when absent
    uint8_t extension_length[EXTENSION_KINDS]   # bytes


# Fill all of ``view`` but ``payload_length`` from ``length`` bytes, sealed or not.
# ``kinds``: 256 bytes, the extension kind of each extmap id. Returns 0, or -1 for a bad header.
# Elements that do not fit end the walk; those before them stay (RFC 8285 section 4.1).
cdef int rtp_parse(
    rtp_view *view, uint8_t *data, int length, const uint8_t *kinds
) noexcept nogil

# Set ``payload_length`` of an opened packet of ``length`` bytes. Returns 0, or -1 for bad padding.
cdef int rtp_strip_padding(rtp_view *view, int length) noexcept nogil
