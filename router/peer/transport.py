"""
The secured part of a peer connection: DTLS over the data plane, and data channels inside it.

Media keys go to the plane; DTLS datagrams come from it and go back through it. Like every core it
is fed with ``now`` and drained with ``next_event``.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from router.datachannel import (
    AssociationClosed,
    AssociationOpened,
    ChannelClosed,
    ChannelOpened,
    ChannelParameters,
    DataChannelConfig,
    DataChannelTransport,
    DtlsRole,
    MessageReceived,
)
from router.dtls import (
    ApplicationData,
    Certificate,
    Closed,
    DtlsConfig,
    DtlsConnection,
    DtlsState,
    HandshakeCompleted,
    parse_fingerprint,
)
from router.errors import LocalProtocolError, NegotiationError, WireFormatError
from router.node_events import SourceId
from router.plane.shard import PlaneShard
from router.sdp.negotiated import RemoteTransport, SctpParameters

SCTP_MTU = 1191
"""With DTLS, UDP and IPv6 around it this fits the smallest MTU of IPv6, 1280 bytes."""

MAX_DATA_SOURCES = 256
"""Data channels that a peer may open and have forwarded at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportConnected:
    """DTLS is up and the plane has the media keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportFailed:
    """DTLS failed or was closed."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSourceAdded:
    """The peer opened a data channel."""

    source_id: SourceId
    label: str
    parameters: ChannelParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSourceRemoved:
    """The peer closed a data channel."""

    source_id: SourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReceived:
    """A message came on a data channel of the peer."""

    source_id: SourceId
    data: str | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnChannelOpened:
    """The peer has acknowledged a two-way channel of ours."""

    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnChannelReceived:
    """A message came on a two-way channel of ours."""

    label: str
    data: str | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnChannelClosed:
    """A two-way channel of ours is gone: by the peer, by its slowness, or with the association."""

    label: str


TransportEvent = (
    TransportConnected
    | TransportFailed
    | DataSourceAdded
    | DataSourceRemoved
    | DataReceived
    | OwnChannelOpened
    | OwnChannelReceived
    | OwnChannelClosed
)


