"""Sockets on loopback that drop media before anybody has to read it: a classic BPF filter."""

import ctypes
import socket
import struct

SO_ATTACH_FILTER = 26
UDP_GRO = 104
_UDP_HEADER = 8
# Load a byte, test, return: the first two bytes of the datagram tell RTP from all else.
_FILTER = (
    (0x30, 0, 0, _UDP_HEADER),  # ldb [first byte]
    (0x54, 0, 0, 0xC0),  # and #0xc0
    (0x15, 0, 4, 0x80),  # jeq #0x80, next, accept
    (0x30, 0, 0, _UDP_HEADER + 1),  # ldb [second byte]
    (0x35, 0, 1, 192),  # jge #192, next, drop
    (0x25, 0, 1, 223),  # jgt #223, drop, accept
    (0x06, 0, 0, 0),  # ret #0
    (0x06, 0, 0, 0xFFFF),  # ret #all
)


def drop_media(receiving: socket.socket) -> None:
    """Let a UDP socket take everything but RTP."""
    program = b"".join(struct.pack("HBBI", *line) for line in _FILTER)
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HL", len(_FILTER), ctypes.addressof(buffer))
    # Runs stay whole, so that the filter sees them once.
    receiving.setsockopt(socket.SOL_UDP, UDP_GRO, 1)
    receiving.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, header)


def sinks(first_port: int, count: int) -> list[socket.socket]:
    """Return sockets that take RTP and forget it."""
    made = []
    for port in range(first_port, first_port + count):
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        drop_media(sink)
        sink.bind(("127.0.0.1", port))
        made.append(sink)
    return made
