"""
All data channels of one peer connection, over one SCTP association (RFC 8831, 8832).

The input of the core is what DTLS decrypted, its output what DTLS is to encrypt.
"""

import random
from collections import deque
from dataclasses import dataclass

from ..errors import LocalProtocolError, ProtocolError, RemoteProtocolError, WireFormatError
from ..sctp import (
    Association,
    AssociationEstablished,
    AssociationRestarted,
    DataReceived,
    IncomingStreamsReset,
    OutgoingStreamsReset,
    SctpCounters,
    SctpEvent,
    State,
    StreamResetFailed,
)
from ..sctp import AssociationClosed as SctpAssociationClosed
from .channel import Channel, ChannelInput, ChannelState
from .config import DataChannelConfig, DtlsRole
from .dcep import (
    DATA_CHANNEL_ACK,
    DATA_CHANNEL_OPEN,
    ChannelParameters,
    OpenMessage,
    parse_open,
    serialize_ack,
)
from .events import (
    AssociationClosed,
    AssociationOpened,
    ChannelClosed,
    ChannelOpened,
    DataChannelEvent,
    MessageReceived,
)
from .payload import Ppid, parse_payload, serialize_payload

_DCEP = int(Ppid.DCEP)
_CONNECTING, _OPEN = ChannelState.CONNECTING, ChannelState.OPEN
#: What one message costs of the send buffer beside its bytes, at least; keeps the check cheap.
_HEADROOM_BYTES = 1024


@dataclass(slots=True)
class DataChannelCounters:
    """Counters since the start; plain integers, read at any time."""

    messages_sent: int = 0
    messages_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    messages_dropped: int = 0
    """Not sent, because a channel with limited reliability found the send buffer full."""
    messages_ignored: int = 0
    """Received for no open channel, with an unknown PPID, or as malformed DCEP."""


