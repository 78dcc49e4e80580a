"""All that comes to one socket, kept until it is asked for."""

import socket
from array import array
from typing import final

@final
class Capture:
    """Takes all that comes to a socket; what is RTP and what is not are kept apart."""

    def __new__(cls, socket: socket.socket) -> Capture: ...
    def read(self) -> list[bytes]:
        """
        Take what is there; return what is not RTP and came since the last call.

        :raises MemoryError: when something could not be kept; likewise the others.
        """
    def arrivals(self) -> tuple[dict[int, int], array[int]]:
        """Return packets by SSRC and wall-clock us of each arrival, since the last call."""
    def take(self) -> list[tuple[bytes, int]]:
        """Return RTP packets and the wall-clock ns of their arrival, and forget them."""
