"""
One peer connection of a forwarding server.

Composes the SDP negotiator, the secure transport and the tables of sources and slots, and turns
what they decide into commands to the data plane. ICE itself is answered in the plane. No socket, no
clock: ``now`` comes in, and what happened comes out of :meth:`PeerConnection.next_event`.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from router.dtls import Certificate
from router.errors import LocalProtocolError
from router.ice import IceCredentials, generate_credentials
from router.node_events import MediaKind, PeerId, SourceId
from router.plane.shard import PlaneShard
from router.sdp.config import LocalTransport, NegotiationConfig
from router.sdp.negotiation import Negotiator

from .slots import INITIAL_SLOTS, Binding, SlotState, SlotTable
from .sources import MediaSource, SourceTable
from .tables import media_tables
from .transport import PeerTransport, TransportEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcesChanged:
    """The peer now sends other things."""

    added: tuple[MediaSource, ...] = ()
    removed: tuple[MediaSource, ...] = ()
    restreamed: tuple[MediaSource, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotsChanged:
    """There are new slots for waiting subscriptions, or slots are gone."""

    lost: tuple[SourceId, ...] = ()
    """What the slots that are gone carried; it waits for others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferNeeded:
    """The negotiated sections do not suffice for what is subscribed."""


PeerEvent = SourcesChanged | SlotsChanged | OfferNeeded | TransportEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Heritage:
    """What a connection takes over from one that it replaces in the same peer connection."""

    receiver_seed: bytes
    """Keeps the receiver ids: the client is not told of tracks that it already has."""
    pairs: int
    """Pairs of slots that there were: none has to stop and begin again."""


