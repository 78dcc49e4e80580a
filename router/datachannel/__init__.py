"""Data channels: DCEP and the channels of one SCTP association (RFC 8831, 8832), without I/O."""

from .config import DataChannelConfig, DtlsRole
from .dcep import ChannelParameters
from .events import (
    AssociationClosed,
    AssociationOpened,
    ChannelClosed,
    ChannelOpened,
    DataChannelEvent,
    MessageReceived,
)
from .transport import DataChannelCounters, DataChannelTransport

__all__ = [
    "AssociationClosed",
    "AssociationOpened",
    "ChannelClosed",
    "ChannelOpened",
    "ChannelParameters",
    "DataChannelConfig",
    "DataChannelCounters",
    "DataChannelEvent",
    "DataChannelTransport",
    "DtlsRole",
    "MessageReceived",
]