class DataChannelTransport:
    """
    Opens, serves and closes data channels.

    A slow peer cannot make us hold more than ``send_buffer_bytes``: with the buffer full, a message
    of a channel with limited reliability is dropped, and a reliable channel, which cannot lose one
    and stay reliable, is closed with an error.

    :param role: Ours in the DTLS handshake.
    :param rng: The association's source of randomness.
    :param now: CLOCK_MONOTONIC in seconds, as everywhere.
    """

    def __init__(
        self, *, config: DataChannelConfig, role: DtlsRole, rng: random.Random, now: float
    ) -> None:
        self._config = config
        self._max_sendable_size = config.max_sendable_size
        self._first_id = 0 if role is DtlsRole.CLIENT else 1
        self._association = Association(config=config.to_sctp(), rng=rng, now=now)
        self._channels: dict[int, Channel] = {}
        self._events: deque[DataChannelEvent] = deque()
        self._remote_label_bytes = 0
        self.counters = DataChannelCounters()

    # What the caller can ask.

    @property
    def is_connected(self) -> bool:
        """Whether the association is established."""
        return self._association.state is State.ESTABLISHED

    @property
    def is_closed(self) -> bool:
        """Whether the association is over."""
        return self._association.state is State.TERMINATED

    @property
    def sctp_counters(self) -> SctpCounters:
        """The association's counters."""
        return self._association.counters

    @property
    def send_buffer_used(self) -> int:
        """Bytes of all messages that the peer has not acknowledged, with an overhead for each."""
        return self._association.send_buffer_used

    def channel_ids(self) -> list[int]:
        """Return the identifiers of all channels that are not closed, in ascending order."""
        return sorted(self._channels)

    def buffered_amount(self, channel_id: int) -> int:
        """Return the bytes of the channel's messages that have not been sent once."""
        return self._association.buffered_amount(channel_id)

    # What the caller can do.

    def connect(self, now: float) -> None:
        """Start the association; both sides may, and a side that does not still answers."""
        self._association.connect(now)

    def open_channel(
        self,
        *,
        label: str,
        now: float,
        ordered: bool = True,
        max_packet_lifetime_ms: int | None = None,
        max_retransmits: int | None = None,
        protocol: str = "",
        priority: int = 256,
        negotiated_id: int | None = None,
    ) -> int:
        """
        Open a channel and return its identifier; messages may be sent at once.

        :param negotiated_id: Identifier that both sides agreed on outside of the association; then
            nothing is sent and the channel opens with the association.
        :raises LocalProtocolError: if a parameter is wrong, no identifier is free or the
            association is over.
        """
        parameters = ChannelParameters(
            ordered=ordered,
            max_packet_lifetime_ms=max_packet_lifetime_ms,
            max_retransmits=max_retransmits,
            protocol=protocol,
            priority=priority,
        )
        open_message = OpenMessage(label=label, parameters=parameters).serialize()
        is_negotiated = negotiated_id is not None
        channel_id = self._free_id() if negotiated_id is None else negotiated_id
        if channel_id in self._channels:
            raise LocalProtocolError(f"channel {channel_id} exists")
        if not 0 <= channel_id < self._association.outbound_streams:
            raise LocalProtocolError(
                f"channel {channel_id} is not below {self._association.outbound_streams}"
            )
        if not is_negotiated:
            self._association.send(channel_id, _DCEP, open_message, now)
        elif self.is_closed:
            raise LocalProtocolError("the association is over")
        channel = Channel(channel_id, label, parameters, is_remote=False, negotiated=is_negotiated)
        self._channels[channel_id] = channel
        self._association.set_weight(channel_id, max(1, priority))
        if is_negotiated and self.is_connected:
            self._confirm(channel)
        self._process_association_events(now)
        return channel_id

    def send(self, channel_id: int, data: str | bytes, now: float) -> bool:
        """
        Send a message; return False if the send buffer was full.

        It was then dropped, and the channel is being closed if it is a reliable one.

        :raises LocalProtocolError: if the channel is not open or the message is too large.
        """
        channel = self._channels.get(channel_id)
        if channel is None or not channel.accepts_messages:
            raise LocalProtocolError(f"channel {channel_id} is not open")
        ppid, user_data = serialize_payload(data)
        size = len(user_data)
        if size > self._max_sendable_size:
            raise LocalProtocolError(
                f"message of {size} bytes, the peer takes {self._max_sendable_size}"
            )
        association = self._association
        used = association.send_buffer_used + size + _HEADROOM_BYTES
        if not channel.parameters.is_reliable:
            if used > self._config.unreliable_send_buffer_bytes and association.send_buffer_used:
                self.counters.messages_dropped += 1
                return False
        elif used > self._config.send_buffer_bytes:
            self._close(channel, LocalProtocolError("the peer is too slow: send buffer full"), now)
            self._process_association_events(now)
            return False
        association.send(
            channel_id,
            ppid,
            user_data,
            now,
            # Nothing may overtake DATA_CHANNEL_OPEN (RFC 8832 section 6).
            ordered=channel.ordered or (channel.state is _CONNECTING and not channel.negotiated),
            lifetime=channel.lifetime,
            max_retransmits=channel.max_retransmits,
        )
        self.counters.messages_sent += 1
        self.counters.bytes_sent += size
        return True

    def close_channel(self, channel_id: int, now: float) -> None:
        """
        Close a channel after the messages sent on it; unknown and closing ones are left alone.

        :class:`ChannelClosed` follows when the peer has closed its side too.
        """
        channel = self._channels.get(channel_id)
        if channel is not None:
            self._close(channel, None, now)
            self._process_association_events(now)

    def shutdown(self, now: float) -> None:
        """End the association after all messages have been acknowledged."""
        self._association.shutdown(now)
        self._process_association_events(now)

    def abort(self, reason: str, now: float) -> None:
        """End the association at once; ``reason`` goes to the peer."""
        self._association.abort(reason, now)
        self._process_association_events(now)

    # The surface of a core.

    def receive_datagram(self, data: bytes, now: float) -> None:
        """Take one decrypted SCTP packet."""
        self._association.receive_datagram(data, now)
        self._process_association_events(now)

    def handle_timer(self, now: float) -> None:
        """Act on the association's timers."""
        self._association.handle_timer(now)
        self._process_association_events(now)

    def next_timer(self) -> float | None:
        """Return when :meth:`handle_timer` is due, or None."""
        return self._association.next_timer()

    def datagrams_to_send(self) -> list[bytes]:
        """Return SCTP packets, each for one DTLS record, and forget them."""
        return self._association.datagrams_to_send()

    def next_event(self) -> DataChannelEvent | None:
        """Return the next event and forget it, or None."""
        return self._events.popleft() if self._events else None

    # The association's events.

    def _process_association_events(self, now: float) -> None:
        while (event := self._association.next_event()) is not None:
            if isinstance(event, DataReceived):
                self._receive_message(event, now)
            else:
                self._process_rare_event(event, now)

    def _process_rare_event(self, event: SctpEvent, now: float) -> None:
        if isinstance(event, AssociationEstablished):
            self._on_established(event.outbound_streams)
        elif isinstance(event, IncomingStreamsReset):
            for stream_id in event.stream_ids or tuple(self._channels):
                self._on_incoming_reset(stream_id, now)
        elif isinstance(event, OutgoingStreamsReset | StreamResetFailed):
            for stream_id in event.stream_ids:
                self._on_outgoing_reset(stream_id, failed=isinstance(event, StreamResetFailed))
        elif isinstance(event, AssociationRestarted):
            self._lose_channels(RemoteProtocolError("the peer restarted the association"))
            self._events.append(AssociationOpened())
        elif isinstance(event, SctpAssociationClosed):
            self._lose_channels(event.error)
            self._events.append(AssociationClosed(error=event.error))

    def _on_established(self, outbound_streams: int) -> None:
        self._events.append(AssociationOpened())
        for channel in list(self._channels.values()):
            if channel.channel_id >= outbound_streams:
                channel.error = RemoteProtocolError(
                    f"the peer takes {outbound_streams} streams, channel {channel.channel_id} "
                    "is beyond"
                )
                self._remove(channel)
            elif channel.negotiated:
                self._confirm(channel)

    def _on_incoming_reset(self, stream_id: int, now: float) -> None:
        channel = self._channels.get(stream_id)
        if channel is None:
            return
        must_reset_ours = channel.state in (_CONNECTING, _OPEN)
        channel.handle(ChannelInput.INCOMING_RESET)
        if channel.state is ChannelState.CLOSED:
            self._remove(channel)
        elif must_reset_ours:
            self._reset_stream(stream_id, now)

    def _on_outgoing_reset(self, stream_id: int, *, failed: bool) -> None:
        channel = self._channels.get(stream_id)
        # With another reset under way, this was the one of an earlier channel on the stream.
        if channel is None or self._association.is_resetting(stream_id):
            return
        if failed:
            # Neither side can end the stream; to the application the channel is gone all the same.
            channel.handle(ChannelInput.ASSOCIATION_LOST)
        else:
            channel.handle(ChannelInput.OUTGOING_RESET)
        if channel.state is ChannelState.CLOSED:
            self._remove(channel)

    def _lose_channels(self, error: ProtocolError | None) -> None:
        for channel in list(self._channels.values()):
            channel.handle(ChannelInput.ASSOCIATION_LOST)
            channel.error = channel.error or error
            self._remove(channel)

    # Messages.

    def _receive_message(self, event: DataReceived, now: float) -> None:
        if event.ppid == _DCEP:
            try:
                self._receive_dcep(event.stream_id, event.data, now)
            except WireFormatError:
                self.counters.messages_ignored += 1
                self._refuse(event.stream_id, now)
            return
        channel = self._channels.get(event.stream_id)
        if channel is None or not channel.accepts_messages:
            self.counters.messages_ignored += 1
            return
        if channel.state is _CONNECTING:
            self._confirm(channel)
        try:
            data = parse_payload(event.ppid, event.data)
        except WireFormatError:
            self.counters.messages_ignored += 1
            return
        self.counters.messages_received += 1
        self.counters.bytes_received += len(event.data)
        self._events.append(MessageReceived(channel_id=event.stream_id, data=data))

    def _receive_dcep(self, stream_id: int, data: bytes, now: float) -> None:
        if data[0] == DATA_CHANNEL_OPEN:
            self._receive_open(stream_id, parse_open(data), now)
        elif data[0] == DATA_CHANNEL_ACK:
            channel = self._channels.get(stream_id)
            if channel is not None:
                self._confirm(channel)
        else:
            raise WireFormatError(f"DCEP message type {data[0]}")

    def _receive_open(self, stream_id: int, message: OpenMessage, now: float) -> None:
        channel = self._channels.get(stream_id)
        if channel is not None and channel.state is ChannelState.WAITING_FOR_ACK:
            # The peer uses the identifier again, so it knows of our reset; only the answer is lost.
            self._remove(channel)
            channel = None
        label_bytes = _label_bytes(message.label, message.parameters)
        if (
            channel is not None
            or stream_id % 2 == self._first_id
            or stream_id >= self._association.outbound_streams
            or self._remote_label_bytes + label_bytes > self._config.max_label_bytes
        ):
            self.counters.messages_ignored += 1
            self._refuse(stream_id, now)
            return
        try:
            self._association.send(stream_id, _DCEP, serialize_ack(), now)
        except LocalProtocolError:
            # The send buffer is full or the association ends: there is no room for a channel.
            self._refuse(stream_id, now)
            return
        self._remote_label_bytes += label_bytes
        self._association.set_weight(stream_id, max(1, message.parameters.priority))
        self._channels[stream_id] = Channel(
            stream_id, message.label, message.parameters, is_remote=True, negotiated=False
        )
        self._events.append(
            ChannelOpened(
                channel_id=stream_id,
                label=message.label,
                parameters=message.parameters,
                remote=True,
            )
        )

    def _confirm(self, channel: Channel) -> None:
        """Report that a channel of ours is open, once."""
        if channel.handle(ChannelInput.CONFIRMED):
            self._events.append(
                ChannelOpened(
                    channel_id=channel.channel_id,
                    label=channel.label,
                    parameters=channel.parameters,
                    remote=False,
                )
            )

    # Closing.

    def _refuse(self, stream_id: int, now: float) -> None:
        """Close what the peer did with a stream that cannot be a channel (RFC 8832 section 6)."""
        channel = self._channels.get(stream_id)
        if channel is not None:
            self._close(channel, RemoteProtocolError("the peer broke DCEP"), now)
        elif stream_id < self._association.outbound_streams:
            self._reset_stream(stream_id, now)

    def _close(self, channel: Channel, error: ProtocolError | None, now: float) -> None:
        if not channel.handle(ChannelInput.CLOSE_CALLED):
            return
        channel.error = error
        if not self.is_connected:
            self._association.discard_unsent(channel.channel_id)
            channel.handle(ChannelInput.ASSOCIATION_LOST)
            self._remove(channel)
            return
        if error is not None:
            # The peer is to learn of the end before it has read all that made it necessary.
            self._association.discard_unsent(channel.channel_id)
        self._reset_stream(channel.channel_id, now)

    def _reset_stream(self, stream_id: int, now: float) -> None:
        if self.is_connected:
            self._association.reset_streams((stream_id,), now)

    def _remove(self, channel: Channel) -> None:
        del self._channels[channel.channel_id]
        if channel.is_remote:
            self._remote_label_bytes -= _label_bytes(channel.label, channel.parameters)
        self._events.append(ChannelClosed(channel_id=channel.channel_id, error=channel.error))

    def _free_id(self) -> int:
        for channel_id in range(self._first_id, self._association.outbound_streams, 2):
            if channel_id not in self._channels:
                return channel_id
        raise LocalProtocolError("no stream identifier is free")


def _label_bytes(label: str, parameters: ChannelParameters) -> int:
    return len(label.encode()) + len(parameters.protocol.encode())
