# The engine's memory: connections, streams and counters. Guarded by one lock.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from router._fastpath.deadlines cimport deadlines
from router._fastpath.loss cimport loss_list
from router._fastpath.reception cimport reception
from router._fastpath.sequence cimport sequence_window
from router._fastpath.sha1 cimport hmac_sha1_key
from router._fastpath.srtp cimport srtp_session
from router._fastpath.transport_cc cimport arrival_log


cdef extern from "net.h" nogil:
    enum:
        NET_BATCH
        NET_SLOT

    struct net_buffers:
        pass

    struct net_message:
        uint8_t *data
        uint32_t length
        uint32_t seen
        uint32_t segment
        uint32_t to
        int64_t at_ns

    struct net_way:
        uint32_t source

    int64_t net_monotonic_us()
    int64_t net_realtime_ns()
    void net_sleep_until_us(int64_t at_us)
    void net_thread_setup(const char *name)
    void net_prepare(int fd)
    int net_tell_address(int fd)
    int net_way_init(net_way *way, const char *source, const char *host, uint16_t port)
    uint64_t net_drops(int fd)
    int net_connect(int fd, const char *host, uint16_t port)
    void net_buffers_init(net_buffers *b)
    int net_receive(net_buffers *b, int fd, uint32_t size)
    void net_read(net_buffers *b, int i, net_message *m)
    int net_take(int fd, uint8_t *data, net_message *m)
    int net_send(
        int fd, const net_way *way, const uint8_t *data, uint32_t length, uint32_t segment
    )
    void net_waiters_add(int *waiters, int by)
    int net_waiters(const int *waiters)


cdef enum:
    MAX_CONNECTIONS = 16384
    MAX_SHARED = 1024           # sockets that several connections use
    SHARED_ADDRESSES = 65536    # which these have: by the lower half
    MAX_OUTBOUND = 16384
    MAX_INBOUND = 1 << 19
    NOBODY = -1
    CONSENT_MARK = 0x706C6364   # begins the transaction ids of the engine's own requests

    RTX_FLAG = 1 << 30          # in a connection's table: the SSRC of retransmissions
    RECENT = 4                  # streams of a connection that are remembered
    MAX_MID = 16
    MAX_CNAME = 63
    MAX_USERNAME = 128

    LATENCY_STEPS = 32          # buckets between two powers of two
    LATENCY_BUCKETS = LATENCY_STEPS * 28

    QUEUE_SLOTS = 4096          # datagrams for Python; a power of two
    QUEUE_BYTES = 2048

# Counters of all streams together, those that are gone too.
cdef enum:
    COUNT_SENT
    COUNT_RETRANSMITTED
    COUNT_SEND_FAILED
    COUNT_RECEIVED              # first copies
    COUNT_LOST                  # found missing when a later packet came
    COUNT_REORDERED             # of these, came by themselves
    COUNT_RECOVERED             # of these, repaired
    COUNT_GIVEN_UP
    COUNT_DUPLICATES
    COUNT_DROPPED
    COUNT_UNKNOWN_SSRC
    COUNT_FAILED_AUTH
    COUNT_BAD_PAYLOAD
    COUNT_RTCP_SENT
    COUNT_RTCP_RECEIVED
    COUNT_QUEUE_OVERFLOWS
    COUNT_CONSENT_SENT
    COUNT_CONSENT_ANSWERED
    COUNTERS

# A packet that was sent: all that it takes to make it again.
cdef struct sent_packet:
    int64_t sent_us
    int64_t ext_seq
    uint32_t frame
    uint32_t frame_bytes
    uint32_t rtp_ts
    uint16_t index
    uint16_t packets            # of the frame
    uint16_t payload_length
    uint16_t picture_id
    uint8_t is_key
    uint8_t marker
    uint8_t with_mid

cdef struct outbound:
    bint used
    bint is_video
    int32_t connection
    int32_t next                # of the connection
    uint32_t ssrc
    uint32_t rtx_ssrc           # 0: none
    uint8_t payload_type
    uint8_t rtx_payload_type
    uint8_t mid_length
    uint8_t mid[MAX_MID]
    uint32_t publisher
    # The pattern.
    int64_t interval_ns         # 0: paused
    double frame_bytes          # on average
    double variation            # 0..1
    double key_frame_weight
    uint32_t payload_bytes      # of a packet, at most
    # Where it stands.
    int64_t due_ns
    int64_t ext_seq             # of the next packet
    int64_t rtx_ext_seq
    double rtp_ts               # of the last frame
    int64_t frame_at_us
    uint32_t frame
    uint32_t picture_id
    double owed_bytes
    bint key_frame_wanted
    sent_packet *history        # owned; by sequence number
    uint32_t history_mask
    # Counters.
    uint64_t packets, bytes, frames, key_frames, nacked, retransmitted, key_frame_requests
    uint64_t late_frames, transport_cc
    uint8_t fraction_lost
    int64_t first_us

