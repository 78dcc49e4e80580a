"""The presentation language of TLS (RFC 5246 section 4): integers and length-prefixed vectors."""

import struct

from ..errors import WireFormatError

_INTEGERS = {1: "B", 2: "H"}


class Reader:
    """Reads one structure front to back; every method raises WireFormatError at its end."""

    __slots__ = ("_data", "_offset")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    @property
    def remaining(self) -> int:
        """How many bytes have not been read."""
        return len(self._data) - self._offset

    def take(self, length: int) -> bytes:
        """Return the next ``length`` bytes."""
        end = self._offset + length
        if end > len(self._data):
            raise WireFormatError(f"{length} bytes wanted, {self.remaining} left")
        taken = self._data[self._offset : end]
        self._offset = end
        return taken

    def unsigned(self, width: int) -> int:
        """Return the next integer of ``width`` bytes, network order."""
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int, *, minimum: int = 0, maximum: int | None = None) -> bytes:
        """
        Return the next vector, whose length is an integer of ``width`` bytes.

        :param minimum: Least length that the structure's definition allows, in bytes.
        :param maximum: Greatest, if less than what the prefix can say.
        """
        length = self.unsigned(width)
        if length < minimum or (maximum is not None and length > maximum):
            raise WireFormatError(f"vector of {length} bytes is out of its bounds")
        return self.take(length)

    def unsigned_vector(self, width: int, *, item_width: int) -> tuple[int, ...]:
        """
        Return the integers in the next vector, which must hold at least one.

        :param item_width: 1 or 2 bytes.
        """
        data = self.vector(width, minimum=item_width)
        if len(data) % item_width:
            raise WireFormatError(f"vector of {len(data)} bytes holds {item_width}-byte items")
        return struct.unpack(f"!{len(data) // item_width}{_INTEGERS[item_width]}", data)

    def expect_end(self) -> None:
        """Refuse trailing bytes."""
        if self.remaining:
            raise WireFormatError(f"{self.remaining} trailing bytes")


def serialize_vector(width: int, data: bytes) -> bytes:
    """Return ``data`` behind its length in ``width`` bytes."""
    return len(data).to_bytes(width, "big") + data


def serialize_unsigned_vector(width: int, items: tuple[int, ...], *, item_width: int) -> bytes:
    """Return a vector of integers of ``item_width`` bytes each."""
    return serialize_vector(width, b"".join(item.to_bytes(item_width, "big") for item in items))
