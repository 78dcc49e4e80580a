"""The ring between two threads, as a Python object: for tests of both sides."""

from typing import final

from typing_extensions import Buffer

@final
class Ring:
    """
    A ring for one producing and one consuming thread.

    :param slots: Capacity, a power of two, at most 2**20.
    :param slot_bytes: The longest item, at most 65,532 bytes.
    """

    def __new__(cls, slots: int, slot_bytes: int) -> Ring: ...
    def __len__(self) -> int: ...
    @property
    def dropped(self) -> int:
        """How many items found the ring full."""
    @property
    def doorbells(self) -> int:
        """How many times the doorbell was rung."""
    def fileno(self) -> int:
        """Return the doorbell, an eventfd that the ring owns."""
    def put(self, data: Buffer, *, bell: bool = True) -> bool:
        """Producer: append an item; False when the ring is full. :raises ValueError:"""
    def bell(self) -> None:
        """Producer: ring the doorbell if the consumer sleeps."""
    def get(self) -> bytes | None:
        """Consumer: remove and return the oldest item."""
    def sleep(self) -> bool:
        """Consumer: True when the ring is empty and the doorbell will ring for the next item."""
    def wake(self) -> None:
        """Consumer: be awake again and clear the doorbell."""
