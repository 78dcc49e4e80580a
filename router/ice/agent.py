"""A full ICE agent for one data stream with one component."""

import random
from collections import deque

from ..errors import AuthenticationFailed, LocalProtocolError, WireFormatError
from ..net import Address
from ..stun import (
    ERROR_CODE,
    ICE_CONTROLLED,
    ICE_CONTROLLING,
    PRIORITY,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    ClientTransaction,
    Message,
    MessageClass,
    Method,
    check_binding_request,
    new_transaction_id,
    parse_message,
    serialize_binding_error,
    serialize_binding_success,
)
from ..stun.responder import ROLE_CONFLICT
from .candidate import Candidate, CandidateType, host_candidate
from .checklist import Checklist
from .checks import Check, ChecksInFlight, Role, serialize_check
from .consent import ConsentChecker
from .credentials import IceCredentials, generate_credentials
from .events import (
    ConsentExpired,
    IceConfig,
    IceEvent,
    IceState,
    LocalCandidateAdded,
    SelectedPairChanged,
    StateChanged,
)
from .generation import EarlyCheck, Generation
from .pair import CandidatePair, PairInput, PairState

TRANSITIONS = {
    IceState.NEW: {IceState.CHECKING, IceState.CLOSED},
    IceState.CHECKING: {IceState.CONNECTED, IceState.FAILED, IceState.CLOSED},
    IceState.CONNECTED: {
        IceState.DISCONNECTED,
        IceState.CHECKING,
        IceState.FAILED,  # by a timer that came very late
        IceState.CLOSED,
    },
    IceState.DISCONNECTED: {
        IceState.CONNECTED,
        IceState.CHECKING,
        IceState.FAILED,
        IceState.CLOSED,
    },
    IceState.FAILED: {IceState.CHECKING, IceState.CLOSED},
    IceState.CLOSED: set(),
}


