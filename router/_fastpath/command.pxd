"""What Python tells the plane's thread: one fixed record for each command."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from router._fastpath.ring cimport ring


cdef enum:
    COMMAND_DEFINE_CODEC = 1
    COMMAND_ADD_TRANSPORT = 2
    COMMAND_RESTART_TRANSPORT = 3
    COMMAND_SET_KEYS = 4
    COMMAND_CONFIGURE_TRANSPORT = 5
    COMMAND_SEND_DATAGRAM = 6
    COMMAND_REMOVE_TRANSPORT = 7
    COMMAND_ADD_STREAM = 8
    COMMAND_REMOVE_STREAM = 9
    COMMAND_ADD_SLOT = 10
    COMMAND_BIND_SLOT = 11
    COMMAND_REMOVE_SLOT = 12
    COMMAND_REQUEST_KEY_FRAME = 13
    COMMAND_SET_STREAM_RTX = 14
    COMMAND_ADD_LINK = 15
    COMMAND_ADD_COPY = 16
    COMMAND_COPY_STREAM = 17
    COMMAND_SET_STREAM_LOWER = 18

    COMMAND_DATA_MAX = 2000
    UFRAG_MAX = 32          # bytes; RFC 8445 allows 256, ours are shorter
    PASSWORD_MAX = 64
    CNAME_MAX = 63


cdef struct codec_command:
    uint8_t codec
    uint8_t payload_format
    uint32_t clock_rate


cdef struct credentials_command:
    uint8_t ufrag_length
    uint8_t password_length
    uint8_t ufrag[UFRAG_MAX]
    uint8_t password[PASSWORD_MAX]


cdef struct keys_command:
    uint8_t profile
    uint8_t receive_key[16]
    uint8_t receive_salt[14]
    uint8_t send_key[16]
    uint8_t send_salt[14]


cdef enum:
    NO_PAYLOAD_TYPE = 0xFF  # 0 is one (PCMU)


# What SDP negotiated; the meaning of each field is in plane.pyi.
cdef struct negotiated:
    uint8_t payload_in[128]
    uint8_t payload_out[64]
    uint8_t rtx_out[64]
    uint8_t extensions_in[256]
    uint8_t extensions_out[16]
    uint8_t transport_cc
    uint8_t remb
    uint8_t reduced_size
    uint8_t extmap_allow_mixed
    uint8_t cname_length
    uint8_t cname[CNAME_MAX]


cdef struct rtp_endpoint_command:
    uint32_t transport_id
    uint32_t ssrc
    uint32_t rtx_ssrc
    uint8_t video


cdef struct datagram_command:
    uint16_t length
    uint8_t data[COMMAND_DATA_MAX]


# Borrowed for the life of the plane; see plane_link.
cdef struct link_command:
    ring *incoming
    ring *outgoing
    ring *bell


cdef struct copy_command:
    uint32_t stream_id      # at the other plane: what is copied, or the copy; 0 for none
    uint8_t link
    uint8_t video


cdef union command_body:
    codec_command codec
    credentials_command credentials
    keys_command keys
    negotiated configuration
    rtp_endpoint_command endpoint
    datagram_command datagram
    link_command link
    copy_command copy
    uint32_t stream_id


cdef struct plane_command:
    uint8_t kind
    uint32_t id             # of the transport, stream or slot
    command_body body
