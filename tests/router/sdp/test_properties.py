"""Random histories of offers, answers, glare and rollbacks keep the promises of the negotiator."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from router.errors import NegotiationError
from router.sdp import NegotiationConfig, Negotiator, SignalingState, Slot
from router.sdp.codecs import PayloadType
from router.sdp.description import parse_session_description

from .client import TRANSPORT, Client, Transceiver

KINDS = st.sampled_from(["audio", "video"])


class History(RuleBasedStateMachine):
    """
    A client and the server exchange descriptions; the client refuses what a browser would.

    Between rules either nothing is pending or an offer of the client has not been delivered yet.
    """

    def __init__(self) -> None:
        super().__init__()
        self.client = Client()
        self.server = Negotiator(
            config=NegotiationConfig(transport=TRANSPORT, max_sections=24), rng=random.Random(3)
        )
        self.tracks = 0
        self.transports = 0
        self.places: list[tuple[str, str]] = []
        self.payload_types: dict[int, PayloadType] = {}
        self.extensions: dict[int, str] = {}
        self.identities: dict[str, Slot] = {}

    @initialize(
        browser=st.sampled_from(["chromium", "firefox"]),
        kinds=st.lists(KINDS, min_size=1, max_size=3),
        publish=st.booleans(),
    )
    def connect(self, browser: str, kinds: list[str], publish: bool) -> None:
        self.client.browser = browser
        for kind in kinds:
            self.client.add(kind, self.new_track() if publish else "")
        self.client_offers(restart=False)

    def new_track(self) -> str:
        self.tracks += 1
        return f"track{self.tracks}"

    # --- wishes ----------------------------------------------------------------------------------

    @rule(kind=KINDS, simulcast=st.booleans(), reuse=st.booleans())
    def publish(self, kind: str, simulcast: bool, reuse: bool) -> None:
        """Publish on any section of the kind that is free, as the SDK does, or on a new one."""
        free = [
            item
            for item in self.client.transceivers
            if item.kind == kind and not item.stopped and not item.direction.sends
        ]
        if free and reuse:
            self.client.publish(free[-1], self.new_track(), simulcast=simulcast)
        elif len(self.client.transceivers) < 12:
            self.client.add(kind, self.new_track(), simulcast=simulcast)

    @rule(data=st.data())
    def unpublish(self, data: st.DataObject) -> None:
        sending = [item for item in self.client.transceivers if item.direction.sends]
        if sending:
            self.client.unpublish(data.draw(st.sampled_from(sending)))

    @rule(data=st.data())
    def stop(self, data: st.DataObject) -> None:
        live = [item for item in self.client.transceivers if item.negotiated and not item.stopped]
        if len(live) > 1:
            data.draw(st.sampled_from(live)).stopped = True

    @rule()
    def open_data_channel(self) -> None:
        live = (i for i in self.client.transceivers if i.kind == "application" and not i.stopped)
        if not any(live) and len(self.client.transceivers) < 12:
            self.client.transceivers.append(Transceiver(kind="application"))

    @rule(audio=st.integers(0, 4), video=st.integers(0, 4), data=st.booleans())
    def want(self, audio: int, video: int, data: bool) -> None:
        self.server.set_wanted(audio_slots=audio, video_slots=video, data_channel=data)

    # --- exchanges -------------------------------------------------------------------------------

    @rule(restart=st.booleans())
    def client_offers(self, restart: bool) -> None:
        if restart:
            self.client.ufrag += "x"
        known = self.server.remote_transport
        offer = self.client.offer()
        # A client that stopped everything has no transport to name.
        live = any(not item.stopped for item in self.client.transceivers)
        outcome = self.server.receive_offer(offer)
        assert outcome.ice_restart == (
            live and known is not None and known.ufrag != self.client.ufrag
        )
        self.transports += 1
        self.server.set_local_transport(replace(TRANSPORT, ufrag=f"srv{self.transports:05}"))
        self.client.receive_answer(self.server.create_answer())
        self.check_inbound()

    @rule(refuse=st.frozensets(st.sampled_from(["audio", "video", "application"])))
    def server_offers(self, refuse: frozenset[str]) -> None:
        self.client.receive_offer(self.server.create_offer())
        self.server.receive_answer(self.client.answer(refuse=refuse))
        self.check_wishes(refuse)

    @rule()
    def both_offer_and_the_server_wins(self) -> None:
        self.client.offer()
        offer = self.server.create_offer()
        self.client.rollback()
        self.client.receive_offer(offer)
        self.server.receive_answer(self.client.answer())

    @rule()
    def server_offer_times_out(self) -> None:
        before = (self.server.slots, self.server.inbound, self.server.payload_types)
        self.server.create_offer()
        self.server.rollback()
        assert (self.server.slots, self.server.inbound, self.server.payload_types) == before

    @rule(cut=st.integers(0, 4000), junk=st.text(max_size=20), answering=st.booleans())
    def garbage_arrives(self, cut: int, junk: str, answering: bool) -> None:
        """A damaged description is refused, or read as another one; either way nothing breaks."""
        if answering:
            self.server.create_offer()
            try:
                self.server.receive_answer("v=0\r\nm=audio" + junk)
            except NegotiationError:
                self.server.rollback()
            return
        before = (self.server.slots, self.server.inbound, self.server.payload_types)
        text = self.client.offer()
        self.client.rollback()
        try:
            self.server.receive_offer(text[:cut] + junk + text[cut:])
        except NegotiationError:
            pass
        else:
            self.server.rollback()
        assert (self.server.slots, self.server.inbound, self.server.payload_types) == before

    # --- promises --------------------------------------------------------------------------------

    def check_inbound(self) -> None:
        expected = [
            (item.mid, item.track_id, item.ssrcs)
            for item in self.client.transceivers
            if item.kind != "application" and not item.stopped and item.direction.sends
        ]
        assert [
            (media.mid, media.track_id, tuple(stream.ssrc for stream in media.streams))
            for media in self.server.inbound
        ] == expected

    def check_wishes(self, refused: frozenset[str]) -> None:
        """After an exchange that nobody limited, nothing is left to ask for."""
        if not refused:
            assert not self.server.needs_offer

    @invariant()
    def state_is_stable(self) -> None:
        assert self.server.signaling_state is SignalingState.STABLE

    @invariant()
    def numbers_never_change(self) -> None:
        assert self.payload_types.items() <= self.server.payload_types.items()
        assert self.extensions.items() <= self.server.extensions.items()
        self.payload_types = dict(self.server.payload_types)
        self.extensions = dict(self.server.extensions)
        for item in self.payload_types.values():
            assert item.apt is None or item.apt in self.payload_types

    @invariant()
    def slots_keep_their_identity(self) -> None:
        slots = self.server.slots
        for slot in slots:
            known = self.identities.setdefault(slot.mid, slot)
            assert replace(slot, rtx_ssrc=None, payload_types=()) == replace(
                known, rtx_ssrc=None, payload_types=()
            )
        numbers = [n for slot in slots for n in (slot.ssrc, slot.rtx_ssrc) if n is not None]
        assert len(set(numbers)) == len(numbers)
        assert len({slot.receiver_id for slot in slots}) == len(slots)
        assert len({(slot.kind, slot.index) for slot in slots}) == len(slots)
        streams = {slot.index: slot.stream_id for slot in slots}
        assert all(slot.stream_id == streams[slot.index] for slot in slots)

    @precondition(lambda self: self.server.remote_transport is not None)
    @invariant()
    def client_hears_what_the_slots_say(self) -> None:
        slots = {slot.mid: slot for slot in self.server.slots}
        for item in self.client.transceivers:
            if item.negotiated and item.kind != "application" and not item.stopped:
                assert item.current.receives == (item.mid in slots)
                if item.mid in slots:
                    assert item.receiver_id == slots[item.mid].receiver_id
                    assert item.remote_ssrcs[0] == slots[item.mid].ssrc

    @invariant()
    def sections_stay_in_place(self) -> None:
        printed = parse_session_description(self.server.create_offer())
        self.server.rollback()
        places = [(media.mid, media.kind) for media in printed.media]
        assert len(places) >= len(self.places)
        assert parse_session_description(printed.serialize()) == printed
        self.places = self.places or places


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