class IceAgent:
    """
    Finds a path to a peer, full or lite, and keeps consent to send on it.

    Fed from three sources: the caller (addresses of its sockets, the peer's credentials and
    candidates as they are signaled), datagrams, and time. Only STUN may be given to
    :meth:`receive_datagram`. One call that mutates, then drain events, datagrams and the timer.

    The agent nominates regularly, once, and then stops checking. A pair stays selected through an
    ICE restart until the new generation selects another.

    :param is_controlling: The offerer's role, as a rule. Against a lite peer the agent is always
        controlling, and conflicts are repaired.
    :param rng: Source of credentials, tie-breaker, transaction ids and jitter.
    """

    def __init__(
        self, *, is_controlling: bool, rng: random.Random, config: IceConfig | None = None
    ) -> None:
        self._config = config or IceConfig()
        self._rng = rng
        self._role = Role(is_controlling=is_controlling, tie_breaker=rng.getrandbits(64))
        self._state = IceState.NEW
        self._events: deque[IceEvent] = deque()
        self._datagrams: list[tuple[bytes, Address, Address]] = []
        self._local_candidates: dict[Address, Candidate] = {}
        self._checks = ChecksInFlight()
        self._last_check_at: float | None = None
        self._selected: CandidatePair | None = None
        self._consent: ConsentChecker | None = None
        self._consent_password = b""
        self._consent_is_controlling = is_controlling
        self._peer_reflexive_count = 0
        self._generation = self._new_generation()
        # Its username fragment still is answered, as the peer may be behind in the restart.
        self._previous: Generation | None = None
        self.datagrams_dropped = 0
        """Datagrams that were malformed, forged, or nothing that this agent waits for."""

    @property
    def state(self) -> IceState:
        """The present state."""
        return self._state

    @property
    def is_controlling(self) -> bool:
        """Whether this agent nominates; may change when roles are in conflict."""
        return self._role.is_controlling

    @property
    def local_credentials(self) -> IceCredentials:
        """The credentials to signal to the peer; replaced by :meth:`restart`."""
        return self._generation.local

    @property
    def local_candidates(self) -> tuple[Candidate, ...]:
        """The candidates to signal to the peer, in the order in which they were added."""
        return tuple(self._local_candidates.values())

    @property
    def selected_path(self) -> tuple[Address, Address] | None:
        """Local and remote address to send application data by, or None."""
        if self._selected is None:
            return None
        return (self._selected.local_address, self._selected.remote_address)

    @property
    def round_trip_time(self) -> float | None:
        """Seconds, from the last consent check; None before the first one is answered."""
        return None if self._consent is None else self._consent.round_trip_time

    # What the caller knows.

    def add_local_address(
        self, address: Address, now: float, *, local_preference: int | None = None
    ) -> None:
        """
        Add the address of a UDP socket as a host candidate.

        ``destination`` of its datagrams must be equal to ``address``.

        :param local_preference: 0..65535; by default an address is preferred to those added later.
        """
        self._require_open()
        if address in self._local_candidates:
            return
        if local_preference is None:
            local_preference = max(0xFFFF - len(self._local_candidates), 0)
        candidate = host_candidate(address, local_preference=local_preference)
        self._local_candidates[address] = candidate
        self._report_local_candidate(candidate)
        for remote in self._generation.remote_candidates:
            self._generation.checklist.add(candidate, remote)
        self._update(now)

    def set_remote_credentials(
        self, credentials: IceCredentials, now: float, *, is_lite: bool = False
    ) -> None:
        """
        Start checking with the credentials that the peer has signaled.

        :param is_lite: Whether the peer's description has ``a=ice-lite``.
        :raises LocalProtocolError: if other credentials are in use: the peer has restarted, so call
            :meth:`restart` first.
        """
        self._require_open()
        generation = self._generation
        if generation.remote is not None:
            if generation.remote != credentials:
                raise LocalProtocolError("new remote credentials take an ICE restart")
            return
        generation.remote = credentials
        generation.remote_is_lite = is_lite
        generation.checking_since = now
        generation.remote_candidates = [
            candidate
            for candidate in generation.remote_candidates
            if candidate.extension("ufrag") in (None, credentials.username_fragment)
        ]
        if is_lite and not self.is_controlling:
            self._set_controlling(True)
        self._set_state(IceState.CHECKING)
        for local in self._local_candidates.values():
            for remote in generation.remote_candidates:
                generation.checklist.add(local, remote)
        early_checks, generation.early_checks = generation.early_checks, []
        for check in early_checks:
            self._trigger(check, now)
        self._update(now)

    def add_remote_candidate(self, candidate: Candidate, now: float) -> None:
        """
        Add a candidate that the peer has signaled, at any time (RFC 8838).

        One that is of no use here is passed over: another component or transport, a name that
        nobody has resolved, another generation's ``ufrag``, or one too many.
        """
        self._require_open()
        generation = self._generation
        fragment = candidate.extension("ufrag")
        is_of_another_generation = generation.remote is not None and fragment not in (
            None,
            generation.remote.username_fragment,
        )
        if (
            is_of_another_generation
            or candidate.component != 1
            or candidate.transport != "udp"
            or candidate.address is None
            or candidate.port == 0
            or candidate in generation.remote_candidates
            or len(generation.remote_candidates) >= self._config.max_remote_candidates
        ):
            return
        generation.remote_candidates.append(candidate)
        if generation.remote is not None:
            for local in self._local_candidates.values():
                generation.checklist.add(local, candidate)
        self._update(now)

    def end_of_remote_candidates(self, now: float) -> None:
        """Take note that the peer will signal no more candidates of this generation."""
        self._require_open()
        self._generation.has_all_remote_candidates = True
        self._update(now)

    def restart(self, now: float) -> None:
        """
        Begin a new generation: fresh local credentials, no remote ones (RFC 8445 section 9).

        Signal :attr:`local_credentials` again and call :meth:`set_remote_credentials` with the
        peer's new ones. Until another pair is selected the present one stays in use.
        """
        self._require_open()
        self._previous = self._generation
        self._generation = self._new_generation()
        self._checks.clear()
        for candidate in self._local_candidates.values():
            self._report_local_candidate(candidate)
        self._update(now)

    def send_application_data(self, data: bytes) -> None:
        """
        Queue a datagram on the selected pair.

        :raises LocalProtocolError: if there is none, or consent has expired.
        """
        if self._selected is None:
            raise LocalProtocolError("no candidate pair is selected")
        pair = self._selected
        self._datagrams.append((data, pair.local_address, pair.remote_address))

    def close(self) -> None:
        """Stop everything; only events are left to drain."""
        if self._state is IceState.CLOSED:
            return
        self._set_state(IceState.CLOSED)
        self._checks.clear()
        self._datagrams.clear()
        self._selected = self._consent = self._previous = None

    # The surface of a core, with addresses.

    def receive_datagram(
        self, data: bytes, *, source: Address, destination: Address, now: float
    ) -> None:
        """
        Take one STUN datagram.

        :param source: The peer's address as the socket reports it, in normal form.
        :param destination: The local address that it came to, as given to
            :meth:`add_local_address`.
        """
        if self._state is IceState.CLOSED:
            return
        try:
            message = parse_message(data)
        except WireFormatError:
            self.datagrams_dropped += 1
            return
        if message.method != Method.BINDING or destination not in self._local_candidates:
            self.datagrams_dropped += 1
        elif message.message_class is MessageClass.REQUEST:
            self._receive_request(message, source, destination, now)
        elif message.message_class is not MessageClass.INDICATION:
            self._receive_response(message, source, destination, now)
        self._update(now)

    def handle_timer(self, now: float) -> None:
        """Act on all timers that are due; an early or repeated call changes nothing."""
        if self._is_over():
            return
        for check in self._checks.handle_timer(now):
            self._fail_check(check)
        if self._consent is not None:
            self._consent.handle_timer(now)
            self._supervise_consent(now)
        check_at = self._next_check_at()
        if check_at is not None and now >= check_at:
            self._start_next_check(now)
        self._update(now)

    def next_timer(self) -> float | None:
        """Return the absolute time of the next timer, or None when nothing is pending."""
        if self._is_over():
            return None
        timers = [
            self._checks.next_timer(),
            self._next_check_at(),
            self._nomination_at(),
            self._validity_ends_at(),
            self._patience_ends_at(),
        ]
        if self._consent is not None:
            timers.append(self._consent.next_timer())
            if self._state is IceState.CONNECTED:
                timers.append(self._consent.answered_at + self._config.disconnected_timeout)
        return min((timer for timer in timers if timer is not None), default=None)

    def datagrams_to_send(self) -> list[tuple[bytes, Address, Address]]:
        """Return datagrams with their local and remote address, in order, and forget them."""
        datagrams, self._datagrams = self._datagrams, []
        datagrams += self._checks.datagrams_to_send()
        if self._consent is not None and self._selected is not None:
            local, remote = self._selected.local_address, self._selected.remote_address
            datagrams += [(data, local, remote) for data in self._consent.datagrams_to_send()]
        return datagrams

    def next_event(self) -> IceEvent | None:
        """Return the next event and forget it, or None when there is none."""
        return self._events.popleft() if self._events else None

    # Requests of the peer (RFC 8445 section 7.3).

    def _receive_request(
        self, message: Message, source: Address, destination: Address, now: float
    ) -> None:
        generation = self._generation_of(message)
        local = generation.local
        error_code = check_binding_request(
            message, username_fragment=local.username_fragment, password=local.password
        )
        if error_code is None and not self._settle_roles(message):
            error_code = ROLE_CONFLICT
        if error_code is None:
            response = serialize_binding_success(message, source=source, password=local.password)
        else:
            response = serialize_binding_error(message, error_code, password=local.password)
            self.datagrams_dropped += 1
        # No answer is longer than its request: its source address may be forged.
        if len(response) <= len(message.raw):
            self._datagrams.append((response, destination, source))
        if error_code is not None or generation is not self._generation:
            return
        priority = message.get(PRIORITY)
        check = EarlyCheck(source, destination, priority or 0, message.has(USE_CANDIDATE))
        generation.heard_at = now
        if generation.remote is None:
            generation.remember_early_check(check)
        else:
            self._trigger(check, now)

    def _generation_of(self, message: Message) -> Generation:
        username = message.get(USERNAME) or ""
        if (
            self._previous is not None
            and username.partition(":")[0] == self._previous.local.username_fragment
        ):
            return self._previous
        return self._generation

    def _settle_roles(self, message: Message) -> bool:
        """Return False if the peer must change its role (RFC 8445 section 7.3.1.1)."""
        theirs = message.get(ICE_CONTROLLING if self.is_controlling else ICE_CONTROLLED)
        if theirs is None:
            return True
        if self.is_controlling == (self._role.tie_breaker >= theirs):
            return False
        self._set_controlling(not self.is_controlling)
        return True

    def _trigger(self, check: EarlyCheck, now: float) -> None:
        """Check a pair that the peer has checked (RFC 8445 sections 7.3.1.3 to 7.3.1.5)."""
        if self._is_over():
            return  # RFC 7675 section 5.1: only a restart gives consent again.
        checklist = self._generation.checklist
        pair = checklist.find(check.destination, check.source)
        if pair is None:
            pair = checklist.add(
                self._local_candidates[check.destination], self._peer_reflexive_candidate(check)
            )
        if pair is None:
            return
        if pair.state is PairState.SUCCEEDED:
            if check.use_candidate and not self.is_controlling:
                self._select(pair, now)
            elif pair.is_nominating:
                # The path works, so the nomination or its answer was lost: do not wait until the
                # back-off lets it be sent again.
                self._checks.cancel(pair)
                checklist.trigger(pair)
            return
        pair.use_candidate_received |= check.use_candidate
        self._checks.cancel(pair)
        pair.apply(PairInput.TRIGGER)
        checklist.trigger(pair)

    def _peer_reflexive_candidate(self, check: EarlyCheck) -> Candidate:
        for candidate in self._generation.remote_candidates:
            if candidate.address == check.source:
                return candidate
        self._peer_reflexive_count += 1
        return Candidate(
            foundation=f"prflx{self._peer_reflexive_count}",
            priority=check.priority,
            host=check.source.host,
            port=check.source.port,
            type=CandidateType.PEER_REFLEXIVE,
        )

    # Our requests and their responses (RFC 8445 section 7.2).

    def _start_next_check(self, now: float) -> None:
        generation = self._generation
        pair = generation.checklist.next_check()
        if pair is None or generation.remote is None:
            return
        if not pair.is_nominating:
            pair.apply(PairInput.CHECK_SENT)
        request = serialize_check(
            pair,
            transaction_id=new_transaction_id(self._rng),
            role=self._role,
            local=generation.local,
            remote=generation.remote,
            is_nominating=pair.is_nominating,
        )
        # RFC 8445 section 14.3: with many checks at a time each is retransmitted less often.
        pending = len(generation.checklist.pending_pairs())
        transaction = ClientTransaction(
            request,
            now=now,
            rto=max(self._config.rto, self._config.ta * pending),
            rc=self._config.rc,
            rm=self._config.rm,
        )
        self._checks.start(
            Check(
                pair=pair,
                transaction=transaction,
                remote_password=generation.remote.password,
                is_controlling=self.is_controlling,
                is_nominating=pair.is_nominating,
            )
        )
        self._last_check_at = now

    def _receive_response(
        self, message: Message, source: Address, destination: Address, now: float
    ) -> None:
        is_from_selected = (destination, source) == self.selected_path
        if self._consent is not None and self._consent.is_outstanding(message.transaction_id):
            if is_from_selected and _is_authentic(message, self._consent_password):
                self._receive_consent(message, now)
            else:
                self.datagrams_dropped += 1
            return
        check = self._checks.match_response(message)
        if check is None:
            self.datagrams_dropped += 1
            return
        pair = check.pair
        is_symmetric = (destination, source) == (pair.local_address, pair.remote_address)
        mapped_address = message.get(XOR_MAPPED_ADDRESS)
        error = message.get(ERROR_CODE)
        if message.message_class is MessageClass.ERROR_RESPONSE:
            is_conflict = error is not None and error.code == ROLE_CONFLICT
            if is_conflict and not self._generation.remote_is_lite:
                self._repair_role(check)
            else:
                self._fail_check(check)
        elif mapped_address is None or not is_symmetric:
            self._fail_check(check)
        else:
            pair.mapped_address = mapped_address
            self._check_succeeded(check, now)

    def _repair_role(self, check: Check) -> None:
        """Take the other role after error 487 and check again (RFC 8445 section 7.2.5.1)."""
        if self.is_controlling == check.is_controlling:
            self._set_controlling(not self.is_controlling)
            self._role = Role(
                is_controlling=self.is_controlling, tie_breaker=self._rng.getrandbits(64)
            )
        check.pair.is_nominating = False
        check.pair.apply(PairInput.TRIGGER)
        self._generation.checklist.trigger(check.pair)

    def _check_succeeded(self, check: Check, now: float) -> None:
        pair = check.pair
        pair.apply(PairInput.CHECK_SUCCEEDED)
        pair.validated_at = now
        self._checks.discard(pair)
        generation = self._generation
        generation.checklist.unfreeze_like(pair)
        if generation.first_valid_at is None:
            generation.first_valid_at = now
        if check.is_nominating and self.is_controlling:
            pair.is_nominating = False
            self._select(pair, now)
        elif pair.use_candidate_received and not self.is_controlling:
            self._select(pair, now)

    def _fail_check(self, check: Check) -> None:
        pair = check.pair
        if check.is_nominating:
            pair.is_nominating = False
        if pair is not self._selected and pair.can_apply(PairInput.CHECK_FAILED):
            pair.apply(PairInput.CHECK_FAILED)

    # Nomination and selection (RFC 8445 section 8).

    def _nominate_best(self, now: float) -> None:
        checklist = self._generation.checklist
        if not self.is_controlling or self._has_selected() or self._is_nominating():
            return
        valid = checklist.valid_pairs()
        if not valid:
            return
        best = checklist.priority(valid[0])
        is_better_pending = any(checklist.priority(p) > best for p in checklist.pending_pairs())
        nomination_at = self._nomination_at()
        if not is_better_pending or (nomination_at is not None and now >= nomination_at):
            self._nominate(valid[0])

    def _nominate(self, pair: CandidatePair) -> None:
        pair.is_nominating = True
        self._generation.checklist.trigger(pair)

    def _select(self, pair: CandidatePair, now: float) -> None:
        if pair is self._selected:
            return
        checklist = self._generation.checklist
        # A peer that nominates several pairs, as RFC 5245 let it, means the best of them; but a
        # path that no longer answers is left for any other.
        if (
            self._has_selected()
            and self._selected is not None
            and self._state is IceState.CONNECTED
            and checklist.priority(self._selected) > checklist.priority(pair)
        ):
            return
        self._selected = pair
        checklist.retain_only(pair)
        self._checks.retain_only(pair)
        self._start_consent(pair, now)
        self._events.append(
            SelectedPairChanged(
                local=pair.local_address,
                remote=pair.remote_address,
                local_candidate=pair.local,
                remote_candidate=pair.remote,
            )
        )
        self._set_state(IceState.CONNECTED)

    def _has_selected(self) -> bool:
        """Return whether the selected pair is one of this generation."""
        return self._selected is not None and self._selected in self._generation.checklist

    def _is_nominating(self) -> bool:
        return any(pair.is_nominating for pair in self._generation.checklist)

    def _follow_peer(self, now: float) -> None:
        """
        Leave a silent path for one that the peer has moved to (its NAT gave it a new address).

        RFC 8445 would have an ICE restart here; the peer may not know that it has moved.
        """
        if self._state is not IceState.DISCONNECTED or not self._has_selected():
            return
        assert self._consent is not None
        for pair in self._generation.checklist.valid_pairs():
            if pair is self._selected or pair.is_nominating or pair.validated_at is None:
                continue
            if pair.validated_at > self._consent.answered_at:
                if self.is_controlling:
                    self._nominate(pair)
                else:
                    self._select(pair, now)
                return

    # Consent (RFC 7675).

    def _start_consent(self, pair: CandidatePair, now: float) -> None:
        generation = self._generation
        remote = generation.remote
        assert remote is not None

        def make_request() -> bytes:
            self._consent_is_controlling = self.is_controlling
            return serialize_check(
                pair,
                transaction_id=new_transaction_id(self._rng),
                role=self._role,
                local=generation.local,
                remote=remote,
            )

        assert pair.validated_at is not None
        self._consent_password = remote.password.encode()
        self._consent = ConsentChecker(
            make_request=make_request,
            rng=self._rng,
            given_at=pair.validated_at,
            now=now,
            interval=self._config.consent_interval,
            lifetime=self._config.consent_lifetime,
        )

    def _receive_consent(self, message: Message, now: float) -> None:
        assert self._consent is not None
        error = message.get(ERROR_CODE)
        if message.message_class is MessageClass.SUCCESS_RESPONSE:
            self._consent.receive_answer(message.transaction_id, now)
            if self._state is IceState.DISCONNECTED:
                self._set_state(IceState.CONNECTED)
        elif (
            error is not None
            and error.code == ROLE_CONFLICT
            # Unless the peer's own checks have settled it in the meantime.
            and self.is_controlling == self._consent_is_controlling
        ):
            self._set_controlling(not self.is_controlling)

    def _supervise_consent(self, now: float) -> None:
        if self._consent is None or self._selected is None:
            return
        if self._consent.is_expired:
            pair, is_current = self._selected, self._has_selected()
            self._events.append(
                ConsentExpired(local=pair.local_address, remote=pair.remote_address)
            )
            self._selected = self._consent = None
            # A restart that is under way may still succeed.
            if is_current or self._generation.remote is None:
                self._fail()
        elif (
            self._state is IceState.CONNECTED
            and now >= self._consent.answered_at + self._config.disconnected_timeout
        ):
            self._set_state(IceState.DISCONNECTED)

    # Time and state.

    def _is_over(self) -> bool:
        """Return whether nothing but a restart, or nothing at all, can lead on."""
        return self._state in (IceState.FAILED, IceState.CLOSED)

    def _update(self, now: float) -> None:
        """Draw the conclusions from what has changed; every mutation ends here."""
        if self._is_over():
            return
        self._expire_valid_pairs(now)
        self._nominate_best(now)
        self._follow_peer(now)
        self._give_up(now)

    def _next_check_at(self) -> float | None:
        generation = self._generation
        if generation.remote is None or not generation.checklist.has_check():
            return None
        if self._last_check_at is None:
            return generation.checking_since
        return self._last_check_at + self._config.ta

    def _nomination_at(self) -> float | None:
        """Return when the controlling agent stops to wait for a better pair."""
        first_valid_at = self._generation.first_valid_at
        if not self.is_controlling or first_valid_at is None:
            return None
        if self._has_selected() or self._is_nominating():
            return None
        if not self._generation.checklist.valid_pairs():
            return None
        return first_valid_at + self._config.nomination_delay

    def _validity_ends_at(self) -> float | None:
        """Return when the first valid pair that is not selected loses its consent."""
        return min(
            (
                pair.validated_at + self._config.consent_lifetime
                for pair in self._generation.checklist.valid_pairs()
                if self._may_expire(pair) and pair.validated_at is not None
            ),
            default=None,
        )

    def _expire_valid_pairs(self, now: float) -> None:
        for pair in self._generation.checklist.valid_pairs():
            if not self._may_expire(pair) or pair.validated_at is None:
                continue
            if now >= pair.validated_at + self._config.consent_lifetime:
                self._checks.discard(pair)
                pair.apply(PairInput.CHECK_FAILED)

    def _may_expire(self, pair: CandidatePair) -> bool:
        # The selected pair has consent of its own, a nominating one the time-out of its check.
        return pair is not self._selected and not pair.is_nominating

    def _patience_ends_at(self) -> float | None:
        since = self._generation.checking_since
        if since is None or self._state is not IceState.CHECKING or self._has_hope():
            return None
        # A peer that is heard is likely to be heard again, and each of its checks is a new chance.
        heard_at = self._generation.heard_at
        if heard_at is None:
            return since + self._config.patience
        return max(since + self._config.patience, heard_at + self._config.disconnected_timeout)

    def _has_hope(self) -> bool:
        checklist = self._generation.checklist
        return bool(checklist.pending_pairs() or checklist.valid_pairs())

    def _give_up(self, now: float) -> None:
        """
        Fail when no pair is left and it is too late for another (RFC 8863).

        RFC 8838 section 8.1 would wait for the peer's end-of-candidates without limit; many peers
        never send it. A lite peer makes no checks of its own, so once it has given all its
        candidates there is nothing to wait for.
        """
        generation = self._generation
        patience_ends_at = self._patience_ends_at()
        if patience_ends_at is None:
            return
        is_complete = (
            generation.remote_is_lite
            and generation.has_all_remote_candidates
            and bool(self._local_candidates)
        )
        if now >= patience_ends_at or is_complete:
            self._fail()

    def _fail(self) -> None:
        self._selected = self._consent = None
        self._checks.clear()
        self._set_state(IceState.FAILED)

    def _set_state(self, state: IceState) -> None:
        if state is self._state:
            return
        assert state in TRANSITIONS[self._state], f"{self._state} cannot become {state}"
        self._state = state
        self._events.append(StateChanged(state=state))

    def _set_controlling(self, is_controlling: bool) -> None:
        self._role = Role(is_controlling=is_controlling, tie_breaker=self._role.tie_breaker)
        self._generation.checklist.set_role(is_controlling=is_controlling)
        # What was planned as a nomination is no longer ours to make.
        for pair in self._generation.checklist:
            pair.is_nominating = False

    def _new_generation(self) -> Generation:
        checklist = Checklist(
            is_controlling=self.is_controlling, max_pairs=self._config.max_candidate_pairs
        )
        return Generation(local=generate_credentials(self._rng), checklist=checklist)

    def _report_local_candidate(self, candidate: Candidate) -> None:
        fragment = self._generation.local.username_fragment
        self._events.append(LocalCandidateAdded(candidate=candidate, username_fragment=fragment))

    def _require_open(self) -> None:
        if self._state is IceState.CLOSED:
            raise LocalProtocolError("the ICE agent is closed")


def _is_authentic(message: Message, key: bytes) -> bool:
    try:
        message.check_integrity(key)
    except AuthenticationFailed:
        return False
    return True
