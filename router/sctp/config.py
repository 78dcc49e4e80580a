"""What an association can be told at construction."""

from dataclasses import dataclass

from ..errors import LocalProtocolError

#: Room for a DATA chunk with some payload and for a SACK with some blocks.
_MTU_MIN = 256
_MTU_MAX = 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class SctpConfig:
    """Bounds and timers of one association; the defaults suit WebRTC over DTLS."""

    local_port: int = 5000
    """SCTP port, not UDP: ``a=sctp-port`` of the own description."""
    remote_port: int = 5000
    """``a=sctp-port`` of the peer's description."""
    mtu: int = 1200
    """Largest SCTP packet in bytes, common header included, DTLS and UDP excluded."""
    max_message_size: int = 262144
    """Largest message in bytes that the peer may send; a longer one ends the association."""
    outbound_streams: int = 1024
    """Streams to send on, at most; the peer may allow fewer."""
    inbound_streams: int = 1024
    """Streams that the peer may send on."""
    receive_buffer_bytes: int = 1 << 20
    """Room for what cannot be delivered yet, advertised as a_rwnd."""
    send_buffer_bytes: int = 4 << 20
    """Room for messages that are not acknowledged yet; ``send`` raises above it."""
    initial_cwnd_packets: int = 10
    """Congestion window at the start and after a restart, in MTUs (RFC 6928 has the reasons)."""
    max_burst_packets: int = 10
    """New packets in reaction to one event (Max.Burst)."""
    rto_initial: float = 0.5
    """RTO.Initial."""
    rto_min: float = 0.2
    """RTO.Min. RFC 9260 says 1 s; real-time use cannot wait that long. More than the delay of
    the peer's acknowledgements, which is 200 ms at most."""
    rto_max: float = 3.0
    """RTO.Max, so that an association is alive again soon after its path is."""
    t1_timeout: float = 0.5
    """First wait for INIT ACK or COOKIE ACK; doubles up to ``rto_max``."""
    max_init_retransmits: int = 20
    """Max.Init.Retransmits; about a minute, ICE consent ends dead paths before."""
    association_max_retransmits: int = 20
    """Association.Max.Retrans, as above."""
    delayed_ack_timeout: float = 0.1
    """How long an acknowledgement may wait for a second packet; 0..0.5."""
    heartbeat_interval: float = 30.0
    """HB.interval: idle time before a HEARTBEAT is sent."""
    cookie_lifetime: float = 60.0
    """Valid.Cookie.Life."""
    zero_checksum: bool = True
    """Whether to offer RFC 9653. Only over DTLS, which checks integrity by itself."""

    def __post_init__(self) -> None:
        ranges = (
            ("local_port", self.local_port, 1, 65535),
            ("remote_port", self.remote_port, 1, 65535),
            ("mtu", self.mtu, _MTU_MIN, _MTU_MAX),
            ("max_message_size", self.max_message_size, 1, 1 << 30),
            ("outbound_streams", self.outbound_streams, 1, 65535),
            ("inbound_streams", self.inbound_streams, 1, 65535),
            # Twice a message, so that one can be reassembled behind another one with a hole.
            ("receive_buffer_bytes", self.receive_buffer_bytes, 2 * self.max_message_size, 1 << 30),
            ("send_buffer_bytes", self.send_buffer_bytes, 1, 1 << 30),
            ("initial_cwnd_packets", self.initial_cwnd_packets, 1, 100),
            ("max_burst_packets", self.max_burst_packets, 1, 1000),
            ("delayed_ack_timeout", self.delayed_ack_timeout, 0.0, 0.5),
        )
        for name, value, low, high in ranges:
            if not low <= value <= high:
                raise LocalProtocolError(f"{name} is {value}, allowed is {low}..{high}")
        if not 0 < self.rto_min <= self.rto_initial <= self.rto_max:
            raise LocalProtocolError("rto_min <= rto_initial <= rto_max does not hold")
