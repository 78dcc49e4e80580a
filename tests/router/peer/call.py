"""
Peer connections on a data plane that is driven by hand, with clients of the load generator.

The whole media path on virtual time: ICE, DTLS, SRTP, the plane and data channels, no socket.
"""

import random
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from benchmarks.load import AudioSettings, OpusEncoder, VideoSettings, Vp8Encoder
from benchmarks.load.core import ClientConfig, ClientCore
from router._fastpath import plane as fp
from router.dtls import Certificate
from router.net import Address
from router.node_events import PeerId, SourceId
from router.peer.connection import PeerConnection, PeerEvent, SourcesChanged
from router.peer.slots import Binding
from router.peer.sources import MediaSource
from router.plane.codecs import CodecTable
from router.plane.ids import IdPool
from router.plane.shard import PlaneShard
from router.sdp.config import LocalTransport, NegotiationConfig
from tests.router.fastpath.seals import SealWatch

SERVER = Address("198.51.100.1", 8443)
TICK = 0.001


def new_shard(capacity: int = 64) -> PlaneShard:
    """Return a data plane without a thread."""
    return PlaneShard(
        index=0,
        plane=fp.DataPlane(
            max_transports=capacity, max_streams=4 * capacity, max_slots=4 * capacity, seed=1
        ),
        port=SERVER.port,
        transports=IdPool(capacity),
        streams=IdPool(4 * capacity),
        slots=IdPool(4 * capacity),
        codecs=CodecTable(),
    )


def new_certificate(number: int) -> Certificate:
    """Return a certificate; another number gives another one."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    return Certificate.generate(
        serial_number=number, not_before=begin, not_after=begin + timedelta(days=365)
    )


@dataclass
class Member:
    """One participant: the server's side of its connection, and its client."""

    connection: PeerConnection
    client: ClientCore
    address: Address
    sources: dict[SourceId, MediaSource] = field(default_factory=dict)
    events: list[PeerEvent] = field(default_factory=list)
    seals: SealWatch = field(default_factory=SealWatch)

    @property
    def frames(self) -> int:
        """Complete video frames that the client has received."""
        return sum(
            counts.complete
            for stream in self.client.media.inbound.values()
            if stream.is_video
            for counts in stream.publishers.values()
        )


