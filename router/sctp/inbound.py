"""The receiver: what arrived, what is delivered, when it is acknowledged (RFC 9260 section 6.2)."""

from ..errors import RemoteProtocolError
from .chunks.data import IMMEDIATE, DataChunk
from .chunks.error import CauseCode
from .chunks.forward_tsn import ForwardTsnChunk
from .chunks.sack import SACK_HEADER_BYTES, SackChunk
from .config import SctpConfig
from .events import DataReceived
from .packet import COMMON_HEADER_BYTES
from .reassembly import Reassembler
from .received_tsns import MAX_TSN_AHEAD, ReceivedTsns
from .serial_number import TSN_MASK, extend_tsn


class InboundData:
    """
    Takes DATA and FORWARD TSN from a peer whose initial TSN is known.

    Memory is bounded by ``receive_buffer_bytes``, except that TSNs which fill gaps are taken up
    to twice that: the buffer could not empty itself without them.
    """

    def __init__(self, *, config: SctpConfig, initial_tsn: int) -> None:
        self._buffer_bytes = config.receive_buffer_bytes
        self._delayed_ack_timeout = config.delayed_ack_timeout
        self._max_report = (config.mtu - COMMON_HEADER_BYTES - SACK_HEADER_BYTES) // 4
        self._tsns = ReceivedTsns(initial_tsn=initial_tsn)
        self._reassembler = Reassembler(max_message_size=config.max_message_size)
        self._packets_to_ack = 0
        self._packet_has_data = False
        self._sack_now = False
        self.sack_deadline: float | None = None
        """When a delayed acknowledgement is due at the latest; None when none is pending."""

    @property
    def cumulative_tsn(self) -> int:
        """The highest TSN below which nothing is missing, extended."""
        return self._tsns.cumulative

    @property
    def a_rwnd(self) -> int:
        """Bytes of the receive buffer that are free."""
        return max(0, self._buffer_bytes - self._reassembler.held_bytes)

    @property
    def is_sack_due(self) -> bool:
        """Whether an acknowledgement may not wait."""
        return self._sack_now

    def receive_data(self, chunk: DataChunk) -> list[DataReceived]:
        """
        Take a DATA chunk; return the messages that can be delivered.

        :raises RemoteProtocolError: if it has no user data or completes too long a message.
        """
        if not chunk.user_data:
            raise RemoteProtocolError("DATA chunk without user data", cause=CauseCode.NO_USER_DATA)
        tsns = self._tsns
        tsn = extend_tsn(chunk.tsn, tsns.cumulative)
        self._packet_has_data = True
        if chunk.flags & IMMEDIATE:
            self._sack_now = True
        if tsns.contains(tsn):
            tsns.note_duplicate(chunk.tsn)
            self._sack_now = True
            return []
        if tsn > tsns.cumulative + MAX_TSN_AHEAD or not self._has_room(tsn):
            self._sack_now = True
            return []
        had_gaps = tsns.has_gaps
        tsns.add(tsn)
        if had_gaps or tsns.has_gaps:
            self._sack_now = True
        return self._reassembler.add(tsn, chunk)

    def receive_forward_tsn(self, chunk: ForwardTsnChunk) -> list[DataReceived]:
        """Take a FORWARD TSN chunk (RFC 3758 section 3.6); return what it lets through."""
        tsn = extend_tsn(chunk.new_cumulative_tsn, self._tsns.cumulative)
        self._sack_now = True
        if tsn <= self._tsns.cumulative:
            return []
        self._tsns.skip_to(tsn)
        return self._reassembler.skip(tsn, chunk.streams)

    def end_packet(self, now: float) -> None:
        """Note that all chunks of a packet were given; every second one is acknowledged at once."""
        if self._packet_has_data:
            self._packet_has_data = False
            self._packets_to_ack += 1
            if self._packets_to_ack >= 2:
                self._sack_now = True
            elif self.sack_deadline is None:
                self.sack_deadline = now + self._delayed_ack_timeout

    def handle_timer(self, now: float) -> None:
        """Make a delayed acknowledgement due when its time has come."""
        if self.sack_deadline is not None and now >= self.sack_deadline:
            self._sack_now = True

    def take_sack(self) -> bytes:
        """Return a SACK chunk; no other is due until more arrives."""
        self._sack_now = False
        self._packets_to_ack = 0
        self.sack_deadline = None
        blocks, duplicates = self._tsns.take_report(self._max_report)
        return SackChunk(
            self._tsns.cumulative & TSN_MASK, self.a_rwnd, blocks, duplicates
        ).serialize()

    def reset_streams(self, stream_ids: tuple[int, ...]) -> list[DataReceived]:
        """
        Begin the stream sequence numbers of these streams, or of all, at 0 again.

        Return the messages that waited for ones which will not come.
        """
        delivered: list[DataReceived] = []
        for stream_id in stream_ids or self._reassembler.stream_ids():
            delivered += self._reassembler.reset_stream(stream_id)
        return delivered

    def _has_room(self, tsn: int) -> bool:
        held = self._reassembler.held_bytes
        if held < self._buffer_bytes:
            return True
        return tsn < self._tsns.highest and held < 2 * self._buffer_bytes
