"""Connectivity checks in flight (RFC 8445 section 7.2)."""

from dataclasses import dataclass

from ..errors import AuthenticationFailed
from ..net import Address
from ..stun import (
    ICE_CONTROLLED,
    ICE_CONTROLLING,
    PRIORITY,
    USE_CANDIDATE,
    USERNAME,
    ClientTransaction,
    Message,
    MessageClass,
    TransactionState,
)
from .candidate import CandidateType, compute_priority
from .credentials import IceCredentials
from .pair import CandidatePair

_LOCAL_PREFERENCE_SHIFT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """Which side of the session an agent is, and what settles a conflict."""

    is_controlling: bool
    tie_breaker: int
    """0..2^64-1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: a transaction on a pair."""

    pair: CandidatePair
    transaction: ClientTransaction
    remote_password: str
    is_controlling: bool
    """The role that the request claims."""
    is_nominating: bool
    """Whether the request carries USE-CANDIDATE."""


def serialize_check(
    pair: CandidatePair,
    *,
    transaction_id: bytes,
    role: Role,
    local: IceCredentials,
    remote: IceCredentials,
    is_nominating: bool = False,
) -> bytes:
    """Return a binding request for a pair (RFC 8445 section 7.2.2), also one for consent."""
    # The priority that a peer reflexive candidate would have, were one discovered by this check.
    local_preference = pair.local.priority >> _LOCAL_PREFERENCE_SHIFT & 0xFFFF
    priority = compute_priority(
        CandidateType.PEER_REFLEXIVE,
        local_preference=local_preference,
        component=pair.local.component,
    )
    request = (
        Message(message_class=MessageClass.REQUEST, transaction_id=transaction_id)
        .with_attribute(USERNAME, f"{remote.username_fragment}:{local.username_fragment}")
        .with_attribute(PRIORITY, priority)
        .with_attribute(
            ICE_CONTROLLING if role.is_controlling else ICE_CONTROLLED, role.tie_breaker
        )
    )
    if is_nominating:
        request = request.with_attribute(USE_CANDIDATE, True)
    return request.serialize(key=remote.password.encode())


class ChecksInFlight:
    """The checks that wait for a response, by transaction id."""

    def __init__(self) -> None:
        self._checks: dict[bytes, Check] = {}

    def __len__(self) -> int:
        return len(self._checks)

    def start(self, check: Check) -> None:
        """Add a check; its request is the next to be sent."""
        self._checks[check.transaction.transaction_id] = check

    def match_response(self, message: Message) -> Check | None:
        """
        Return the check that a response answers, and forget it; None for any other response.

        A response without valid MESSAGE-INTEGRITY is as good as none (RFC 8489 section 9.1.4), so
        neither a forger nor a server that does not know our credentials yet can end a check: it is
        retransmitted.
        """
        check = self._checks.get(message.transaction_id)
        if check is None:
            return None
        try:
            message.check_integrity(check.remote_password.encode())
        except AuthenticationFailed:
            return None
        check.transaction.set_answered()
        del self._checks[message.transaction_id]
        return check

    def cancel(self, pair: CandidatePair) -> None:
        """Stop sending the checks of a pair; their answers still count."""
        for check in self._checks.values():
            if check.pair is pair:
                check.transaction.cancel()

    def discard(self, pair: CandidatePair) -> None:
        """Forget the checks of a pair."""
        for transaction_id, check in list(self._checks.items()):
            if check.pair is pair:
                del self._checks[transaction_id]

    def retain_only(self, pair: CandidatePair) -> None:
        """Forget the checks of all other pairs."""
        for transaction_id, check in list(self._checks.items()):
            if check.pair is not pair:
                del self._checks[transaction_id]

    def clear(self) -> None:
        """Forget all checks."""
        self._checks.clear()

    def handle_timer(self, now: float) -> list[Check]:
        """Retransmit what is due; return, and forget, the checks that were never answered."""
        failed = []
        for transaction_id, check in list(self._checks.items()):
            was_cancelled = check.transaction.state is TransactionState.CANCELLED
            check.transaction.handle_timer(now)
            if check.transaction.state is TransactionState.TIMED_OUT:
                del self._checks[transaction_id]
                if not was_cancelled:
                    failed.append(check)
        return failed

    def next_timer(self) -> float | None:
        """Return when the next retransmission or time-out is due."""
        timers = [check.transaction.next_timer() for check in self._checks.values()]
        return min((timer for timer in timers if timer is not None), default=None)

    def datagrams_to_send(self) -> list[tuple[bytes, Address, Address]]:
        """Return requests with their local and remote address, and forget them."""
        return [
            (data, check.pair.local_address, check.pair.remote_address)
            for check in self._checks.values()
            for data in check.transaction.datagrams_to_send()
        ]
