"""
Handshake messages in fragments, and whole again in order (RFC 6347 sections 4.2.2 and 4.2.3).

      0          1                4               6                  9                   12
    +----------+----------------+---------------+------------------+--------------------+------
    | msg_type | length         | message_seq   | fragment_offset  | fragment_length    | body
    +----------+----------------+---------------+------------------+--------------------+------
"""

import struct
from dataclasses import dataclass

from ..errors import WireFormatError
from .handshake import HEADER_LENGTH, HandshakeMessage

# msg_type and length (24 bits), message_seq, fragment_offset and fragment_length (24 bits each).
_HEADER = struct.Struct("!IHHI")
_LOW_24 = (1 << 24) - 1

MAX_GAPS = 32
"""How many separate pieces of one message are kept; a peer that makes more only loses them."""


@dataclass(frozen=True, slots=True)
class HandshakeFragment:
    """A piece of a handshake message, or all of it."""

    message_type: int
    length: int
    """Of the whole body, 24 bits."""
    message_seq: int
    offset: int
    body: bytes

    @property
    def ends_message(self) -> bool:
        """Whether this is the message's last piece."""
        return self.offset + len(self.body) == self.length


def parse_fragments(data: bytes) -> list[HandshakeFragment]:
    """
    Return the fragments in one handshake record.

    :raises WireFormatError: if there is none, or one is cut short or overruns its message.
    """
    fragments = []
    position = 0
    while True:
        if len(data) - position < HEADER_LENGTH:
            raise WireFormatError(f"fragment header cut short at {len(data) - position} bytes")
        first, message_seq, offset_high, last = _HEADER.unpack_from(data, position)
        length = first & _LOW_24
        offset = offset_high << 8 | last >> 24
        start = position + HEADER_LENGTH
        position = start + (last & _LOW_24)
        if position > len(data):
            raise WireFormatError(f"fragment cut short at {len(data) - start} bytes")
        body = data[start:position]
        if offset + len(body) > length:
            raise WireFormatError(f"fragment ends at {offset + len(body)} of {length}")
        fragments.append(HandshakeFragment(first >> 24, length, message_seq, offset, body))
        if position == len(data):
            return fragments


class _PartialMessage:
    """A message of which some pieces have come."""

    __slots__ = ("_body", "_pieces", "epoch", "length", "message_type")

    def __init__(self, fragment: HandshakeFragment, epoch: int) -> None:
        self.message_type = fragment.message_type
        self.length = fragment.length
        self.epoch = epoch
        self._body = bytearray(fragment.length)
        self._pieces: list[tuple[int, int]] = []  # start and end, sorted, neither touching another

    def add(self, fragment: HandshakeFragment) -> bool:
        """Take a piece in; return False if there are too many gaps to keep it."""
        start, end = fragment.offset, fragment.offset + len(fragment.body)
        merged_start, merged_end = start, end
        apart = []
        for piece in self._pieces:
            if piece[1] < start or piece[0] > end:
                apart.append(piece)
            else:
                merged_start = min(merged_start, piece[0])
                merged_end = max(merged_end, piece[1])
        if len(apart) >= MAX_GAPS:
            return False
        self._body[start:end] = fragment.body
        self._pieces = sorted([*apart, (merged_start, merged_end)])
        return True

    def body(self) -> bytes | None:
        """Return the whole body, or None while a piece is missing."""
        return bytes(self._body) if self._pieces == [(0, self.length)] else None


class Reassembler:
    """
    Gives back the peer's messages whole and in order of message_seq.

    It holds at most ``max_messages`` messages of at most ``max_message_length`` bytes each.
    """

    def __init__(self, *, max_message_length: int, max_messages: int) -> None:
        self._max_message_length = max_message_length
        self._max_messages = max_messages
        self._partial: dict[int, _PartialMessage] = {}
        self._next_message_seq = 0

    @property
    def next_message_seq(self) -> int:
        """The number of the message that is given back next; all below it have been."""
        return self._next_message_seq

    def clear(self) -> None:
        """Forget all messages that have not been given back."""
        self._partial.clear()

    def add(self, fragment: HandshakeFragment, epoch: int) -> bool:
        """
        Take one fragment that came in a record of ``epoch``.

        :returns: False if it was refused: of a message that was given back already or is too far
            ahead, too long, or in conflict with pieces of the same message that came before.
        """
        ahead = fragment.message_seq - self._next_message_seq
        if not 0 <= ahead < self._max_messages or fragment.length > self._max_message_length:
            return False
        partial = self._partial.get(fragment.message_seq)
        if partial is None or partial.epoch < epoch:
            # What a protected epoch brings replaces what anybody could have forged in epoch 0.
            partial = _PartialMessage(fragment, epoch)
        elif (partial.message_type, partial.length, partial.epoch) != (
            fragment.message_type,
            fragment.length,
            epoch,
        ):
            return False
        self._partial[fragment.message_seq] = partial
        return partial.add(fragment)

    def next_message(self) -> HandshakeMessage | None:
        """Return the next message in order and forget it, or None while it is not whole."""
        partial = self._partial.get(self._next_message_seq)
        if partial is None or (body := partial.body()) is None:
            return None
        del self._partial[self._next_message_seq]
        message = HandshakeMessage(
            partial.message_type, self._next_message_seq, partial.epoch, body
        )
        self._next_message_seq += 1
        return message
