"""What the data channels of one transport can be told at construction."""

from dataclasses import dataclass
from enum import Enum

from ..errors import LocalProtocolError
from ..sctp import SctpConfig


class DtlsRole(Enum):
    """Who we were in the DTLS handshake; decides on stream identifiers (RFC 8832 section 6)."""

    CLIENT = "client"
    """Opens channels with even identifiers."""
    SERVER = "server"
    """Opens channels with odd identifiers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChannelConfig:
    """Bounds of one transport; the defaults suit a forwarding server."""

    local_port: int = 5000
    """``a=sctp-port`` of the own description."""
    remote_port: int = 5000
    """``a=sctp-port`` of the peer's description."""
    max_message_size: int = 262144
    """``a=max-message-size`` of the own description, in bytes: what the peer may send."""
    remote_max_message_size: int = 65536
    """``a=max-message-size`` of the peer's; the default is RFC 8841's for a missing line, and 0
    means that the peer takes any size."""
    max_streams: int = 1024
    """Stream identifiers below this are used, in both directions."""
    send_buffer_bytes: int = 4 << 20
    """What may wait for a slow peer. A reliable channel whose message does not fit is closed."""
    unreliable_send_buffer_bytes: int = 1 << 20
    """Above this, messages of channels with limited reliability are dropped; lower than
    ``send_buffer_bytes``, so that they cannot cause reliable channels to be closed."""
    max_label_bytes: int = 1 << 20
    """Labels and protocols of all channels that the peer opens, together, in UTF-8."""
    mtu: int = 1200
    """Largest SCTP packet in bytes, to be put into one DTLS record."""

    def __post_init__(self) -> None:
        if not 0 < self.unreliable_send_buffer_bytes <= self.send_buffer_bytes:
            raise LocalProtocolError("unreliable_send_buffer_bytes is above send_buffer_bytes")
        if self.remote_max_message_size < 0:
            raise LocalProtocolError("remote_max_message_size is negative")
        self.to_sctp()

    @property
    def max_sendable_size(self) -> int:
        """The largest message that the peer and our buffer take, in bytes."""
        limit = self.send_buffer_bytes // 2
        return min(self.remote_max_message_size or limit, limit)

    def to_sctp(self) -> SctpConfig:
        """Return the association's part of the configuration."""
        return SctpConfig(
            local_port=self.local_port,
            remote_port=self.remote_port,
            mtu=self.mtu,
            max_message_size=self.max_message_size,
            outbound_streams=self.max_streams,
            inbound_streams=self.max_streams,
            receive_buffer_bytes=max(1 << 20, 2 * self.max_message_size),
            send_buffer_bytes=self.send_buffer_bytes,
        )