# What is read at once: the socket of a connection, under its number, or one that several share.
cdef struct udp_socket:
    int fd                      # borrowed
    bint used
    bint shared
    bint lossy                  # packets are dropped on purpose
    uint32_t sampled            # how often it is read to be opened, of 2^32
    int32_t streams             # that have begun to come, of the connection with the most
    int32_t speakers            # of these, likewise
    int64_t whole_until_us

# What each message touches comes first, so that it is in few cache lines.
cdef struct inbound:
    bint used
    bint is_video
    int32_t connection
    uint32_t ssrc
    uint64_t bytes
    int64_t last_us
    reception statistics
    sequence_window window
    loss_list *losses           # owned; NULL until something is missed
    int64_t first_us
    int32_t next
    uint32_t rtx_ssrc
    sequence_window rtx_window
    uint32_t last_sr
    int64_t last_sr_us
    bint key_frame_wanted
    int64_t key_frame_at_us
    uint64_t given_up_seen
    uint64_t duplicates, reordered, lost, recovered, nacks, plis, sender_reports

# Likewise.
cdef struct connection:
    bint used
    bint sampled
    int fd                      # of its socket
    int32_t socket
    uint32_t drop_share         # of 2^32
    arrival_log *arrivals       # owned; NULL without transport-cc
    uint32_t arrivals_ssrc
    uint32_t recent_ssrc[RECENT]        # video that came of late; 0: none
    int32_t recent_stream[RECENT]
    uint32_t recents            # how many there were
    int64_t feedback_us
    uint32_t *table_ssrc        # owned: open addressing, 0 is free
    int32_t *table_stream
    uint32_t table_mask
    uint32_t table_count
    int32_t streams             # that have begun to come
    int32_t speakers            # of these
    net_way way
    uint8_t kinds[256]
    uint8_t transport_cc_id, mid_id, audio_level_id     # 0: not agreed on
    srtp_session *keys          # owned, 64-byte aligned: [0] to send, [1] to receive
    uint32_t rtcp_index
    uint32_t local_ssrc         # of feedback when nothing is sent
    uint16_t transport_cc_seq
    int64_t unseen              # packets of speakers that came, but were not read
    int64_t doubt_us            # how long messages were read whole the last time
    int32_t first_outbound
    int32_t first_inbound
    int64_t report_us
    int64_t consent_us          # NEVER_US without
    int64_t consent_interval_us
    hmac_sha1_key consent_key
    uint8_t username[MAX_USERNAME]
    int username_length
    uint64_t tie_breaker
    uint8_t cname[MAX_CNAME]
    int cname_length

cdef struct queued:
    int32_t connection
    uint32_t length
    uint8_t data[QUEUE_BYTES]

cdef struct engine_state:
    connection *connections
    udp_socket *sockets         # MAX_CONNECTIONS, and MAX_SHARED behind them
    int32_t *by_address         # connections that share a socket, by the lower half of their own
    outbound *outbounds
    inbound *inbounds
    deadlines sending[2]        # by outbound stream: of sound, of video
    deadlines control           # by connection
    net_buffers *buffers
    uint8_t *arena
    queued *queue
    uint32_t queue_head, queue_tail
    int event_fd
    int epoll_fd
    int64_t drain_us            # when to look at the sockets next
    int64_t tick_us
    int64_t realtime_offset_us  # CLOCK_REALTIME minus CLOCK_MONOTONIC
    uint64_t random
    int stopping
    int waiters
    uint64_t counts[COUNTERS]
    uint64_t latency[LATENCY_BUCKETS]
    int64_t latency_max_us


cdef inline uint64_t next_random(engine_state *e) noexcept nogil:
    """xorshift64*."""
    e.random ^= e.random >> 12
    e.random ^= e.random << 25
    e.random ^= e.random >> 27
    return e.random * <uint64_t>2685821657736338717


cdef inline double next_share(engine_state *e) noexcept nogil:
    """Return 0..1."""
    return <double>(next_random(e) >> 11) / 9007199254740992.0


# Find a stream of the connection; NOBODY when the SSRC is unknown, with RTX_FLAG for its repairs.
cdef inline int32_t stream_of(const connection *c, uint32_t ssrc) noexcept nogil:
    cdef uint32_t at = ssrc * <uint32_t>2654435761
    at = (at >> 16) & c.table_mask
    while c.table_ssrc != NULL and c.table_ssrc[at]:
        if c.table_ssrc[at] == ssrc:
            return c.table_stream[at]
        at = (at + 1) & c.table_mask
    return NOBODY
