"""The parts of an association by themselves, against models where there are any."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import AuthenticationFailed, LocalProtocolError, RemoteProtocolError
from router.sctp import SctpConfig
from router.sctp.chunks.data import DataChunk
from router.sctp.congestion import CongestionControl
from router.sctp.cookie import COOKIE_BYTES, CookieAction, StateCookie, classify_cookie, open_cookie
from router.sctp.peer_parameters import PeerParameters
from router.sctp.reassembly import Reassembler
from router.sctp.received_tsns import ReceivedTsns
from router.sctp.retransmission_timer import BackoffTimer, RetransmissionTimeout
from router.sctp.send_queue import MESSAGE_OVERHEAD_BYTES, OutboundMessage, SendQueue
from router.sctp.serial_number import extend_ssn, extend_tsn
from router.sctp.state import TRANSITIONS, State

PEER = PeerParameters(
    initiate_tag=2,
    a_rwnd=3,
    outbound_streams=4,
    inbound_streams=5,
    initial_tsn=6,
    forward_tsn=True,
    reconfig=False,
    zero_checksum=True,
)


@given(st.integers(0, 1 << 40), st.integers(-(1 << 31) + 1, (1 << 31) - 1))
def test_extended_tsn_is_the_nearest_one(reference: int, distance: int) -> None:
    assert extend_tsn((reference + distance) & 0xFFFFFFFF, reference) == reference + distance


@given(st.integers(0, 1 << 40), st.integers(-(1 << 15) + 1, (1 << 15) - 1))
def test_extended_ssn_is_the_nearest_one(reference: int, distance: int) -> None:
    assert extend_ssn((reference + distance) & 0xFFFF, reference) == reference + distance


@given(
    st.lists(
        st.one_of(st.integers(1, 60), st.tuples(st.just("skip"), st.integers(0, 60))),
        max_size=80,
    )
)
def test_received_tsns_agree_with_a_set(actions: list[int | tuple[str, int]]) -> None:
    tsns = ReceivedTsns(initial_tsn=1)
    model = {0}
    for action in actions:
        if isinstance(action, tuple):
            tsns.skip_to(action[1])
            model |= set(range(action[1] + 1))
        elif not tsns.contains(action):
            assert action not in model
            tsns.add(action)
            model.add(action)
        else:
            assert action in model
        cumulative = next(tsn for tsn in range(62) if tsn + 1 not in model)
        assert tsns.cumulative == cumulative
        assert tsns.highest == max(model)
        blocks, _ = tsns.take_report(100)
        covered = {
            tsn for start, end in blocks for tsn in range(cumulative + start, cumulative + end + 1)
        }
        assert covered == {tsn for tsn in model if tsn > cumulative}
        assert all(b[0] - a[1] > 1 for a, b in pairwise(blocks))
        assert tsns.has_gaps == bool(blocks)


def test_report_is_bounded_and_forgets_duplicates() -> None:
    tsns = ReceivedTsns(initial_tsn=1)
    for tsn in range(3, 1000, 2):
        tsns.add(tsn)
    for _ in range(1000):
        tsns.note_duplicate(3)
    blocks, duplicates = tsns.take_report(300)
    assert len(blocks) == 300 - len(duplicates) or not duplicates
    assert len(blocks) + len(duplicates) <= 300
    blocks, duplicates = tsns.take_report(600)
    assert (len(blocks), duplicates) == (499, [])


@given(
    st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_messages_are_whole_and_ordered_whatever_the_order_of_arrival(
    messages: list[tuple[int, bool]], rng: random.Random
) -> None:
    chunks: list[tuple[int, DataChunk]] = []
    expected: dict[bool, list[bytes]] = {True: [], False: []}
    ssn, tsn = 0, 100
    for number, (count, ordered) in enumerate(messages):
        parts = [b"%d.%d," % (number, part) for part in range(count)]
        for part, text in enumerate(parts):
            flags = (part == 0) << 1 | (part == count - 1) | (not ordered) << 2
            chunks.append((tsn, DataChunk(flags, tsn, 1, ssn if ordered else 0, 53, text)))
            tsn += 1
        ssn += ordered
        expected[ordered].append(b"".join(parts))
    rng.shuffle(chunks)
    reassembler = Reassembler(max_message_size=1000)
    delivered = [m.data for tsn, chunk in chunks for m in reassembler.add(tsn, chunk)]
    assert [data for data in delivered if data in expected[True]] == expected[True]
    assert sorted(data for data in delivered if data in expected[False]) == sorted(expected[False])
    assert len(delivered) == len(messages)
    assert reassembler.held_bytes == 0
    assert not reassembler._runs_by_first
    assert not reassembler._runs_by_last


@given(
    st.lists(
        st.tuples(st.integers(0, 7), st.integers(0, 30), st.integers(0, 2), st.integers(0, 5)),
        max_size=40,
        unique_by=lambda action: action[1],
    ),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2), st.integers(0, 5)), max_size=3),
)
def test_contradictory_fragments_never_raise_and_are_accounted(
    actions: list[tuple[int, int, int, int]], skips: list[tuple[int, int, int]]
) -> None:
    reassembler = Reassembler(max_message_size=1000)
    for flags, tsn, stream_id, ssn in actions:
        reassembler.add(tsn, DataChunk(flags, tsn, stream_id, ssn, 53, b"x"))
    for tsn, stream_id, ssn in skips:
        reassembler.skip(tsn, ((stream_id, ssn),))
        assert reassembler.held_bytes >= 0
    reassembler.skip(100, ())
    for stream_id in range(3):
        reassembler.reset_stream(stream_id)
    assert reassembler.held_bytes == 0


def test_message_that_outgrows_the_limit_is_refused_before_it_is_whole() -> None:
    reassembler = Reassembler(max_message_size=2500)
    reassembler.add(1, DataChunk(2, 1, 0, 0, 53, bytes(1000)))
    reassembler.add(3, DataChunk(0, 3, 0, 0, 53, bytes(1000)))
    with pytest.raises(RemoteProtocolError):
        reassembler.add(2, DataChunk(0, 2, 0, 0, 53, bytes(1000)))


def test_rto_follows_rfc_9260_section_6_3() -> None:
    rto = RetransmissionTimeout(initial=1.0, minimum=0.2, maximum=3.0)
    assert rto.value == 1.0
    rto.observe(0.4)
    assert rto.srtt == 0.4
    assert rto.value == pytest.approx(1.2)
    rto.observe(0.8)
    assert rto.srtt == pytest.approx(0.45)
    assert rto.value == pytest.approx(0.45 + 4 * 0.25)
    for _ in range(200):
        rto.observe(0.01)
    assert rto.value == 0.2
    for expected in (0.4, 0.8, 1.6, 3.0, 3.0):
        rto.back_off()
        assert rto.value == pytest.approx(expected)


def test_rto_recovers_when_the_last_transmission_can_be_what_arrived() -> None:
    rto = RetransmissionTimeout(initial=1.0, minimum=0.2, maximum=3.0)
    rto.restore(0.1)
    assert rto.value == 1.0  # nothing is known yet
    rto.observe(0.1)
    base = rto.value
    rto.back_off()
    rto.back_off()
    rto.restore(0.05)  # faster than any round trip: an earlier transmission arrived
    assert rto.value == 4 * base
    rto.restore(0.1)
    assert rto.value == base
    rto.doubt()
    assert rto.value == 2 * base
    rto.observe(0.1)
    value = rto.value
    rto.doubt()
    assert rto.value == value


def test_backoff_timer_doubles_up_to_its_maximum() -> None:
    timer = BackoffTimer(maximum=3.0)
    assert not timer.expire(100.0)
    timer.start(0.0, 1.0)
    assert not timer.expire(0.99)
    now = 1.0
    for expected in (2.0, 3.0, 3.0):
        assert timer.expire(now)
        assert timer.deadline == now + expected
        assert not timer.expire(now)
        now += expected
    assert timer.expirations == 3
    timer.stop()
    assert timer.deadline is None


def test_congestion_window_of_rfc_9260_section_7_2() -> None:
    control = CongestionControl(mtu=1000, initial_cwnd=4000, ssthresh=6000)

    def ack(acked_bytes: int, flight_size: int, cumulative_tsn: int = 1) -> None:
        control.on_cumulative_ack(
            cumulative_tsn=cumulative_tsn,
            acked_bytes=acked_bytes,
            flight_size=flight_size,
            outstanding=True,
        )

    ack(acked_bytes=2000, flight_size=1000)
    assert control.cwnd == 4000  # the window was not used
    ack(acked_bytes=2000, flight_size=4000)
    assert control.cwnd == 5000  # slow start: at most one MTU a SACK
    ack(acked_bytes=500, flight_size=5000)
    ack(acked_bytes=1000, flight_size=5500)
    assert control.cwnd == 6500
    for _ in range(6):
        ack(acked_bytes=1000, flight_size=6500)
    assert control.cwnd == 6500
    ack(acked_bytes=1000, flight_size=6500)
    assert control.cwnd == 7500  # congestion avoidance: one MTU a window
    control.on_fast_retransmit(exit_point=50)
    assert (control.cwnd, control.ssthresh) == (4000, 4000)
    control.on_fast_retransmit(exit_point=60)
    assert control.cwnd == 4000  # once per recovery
    ack(acked_bytes=9000, flight_size=9000, cumulative_tsn=49)
    assert control.cwnd == 4000
    ack(acked_bytes=1000, flight_size=4000, cumulative_tsn=50)
    assert not control.in_fast_recovery
    assert control.cwnd == 5000
    control.on_timeout()
    assert (control.cwnd, control.ssthresh) == (1000, 4000)


@given(
    st.floats(0, 1e9),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=40),
)
def test_cookie_round_trip_and_forgery(created_at: float, tag: int, tie: int, key: bytes) -> None:
    cookie = StateCookie(
        created_at=created_at,
        local_tag=tag,
        local_initial_tsn=tie,
        local_tie_tag=tie,
        peer_tie_tag=tag,
        peer=PEER,
    )
    data = cookie.seal(key)
    assert len(data) == COOKIE_BYTES
    assert open_cookie(data, key) == cookie
    for forged in (
        data[:-1],
        data + b"\x00",
        b"",
        bytes(len(data)),
        data[:-1] + bytes([data[-1] ^ 1]),
    ):
        with pytest.raises(AuthenticationFailed):
            open_cookie(forged, key)


@pytest.mark.parametrize(
    ("local", "peer", "local_tie", "peer_tie", "action"),
    [
        (9, 9, 1, 2, CookieAction.RESTART),
        (1, 9, 0, 0, CookieAction.ESTABLISH),
        (9, 2, 0, 0, CookieAction.DISCARD),
        (1, 2, 0, 0, CookieAction.ACKNOWLEDGE),
        (9, 9, 0, 0, CookieAction.DISCARD),
        (9, 9, 1, 3, CookieAction.DISCARD),
        (9, 9, 3, 2, CookieAction.DISCARD),
    ],
)
def test_cookie_table_of_rfc_9260_section_5_2_4(
    local: int, peer: int, local_tie: int, peer_tie: int, action: CookieAction
) -> None:
    cookie = StateCookie(
        created_at=0.0,
        local_tag=local,
        local_initial_tsn=0,
        local_tie_tag=local_tie,
        peer_tie_tag=peer_tie,
        peer=replace(PEER, initiate_tag=peer),
    )
    assert classify_cookie(cookie, local_tag=1, peer_tag=2) is action


def _message(stream_id: int, size: int, **options: float) -> OutboundMessage:
    return OutboundMessage(stream_id, 53, bytes(size), True, options.get("expires_at"), None)


def test_queue_accounts_for_every_byte() -> None:
    queue = SendQueue()
    for size in (10, 20, 30):
        queue.push(_message(1, size))
    queue.push(_message(2, 40, expires_at=1.0))
    assert queue.used_bytes == 100 + 4 * MESSAGE_OVERHEAD_BYTES
    assert (queue.buffered_amount(1), queue.buffered_amount(2)) == (60, 40)
    first = queue.current(2.0)
    assert first is not None
    queue.advance(first, 4)
    assert queue.current(2.0) is first
    assert queue.buffered_amount(1) == 56
    queue.drop_rest(first)
    assert queue.used_bytes == 94 + 4 * MESSAGE_OVERHEAD_BYTES
    sizes = []
    while (message := queue.current(2.0)) is not None:
        sizes.append(len(message.data))
        queue.advance(message, len(message.data))
    assert sizes == [20, 30]
    assert queue.is_empty
    # What is in flight is given back by who gets it acknowledged.
    queue.release(4 + 50 + 3 * MESSAGE_OVERHEAD_BYTES)
    assert queue.used_bytes == 0


def test_paused_and_discarded_streams_are_not_scheduled() -> None:
    queue = SendQueue()
    queue.push(_message(1, 1))
    queue.push(_message(2, 2))
    queue.pause(1)
    queue.discard(2)
    queue.push(_message(2, 3))
    message = queue.current(0.0)
    assert message is not None
    assert len(message.data) == 3
    queue.advance(message, 3)
    assert queue.current(0.0) is None
    assert not queue.is_empty
    queue.resume(1, reset=True)
    message = queue.current(0.0)
    assert message is not None
    assert (message.stream_id, message.ssn) == (1, 0)


def test_states_lead_where_the_rfc_draws_an_arrow() -> None:
    assert set(TRANSITIONS) == set(State)
    reachable = {State.CLOSED}
    while more := {t for s in reachable for t in TRANSITIONS[s]} - reachable:
        reachable |= more
    assert reachable | {State.TERMINATED} == set(State)


@pytest.mark.parametrize(
    "options",
    [
        {"mtu": 100},
        {"local_port": 0},
        {"max_message_size": 0},
        {"inbound_streams": 70000},
        {"receive_buffer_bytes": 300_000},
        {"rto_min": 1.0},
        {"rto_max": 0.1},
        {"delayed_ack_timeout": 1.0},
    ],
)
def test_config_refuses_what_cannot_work(options: dict[str, float]) -> None:
    with pytest.raises(LocalProtocolError):
        SctpConfig(**options)  # type: ignore[arg-type]
