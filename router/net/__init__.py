"""Transport addresses and first-byte demultiplexing."""

from .address import (
    Address,
    normalise_address,
    normalise_host,
    pack_host,
    parse_address,
    unpack_host,
)
from .demultiplexing import DatagramKind, datagram_kind

__all__ = [
    "Address",
    "DatagramKind",
    "datagram_kind",
    "normalise_address",
    "normalise_host",
    "pack_host",
    "parse_address",
    "unpack_host",
]
