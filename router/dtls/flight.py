"""
Flights: messages packed into datagrams, and sent again (RFC 6347 sections 4.1.1 and 4.2.4).

A flight is replaced by the next one, which is how its answer acknowledges it. Until then silence
means loss: it is sent again, at intervals that double. The last flight has no answer, so it is sent
again only when the peer repeats the flight before it.
"""

from collections.abc import Sequence

from .effects import ChangeCipherSpec, FlightItem
from .handshake import HEADER_LENGTH as HANDSHAKE_HEADER_LENGTH
from .handshake import serialize_handshake_header
from .record import ContentType
from .record_layer import RecordLayer

FALLBACK_MTU = 548
"""What any IPv4 path carries: 576 bytes less the IP and UDP headers."""
TIMEOUTS_UNTIL_FALLBACK = 3
"""
After so many repetitions without an answer, datagrams shrink to FALLBACK_MTU (RFC 6347 4.1.1.1).
"""
MAX_REPETITIONS_ON_REQUEST = 32
"""
How often the peer can have one flight repeated by repeating its own; what asks for it in epoch 0
can be forged, and is shorter than what it brings about.
"""
_MINIMUM_PIECE = 32
_CHANGE_CIPHER_SPEC = b"\x01"


def pack_flight(items: Sequence[FlightItem], records: RecordLayer, mtu: int) -> list[bytes]:
    """
    Return the datagrams of a flight, each record under the next sequence number of its epoch.

    A message that does not fit into the rest of a datagram is cut there, unless the piece would be
    shorter than it is worth.

    :param mtu: Longest datagram, in bytes.
    """
    datagrams: list[bytes] = []
    datagram = b""
    for item in items:
        if isinstance(item, ChangeCipherSpec):
            record = records.seal(ContentType.CHANGE_CIPHER_SPEC, _CHANGE_CIPHER_SPEC, item.epoch)
            if len(datagram) + len(record) > mtu:
                datagrams.append(datagram)
                datagram = b""
            datagram += record
            continue
        overhead = records.overhead(item.epoch) + HANDSHAKE_HEADER_LENGTH
        length = len(item.body)
        offset = 0
        while True:
            room = mtu - len(datagram) - overhead
            if datagram and room < min(length - offset, _MINIMUM_PIECE):
                datagrams.append(datagram)
                datagram = b""
                continue
            piece = item.body[offset : offset + room]
            header = serialize_handshake_header(
                item.message_type, length, item.message_seq, offset, len(piece)
            )
            datagram += records.seal(ContentType.HANDSHAKE, header + piece, item.epoch)
            offset += len(piece)
            if offset == length:
                break
    if datagram:
        datagrams.append(datagram)
    return datagrams


class FlightTransmitter:
    """Holds the flight that was sent last, and says when it is sent again."""

    def __init__(self, *, initial_interval: float, maximum_interval: float) -> None:
        self._initial_interval = initial_interval
        self._maximum_interval = maximum_interval
        self._interval = initial_interval
        self._retransmit_at: float | None = None
        self._items: tuple[FlightItem, ...] = ()
        self._timeouts = 0
        self._requests = 0
        self._falls_back = False

    @property
    def items(self) -> tuple[FlightItem, ...]:
        """The flight; empty before the first and when it need not be sent again."""
        return self._items

    def start(self, items: tuple[FlightItem, ...], now: float, *, retransmit: bool) -> None:
        """Take the next flight, which has just been sent."""
        if self._timeouts == 0:
            # RFC 6347 section 4.2.4.1: the interval is kept until a transmission without loss.
            self._interval = self._initial_interval
        self._items = items
        self._timeouts = 0
        self._requests = 0
        self._retransmit_at = now + self._interval if retransmit else None

    def stop(self, *, forget: bool) -> None:
        """Stop the timer; ``forget`` when the peer cannot need the flight any more."""
        self._retransmit_at = None
        if forget:
            self._items = ()

    def next_timer(self) -> float | None:
        """Return when the flight is due again."""
        return self._retransmit_at

    def handle_timer(self, now: float) -> bool:
        """Return whether the flight is due, and back off."""
        if self._retransmit_at is None or now < self._retransmit_at:
            return False
        self._timeouts += 1
        # Once it helped, or may have, it stays: no later flight has to find out again.
        self._falls_back |= self._timeouts >= TIMEOUTS_UNTIL_FALLBACK
        self._interval = min(2 * self._interval, self._maximum_interval)
        self._retransmit_at = now + self._interval
        return True

    def handle_repeated_flight(self, now: float) -> bool:
        """Return whether to send the flight again because the peer repeated its own."""
        if not self._items or self._requests >= MAX_REPETITIONS_ON_REQUEST:
            return False
        self._requests += 1
        if self._retransmit_at is not None:
            self._retransmit_at = now + self._interval
        return True

    def mtu(self, configured: int) -> int:
        """Return how long the datagrams of this transmission may be."""
        return min(configured, FALLBACK_MTU) if self._falls_back else configured
