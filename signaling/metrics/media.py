"""
How the media node's counters appear as metrics.

A counter that is in none of these tables appears by its own name, so that a new one is seen without
a change here.
"""

# Counters of the media node that belong to one family, with the label's value for each.
FAMILIES: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    (
        "parlour_rtp_packets",
        "RTP packets of accepted streams received, and RTP packets sent.",
        "direction",
        {"rtp_in": "inbound", "rtp_out": "outbound"},
    ),
    (
        "parlour_rtp_bytes",
        "Bytes of those packets.",
        "direction",
        {"rtp_bytes_in": "inbound", "rtp_bytes_out": "outbound"},
    ),
    (
        "parlour_datagrams",
        "UDP datagrams of all protocols.",
        "direction",
        {"datagrams_in": "inbound", "datagrams_out": "outbound"},
    ),
    (
        "parlour_datagram_bytes",
        "Bytes of those datagrams.",
        "direction",
        {"bytes_in": "inbound", "bytes_out": "outbound"},
    ),
    (
        "parlour_rtcp_packets",
        "RTCP compound packets.",
        "direction",
        {"rtcp_in": "inbound", "rtcp_out": "outbound"},
    ),
    (
        "parlour_nack",
        "Generic NACK messages: inbound from subscribers, outbound to publishers.",
        "direction",
        {"nacks_in": "inbound", "nacks_out": "outbound"},
    ),
    (
        "parlour_nack_lost_packets",
        "Packets that those messages report lost.",
        "direction",
        {"nacked_packets": "inbound", "requested_packets": "outbound"},
    ),
    (
        "parlour_pli",
        "Picture loss indications: inbound from subscribers, outbound to publishers.",
        "direction",
        {"pli_in": "inbound", "pli_out": "outbound"},
    ),
    (
        "parlour_retransmitted_packets",
        "Packets sent again to subscribers, as RTX or as they were.",
        "form",
        {"rtx_out": "rtx", "resent_plain": "plain"},
    ),
    (
        "parlour_rtp_dropped_packets",
        "RTP packets that were received and not forwarded, or not to everybody.",
        "reason",
        {
            "rtp_unknown_ssrc": "unknown_ssrc",
            "rtp_unknown_payload": "unknown_payload_type",
            "rtp_duplicate": "duplicate",
            "rtp_padding_only": "padding_only",
            "rtp_unmapped_payload": "no_common_codec",
            "rtp_header_too_long": "header_too_long",
            "rtp_shed": "overload",
        },
    ),
    (
        "parlour_srtp_refused_packets",
        "Packets that SRTP refused.",
        "reason",
        {
            "srtp_unauthenticated": "unauthenticated",
            "srtp_replayed": "replayed",
            "srtp_unvalidated": "unvalidated_address",
            "srtp_without_keys": "without_keys",
        },
    ),
    (
        "parlour_srtcp_refused_packets",
        "RTCP compound packets that SRTCP or the parser refused.",
        "reason",
        {
            "rtcp_unauthenticated": "unauthenticated",
            "rtcp_replayed": "replayed",
            "rtcp_malformed": "malformed",
        },
    ),
    (
        "parlour_stun",
        "STUN binding requests by what became of them.",
        "result",
        {
            "stun_successes": "success",
            "stun_errors": "error",
            "stun_unauthenticated": "unauthenticated",
            "stun_ignored": "ignored",
        },
    ),
)
GAUGES: dict[str, str] = {
    "transports": "Peer connections that the data planes hold.",
    "streams": "Inbound RTP streams that the data planes hold.",
    "slots": "Down-link slots that the data planes hold.",
    "shed_slots": "Down-link video slots that overload lowered or switched off, now.",
    "events_waiting": "Events of the data planes that wait to be read.",
}
"""What goes down as well as up."""

