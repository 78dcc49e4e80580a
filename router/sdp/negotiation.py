"""
The offer/answer state machine of one bundled peer connection of a forwarding server.

The server is ICE-lite, the DTLS server, and has one transport for a peer. Either side may offer.
Who wins when both do is decided by the signaling protocol: it drops one offer, and calls
:meth:`Negotiator.rollback` if that was ours.

What has been agreed lives in one ``_Agreement``; an exchange works on a copy and replaces it at the
end, so that an error or a rollback leaves everything as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from router.errors import LocalProtocolError, NegotiationError, WireFormatError

from .attributes import Fingerprint, Group, Setup, TransportAttributes
from .bundle import (
    bundled_mids,
    compare_transports,
    read_remote_transport,
    resolve_transport,
)
from .description import (
    MediaDescription,
    SessionDescription,
    parse_fragment,
    parse_session_description,
)
from .matching import BundleTables
from .negotiated import AnswerOutcome, Feedback, OfferOutcome
from .reader import SectionReader
from .slots import SlotAllocator, can_promote, has_data_channels, vacancy

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from .codecs import PayloadType
    from .config import LocalTransport, NegotiationConfig
    from .negotiated import InboundMedia, RemoteTransport, SctpParameters, Slot
    from .section import Section

_T = TypeVar("_T")


class SignalingState(Enum):
    """Where the exchange stands, in the words of the W3C API."""

    STABLE = "stable"
    HAVE_REMOTE_OFFER = "have-remote-offer"
    HAVE_LOCAL_OFFER = "have-local-offer"


_TRANSITIONS = {
    SignalingState.STABLE: {SignalingState.HAVE_REMOTE_OFFER, SignalingState.HAVE_LOCAL_OFFER},
    SignalingState.HAVE_REMOTE_OFFER: {SignalingState.STABLE},
    SignalingState.HAVE_LOCAL_OFFER: {SignalingState.STABLE},
}


@dataclass(slots=True, kw_only=True)
class _Agreement:
    """All that one completed exchange, or one under way, says."""

    tables: BundleTables
    sections: list[Section]
    bundle: tuple[str, ...] = ()
    """Mids in the order of the BUNDLE group."""
    grouped: bool = True
    """Whether to print a BUNDLE group: an answer has one only if its offer did."""
    extmap_allow_mixed: bool = False
    remote_transport: RemoteTransport | None = None

    def copy(self) -> _Agreement:
        """Return a copy whose lists and tables can be changed alone."""
        return _Agreement(
            tables=self.tables.copy(),
            sections=list(self.sections),
            bundle=self.bundle,
            grouped=self.grouped,
            extmap_allow_mixed=self.extmap_allow_mixed,
            remote_transport=self.remote_transport,
        )

    def remote_ssrcs(self) -> set[int]:
        """Return the SSRCs that the peer announced."""
        return {
            ssrc
            for section in self.sections
            if section.inbound is not None
            for stream in section.inbound.streams
            for ssrc in (stream.ssrc, stream.rtx_ssrc)
            if ssrc is not None
        }


class Negotiator:
    """
    Negotiates one peer connection.

    Methods that take text raise ``NegotiationError`` for a description that cannot be applied, a
    malformed one included, and then leave the state as it was. Calls that the state does not allow
    raise ``LocalProtocolError``.

    :param rng: Draws SSRCs and ids.
    :param receiver_seed: From :attr:`receiver_seed` of the negotiator that this one takes over
        from; the receiver ids of sections then stay what they were.
    """

    def __init__(
        self,
        *,
        config: NegotiationConfig,
        rng: random.Random,
        receiver_seed: bytes | None = None,
    ) -> None:
        self._config = config
        self._local = config.transport
        self.receiver_seed = rng.randbytes(16) if receiver_seed is None else receiver_seed
        """What the receiver ids of our sections follow from."""
        self._allocator = SlotAllocator(rng, self.receiver_seed)
        self._session_id = rng.getrandbits(62)
        self._session_version = 0
        self._state = SignalingState.STABLE
        self._agreed = _Agreement(tables=BundleTables(config), sections=[])
        self._pending: _Agreement | None = None
        self._restart_from: LocalTransport | None = None
        self._wanted = {"audio": 0, "video": 0}
        self._data_channel_wanted = False
        self._refused: set[str] = set()
        self._read_facts()

    # --- what was agreed ---------------------------------------------------------------------

    @property
    def signaling_state(self) -> SignalingState:
        """Where the exchange stands."""
        return self._state

    @property
    def remote_transport(self) -> RemoteTransport | None:
        """The peer's transport, or None before the first exchange is complete."""
        return self._agreed.remote_transport

    @property
    def inbound(self) -> tuple[InboundMedia, ...]:
        """The sections on which the peer sends, in m-line order."""
        return self._inbound

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The sections on which we send, in m-line order."""
        return self._slots

    @property
    def payload_types(self) -> Mapping[int, PayloadType]:
        """All payload types ever negotiated, by number."""
        return self._payload_types

    @property
    def extensions(self) -> Mapping[int, str]:
        """All header extensions ever negotiated: URI by id."""
        return self._extensions

    @property
    def extmap_allow_mixed(self) -> bool:
        """Whether both forms of header extensions may be mixed (RFC 8285 section 4.1.2)."""
        return self._agreed.extmap_allow_mixed

    @property
    def rtcp_rsize(self) -> bool:
        """Whether all sections in use agree on reduced-size RTCP (RFC 5506)."""
        return self._rtcp_rsize

    @property
    def feedback(self) -> Mapping[int, Feedback]:
        """RTCP feedback by payload type, as far as all sections in use agree on it."""
        return self._feedback

    @property
    def sctp(self) -> SctpParameters | None:
        """The SCTP association, or None without an application section."""
        return self._sctp

    def _read_facts(self) -> None:
        agreed = self._agreed
        table = agreed.tables.payload_types
        live = [section for section in agreed.sections if not section.stopped]
        self._inbound = tuple(item.inbound for item in live if item.inbound is not None)
        self._slots = tuple(section.slot(table) for section in live if section.is_slot)
        self._payload_types = MappingProxyType(table)
        self._extensions = MappingProxyType(agreed.tables.extensions)
        self._sctp = next((item.sctp for item in live if item.sctp is not None), None)
        media = [section for section in live if section.is_media]
        self._rtcp_rsize = bool(media) and all(section.rtcp_rsize for section in media)
        common: dict[int, set[str]] = {}
        for feedback in {id(section.feedback): section.feedback for section in live}.values():
            for number, values in feedback.items():
                common[number] = common.get(number, set(values)) & set(values)
        self._feedback = MappingProxyType(
            {number: _feedback(values) for number, values in common.items()}
        )

    # --- what is wanted ----------------------------------------------------------------------

    def set_local_transport(self, transport: LocalTransport) -> None:
        """Announce this transport from now on; due between a restart offer and its answer."""
        self._local = transport

    def set_wanted(self, *, audio_slots: int, video_slots: int, data_channel: bool) -> None:
        """
        Say how many slots, and whether data channels, should be negotiated.

        Slots above the number stay: a room that shrinks costs no exchange.

        :raises LocalProtocolError: if a number is negative.
        """
        if audio_slots < 0 or video_slots < 0:
            raise LocalProtocolError("the number of wanted slots must not be negative")
        wanted = {"audio": audio_slots, "video": video_slots}
        if (wanted, data_channel) != (self._wanted, self._data_channel_wanted):
            # What the peer refused may be asked for again, once, when the wish is a new one.
            self._refused.clear()
        self._wanted, self._data_channel_wanted = wanted, data_channel

    @property
    def needs_offer(self) -> bool:
        """
        Whether an offer of ours would get nearer to what is wanted, and may be made now.

        False before the first exchange: it is the peer's to begin (the SDK would queue ours).
        """
        if self._state is not SignalingState.STABLE or self._agreed.remote_transport is None:
            return False
        return any(self._lacks(kind) for kind in ("audio", "video", "application"))

    def _lacks(self, kind: str) -> bool:
        if kind in self._refused:
            return False
        sections, limit = self._agreed.sections, self._config.max_sections
        has_room = vacancy(sections, kind, limit) is not None
        if kind == "application":
            return self._data_channel_wanted and has_room and not has_data_channels(sections)
        if not self._config.codecs(kind):
            return False
        missing = self._wanted[kind] - self._allocator.count(sections, kind)
        return missing > 0 and (has_room or any(can_promote(item, kind) for item in sections))

    # --- the exchange ------------------------------------------------------------------------

    def _set_state(self, state: SignalingState) -> None:
        assert state in _TRANSITIONS[self._state]
        self._state = state

    def _require(self, state: SignalingState, action: str) -> None:
        if self._state is not state:
            raise LocalProtocolError(f"cannot {action} in state {self._state.value}")

    def receive_offer(self, sdp: str) -> OfferOutcome:
        """
        Read an offer of the peer; :meth:`create_answer` applies it.

        :raises NegotiationError: if it cannot be applied.
        :raises LocalProtocolError: if an offer is unanswered or ours is pending.
        """
        self._require(SignalingState.STABLE, "receive an offer")
        offer = _parse(sdp)
        previous = self._agreed.remote_transport
        pending = self._read_offer(offer)
        change = compare_transports(previous, _known(pending.remote_transport))
        self._pending = pending
        self._restart_from = self._local if change.ice_restart else None
        self._set_state(SignalingState.HAVE_REMOTE_OFFER)
        return OfferOutcome(
            ice_restart=change.ice_restart, fingerprint_changed=change.fingerprint_changed
        )

    def _read_offer(self, offer: SessionDescription) -> _Agreement:
        pending = self._agreed.copy()
        known = len(pending.sections)
        if len(offer.media) < known:
            raise NegotiationError(f"an offer has fewer than the {known} m-sections before")
        if len(offer.media) > self._config.max_sections:
            raise NegotiationError(f"more than {self._config.max_sections} m-sections")
        bundle = bundled_mids(offer)
        if bundle:
            transport, candidates = read_remote_transport(offer, bundle)
            pending.remote_transport = resolve_transport(
                transport,
                candidates,
                previous=pending.remote_transport,
                is_offer=True,
                dtls_client=self._config.dtls_client,
            )
        elif pending.remote_transport is None:
            raise NegotiationError("no m-section of the offer is in use")
        reader = SectionReader(self._config, pending.tables, offer, bundle)
        pending.sections = [
            reader.read_offered(media, pending.sections[i] if i < known else None)
            for i, media in enumerate(offer.media)
        ]
        live = {section.mid for section in pending.sections if not section.stopped}
        if bundle and not live and self._agreed.remote_transport is None:
            raise NegotiationError("no m-section of the offer has a codec that is supported")
        pending.bundle = tuple(mid for mid in bundle if mid in live)
        pending.grouped = bool(offer.bundle)
        pending.extmap_allow_mixed = offer.extmap_allow_mixed or any(
            media.extmap_allow_mixed for media in offer.media
        )
        return pending

    def create_answer(self) -> str:
        """
        Return our answer to the offer received, and complete the exchange.

        :raises LocalProtocolError: if no offer is unanswered, or if the peer restarted ICE and
            :meth:`set_local_transport` has not brought a new ufrag since.
        """
        self._require(SignalingState.HAVE_REMOTE_OFFER, "create an answer")
        if self._restart_from is not None and self._restart_from.ufrag == self._local.ufrag:
            raise LocalProtocolError("an ICE restart is answered with a new ufrag and pwd")
        pending = self._take_pending()
        pending.sections = self._allocator.allocate_in_answer(
            pending.sections, self._wanted, avoid=pending.remote_ssrcs()
        )
        self._refused.clear()
        setup = _known(pending.remote_transport).setup
        role = Setup.PASSIVE if setup == Setup.ACTIVE.value else Setup.ACTIVE
        self._complete(pending)
        return self._print(pending, role)

    def create_offer(self) -> str:
        """
        Return an offer of ours with all that is wanted.

        :raises LocalProtocolError: if one is pending already or the peer's is unanswered.
        """
        self._require(SignalingState.STABLE, "create an offer")
        pending = self._agreed.copy()
        pending.grouped = True
        limit = self._config.max_sections
        self._allocator.add_in_offer(
            pending.sections,
            {kind: count for kind, count in self._wanted.items() if kind not in self._refused},
            tables=pending.tables,
            limit=limit,
            avoid=pending.remote_ssrcs(),
        )
        if self._data_channel_wanted and "application" not in self._refused:
            self._allocator.add_data_in_offer(pending.sections, limit=limit)
        live = [section.mid for section in pending.sections if not section.stopped]
        kept = tuple(mid for mid in pending.bundle if mid in live)
        pending.bundle = kept + tuple(mid for mid in live if mid not in kept)
        self._pending = pending
        self._set_state(SignalingState.HAVE_LOCAL_OFFER)
        return self._print(pending, Setup.ACTPASS)

    def receive_answer(self, sdp: str) -> AnswerOutcome:
        """
        Apply the peer's answer to our offer.

        :raises NegotiationError: if it cannot be applied; our offer is then still pending.
        :raises LocalProtocolError: if no offer of ours is pending.
        """
        self._require(SignalingState.HAVE_LOCAL_OFFER, "receive an answer")
        previous = self._agreed.remote_transport
        offered = _known(self._pending)
        agreed = self._read_answer(_parse(sdp), offered)
        self._take_pending()
        self._complete(agreed)
        # A peer that says no is not asked again and again.
        for kind in ("audio", "video"):
            count = self._allocator.count
            if count(agreed.sections, kind) < count(offered.sections, kind):
                self._refused.add(kind)
        if has_data_channels(offered.sections) and not has_data_channels(agreed.sections):
            self._refused.add("application")
        if agreed.remote_transport is None:
            return AnswerOutcome()
        change = compare_transports(previous, agreed.remote_transport)
        return AnswerOutcome(
            ice_restart=change.ice_restart, fingerprint_changed=change.fingerprint_changed
        )

    def _read_answer(self, answer: SessionDescription, offered: _Agreement) -> _Agreement:
        if len(answer.media) != len(offered.sections):
            raise NegotiationError(
                f"an answer has {len(answer.media)} m-sections, the offer {len(offered.sections)}"
            )
        agreed = replace(offered, tables=self._agreed.tables.copy())
        bundle = bundled_mids(answer)
        if bundle:
            transport, candidates = read_remote_transport(answer, bundle)
            agreed.remote_transport = resolve_transport(
                transport,
                candidates,
                previous=self._agreed.remote_transport,
                is_offer=False,
                dtls_client=self._config.dtls_client,
            )
        reader = SectionReader(self._config, agreed.tables, answer, bundle)
        agreed.sections = [
            reader.read_answered(media, section, offered.tables)
            for media, section in zip(answer.media, offered.sections, strict=True)
        ]
        live = {section.mid for section in agreed.sections if not section.stopped}
        agreed.bundle = tuple(mid for mid in offered.bundle if mid in live)
        return agreed

    # --- trickle ICE fragments (WHIP, WHEP) ----------------------------------------------------

    def receive_fragment(self, text: str) -> OfferOutcome:
        """
        Read a trickle ICE fragment: candidates, or new credentials, which restart ICE at once.

        An ICE-lite server needs no candidates of the peer, so they change nothing.

        :raises NegotiationError: if it is malformed or names credentials without a session.
        :raises LocalProtocolError: if an exchange is under way.
        """
        self._require(SignalingState.STABLE, "receive a fragment")
        try:
            fragment = parse_fragment(text)
        except WireFormatError as error:
            raise NegotiationError(f"malformed fragment: {error}") from error
        known = self._agreed.remote_transport
        if known is None:
            raise NegotiationError("a fragment came before the first exchange")
        found = [media.transport.over(fragment.transport) for media in fragment.media]
        found.append(fragment.transport)
        named = next((item for item in found if item.ice_ufrag or item.ice_pwd), None)
        if named is None:
            return OfferOutcome()
        if not named.ice_ufrag or not named.ice_pwd:
            raise NegotiationError("a fragment names only one of ice-ufrag and ice-pwd")
        current = replace(known, ufrag=named.ice_ufrag, pwd=named.ice_pwd)
        self._agreed = replace(self._agreed, remote_transport=current)
        return OfferOutcome(ice_restart=compare_transports(known, current).ice_restart)

    def create_fragment(self) -> str:
        """Return our credentials and candidates as a fragment, the answer to an ICE restart."""
        tagged = next(
            (item for item in self._agreed.sections if item.mid in self._agreed.bundle[:1]), None
        )
        if tagged is None:
            raise LocalProtocolError("there is no session to describe")
        media = MediaDescription(
            kind=tagged.kind,
            port=9,
            protocol=tagged.protocol,
            formats=tagged.formats[:1],
            mid=tagged.mid,
            candidates=self._local.candidates,
            end_of_candidates=True,
        )
        description = SessionDescription(
            groups=(Group(semantics="BUNDLE", members=self._agreed.bundle),),
            ice_lite=True,
            transport=TransportAttributes(ice_ufrag=self._local.ufrag, ice_pwd=self._local.pwd),
            media=(media,),
        )
        return description.serialize_fragment()

    # --- the end of an exchange ------------------------------------------------------------------

    def rollback(self) -> None:
        """
        Forget the offer that is pending, ours or the peer's.

        :raises LocalProtocolError: if there is none.
        """
        if self._pending is None:
            raise LocalProtocolError("no offer is pending")
        self._take_pending()
        self._set_state(SignalingState.STABLE)

    def _take_pending(self) -> _Agreement:
        pending = _known(self._pending)
        self._pending = None
        self._restart_from = None
        return pending

    def _complete(self, agreed: _Agreement) -> None:
        self._agreed = agreed
        self._set_state(SignalingState.STABLE)
        self._read_facts()

    def _print(self, agreement: _Agreement, setup: Setup) -> str:
        self._session_version += 1
        local = self._local
        algorithm, _, digest = local.fingerprint.partition(" ")
        transport = TransportAttributes(
            ice_ufrag=local.ufrag,
            ice_pwd=local.pwd,
            fingerprints=(Fingerprint(algorithm=algorithm, value=digest),),
            setup=setup,
        )
        tagged = agreement.bundle[0] if agreement.bundle else ""
        bundle = Group(semantics="BUNDLE", members=agreement.bundle)
        table = agreement.tables.payload_types
        description = SessionDescription(
            origin=f"- {self._session_id} {self._session_version} IN IP4 127.0.0.1",
            groups=(bundle,) if agreement.grouped else (),
            ice_lite=True,
            extmap_allow_mixed=agreement.extmap_allow_mixed,
            msid_semantic="WMS *",
            media=tuple(
                section.describe(
                    payload_types=table,
                    transport=transport,
                    candidates=local.candidates if section.mid == tagged else (),
                    cname=local.cname,
                    sctp_port=self._config.sctp_port,
                    max_message_size=self._config.max_message_size,
                )
                for section in agreement.sections
            ),
        )
        return description.serialize()


def _known(value: _T | None) -> _T:
    """Return a value that the state says is there."""
    assert value is not None
    return value


def _parse(sdp: str) -> SessionDescription:
    try:
        return parse_session_description(sdp)
    except WireFormatError as error:
        raise NegotiationError(f"malformed description: {error}") from error


def _feedback(values: set[str]) -> Feedback:
    return Feedback(
        nack="nack" in values,
        pli="nack pli" in values,
        fir="ccm fir" in values,
        transport_cc="transport-cc" in values,
        goog_remb="goog-remb" in values,
    )