class PeerConnection:
    """
    See the module.

    :param candidates: Our host candidates as ``candidate:...`` texts.
    :param negotiation: Codec preferences and limits; its transport is replaced.
    :param new_source_id: Gives out ids that are unique on the node.
    :param heritage: From the connection that this one replaces. Let it have another certificate:
        a client begins a new DTLS association only where the fingerprint is another one.
    """

    def __init__(
        self,
        *,
        peer_id: PeerId,
        shard: PlaneShard,
        certificate: Certificate,
        candidates: tuple[str, ...],
        make_negotiation: Callable[[LocalTransport], NegotiationConfig],
        new_source_id: Callable[[], SourceId],
        rng: random.Random,
        heritage: Heritage | None = None,
    ) -> None:
        self.peer_id = peer_id
        self.shard = shard
        self._rng = rng
        self._candidates = candidates
        self._certificate = certificate
        self._cname = rng.randbytes(8).hex()
        self._events: deque[PeerEvent] = deque()
        self._answered = False
        self._offer_announced = False
        self._wants_data = False
        self.transport_id = shard.transports.acquire()
        credentials = generate_credentials(rng)
        self._negotiator = Negotiator(
            config=make_negotiation(self._local_transport(credentials)),
            rng=rng,
            receiver_seed=heritage.receiver_seed if heritage is not None else None,
        )
        self.slots = SlotTable() if heritage is None else SlotTable(heritage.pairs)
        self._sources = SourceTable(
            peer_id=peer_id,
            shard=shard,
            transport_id=self.transport_id,
            new_source_id=new_source_id,
        )
        self.transport = PeerTransport(
            shard=shard,
            transport_id=self.transport_id,
            certificate=certificate,
            new_source_id=new_source_id,
            rng=rng,
        )
        if not shard.plane.add_transport(
            self.transport_id,
            credentials.username_fragment.encode(),
            credentials.password.encode(),
        ):
            shard.transports.release(self.transport_id)
            self._command(False)
        self.ufrag = credentials.username_fragment
        self.pwd = credentials.password

    @property
    def heritage(self) -> Heritage:
        """What a connection that replaces this one needs."""
        pairs = max((slot.index + 1 for slot in self.slots), default=INITIAL_SLOTS)
        return Heritage(receiver_seed=self._negotiator.receiver_seed, pairs=pairs)

    # Descriptions.

    def handle_offer(self, sdp: str, now: float) -> str:
        """
        Apply the peer's offer and return our answer.

        :raises NegotiationError: when the offer cannot be applied; nothing has changed then.
        """
        outcome = self._negotiator.receive_offer(sdp)
        if self._answered and outcome.ice_restart:
            self._restart_ice()
        self._announce_wanted()
        answer = self._negotiator.create_answer()
        self._answered = True
        self._exchanged(now, new_association=outcome.fingerprint_changed)
        return answer

    def create_offer(self) -> str:
        """
        Return an offer of ours.

        :raises LocalProtocolError: while another is pending.
        """
        self._announce_wanted()
        self._offer_announced = True
        return self._negotiator.create_offer()

    def handle_answer(self, sdp: str, now: float) -> None:
        """
        Apply the peer's answer to our offer.

        :raises NegotiationError: when it does not fit the offer.
        """
        outcome = self._negotiator.receive_answer(sdp)
        self._exchanged(now, new_association=outcome.fingerprint_changed)

    def rollback_offer(self) -> None:
        """Forget our pending offer."""
        self._negotiator.rollback()
        self._offer_announced = False

    @property
    def needs_offer(self) -> bool:
        """Whether an offer of ours would gain something."""
        self._announce_wanted()
        return self._negotiator.needs_offer

    # Subscriptions.

    def request_slot(self, binding: Binding) -> SlotState | None:
        """Bind a source to a slot; None: it waits until one is negotiated."""
        slot = self.slots.request(binding)
        if slot is None:
            self._check_offer()
        return slot

    def want_data_channel(self) -> None:
        """Ask for an ``m=application`` section if there is none."""
        self._wants_data = True
        self._check_offer()

    # What the plane and the clock report.

    def ssrc_discovered(self, ssrc: int, payload_type: int, mid: str) -> None:
        """Take up an SSRC that was not announced."""
        negotiated = self._negotiator.payload_types.get(payload_type)
        is_rtx = negotiated is not None and negotiated.apt is not None
        source = self._sources.discovered(ssrc, mid, is_rtx=is_rtx)
        if source is not None:
            self._events.append(SourcesChanged(restreamed=(source,)))

    def stream_started(self, stream_id: int) -> None:
        """Note the first packet of an inbound stream."""
        source = self._sources.started(stream_id)
        if source is not None and len(source.streams) > 1:
            self._events.append(SourcesChanged(restreamed=(source,)))

    def next_event(self) -> PeerEvent | None:
        """Return the next event and forget it."""
        return self._events.popleft() if self._events else self.transport.next_event()

    def close(self) -> None:
        """Close DTLS; :meth:`free` follows."""
        self.transport.close()

    def free(self) -> bool:
        """
        Drop everything that the plane holds for this peer, and give the ids back.

        :return: False when the plane takes no commands now: then nothing was done.
        """
        shard = self.shard
        if shard.failure is None and not shard.plane.remove_transport(self.transport_id):
            return False
        for slot in self.slots:
            shard.slots.release(slot.slot_id)
        self._sources.close()
        shard.transports.release(self.transport_id)
        return True

    # Inside.

    def _local_transport(self, credentials: IceCredentials) -> LocalTransport:
        return LocalTransport(
            ufrag=credentials.username_fragment,
            pwd=credentials.password,
            fingerprint=str(self._certificate.fingerprint()),
            candidates=self._candidates,
            cname=self._cname,
        )

    def _restart_ice(self) -> None:
        credentials = generate_credentials(self._rng)
        self._negotiator.set_local_transport(self._local_transport(credentials))
        self._command(
            self.shard.plane.restart_transport(
                self.transport_id,
                credentials.username_fragment.encode(),
                credentials.password.encode(),
            )
        )
        self.ufrag = credentials.username_fragment
        self.pwd = credentials.password

    def _announce_wanted(self) -> None:
        pairs = self.slots.wanted()
        self._negotiator.set_wanted(
            audio_slots=pairs, video_slots=pairs, data_channel=self._wants_data
        )

    def _check_offer(self) -> None:
        if self._answered and not self._offer_announced and self.needs_offer:
            self._offer_announced = True
            self._events.append(OfferNeeded())

    def _exchanged(self, now: float, *, new_association: bool) -> None:
        negotiator = self._negotiator
        remote = negotiator.remote_transport
        if remote is None:
            raise LocalProtocolError("an exchange completed without a transport")
        tables = media_tables(
            self.shard, negotiator.payload_types, negotiator.extensions, negotiator.feedback
        )
        self._command(
            self.shard.plane.configure_transport(
                self.transport_id,
                payload_in=tables.payload_in,
                payload_out=tables.payload_out,
                rtx_out=tables.rtx_out,
                extensions_in=tables.extensions_in,
                extensions_out=tables.extensions_out,
                transport_cc=tables.transport_cc,
                remb=tables.remb,
                cname=self._cname.encode(),
                reduced_size=negotiator.rtcp_rsize,
                extmap_allow_mixed=negotiator.extmap_allow_mixed,
            )
        )
        changes = self._sources.reconcile(negotiator.inbound)
        if changes.added or changes.removed or changes.restreamed:
            self._events.append(
                SourcesChanged(
                    added=tuple(changes.added),
                    removed=tuple(changes.removed),
                    restreamed=tuple(changes.restreamed),
                )
            )
        slots_changed = self._reconcile_slots()
        if slots_changed is not None:
            self._events.append(slots_changed)
        self.transport.negotiated(remote, negotiator.sctp, now, new_association=new_association)
        self._offer_announced = False
        self._check_offer()

    def _reconcile_slots(self) -> SlotsChanged | None:
        negotiated = {(MediaKind(slot.kind), slot.index): slot for slot in self._negotiator.slots}
        lost = []
        changed = False
        for state in self.slots:
            slot = negotiated.get((state.kind, state.index))
            # A section that replaces a stopped one may take over its index, but never its SSRC.
            if slot is not None and slot.ssrc == state.ssrc:
                continue
            binding = self.slots.remove(state)
            if binding is not None:
                lost.append(binding.source_id)
            self._command(self.shard.plane.remove_slot(state.slot_id))
            self.shard.slots.release(state.slot_id)
            changed = True
        for (kind, index), slot in negotiated.items():
            if self.slots.get(kind, index) is not None:
                continue
            slot_id = self.shard.slots.acquire()
            self._command(
                self.shard.plane.add_slot(
                    slot_id,
                    self.transport_id,
                    slot.ssrc,
                    slot.rtx_ssrc or 0,
                    video=kind is MediaKind.VIDEO,
                )
            )
            self.slots.add(SlotState(slot_id, index, kind, slot.receiver_id, ssrc=slot.ssrc))
            changed = True
        return SlotsChanged(lost=tuple(lost)) if changed else None

    def _command(self, accepted: bool) -> None:
        self.shard.command(accepted)
