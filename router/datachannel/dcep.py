"""
The Data Channel Establishment Protocol (RFC 8832 section 5).

.. code-block:: text

    +---------------+---------------+-------------------------------+
    | Type = 0x03   |  Channel Type |            Priority           |
    +---------------+---------------+-------------------------------+
    |                    Reliability Parameter                      |
    +-------------------------------+-------------------------------+
    |         Label Length          |       Protocol Length         |
    +-------------------------------+-------------------------------+
    |  Label, Protocol                                              |
    +---------------------------------------------------------------+
"""

import struct
from dataclasses import dataclass

from ..errors import LocalProtocolError, WireFormatError

DATA_CHANNEL_ACK = 0x02
DATA_CHANNEL_OPEN = 0x03

_OPEN = struct.Struct("!BBHIHH")
_UNORDERED = 0x80
_PARTIAL_RELIABLE_REXMIT = 0x01
_PARTIAL_RELIABLE_TIMED = 0x02

PRIORITY_NORMAL = 256
"""RFC 8831 section 6.4 has 128 (below normal), 256, 512 (high) and 1024 (extra high)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelParameters:
    """How a channel treats its messages."""

    ordered: bool = True
    max_packet_lifetime_ms: int | None = None
    """Milliseconds for which a message is (re)transmitted; None without such a limit."""
    max_retransmits: int | None = None
    """How often a message is retransmitted at most; None without such a limit."""
    protocol: str = ""
    """Name of the application's protocol, may be empty."""
    priority: int = PRIORITY_NORMAL
    """Share of the association relative to other channels, 0..65535."""

    def __post_init__(self) -> None:
        if self.max_packet_lifetime_ms is not None and self.max_retransmits is not None:
            raise LocalProtocolError("a channel has a lifetime or a retransmission limit, not both")
        for limit in (self.max_packet_lifetime_ms, self.max_retransmits):
            if limit is not None and not 0 <= limit <= 0xFFFFFFFF:
                raise LocalProtocolError(f"reliability parameter is {limit}")
        if not 0 <= self.priority <= 0xFFFF:
            raise LocalProtocolError(f"priority is {self.priority}")

    @property
    def is_reliable(self) -> bool:
        """Whether messages are retransmitted until they arrive."""
        return self.max_packet_lifetime_ms is None and self.max_retransmits is None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMessage:
    """DATA_CHANNEL_OPEN."""

    label: str
    parameters: ChannelParameters

    def serialize(self) -> bytes:
        """
        Return the message.

        :raises LocalProtocolError: if label or protocol have more than 65535 bytes in UTF-8.
        """
        parameters = self.parameters
        label = self.label.encode(errors="replace")
        protocol = parameters.protocol.encode(errors="replace")
        if len(label) > 0xFFFF or len(protocol) > 0xFFFF:
            raise LocalProtocolError(f"label of {len(label)}, protocol of {len(protocol)} bytes")
        channel_type, reliability = 0, 0
        if parameters.max_retransmits is not None:
            channel_type, reliability = _PARTIAL_RELIABLE_REXMIT, parameters.max_retransmits
        elif parameters.max_packet_lifetime_ms is not None:
            channel_type, reliability = _PARTIAL_RELIABLE_TIMED, parameters.max_packet_lifetime_ms
        if not parameters.ordered:
            channel_type |= _UNORDERED
        return (
            _OPEN.pack(
                DATA_CHANNEL_OPEN,
                channel_type,
                parameters.priority,
                reliability,
                len(label),
                len(protocol),
            )
            + label
            + protocol
        )


def parse_open(data: bytes) -> OpenMessage:
    """
    Parse a DATA_CHANNEL_OPEN message.

    Text that is not UTF-8 is taken with replacement characters, as browsers do.

    :raises WireFormatError: if the type or a length is wrong, or the channel type is unknown.
    """
    if len(data) < _OPEN.size:
        raise WireFormatError(f"DATA_CHANNEL_OPEN has {len(data)} bytes")
    message_type, channel_type, priority, reliability, label_length, protocol_length = (
        _OPEN.unpack_from(data)
    )
    label_end = _OPEN.size + label_length
    if message_type != DATA_CHANNEL_OPEN or len(data) != label_end + protocol_length:
        raise WireFormatError(
            f"DCEP message {message_type} with {len(data)} bytes for a label of {label_length} "
            f"and a protocol of {protocol_length}"
        )
    kind = channel_type & ~_UNORDERED
    if kind > _PARTIAL_RELIABLE_TIMED:
        raise WireFormatError(f"channel type {channel_type:#04x}")
    return OpenMessage(
        label=data[_OPEN.size : label_end].decode(errors="replace"),
        parameters=ChannelParameters(
            ordered=not channel_type & _UNORDERED,
            max_packet_lifetime_ms=reliability if kind == _PARTIAL_RELIABLE_TIMED else None,
            max_retransmits=reliability if kind == _PARTIAL_RELIABLE_REXMIT else None,
            protocol=data[label_end:].decode(errors="replace"),
            priority=priority,
        ),
    )


def serialize_ack() -> bytes:
    """Return a DATA_CHANNEL_ACK message."""
    return bytes((DATA_CHANNEL_ACK,))