MICROSECONDS: dict[str, tuple[str, str]] = {
    "busy_us": ("parlour_media_busy_seconds", "Time in which the data planes' threads had work."),
}
"""Counters in microseconds: their names in seconds."""

TEXTS: dict[str, str] = {
    "address_conflicts": "Valid STUN requests from an address that another peer holds.",
    "addresses_selected": "Times that a peer was given a first or another address to be sent to.",
    "bye_in": "RTCP BYEs received.",
    "bye_out": "RTCP BYEs sent.",
    "overloads": "Looks, one in 20 ms, that found a data plane which does not keep up.",
    "slots_shed": "Times that overload lowered or switched off a down-link video slot.",
    "link_dropped": "Packets that found no room on their way to another data plane.",
    "link_in": "Packets and requests that data planes took from each other.",
    "link_out": "Packets and requests that data planes sent to each other.",
    "link_stale": "Packets and requests of other data planes for what was gone already.",
    "commands": "Commands that the data planes carried out.",
    "commands_dropped": "Commands that found a data plane's ring full: it hangs, or has stopped.",
    "commands_refused": "Commands that a data plane could not carry out.",
    "commands_stale": "Commands for what was gone already.",
    "consent_lost": "Peers that stopped to send STUN requests.",
    "dtls_in": "DTLS datagrams received from validated addresses.",
    "dtls_out": "DTLS datagrams sent.",
    "dtls_unsent": "DTLS datagrams for peers that had no validated address.",
    "dtls_unvalidated": "DTLS datagrams from addresses that are not validated: dropped.",
    "events_dropped": "Events of the data planes that were lost, because nobody read them in time.",
    "events_limited": "Events that a peer caused beyond its share: dropped.",
    "fir_in": "Full intra requests of subscribers.",
    "indices_exhausted": "Packets not sent because a key was used up.",
    "key_frames": "Key frames that publishers sent.",
    "malformed": "Datagrams that could not be parsed.",
    "messages_out": "Messages handed to the kernel; each may hold several datagrams.",
    "nack_limited": "Packets that subscribers asked for beyond their share: not sent again.",
    "nack_misses": "Packets that subscribers asked for and that were not there any more.",
    "pli_limited": "Key frames that subscribers asked for beyond their share.",
    "remb_in": "REMB messages received.",
    "remb_out": "REMB messages sent to publishers.",
    "rr_out": "RTCP receiver reports sent.",
    "rtp_recovered": "Packets that were lost between publisher and server and came after a NACK.",
    "rtp_given_up": (
        "Packets that were lost between publisher and server and asked for in vain, padding among"
        " them; such a packet may still come later."
    ),
    "rtp_unreported_ssrc": "RTP packets of SSRCs that are unknown and were too many to report.",
    "socket_dropped": "Datagrams that were not sent, because the send buffer stayed full.",
    "socket_failed": "Datagrams that the kernel refused to send.",
    "socket_gso_fallbacks": "Times that segmentation offload was refused and done without.",
    "socket_receive_calls": "System calls that received.",
    "socket_receive_drops": (
        "Datagrams that the kernel dropped, because a receive buffer was full."
    ),
    "socket_received": "Datagrams that the sockets received.",
    "socket_received_bytes": "Bytes of those datagrams.",
    "socket_send_calls": "System calls that sent.",
    "socket_sent": "Datagrams that the sockets sent.",
    "socket_sent_bytes": "Bytes of those datagrams.",
    "socket_truncated": "Datagrams too long to be received whole.",
    "sr_in": "RTCP sender reports received.",
    "sr_out": "RTCP sender reports sent.",
    "stun_requests": "STUN binding requests.",
    "transport_cc_in": "Transport-wide feedback received.",
    "transport_cc_out": "Transport-wide feedback sent to publishers.",
    "unknown_protocol": "Datagrams of no protocol that is spoken here.",
    "wakeups": "Times that a data plane's thread slept and woke.",
}
"""What the counters count that are in no family."""
