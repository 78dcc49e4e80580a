"""The UDP socket of the data plane as a Python object: for tests and the load generator."""

from collections.abc import Sequence
from typing import final

@final
class UdpSocket:
    """
    A non-blocking UDP socket with UDP_GRO and UDP_SEGMENT.

    :param address: Numeric; ``::`` is dual stack, and ``0.0.0.0`` where IPv6 is absent.
    :param port: 0 for any.
    :param receive_buffer: Bytes, 0 for the system's default; likewise ``send_buffer``.
    :raises OSError: when it cannot be opened.
    :raises ValueError: when the address is not numeric.
    """

    def __new__(
        cls, address: str, port: int = 0, *, receive_buffer: int = 0, send_buffer: int = 0
    ) -> UdpSocket: ...
    def close(self) -> None: ...
    def fileno(self) -> int: ...
    @property
    def port(self) -> int: ...
    @property
    def dual_stack(self) -> bool: ...
    @property
    def gro(self) -> bool:
        """Whether the kernel joins datagrams on receipt."""
    @property
    def gso(self) -> bool:
        """Whether runs are sent as one message; off after the kernel refused several in a row."""
    @property
    def buffers(self) -> tuple[int, int]:
        """Bytes of receive and send buffer that the kernel granted."""
    def counters(self) -> dict[str, int]: ...
    def receive(self, capacity: int = 64) -> list[tuple[bytes, tuple[str, int]]]:
        """
        Return up to ``capacity`` (1..64) datagrams with their sources, without waiting.

        After a full batch call again before waiting: the rest does not make the socket readable.
        """
    def receive_with_local(self, capacity: int = 64) -> list[tuple[bytes, tuple[str, int], str]]:
        """
        Do the same, and tell the address of ours that each came to.

        It is ``::`` for a socket that is not bound to a wildcard address.
        """
    def implies_local(self, address: tuple[str, int], local: str) -> bool:
        """Whether an IPv4 message to ``address`` leaves from ``local`` without being told to."""
    def send(
        self,
        messages: Sequence[
            tuple[bytes, tuple[str, int], int] | tuple[bytes, tuple[str, int], int, str]
        ],
    ) -> int:
        """
        Send messages of (data, numeric destination, segment size or 0).

        A fourth element is the address to send from; it counts on a socket that is bound to a
        wildcard address.

        :return: How many went out whole; the others are in :meth:`counters`.
        """