class Call:
    """Members of one room. What the media node does between them, it does here by hand."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = random.Random(seed)
        self.now = 1000.0
        self.shard = new_shard()
        self.members: list[Member] = []
        self._certificate = new_certificate(1)
        self._client_certificate = new_certificate(2)
        self._sources = 0
        self._addresses = 0

    # Members.

    def connection(self, *, replaces: PeerConnection | None = None) -> PeerConnection:
        """Return the server's side of a new connection."""

        def make_negotiation(transport: LocalTransport) -> NegotiationConfig:
            return NegotiationConfig(transport=transport)

        return PeerConnection(
            peer_id=PeerId(len(self.members) + 1),
            shard=self.shard,
            certificate=self._certificate if replaces is None else new_certificate(9),
            candidates=(f"candidate:1 1 udp 2130706431 {SERVER.host} {SERVER.port} typ host",),
            make_negotiation=make_negotiation,
            new_source_id=self._new_source_id,
            rng=self.rng,
            heritage=replaces.heritage if replaces is not None else None,
        )

    def client(self, certificate: Certificate | None = None) -> tuple[ClientCore, Address]:
        """Return a client on an address of its own, which publishes a camera and a microphone."""
        self._addresses += 1
        address = Address(f"203.0.113.{self._addresses}", 5000)
        core = ClientCore(
            ClientConfig(certificate=certificate or self._client_certificate),
            local=address,
            rng=self.rng,
            now=self.now,
        )
        core.publish(OpusEncoder(self._addresses, AudioSettings(), self.rng), "sound", self.now)
        core.publish(Vp8Encoder(self._addresses, VideoSettings(), self.rng), "picture", self.now)
        return core, address

    def join(self) -> Member:
        """Add a member and exchange descriptions."""
        member = Member(self.connection(), *self.client())
        self.members.append(member)
        self.offer(member)
        return member

    def offer(self, member: Member) -> None:
        """Let a member's client offer."""
        answer = member.connection.handle_offer(member.client.create_offer(), self.now)
        member.client.receive_answer(answer, self.now)
        self._pump(member)

    def replace_client(
        self, member: Member, certificate: Certificate, *, data: bool = False
    ) -> None:
        """Let a client with another certificate go on in the same connection."""
        member.client, member.address = self.client(certificate)
        if data:
            member.client.add_section("application")
        member.seals = SealWatch()
        self.offer(member)

    def replace_connection(self, member: Member) -> None:
        """Let a member's client restart ICE, and be answered from a new connection."""
        old = member.connection
        member.connection = self.connection(replaces=old)
        old.close()
        old.free()
        self.run(TICK)  # the goodbyes are sealed with the old keys
        for viewer in self.members:
            for source_id in member.sources:
                viewer.connection.slots.release(source_id)
        member.sources.clear()
        member.client.restart_ice(self.now)
        member.seals = SealWatch()
        self.offer(member)

    def watch(self, viewer: Member, publisher: Member) -> None:
        """Subscribe to all that a member sends."""
        for media in list(publisher.sources.values()):
            source = media.source
            viewer.connection.request_slot(
                Binding(source.source_id, publisher.connection.peer_id, source.kind)
            )
        self._point(publisher)

    # Time.

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end:
            self._step()
            self.now += TICK

    def _step(self) -> None:
        now_us = round(self.now * 1_000_000)
        plane = self.shard.plane
        inbound: deque[tuple[bytes, tuple[str, int]]] = deque()
        for member in self.members:
            due = member.client.next_timer()
            if due is not None and due <= self.now:
                member.client.handle_timer(self.now)
            inbound += [(data, member.address) for data, _ in member.client.datagrams_to_send()]
            at = member.connection.transport.next_timer()
            if at is not None and at <= self.now:
                member.connection.transport.handle_timer(self.now)
                self._pump(member)
        plane.receive_datagrams(list(inbound), now_us)
        plane.handle_timer(now_us)
        self._read_events()
        plane.handle_timer(now_us)
        by_address = {member.address: member for member in self.members}
        for data, destination in plane.datagrams_to_send():
            receiver = by_address.get(Address(*destination))
            if receiver is not None:
                receiver.seals.note(data)
                receiver.client.receive_datagram(data, SERVER, self.now)

    def _read_events(self) -> None:
        for event in self.shard.plane.next_events(1000):
            identifier = event[1]
            if event[0] == fp.EVENT_STREAM_STARTED:
                identifier = self.shard.stream_transports.get(identifier, 0)
            for member in self.members:
                connection = member.connection
                if connection.transport_id != identifier:
                    continue
                match event:
                    case (fp.EVENT_DATAGRAM, _, _, data):
                        connection.transport.receive_datagram(data, self.now)
                    case (fp.EVENT_SSRC, _, _, ssrc, payload_type, mid, _, _):
                        connection.ssrc_discovered(ssrc, payload_type, mid.decode())
                    case (fp.EVENT_STREAM_STARTED, stream_id, _):
                        connection.stream_started(stream_id)
                self._pump(member)

    def _pump(self, member: Member) -> None:
        while (event := member.connection.next_event()) is not None:
            member.events.append(event)
            if isinstance(event, SourcesChanged):
                for media in event.removed:
                    del member.sources[media.source.source_id]
                for media in (*event.added, *event.restreamed):
                    member.sources[media.source.source_id] = media
                self._point(member)

    def _point(self, publisher: Member) -> None:
        """Let all slots forward what they carry now."""
        for member in self.members:
            for slot in member.connection.slots:
                media = publisher.sources.get(slot.binding.source_id) if slot.binding else None
                stream = media.preferred if media is not None else None
                if stream is not None and slot.stream_id != stream.stream_id:
                    self.shard.plane.bind_slot(slot.slot_id, stream.stream_id)
                    slot.stream_id = stream.stream_id

    def _new_source_id(self) -> SourceId:
        self._sources += 1
        return SourceId(self._sources)
