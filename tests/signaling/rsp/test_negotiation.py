"""Revisions and glare, rule by rule (section 6.2)."""

import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.rsp.messages import DescriptionIn
from signaling.rsp.negotiation import (
    OFFER_TIMEOUT,
    AnswerToApply,
    ClosedByClient,
    Ignored,
    OfferToAnswer,
    PeerNegotiation,
)


def offer(revision: int) -> DescriptionIn:
    return DescriptionIn("offer", revision, "sdp")


def answer(revision: int) -> DescriptionIn:
    return DescriptionIn("answer", revision, "sdp")


def negotiated() -> PeerNegotiation:
    """Return a negotiation whose first exchange, revision 1, is complete."""
    negotiation = PeerNegotiation("pc")
    assert isinstance(negotiation.receive(offer(1)), OfferToAnswer)
    assert negotiation.answer(1, "sdp").revision == 1
    return negotiation


def test_a_clients_offer_is_answered_with_its_revision() -> None:
    negotiation = negotiated()
    assert negotiation.receive(offer(2)) == OfferToAnswer(revision=2, sdp="sdp")
    reply = negotiation.answer(2, "ours")
    assert (reply.type, reply.revision, reply.sdp) == ("answer", 2, "ours")
    assert negotiation.stable == 2


def test_no_offer_is_made_before_the_first_answer() -> None:
    negotiation = PeerNegotiation("pc")
    assert not negotiation.may_offer
    negotiation.receive(offer(1))
    assert not negotiation.may_offer
    negotiation.answer(1, "sdp")
    assert negotiation.may_offer


def test_our_offer_has_the_next_revision_and_there_is_only_one() -> None:
    negotiation = negotiated()
    assert negotiation.offer("ours", 0.0).revision == 2
    assert not negotiation.may_offer
    assert negotiation.receive(answer(2)) == AnswerToApply(sdp="sdp")
    assert negotiation.offer("ours", 0.0).revision == 3


def test_answers_of_another_revision_are_ignored() -> None:
    negotiation = negotiated()
    assert negotiation.receive(answer(1)) == Ignored(reason="no offer pending")
    negotiation.offer("ours", 0.0)
    assert negotiation.receive(answer(1)) == Ignored(reason="no offer pending")
    assert negotiation.receive(answer(3)) == Ignored(reason="no offer pending")
    assert isinstance(negotiation.receive(answer(2)), AnswerToApply)
    assert negotiation.receive(answer(2)) == Ignored(reason="no offer pending")


@pytest.mark.parametrize("revision", [0, 1])
def test_stale_offers_are_ignored(revision: int) -> None:
    assert negotiated().receive(offer(revision)) == Ignored(reason="stale")


@pytest.mark.parametrize("theirs", [2, 3])
def test_the_server_wins_glare(theirs: int) -> None:
    negotiation = negotiated()
    negotiation.offer("ours", 0.0)
    assert negotiation.receive(offer(theirs)) == Ignored(reason="glare")
    assert isinstance(negotiation.receive(answer(2)), AnswerToApply)
    assert negotiation.receive(offer(3)) == OfferToAnswer(revision=3, sdp="sdp")


def test_a_phantom_offer_is_an_ordinary_one() -> None:
    negotiation = negotiated()
    assert isinstance(negotiation.receive(offer(2)), OfferToAnswer)
    negotiation.answer(2, "ignored by the client")
    assert negotiation.offer("ours", 0.0).revision == 3


def test_a_phantom_offer_that_meets_ours_is_dropped() -> None:
    negotiation = negotiated()
    assert negotiation.offer("ours", 0.0).revision == 2
    assert negotiation.receive(offer(2)) == Ignored(reason="glare")
    assert isinstance(negotiation.receive(answer(2)), AnswerToApply)
    assert negotiation.offer("ours", 0.0).revision == 3


def test_a_requested_offer_comes_one_revision_later() -> None:
    """The transcript of section 14.5: ``create-offer`` 9, offer 10, answer 10."""
    negotiation = negotiated()
    request = negotiation.request_offer(0.0)
    assert (request.type, request.revision) == ("create-offer", 2)
    assert not negotiation.may_offer
    assert negotiation.receive(offer(3)) == OfferToAnswer(revision=3, sdp="sdp")
    negotiation.answer(3, "sdp")
    assert negotiation.offer("ours", 0.0).revision == 4


def test_an_offer_that_crosses_a_request_meets_it() -> None:
    """The client drops a request that its own completed offer has overtaken."""
    negotiation = negotiated()
    negotiation.request_offer(0.0)
    assert isinstance(negotiation.receive(offer(2)), OfferToAnswer)
    negotiation.answer(2, "sdp")
    assert negotiation.may_offer
    assert negotiation.offer("ours", 0.0).revision == 3