class PeerTransport:
    """
    See the module.

    :param new_source_id: Gives out ids that are unique on the node.
    """

    def __init__(
        self,
        *,
        shard: PlaneShard,
        transport_id: int,
        certificate: Certificate,
        new_source_id: Callable[[], SourceId],
        rng: random.Random,
    ) -> None:
        self._shard = shard
        self._transport_id = transport_id
        self._certificate = certificate
        self._new_source_id = new_source_id
        self._rng = rng
        self._events: deque[TransportEvent] = deque()
        self._dtls: DtlsConnection | None = None
        self._is_client = False
        self._sctp: SctpParameters | None = None
        self._channels: DataChannelTransport | None = None
        self._ours: dict[str, ChannelParameters] = {}
        """Channels of ours that should be open, by label."""
        self._wanted: dict[str, ChannelParameters] = {}
        """Those of them that wait for the association."""
        self._outbound: dict[str, int] = {}
        """Channel ids of ours by label."""
        self._labels: dict[int, str] = {}
        """The same the other way round, until the peer has closed its side too."""
        self._two_way: set[str] = set()
        """Labels of ours whose messages and end are reported."""
        self._inbound: dict[int, SourceId] = {}
        """Sources by the channel ids of the peer's channels."""
        self.connected = False

    # From signaling.

    def negotiated(
        self,
        remote: RemoteTransport,
        sctp: SctpParameters | None,
        now: float,
        *,
        new_association: bool,
    ) -> None:
        """
        Apply a completed exchange of descriptions.

        :raises NegotiationError: when none of the peer's fingerprints can be checked.
        """
        self._sctp = sctp
        if self._dtls is None or new_association:
            self._start_dtls(remote, now)
        self._start_channels(now)
        self._flush(now)

    def open_channel(
        self, label: str, parameters: ChannelParameters, now: float, *, two_way: bool = False
    ) -> None:
        """
        Open a data channel towards the peer, as soon as there is an association.

        :param label: Never used before on this transport.
        :param two_way: Report its opening, what the peer sends on it, and its end. Such a channel
            ends with its association; others are opened again with the next one.
        """
        self._wanted[label] = parameters
        if two_way:
            self._two_way.add(label)
        else:
            self._ours[label] = parameters
        self._open_wanted(now)
        self._flush(now)

    def close_channel(self, label: str, now: float) -> None:
        """Close a channel that was opened with ``open_channel``."""
        self._ours.pop(label, None)
        self._wanted.pop(label, None)
        self._two_way.discard(label)
        channel_id = self._outbound.pop(label, None)
        if channel_id is not None and self._channels is not None:
            self._channels.close_channel(channel_id, now)
            self._flush(now)

    def send(self, label: str, data: str | bytes, now: float) -> None:
        """
        Send a message on a channel of ours.

        It is lost while the channel is not open, and when the peer is so slow that the send buffer
        is full: memory stays bounded.
        """
        channel_id = self._outbound.get(label)
        if channel_id is None or self._channels is None:
            return
        try:
            self._channels.send(channel_id, data, now)
        except LocalProtocolError:
            return
        self._flush(now)

    def close(self) -> None:
        """
        Say goodbye.

        In the midst of a handshake nothing is said: a browser would take it for a failure, and tell
        of that before it hears from signaling why it has to go.
        """
        if self._dtls is not None and self._dtls.state is DtlsState.CONNECTED:
            self._dtls.close()
            self._send_datagrams()

    # From the plane and the clock.

    def receive_datagram(self, data: bytes, now: float) -> None:
        """Take a DTLS datagram from a validated address."""
        if self._dtls is not None:
            self._dtls.receive_datagram(data, now)
            self._flush(now)

    def handle_timer(self, now: float) -> None:
        """Act on all timers that are due."""
        if self._dtls is not None:
            self._dtls.handle_timer(now)
        if self._channels is not None:
            self._channels.handle_timer(now)
        self._flush(now)

    def next_timer(self) -> float | None:
        """Return the absolute time of the next timer, or None."""
        due = [
            at
            for core in (self._dtls, self._channels)
            if core is not None and (at := core.next_timer()) is not None
        ]
        return min(due) if due else None

    def next_event(self) -> TransportEvent | None:
        """Return the next event and forget it."""
        return self._events.popleft() if self._events else None

    # Inside.

    def _start_dtls(self, remote: RemoteTransport, now: float) -> None:
        fingerprints = []
        for text in remote.fingerprints:
            try:
                fingerprints.append(parse_fingerprint(text))
            except WireFormatError:
                continue
        if not fingerprints:
            raise NegotiationError("the description has no fingerprint that can be checked")
        self._drop_channels()
        self.connected = False
        self._is_client = remote.setup == "passive"
        self._dtls = DtlsConnection(
            DtlsConfig(certificate=self._certificate, remote_fingerprints=tuple(fingerprints)),
            is_client=self._is_client,
            rng=self._rng,
            now=now,
        )

    def _start_channels(self, now: float) -> None:
        if self._sctp is None or self._channels is not None or not self.connected:
            return
        self._channels = DataChannelTransport(
            config=DataChannelConfig(
                mtu=SCTP_MTU,
                remote_port=self._sctp.remote_port,
                remote_max_message_size=self._sctp.max_message_size,
            ),
            role=DtlsRole.CLIENT if self._is_client else DtlsRole.SERVER,
            rng=self._rng,
            now=now,
        )
        self._channels.connect(now)
        self._open_wanted(now)

    def _open_wanted(self, now: float) -> None:
        if self._channels is None:
            return
        for label, parameters in list(self._wanted.items()):
            try:
                self._outbound[label] = self._channels.open_channel(
                    label=label,
                    now=now,
                    ordered=parameters.ordered,
                    max_packet_lifetime_ms=parameters.max_packet_lifetime_ms,
                    max_retransmits=parameters.max_retransmits,
                    priority=parameters.priority,
                )
            except LocalProtocolError:
                continue  # All stream ids are taken: it waits until some are free.
            self._labels[self._outbound[label]] = label
            del self._wanted[label]

    def _drop_channels(self) -> None:
        for source_id in self._inbound.values():
            self._events.append(DataSourceRemoved(source_id=source_id))
        for label in self._outbound:
            if label in self._two_way:
                self._two_way.discard(label)
                self._events.append(OwnChannelClosed(label=label))
        self._inbound.clear()
        self._outbound.clear()
        self._labels.clear()
        # For the next association.
        waiting = {label: self._wanted[label] for label in self._two_way}
        self._wanted = self._ours | waiting
        self._channels = None

    def _flush(self, now: float) -> None:
        """Move what each layer has for the other until nothing moves."""
        if self._dtls is None:
            return
        while (event := self._dtls.next_event()) is not None:
            match event:
                case HandshakeCompleted():
                    self._keys_agreed(event)
                    self._start_channels(now)
                case ApplicationData(data):
                    if self._channels is not None:
                        self._channels.receive_datagram(data, now)
                case Closed(error):
                    self.connected = False
                    self._drop_channels()
                    self._events.append(
                        TransportFailed(reason=str(error) if error else "the peer closed DTLS")
                    )
        if self._channels is not None:
            self._read_channels(now)
        if self._channels is not None and self.connected:
            for datagram in self._channels.datagrams_to_send():
                self._dtls.send_application_data(datagram)
        self._send_datagrams()

    def _send_datagrams(self) -> None:
        assert self._dtls is not None
        for datagram in self._dtls.datagrams_to_send():
            # A full ring loses a datagram, as networks do; DTLS and SCTP repeat what matters.
            self._shard.plane.send_datagram(self._transport_id, datagram)

    def _keys_agreed(self, event: HandshakeCompleted) -> None:
        if event.srtp_profile is None:
            self._events.append(TransportFailed(reason="no SRTP profile was agreed"))
            return
        # Our Finished goes first: until it is there, the peer drops media, at worst a key frame.
        self._send_datagrams()
        self._shard.command(
            self._shard.plane.set_keys(
                self._transport_id,
                event.srtp_profile.id,
                event.remote_key,
                event.remote_salt,
                event.local_key,
                event.local_salt,
            )
        )
        self.connected = True
        self._events.append(TransportConnected())

    def _read_channels(self, now: float) -> None:
        assert self._channels is not None
        while (event := self._channels.next_event()) is not None:
            match event:
                case ChannelOpened(remote=True):
                    if len(self._inbound) >= MAX_DATA_SOURCES:
                        self._channels.close_channel(event.channel_id, now)
                        continue
                    source_id = self._new_source_id()
                    self._inbound[event.channel_id] = source_id
                    self._events.append(
                        DataSourceAdded(
                            source_id=source_id, label=event.label, parameters=event.parameters
                        )
                    )
                case ChannelOpened(label=label) if label in self._two_way:
                    self._events.append(OwnChannelOpened(label=label))
                case ChannelClosed(channel_id=channel_id):
                    closed = self._inbound.pop(channel_id, None)
                    if closed is not None:
                        self._events.append(DataSourceRemoved(source_id=closed))
                    self._own_closed(channel_id, by_peer=event.error is None)
                    self._open_wanted(now)
                case AssociationOpened():
                    # Perhaps not for the first time: a peer that restarts it forgets all channels.
                    lost = {k: v for k, v in self._ours.items() if k not in self._outbound}
                    self._wanted = lost | self._wanted
                    self._open_wanted(now)
                case MessageReceived(channel_id=channel_id, data=data):
                    source, own = self._inbound.get(channel_id), self._labels.get(channel_id)
                    if source is not None:
                        self._events.append(DataReceived(source_id=source, data=data))
                    elif own is not None and own in self._two_way:
                        self._events.append(OwnChannelReceived(label=own, data=data))
                case AssociationClosed():
                    self._drop_channels()
                    return

    def _own_closed(self, channel_id: int, *, by_peer: bool) -> None:
        label = self._labels.pop(channel_id, None)
        if label is None:
            return
        if by_peer:
            self._ours.pop(label, None)
        # The id may now become another channel's, so nothing may be sent by this label any more.
        if self._outbound.get(label) == channel_id:
            del self._outbound[label]
        if label in self._two_way:
            self._two_way.discard(label)
            self._events.append(OwnChannelClosed(label=label))
