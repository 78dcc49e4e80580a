"""Bundles chunks into packets of at most one MTU (RFC 9260 section 6.10)."""

from .packet import COMMON_HEADER_BYTES, serialize_packet


class PacketAssembler:
    """
    Collects serialised chunks and hands them out as packets.

    Chunks that were added between two calls of :meth:`drain` share packets where they fit.

    :param mtu: Largest packet in bytes, common header included.
    """

    def __init__(self, *, source_port: int, destination_port: int, mtu: int) -> None:
        self._source_port = source_port
        self._destination_port = destination_port
        self._mtu = mtu
        self._packets: list[bytes] = []
        self._open: list[bytes] = []
        self._open_size = COMMON_HEADER_BYTES
        self.verification_tag = 0
        """The peer's tag, which packets made by :meth:`add` carry."""
        self.zero_checksum = False
        """Whether the peer accepts packets without a checksum (RFC 9653)."""

    def add(self, chunk: bytes) -> None:
        """Put a chunk into the open packet, or into a new one when that has no room for it."""
        size = self._open_size + len(chunk)
        if size > self._mtu and self._open:
            self._close()
            size = COMMON_HEADER_BYTES + len(chunk)
        self._open.append(chunk)
        self._open_size = size

    def add_packet(self, verification_tag: int, *chunks: bytes) -> None:
        """Make a packet of exactly these chunks, always with a checksum (RFC 9653 section 5.2)."""
        self._close()
        self._packets.append(
            serialize_packet(self._source_port, self._destination_port, verification_tag, chunks)
        )

    def discard(self) -> None:
        """Forget all that was added and not drained."""
        self._packets.clear()
        self._open.clear()
        self._open_size = COMMON_HEADER_BYTES

    def drain(self) -> list[bytes]:
        """Return the packets in order and forget them."""
        self._close()
        packets, self._packets = self._packets, []
        return packets

    def _close(self) -> None:
        if self._open:
            self._packets.append(
                serialize_packet(
                    self._source_port,
                    self._destination_port,
                    self.verification_tag,
                    self._open,
                    zero_checksum=self.zero_checksum,
                )
            )
            self._open.clear()
            self._open_size = COMMON_HEADER_BYTES