def test_a_request_that_nobody_meets_is_given_up_and_its_revision_never_used() -> None:
    negotiation = negotiated()
    negotiation.request_offer(0.0)
    assert not negotiation.handle_timer(OFFER_TIMEOUT, last_heard_at=9.0)
    assert negotiation.may_offer
    assert negotiation.offer("ours", 20.0).revision == 3


def test_a_live_client_that_does_not_answer_is_noticed() -> None:
    negotiation = negotiated()
    negotiation.offer("ours", 0.0)
    assert negotiation.next_timer() == OFFER_TIMEOUT
    assert not negotiation.handle_timer(9.9, last_heard_at=9.0)
    assert negotiation.handle_timer(10.0, last_heard_at=9.0)
    assert not negotiation.handle_timer(11.0, last_heard_at=9.0)


def test_a_client_of_which_nothing_was_heard_gets_more_time() -> None:
    negotiation = negotiated()
    negotiation.offer("ours", 0.0)
    assert not negotiation.handle_timer(10.0, last_heard_at=1.0)
    assert negotiation.next_timer() == 15.0
    assert negotiation.handle_timer(15.0, last_heard_at=6.0)


def test_a_closed_peer_connection_takes_nothing_more() -> None:
    negotiation = negotiated()
    negotiation.offer("ours", 0.0)
    assert negotiation.receive(DescriptionIn("close", 2)) == ClosedByClient()
    assert negotiation.next_timer() is None
    assert negotiation.receive(offer(3)) == Ignored(reason="closed")
    assert not negotiation.may_offer


class ModelClient:
    """
    The client's rules, as the SDK's source has them, over two queues in order.

    Its offers and answers complete at once; what crosses is in the queues.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.stable = 0
        self.needs_answer = False
        self.queued: tuple[str, int] | None = None
        self.wants_offer = False

    def offer(self, up: deque[tuple[str, int]]) -> None:
        if self.needs_answer:
            self.wants_offer = True
            return
        self.revision += 1
        self.needs_answer, self.wants_offer = True, False
        up.append(("offer", self.revision))

    def receive(self, kind: str, revision: int, up: deque[tuple[str, int]]) -> None:
        if kind == "answer":
            if self.needs_answer and revision == self.revision:
                self.stable, self.needs_answer = revision, False
                queued, self.queued = self.queued, None
                if queued is not None:
                    self.receive(*queued, up)
                if self.wants_offer:
                    self.offer(up)
        elif kind == "create-offer":
            if revision > self.stable:
                if self.needs_answer:
                    self.queued = (kind, revision)
                else:
                    self.revision = revision
                    self.offer(up)
        elif revision > self.stable:
            if self.needs_answer and self.stable == 0:
                self.queued = (kind, revision)
                return
            lost = self.needs_answer
            self.revision = self.stable = revision
            self.needs_answer = False
            up.append(("answer", revision))
            if lost or self.wants_offer:
                self.offer(up)


@given(st.integers(0, 2**32), st.integers(10, 120))
def test_both_sides_agree_in_the_end_however_their_offers_cross(seed: int, steps: int) -> None:
    rng = random.Random(seed)
    client, server = ModelClient(), PeerNegotiation("pc")
    up: deque[tuple[str, int]] = deque()
    down: deque[tuple[str, int]] = deque()
    wanted = completed = 0

    def serve(kind: str, revision: int) -> None:
        nonlocal completed
        match server.receive(DescriptionIn(kind, revision, "sdp")):
            case OfferToAnswer(revision=number):
                down.append(("answer", server.answer(number, "sdp").revision))
            case AnswerToApply():
                completed += 1

    client.offer(up)
    for _ in range(steps):
        action = rng.randrange(5)
        if action == 0:
            client.offer(up)
        elif action == 1 and server.may_offer:
            wanted += 1
            down.append(("offer", server.offer("sdp", 0.0).revision))
        elif action == 2 and server.may_offer and rng.random() < 0.3:
            down.append(("create-offer", server.request_offer(0.0).revision))
        elif action == 3 and up:
            serve(*up.popleft())
        elif down:
            client.receive(*down.popleft(), up)
    while up or down:
        if up:
            serve(*up.popleft())
        if down:
            client.receive(*down.popleft(), up)
    assert server.pending is None
    assert completed == wanted
    assert not client.needs_answer
    assert not client.wants_offer
    assert client.stable == server.stable
    assert server.may_offer
