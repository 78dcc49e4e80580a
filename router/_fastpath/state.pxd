"""
The state of one plane: peers, inbound streams, outbound slots, and the tables that find them.

Everything is a flat pool indexed by the low 16 bits of an id. Pools are allocated once; keys,
arrival logs and retransmission stores are allocated by commands. Only the plane's thread writes.
Links between pool entries are indices, -1 for none.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from router._fastpath.command cimport PASSWORD_MAX, UFRAG_MAX, negotiated
from router._fastpath.counters cimport COUNTERS
from router._fastpath.deadlines cimport deadlines
from router._fastpath.event cimport plane_event
from router._fastpath.loss cimport loss_list
from router._fastpath.output cimport output, output_implies, output_send
from router._fastpath.reception cimport reception
from router._fastpath.ring cimport ring
from router._fastpath.sequence cimport sequence_window
from router._fastpath.skips cimport skip_list
from router._fastpath.srtp cimport srtp_session
from router._fastpath.store cimport packet_store, stored_packet
from router._fastpath.table cimport table
from router._fastpath.transport_cc cimport arrival_log
from router._fastpath.udp cimport udp_path


cdef enum:
    ADDRESSES_MAX = 8       # validated paths of a transport
    KNOWN_SSRCS = 16        # SSRCs without a stream that a transport remembers for reporting them
    RETIRED_MAX = 4096      # SSRCs of removed streams, and of removed slots, under one key
    RTCP_SOURCES = 16       # senders of RTCP whose replay windows a transport keeps
    RESENT_SLOTS = 16       # packets for which a slot remembers when it resent them
    PENDING_MAX = 256       # opened packets in a list that waits for the fan-out
    STREAM_PENDING_MAX = 64
    CODECS = 64
    SHED_NOTES = 8          # windows of work that overload is judged by
    LINKS_MAX = 255         # other planes that a plane is linked with
    COPIES_MAX = 7          # of a stream, each on another plane


cdef enum:
    # What overload did to a slot; see shedding.pxd.
    SHED_NOT = 0
    SHED_LOWERED = 1        # it is sent a lower rendition than it is bound to
    SHED_OFF = 2            # it is sent nothing


cdef enum:
    # What the next packet to a copy tells it.
    COPY_OWES_KEY_FRAME = 1     # packets were dropped
    COPY_OWES_RESTART = 2       # the stream's numbers began anew


cdef enum:
    # Events without which a peer could hang for ever; told again until there is room.
    OWED_VALIDATED = 1
    OWED_CONSENT_LOST = 2
    OWED_RETRY_US = 10000


cdef struct codec_entry:
    uint8_t payload_format
    uint32_t clock_rate     # Hz; 0 when the codec is not defined


cdef struct ice_credentials:
    uint8_t ufrag_length    # 0 when not in use
    uint8_t password_length
    uint8_t ufrag[UFRAG_MAX]
    uint8_t password[PASSWORD_MAX]


# The same remote address with another local one is another candidate pair, and so another entry.
cdef struct peer_address:
    udp_path path
    int64_t authenticated_at_us     # last STUN check or SRTP packet that verified
    int64_t implied_at_us           # when path.implied was found out
    bint used


cdef struct known_ssrc:
    uint32_t ssrc
    uint8_t used
    uint8_t reported        # an event told about it
    uint8_t identified      # that event, or a later one, had a mid or rid
    int64_t at_us
    int64_t highest         # index


# Where SSRCs stopped that had a stream or slot. Entries are made by commands only, so no peer can
# push one out by what it sends.
cdef struct retired_ssrc:
    uint32_t ssrc
    int64_t index           # inbound: highest seen; outbound: first that was not used


cdef struct retired_list:
    retired_ssrc *entries   # owned
    uint32_t count, room
    bint incomplete         # one was forgotten


cdef struct rtcp_source:
    uint32_t ssrc
    bint used
    uint32_t highest        # SRTCP index
    uint64_t seen           # bit n: highest - n
    int64_t at_us


cdef struct media_keys:
    srtp_session inbound
    srtp_session outbound
    rtcp_source rtcp_sources[RTCP_SOURCES]
    known_ssrc unknown_ssrcs[KNOWN_SSRCS]
    retired_list inbound_retired
    retired_list outbound_retired
    uint32_t srtcp_index    # next one to send; from 2^31 on nothing is sent any more


cdef struct transport:
    uint32_t id
    bint used
    bint is_nobody                          # owns the streams that are copies
    bint has_keys
    int32_t selected                        # of addresses, -1 for none
    media_keys *keys                        # owned; NULL until the keys are set
    arrival_log *arrivals                   # owned; NULL unless transport-wide feedback is on
    peer_address addresses[ADDRESSES_MAX]
    ice_credentials credentials[2]          # [1] waits for its first use after a restart
    negotiated configuration
    uint32_t extension_mask                 # kinds that we may send it, and MASK_MIXED
    uint32_t local_ssrc                     # sender of RR and feedback
    uint32_t media_ssrc                     # last inbound one, for transport-wide feedback
    uint16_t transport_seq                  # next transport-wide number that we send
    int32_t gathered                        # used within one call: see speakers.pyx
    int32_t first_stream, first_slot
    uint32_t streams, slots
    uint32_t running                        # video slots, as shedding.pyx last counted them
    # Timers; NEVER_US when not armed.
    int64_t report_at_us, feedback_at_us
    int64_t checked_at_us                   # last verified connectivity check
    int64_t authenticated_at_us
    bint consent
    uint8_t owed                            # OWED_* events that found the ring full
    int64_t owed_at_us                      # when to try again
    int64_t events_paid_us                  # see event_begin_limited
    int64_t nacks_paid_us                   # likewise for sequence numbers in NACKs
    # Sender reports: publisher's NTP plus this is our NTP (32.32 fixed point, wraps).
    uint64_t ntp_offset
    bint ntp_known
    int64_t rtt_us                          # last measured; 0 when unknown
    # Receive rate for REMB.
    uint64_t rate_bytes
    int64_t rate_since_us
    uint64_t rate_bps
    # Statistics.
    uint64_t packets_in, bytes_in, packets_out, bytes_out, audio_out
    # Packets of audio a second, as speakers.pyx last measured them.
    uint32_t audio_per_second
    uint64_t audio_out_before
    int64_t audio_metered_at_us
    uint64_t checks, remb_bps, transport_cc_in


# The same stream on another plane.
cdef struct stream_copy:
    uint32_t id             # there
    uint8_t link            # index
    uint8_t owed            # COPY_OWES_*


cdef struct inbound_stream:
    uint32_t id
    bint used
    uint8_t video
    uint8_t codec                           # of the newest packet, 0 before the first
    bint started
    bint announced                          # STREAM_STARTED found room in the ring
    uint32_t transport                      # index
    int32_t previous, next                  # of the transport's streams
    int32_t first_slot                      # bound to this stream
    uint32_t slots
    uint32_t ssrc, rtx_ssrc
    sequence_window media, redundancy
    reception statistics
    loss_list losses
    skip_list skips
    packet_store store
    int64_t newest_at_us                    # arrival of the packet with the highest number
    uint32_t newest_rtp_ts
    int64_t started_at_us
    # The publisher's last sender report.
    bint sr_known
    uint64_t sr_ntp
    uint32_t sr_rtp_ts
    int64_t sr_at_us
    # Key frame requests.
    bint key_frame_wanted
    int64_t pli_sent_at_us                  # -1 when never
    uint32_t pli_repeats
    uint32_t lower                          # id of the next lower rendition, 0 for none
    # Planes that have subscribers of their own.
    uint32_t copy_count
    stream_copy copies[COPIES_MAX]
    # When this is a copy: of which stream of which other plane, and its publisher's clock.
    bint is_copy
    uint8_t link                            # index
    uint32_t origin                         # id there
    uint64_t ntp_offset
    # Packets that wait for the fan-out.
    uint32_t pending, pending_bytes
    bint is_held                            # they wait for a tick; see speakers.pxd
    uint8_t unlooked                        # packets until that is looked at again
    # Statistics.
    uint64_t key_frames, plis, nacks, requested, recovered, duplicates


cdef struct resent_packet:
    uint16_t seq
    uint8_t times
    uint8_t used
    uint32_t at_ms


cdef struct outbound_slot:
    uint32_t id
    bint used
    uint8_t video
    bint started                            # since it was bound
    bint ever_sent
    bint resumed                            # goes on with the indices of a removed slot
    bint announced                          # SLOT_STARTED was told since it was bound
    uint8_t shed                            # SHED_*
    uint32_t shed_from                      # id of the stream that it was sent before
    bint plain_resend                       # a resend has the same header, byte for byte
    uint32_t transport                      # index
    int32_t stream                          # index, -1 when unbound
    int32_t previous, next                  # of the transport's slots
    int32_t previous_bound, next_bound      # of the stream's slots
    uint32_t ssrc, rtx_ssrc
    uint32_t extension_mask
    # Rewriting.
    int64_t seq_offset                      # added to the stream's extended sequence number
    int64_t start_ext_seq                   # nothing older is forwarded
    int64_t highest_index                   # largest sent; next start continues behind it
    int64_t resend_floor                    # no plain resend below this index
    uint32_t ts_offset
    uint32_t newest_rtp_ts
    int64_t newest_at_us
    uint16_t picture_id_offset, picture_id  # last sent
    uint8_t tl0_offset, tl0
    bint picture_id_known, tl0_known
    int64_t rtx_index                       # next
    resent_packet resent[RESENT_SLOTS]
    int64_t resend_budget                   # bytes that may be resent now
    int64_t key_frames_paid_us              # see bucket_take
    # Statistics.
    uint64_t packets, bytes, octets         # octets: payload only, for SR
    uint64_t packets_at_report
    uint64_t rtx_packets, plain_resends, nacks, plis
    bint report_known                       # the subscriber's last report block
    uint8_t fraction_lost
    int32_t lost
    uint32_t jitter
    int64_t rtt_us


cdef struct pending_packet:
    stored_packet *packet   # borrowed from the stream's store
    int64_t ext_seq         # of the packet, to see whether the store has displaced it
    uint32_t stream         # index


cdef struct pending_list:
    pending_packet packets[PENDING_MAX]
    int count


# Another plane; see link.pxd.
cdef struct plane_link:
    ring *incoming          # borrowed
    ring *outgoing          # borrowed
    ring *bell              # the other plane's commands, borrowed
    bint unrung             # something was sent since its bell was rung


cdef struct plane_state:
    transport *transports       # owned; max_transports and one more, which is nobody
    inbound_stream *streams     # owned; max_streams
    outbound_slot *slots        # owned; max_slots
    uint32_t max_transports, max_streams, max_slots
    uint32_t used_transports, used_streams, used_slots
    table by_ufrag              # digest: transport index * 2 + which credentials
    table by_address            # digest: transport index * ADDRESSES_MAX + which address
    table by_inbound_ssrc       # transport index << 32 | SSRC: stream index * 2 + is RTX
    table by_outbound_ssrc      # the same for slots
    deadlines timers            # of transports
    codec_entry codecs[CODECS]
    pending_list pending        # goes out at the end of the wake-up
    pending_list held           # goes out at a tick; see fanout.pxd
    int64_t held_until_us
    int64_t held_at_us          # when a packet was held last,
    int64_t prompt_at_us        # and when one came that was not
    output out
    uint32_t transports_end     # no transport that was ever used has this index or a higher one
    # Overload.
    uint32_t load_permille      # share of the time with work, smoothed; read by others
    uint32_t shed_slots
    uint32_t shed_next          # index of the transport that is looked at next
    uint32_t shed_windows       # in a row, in which the socket was never empty
    uint64_t shed_drops         # as the last window had them
    int64_t shed_taken_at_us, shed_waited_us
    # Of the last windows in a row in which the socket was never empty; each is where its number,
    # from 0, modulo SHED_NOTES is.
    int64_t shed_took_us[SHED_NOTES]
    int64_t shed_came_us[SHED_NOTES]
    uint32_t shed_noted         # how many there were
    int64_t shed_at_us          # when slots were shed last
    int64_t restore_at_us, restore_wait_us
    int64_t restored_at_us      # 0 when there was overload since
    ring *commands              # borrowed from the plane
    ring *events                # borrowed from the plane
    plane_link links[LINKS_MAX]
    uint32_t link_count
    uint64_t counts[COUNTERS]
    uint64_t random
    int64_t wall_offset_us      # Unix time minus CLOCK_MONOTONIC


cdef inline void count(plane_state *p, int which) noexcept nogil:
    p.counts[which] += 1


# A bucket of ``burst`` that leaks one every ``interval_us``, as the time until which it is paid
# for. Takes at most ``wanted``; returns how many.
cdef inline int64_t bucket_take(
    int64_t *paid_us, int64_t wanted, int64_t burst, int64_t interval_us, int64_t now_us
) noexcept nogil:
    cdef int64_t free
    if paid_us[0] < now_us:
        paid_us[0] = now_us
    free = burst - (paid_us[0] - now_us) // interval_us
    if wanted > free:
        wanted = free if free > 0 else 0
    paid_us[0] += wanted * interval_us
    return wanted


cdef inline uint64_t next_random(plane_state *p) noexcept nogil:
    # xorshift64*: spreads timers and starting points, secures nothing.
    p.random ^= p.random >> 12
    p.random ^= p.random << 25
    p.random ^= p.random >> 27
    return p.random * <uint64_t>0x2545F4914F6CDD1D


cdef inline transport *transport_of(plane_state *p, uint32_t id) noexcept nogil:
    cdef transport *t = &p.transports[id & 0xFFFF]
    return t if id & 0xFFFF < p.max_transports and t.used and t.id == id else NULL


cdef inline inbound_stream *stream_of(plane_state *p, uint32_t id) noexcept nogil:
    cdef inbound_stream *s = &p.streams[id & 0xFFFF]
    return s if id & 0xFFFF < p.max_streams and s.used and s.id == id else NULL


cdef inline outbound_slot *slot_of(plane_state *p, uint32_t id) noexcept nogil:
    cdef outbound_slot *slot = &p.slots[id & 0xFFFF]
    return slot if id & 0xFFFF < p.max_slots and slot.used and slot.id == id else NULL


cdef inline uint64_t ssrc_key(uint32_t transport_index, uint32_t ssrc) noexcept nogil:
    return <uint64_t>transport_index << 32 | ssrc


# Our NTP time (32.32 fixed point, RFC 3550 section 4) at a CLOCK_MONOTONIC time.
cdef inline uint64_t ntp_at(const plane_state *p, int64_t now_us) noexcept nogil:
    cdef uint64_t unix_us = <uint64_t>(now_us + p.wall_offset_us)
    return (unix_us // 1000000 + <uint64_t>2208988800) << 32 | (
        (unix_us % 1000000 << 32) // 1000000
    )


# Returns 0, or -1 without memory. The state is zeroed memory; the rings stay the caller's.
cdef int state_init(
    plane_state *p, uint32_t max_transports, uint32_t max_streams, uint32_t max_slots,
    uint64_t seed, ring *commands, ring *events, output_send send, output_implies implies,
    void *context
) noexcept nogil
cdef void state_free(plane_state *p) noexcept nogil

# Reserve an event; NULL (counted) when the ring is full. Fill the body, then ring_commit.
cdef plane_event *event_begin(
    plane_state *p, uint8_t kind, uint32_t id, int64_t now_us
) noexcept nogil

# Reserve an event of which a peer can cause any number: NULL too when it has caused too many
# lately, or when three quarters of the ring wait, because the rest is for the other kinds.
cdef plane_event *event_begin_limited(
    plane_state *p, transport *t, uint8_t kind, uint32_t id, int64_t now_us
) noexcept nogil

# Push an event that has no body; returns 0 when the ring is full.
cdef bint event_push(plane_state *p, uint8_t kind, uint32_t id, int64_t now_us) noexcept nogil

# Put a stream or slot into, or take it out of, its transport's list and the slot of a stream's.
cdef void link_stream(plane_state *p, inbound_stream *s, transport *t) noexcept nogil
cdef void unlink_stream(plane_state *p, inbound_stream *s) noexcept nogil
cdef void link_slot(plane_state *p, outbound_slot *slot, transport *t) noexcept nogil
cdef void unlink_slot(plane_state *p, outbound_slot *slot) noexcept nogil
cdef void link_bound(plane_state *p, outbound_slot *slot, inbound_stream *s) noexcept nogil
cdef void unlink_bound(plane_state *p, outbound_slot *slot) noexcept nogil

# Return the memory of an SSRC, made at need in the place of the oldest. NULL when make is 0 and
# there is none, or when the oldest is younger than ten seconds.
cdef known_ssrc *recall_ssrc(
    known_ssrc *known, uint32_t ssrc, bint make, int64_t now_us
) noexcept nogil

# Remember where an SSRC stopped. Returns 0, or -1 (and the list is incomplete) without room.
cdef int retire_ssrc(retired_list *retired, uint32_t ssrc, int64_t index) noexcept nogil

# Return where an SSRC stopped, or -1. With forget, its entry goes.
cdef int64_t retired_index(retired_list *retired, uint32_t ssrc, bint forget) noexcept nogil

# Wipe and free keys and what belongs to them; NULL is allowed.
cdef void keys_free(media_keys *keys) noexcept nogil
