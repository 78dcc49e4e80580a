"""
A slot's output: one continuous RTP stream, whatever streams it is pointed at one after another.

From a start on, the slot adds a constant to the stream's extended sequence number, so that losses
before us stay visible behind us, and late packets find their place. The next start continues
right behind the highest number sent; timestamps advance by the wall time that passed, and VP8
picture ids by one.

A gap of more than ``SLOT_GAP_MAX`` packets is closed by another start. A receiver guesses the
roll-over counter from the packets that it got (RFC 3711 section 3.3.1), so numbers must not run
far ahead of it: neither while it cannot be reached nor because a publisher jumps.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from router._fastpath.counters cimport COUNT_RTP_BYTES_OUT, COUNT_RTP_OUT
from router._fastpath.header_plan cimport header_plan
from router._fastpath.payload cimport payload_number
from router._fastpath.state cimport inbound_stream, outbound_slot, plane_state, transport
from router._fastpath.store cimport stored_packet


cdef enum:
    SLOT_GAP_MAX = 1024     # what is older cannot be repaired any more


# How a packet goes out.
cdef enum:
    SEND_FIRST = 0
    SEND_AGAIN = 1      # the same packet, byte for byte
    SEND_RTX = 2        # RFC 4588, with the slot's next RTX sequence number


# Return 1 when the slot would leave a gap before this packet that is too long.
cdef inline bint slot_would_jump(
    const outbound_slot *slot, const stored_packet *packet
) noexcept nogil:
    return packet.ext_seq + slot.seq_offset - slot.highest_index > SLOT_GAP_MAX


# Whether packets of this codec can be sent on the slot at all; counted when not.
cdef bint slot_is_open(
    plane_state *p, const outbound_slot *slot, const transport *t, uint8_t codec, int packets
) noexcept nogil

# Whether the slot takes the packet; starts it where the packet allows that. It is open.
cdef bint slot_takes(
    plane_state *p, inbound_stream *s, outbound_slot *slot, transport *t,
    const stored_packet *packet, int64_t now_us
) noexcept nogil

# Whether payloads differ from the publisher's: picture ids go on where the last stream stopped.
cdef inline bint slot_patches_payload(const outbound_slot *slot) noexcept nogil:
    return slot.picture_id_offset != 0 or slot.tl0_offset != 0


# Give a payload the slot's own picture id and TL0PICIDX.
cdef inline void slot_patch_payload(
    const outbound_slot *slot, const stored_packet *packet, uint8_t *payload
) noexcept nogil:
    payload_number(
        &packet.payload, payload,
        <uint16_t>(packet.payload.picture_id + slot.picture_id_offset),
        <uint8_t>(packet.payload.tl0 + slot.tl0_offset),
    )


# Note a packet that was sent for the first time, unless one with a higher index was.
cdef void slot_note_sent(
    outbound_slot *slot, const stored_packet *packet, int64_t index, int64_t now_us
) noexcept nogil

# Count packets that were sent for the first time. octets: of payload.
cdef inline void slot_count_sent(
    plane_state *p, outbound_slot *slot, transport *t, uint64_t packets, uint64_t bytes,
    uint64_t octets
) noexcept nogil:
    slot.packets += packets
    slot.bytes += bytes
    slot.octets += octets
    slot.resend_budget += <int64_t>bytes // 2
    if not slot.video:
        t.audio_out += packets
    t.packets_out += packets
    t.bytes_out += bytes
    p.counts[COUNT_RTP_OUT] += packets
    p.counts[COUNT_RTP_BYTES_OUT] += bytes


# Write the packet to the output and have it sealed; returns its length with the tag. The transport
# has keys and a selected address, and the plan is addressed to it.
cdef uint32_t slot_write(
    plane_state *p, outbound_slot *slot, transport *t, const header_plan *plan,
    const stored_packet *packet, int how, int64_t now_us
) noexcept nogil


# abs-send-time: 6.18 fixed point seconds of our clock.
cdef inline uint32_t abs_send_time_of(uint64_t ntp) noexcept nogil:
    return <uint32_t>(ntp >> 14) & 0xFFFFFF
