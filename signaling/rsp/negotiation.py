"""
Revisions and glare of one peer connection (RSP version 2).

Both sides may offer and share one counter. The server wins when offers cross: the client rolls
back, answers ours, and offers again with the next number. So a client's offer that comes while ours
is pending is dropped, and nothing has to be undone here.
"""

from dataclasses import dataclass
from typing import Literal

from .messages import DescriptionIn, DescriptionOut

OFFER_TIMEOUT = 10.0
"""Seconds within which a client that is alive answers an offer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferToAnswer:
    """The client's offer is to be applied and answered with the same revision."""

    revision: int
    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerToApply:
    """The client answered our pending offer."""

    sdp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedByClient:
    """The client gave this peer connection up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Nothing is to be done."""

    reason: Literal["stale", "glare", "no offer pending", "unknown type", "closed", "no sdp"]


Verdict = OfferToAnswer | AnswerToApply | ClosedByClient | Ignored


class PeerNegotiation:
    """
    What the two sides have agreed on about one peer connection.

    :param peer_connection_id: The client's id of it.
    """

    def __init__(self, peer_connection_id: str) -> None:
        self.peer_connection_id = peer_connection_id
        self._stable = 0
        # Revisions up to here are used up, by us or by what we asked the client for.
        self._used = 0
        self._pending: DescriptionOut | None = None
        self._requested: int | None = None
        self._began = False
        self._deadline: float | None = None
        self._asked_at = 0.0
        self._last_answer: DescriptionOut | None = None
        self._closed = False

    @property
    def stable(self) -> int:
        """Return the revision of the last completed exchange; 0 before the first."""
        return self._stable

    @property
    def pending(self) -> DescriptionOut | None:
        """Return our offer that the client has not answered yet."""
        return self._pending

    @property
    def unanswered(self) -> DescriptionOut | None:
        """Return what a client that missed it has to be told again: our offer, or the request."""
        if self._began and not self._closed and self._stable == 0:
            return DescriptionOut("create-offer", self._used)
        return self._pending

    @property
    def is_closed(self) -> bool:
        """Return whether the client gave it up."""
        return self._closed

    @property
    def may_offer(self) -> bool:
        """Return whether we may offer now: after the first answer, one at a time."""
        return (
            not self._closed
            and self._stable > 0
            and self._pending is None
            and self._requested is None
        )

    # What comes from the client.

    def receive(self, description: DescriptionIn) -> Verdict:
        """Judge a description of the client."""
        if self._closed:
            return Ignored(reason="closed")
        match description.type:
            case "offer":
                return self._receive_offer(description)
            case "answer":
                return self._receive_answer(description)
            case "close" if description.revision >= self._stable:
                self._closed = True
                self._pending = self._requested = self._deadline = None
                return ClosedByClient()
            case "close":
                return Ignored(reason="stale")
            case _:
                return Ignored(reason="unknown type")

    def _receive_offer(self, description: DescriptionIn) -> Verdict:
        if description.revision <= self._stable:
            return Ignored(reason="stale")
        if self._pending is not None:
            return Ignored(reason="glare")
        if description.sdp is None:
            return Ignored(reason="no sdp")
        return OfferToAnswer(revision=description.revision, sdp=description.sdp)

    def _receive_answer(self, description: DescriptionIn) -> Verdict:
        if self._pending is None or description.revision != self._pending.revision:
            return Ignored(reason="no offer pending")
        if description.sdp is None:
            return Ignored(reason="no sdp")
        self._complete(description.revision)
        self._pending = self._deadline = None
        return AnswerToApply(sdp=description.sdp)

    # What we say.

    def answer(self, revision: int, sdp: str) -> DescriptionOut:
        """Return our answer to the offer that :meth:`receive` asked to be answered."""
        assert self._pending is None
        assert revision > self._stable
        self._complete(revision)
        # With the request's own number it crossed with it: the client then skips the request, which
        # is no longer ahead of what is stable.
        if self._requested is not None and revision >= self._requested:
            self._requested = self._deadline = None
        self._last_answer = DescriptionOut("answer", revision, sdp)
        return self._last_answer

    def offer(self, sdp: str, now: float) -> DescriptionOut:
        """Return our offer with the next revision; :attr:`may_offer` must be true."""
        assert self.may_offer
        self._pending = DescriptionOut("offer", self._next_revision(), sdp)
        self._asked_at, self._deadline = now, now + OFFER_TIMEOUT
        return self._pending

    def request_offer(self, now: float) -> DescriptionOut:
        """Return a ``create-offer``: the client then offers; :attr:`may_offer` must be true."""
        assert self.may_offer
        self._requested = self._next_revision()
        self._asked_at, self._deadline = now, now + OFFER_TIMEOUT
        return DescriptionOut("create-offer", self._requested)

    def begin(self, now: float) -> DescriptionOut:
        """Return the ``create-offer`` that makes a client build this peer connection."""
        assert self._stable == self._used == 0
        self._began = True
        self._requested = self._next_revision()
        self._asked_at, self._deadline = now, now + OFFER_TIMEOUT
        return DescriptionOut("create-offer", self._requested)

    def close(self) -> DescriptionOut:
        """Return the ``close`` that makes the client give this peer connection up."""
        self._closed = True
        self._pending = self._requested = self._deadline = None
        return DescriptionOut("close", self._next_revision())

    def answer_again(self, description: DescriptionIn) -> DescriptionOut | None:
        """Return our last answer if a resuming client may have missed it: it repeats the offer."""
        last = self._last_answer
        repeated = (
            last is not None
            and description.type == "offer"
            and description.revision == last.revision == self._stable
        )
        return last if repeated else None

    # Time.

    def next_timer(self) -> float | None:
        """Return when a pending offer or request is judged, or None."""
        return self._deadline

    def handle_timer(self, now: float, *, last_heard_at: float) -> bool:
        """
        Tell whether the client failed to answer our offer.

        A client of which nothing was heard since shortly after the offer may just be frozen or cut
        off; whether it is dead is for the connection layer to say, and it gets more time.

        :param last_heard_at: When anything came from the client.
        """
        if self._deadline is None or now < self._deadline:
            return False
        if last_heard_at < self._asked_at + OFFER_TIMEOUT / 2:
            self._deadline = now + OFFER_TIMEOUT / 2
            return False
        self._deadline = None
        # A request is only a wish, and offers of ours need not wait for it for ever.
        self._requested = None
        return self._pending is not None

    def asked_again(self, now: float) -> None:
        """Give a pending offer its full time again: it was repeated on a new connection."""
        if self._pending is not None:
            self._asked_at, self._deadline = now, now + OFFER_TIMEOUT

    def _complete(self, revision: int) -> None:
        self._stable = revision
        self._used = max(self._used, revision)

    def _next_revision(self) -> int:
        self._used = max(self._used, self._stable) + 1
        return self._used
