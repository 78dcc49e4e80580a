"""Two full agents on virtual time."""

import random
from dataclasses import replace

import pytest

from router.errors import LocalProtocolError
from router.ice import (
    CandidateType,
    ConsentExpired,
    IceAgent,
    IceConfig,
    IceState,
    LocalCandidateAdded,
    SelectedPairChanged,
    StateChanged,
    generate_credentials,
    host_candidate,
)
from router.net import Address

from .peers import A4, A6, B4, B6, Network, connect, drain_events, states_reported


def assert_same_path(a: IceAgent, b: IceAgent) -> None:
    assert a.selected_path is not None
    assert b.selected_path == a.selected_path[::-1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("loss", "within"), [(0.0, 0.5), (0.1, 10.0), (0.3, 40.0)])
def test_agents_connect_under_loss(loss: float, within: float, seed: int) -> None:
    network = Network(loss=loss, seed=seed, jitter=0.01)
    a = network.agent(A4, A6, is_controlling=True)
    b = network.agent(B4, B6, is_controlling=False)
    connect(a, b)
    network.run_until_connected(a, b, within=within)
    network.run_for(3.0)
    assert_same_path(a, b)


def test_agents_prefer_the_path_of_highest_priority() -> None:
    network = Network()
    a = network.agent(A6, A4, is_controlling=True)
    b = network.agent(B6, B4, is_controlling=False)
    connect(a, b)
    network.run_until_connected(a, b)
    assert a.selected_path == (A6, B6)
    assert b.selected_path == (B6, A6)


def test_agents_take_the_other_family_when_one_path_is_broken() -> None:
    network = Network()
    a = network.agent(A6, A4, is_controlling=True)
    b = network.agent(B6, B4, is_controlling=False)
    network.block(A6, B6)
    network.block(B6, A6)
    connect(a, b)
    network.run_until_connected(a, b, within=1.0)
    assert a.selected_path == (A4, B4)


def test_agents_connect_when_checks_pass_in_one_direction_first() -> None:
    # As behind a firewall that lets in only what answers: the first checks of one side are lost.
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    network.block(A4, B4)
    connect(a, b)
    network.run_for(0.3)
    network.unblock(A4, B4)
    network.run_until_connected(a, b, within=5.0)


def test_events_tell_the_whole_story() -> None:
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    connect(a, b)
    network.run_until_connected(a, b)
    events = drain_events(a)
    candidate = a.local_candidates[0]
    fragment = a.local_credentials.username_fragment
    assert events[0] == LocalCandidateAdded(candidate=candidate, username_fragment=fragment)
    assert events[1] == StateChanged(state=IceState.CHECKING)
    selected = events[2]
    assert isinstance(selected, SelectedPairChanged)
    assert (selected.local, selected.remote) == (A4, B4)
    assert selected.remote_candidate == b.local_candidates[0]
    assert events[3:] == [StateChanged(state=IceState.CONNECTED)]


@pytest.mark.parametrize("is_controlling", [True, False])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_agents_settle_a_role_conflict(is_controlling: bool, seed: int, loss: float) -> None:
    network = Network(seed=seed, loss=loss)
    a = network.agent(A4, A6, is_controlling=is_controlling)
    b = network.agent(B4, B6, is_controlling=is_controlling)
    connect(a, b)
    network.run_until_connected(a, b)
    assert a.is_controlling != b.is_controlling
    network.run_for(3.0)
    assert_same_path(a, b)


def test_role_conflict_found_by_a_consent_check_is_settled() -> None:
    # Both have selected a pair when one of them takes the other's role.
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    connect(a, b)
    network.run_until_connected(a, b)
    b._set_controlling(True)
    network.run_for(60.0)
    assert a.is_controlling != b.is_controlling
    assert a.state is b.state is IceState.CONNECTED


@pytest.mark.parametrize("is_controlling", [True, False])
def test_agents_learn_each_other_when_only_one_side_gives_candidates(
    is_controlling: bool,
) -> None:
    network = Network()
    a = network.agent(A4, is_controlling=is_controlling)
    b = network.agent(B4, is_controlling=not is_controlling)
    a.set_remote_credentials(b.local_credentials, 0.0)
    b.set_remote_credentials(a.local_credentials, 0.0)
    a.add_remote_candidate(b.local_candidates[0], 0.0)
    network.run_until_connected(a, b)
    assert_same_path(a, b)
    selected = [e for e in drain_events(b) if isinstance(e, SelectedPairChanged)]
    assert selected[0].remote_candidate.type is CandidateType.PEER_REFLEXIVE


def test_agent_behind_a_nat_is_known_by_its_outside_address() -> None:
    network = Network()
    inside, outside = Address("10.0.0.1", 5000), Address("198.51.100.1", 61000)
    a = network.agent(inside, is_controlling=False)
    b = network.agent(B4, is_controlling=True)
    network.map_address(inside, outside)
    connect(a, b)
    network.run_until_connected(a, b)
    assert a.selected_path == (inside, B4)
    assert b.selected_path == (B4, outside)


def test_signaled_candidate_replaces_the_peer_reflexive_one() -> None:
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    a.set_remote_credentials(b.local_credentials, 0.0)
    b.set_remote_credentials(a.local_credentials, 0.0)
    a.add_remote_candidate(b.local_candidates[0], 0.0)
    network.now = network.run(until=0.03, stop=lambda: network.link.delivered > 0)
    b.add_remote_candidate(a.local_candidates[0], network.now)
    network.run_until_connected(a, b)
    selected = [e for e in drain_events(b) if isinstance(e, SelectedPairChanged)]
    assert selected[0].remote_candidate == a.local_candidates[0]


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
def test_agents_connect_with_trickled_candidates(loss: float) -> None:
    network = Network(loss=loss)
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    network.block(A4, B4)
    network.block(B4, A4)
    a.set_remote_credentials(b.local_credentials, 0.0)
    b.set_remote_credentials(a.local_credentials, 0.0)
    a.add_remote_candidate(b.local_candidates[0], 0.0)
    b.add_remote_candidate(a.local_candidates[0], 0.0)
    network.run_for(10.0)
    assert a.state is b.state is IceState.CHECKING
    for here, there, address in ((a, b, A6), (b, a, B6)):
        here.add_local_address(address, network.now)
        network.attach(here, address)
        there.add_remote_candidate(here.local_candidates[-1], network.now)
        network.run_for(0.2)
    network.run_until_connected(a, b, within=20.0)
    assert a.selected_path == (A6, B6)


def test_candidates_may_come_before_the_credentials() -> None:
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    stale = replace(b.local_candidates[0], port=9, extensions=(("ufrag", "stale"),))
    for candidate in (stale, *b.local_candidates):
        a.add_remote_candidate(candidate, 0.0)
    a.set_remote_credentials(b.local_credentials, 0.0)
    b.set_remote_credentials(a.local_credentials, 0.0)
    network.run_until_connected(a, b)
    assert a.selected_path == (A4, B4)


def test_agent_answers_checks_that_come_before_the_answer() -> None:
    network = Network()
    offerer = network.agent(A4, is_controlling=True)
    answerer = network.agent(B4, is_controlling=False)
    answerer.set_remote_credentials(offerer.local_credentials, 0.0)
    answerer.add_remote_candidate(offerer.local_candidates[0], 0.0)
    network.run_for(2.0)
    assert offerer.state is IceState.NEW
    # The answer has no candidates: the offerer knows the path from the checks that it has got.
    offerer.set_remote_credentials(answerer.local_credentials, network.now)
    network.run_until_connected(offerer, answerer, within=1.0)
    assert_same_path(offerer, answerer)


def test_agent_passes_over_useless_candidates() -> None:
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    a.set_remote_credentials(b.local_credentials, 0.0)
    good = b.local_candidates[0]
    for useless in (
        replace(good, component=2),
        replace(good, transport="tcp"),
        replace(good, host="4d4e8f5c.local"),
        replace(good, port=0),
        replace(good, extensions=(("ufrag", "other"),)),
        replace(good, host="2001:db8::2"),
    ):
        a.add_remote_candidate(useless, 0.0)
    network.run_for(5.0)
    assert network.link.pushed == 0
    fragment = b.local_credentials.username_fragment
    a.add_remote_candidate(replace(good, extensions=(("ufrag", fragment),)), network.now)
    network.run_for(0.1)
    assert network.link.pushed > 0


def test_checks_are_paced() -> None:
    config = IceConfig(ta=0.05)
    network = Network()
    a = network.agent(A4, is_controlling=True, config=config)
    sent_at: list[float] = []
    credentials = network.agent(B4, is_controlling=False).local_credentials
    a.set_remote_credentials(credentials, 0.0)
    for index in range(10):
        a.add_remote_candidate(host_candidate(Address(f"198.51.100.{index}", 9)), 0.0)
    now = 0.0
    while now < 0.5:
        sent_at += [now] * len(a.datagrams_to_send())
        timer = a.next_timer()
        assert timer is not None
        now = timer
        a.handle_timer(now)
    assert len(sent_at) == 10
    assert sent_at == pytest.approx([0.05 * index for index in range(10)])


def test_early_and_repeated_timer_calls_change_nothing() -> None:
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    connect(a, b)
    network.run_until_connected(a, b)
    drain_events(a)
    a.datagrams_to_send()
    timer = a.next_timer()
    for _ in range(3):
        a.handle_timer(network.now)
    assert a.datagrams_to_send() == []
    assert a.next_timer() == timer
    assert a.next_event() is None


def test_agents_send_application_data_on_the_selected_pair() -> None:
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    with pytest.raises(LocalProtocolError):
        a.send_application_data(b"\x80 too early")
    connect(a, b)
    network.run_until_connected(a, b)
    a.datagrams_to_send()
    a.send_application_data(b"\x80 media")
    assert a.datagrams_to_send() == [(b"\x80 media", A4, B4)]


# Consent (RFC 7675).


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
def test_agents_stay_connected_for_an_hour(loss: float) -> None:
    network = Network(loss=loss, seed=3)
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    connect(a, b)
    network.run_until_connected(a, b)
    before = network.link.pushed
    network.run_for(3600.0)
    assert not any(isinstance(event, ConsentExpired) for event in drain_events(a))
    assert_same_path(a, b)
    # One check each way every 5 s and its answer, and more of them for those that are lost.
    sent = network.link.pushed - before
    assert 4 * 3600 / 5 * 0.95 < sent < 4 * 3600 / 5 * (1.05 + 2 * loss)
    assert a.round_trip_time == pytest.approx(0.04)


def test_silent_peer_leads_to_disconnected_and_then_to_failed() -> None:
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    connect(a, b)
    network.run_until_connected(a, b)
    drain_events(a)
    died_at = network.now
    network.link.loss = 1.0
    network.run_for(14.0)
    assert states_reported(a) == [IceState.DISCONNECTED]
    a.send_application_data(b"\x80 still allowed")
    network.run_for(22.0)
    events = drain_events(a)
    assert events == [
        ConsentExpired(local=A4, remote=B4),
        StateChanged(state=IceState.FAILED),
    ]
    assert network.now - died_at <= 36.0
    with pytest.raises(LocalProtocolError):
        a.send_application_data(b"\x80 no longer")
    assert a.next_timer() is None
    # Nothing but a restart leads out of it, neither the peer's checks nor new candidates.
    network.link.loss = 0.0
    b.restart(network.now)
    network.run_for(60.0)
    assert a.state is IceState.FAILED


def test_agent_recovers_from_disconnected() -> None:
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    connect(a, b)
    network.run_until_connected(a, b)
    drain_events(a)
    network.link.loss = 1.0
    network.run_for(20.0)
    network.link.loss = 0.0
    network.run_for(10.0)
    assert states_reported(a) == [IceState.DISCONNECTED, IceState.CONNECTED]


@pytest.mark.parametrize("mover_is_controlling", [True, False])
def test_agent_follows_a_peer_whose_nat_moved_it(mover_is_controlling: bool) -> None:
    network = Network()
    inside = Address("10.0.0.1", 5000)
    mover = network.agent(inside, is_controlling=mover_is_controlling)
    stayer = network.agent(B4, is_controlling=not mover_is_controlling)
    network.map_address(inside, Address("198.51.100.1", 61000))
    connect(mover, stayer)
    network.run_until_connected(mover, stayer)
    moved = Address("198.51.100.1", 61001)
    network.map_address(inside, moved)
    network.run_for(20.0)
    assert stayer.selected_path == (B4, moved)
    network.run_for(60.0)
    assert mover.state is stayer.state is IceState.CONNECTED


# Restart and the end.


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
def test_restart_moves_to_another_path_without_a_gap(loss: float) -> None:
    network = Network(loss=loss)
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    connect(a, b)
    network.run_until_connected(a, b)
    old_credentials = a.local_credentials
    for agent, address in ((a, A6), (b, B6)):
        agent.add_local_address(address, network.now, local_preference=0xFFFF)
        network.attach(agent, address)
    network.block(A4, B4)
    a.restart(network.now)
    assert a.local_credentials != old_credentials
    assert a.selected_path == (A4, B4)
    b.restart(network.now)
    connect(a, b, network.now)
    assert a.state is IceState.CHECKING
    network.run_until_connected(a, b)
    assert a.selected_path == (A6, B6)
    network.run_for(5.0)
    assert b.selected_path == (B6, A6)


def test_restart_reports_the_candidates_again() -> None:
    network = Network()
    a = network.agent(A4, A6, is_controlling=True)
    drain_events(a)
    a.restart(0.0)
    fragment = a.local_credentials.username_fragment
    assert drain_events(a) == [
        LocalCandidateAdded(candidate=candidate, username_fragment=fragment)
        for candidate in a.local_candidates
    ]


def test_old_generation_keeps_consent_until_the_new_one_selects() -> None:
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    connect(a, b)
    network.run_until_connected(a, b)
    # The peer has not answered the restart yet.
    a.restart(network.now)
    network.run_for(120.0)
    assert a.state is b.state is IceState.CONNECTED
    b.restart(network.now)
    connect(a, b, network.now)
    network.run_until_connected(a, b, within=1.0)


def test_restart_leads_out_of_failed() -> None:
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    connect(a, b)
    network.run_until_connected(a, b)
    network.link.loss = 1.0
    network.run_for(60.0)
    assert a.state is b.state is IceState.FAILED
    network.link.loss = 0.0
    a.restart(network.now)
    b.restart(network.now)
    connect(a, b, network.now)
    network.run_until_connected(a, b, within=1.0)


def test_other_remote_credentials_take_a_restart() -> None:
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    connect(a, b)
    a.set_remote_credentials(b.local_credentials, 0.0)
    b.restart(0.0)
    with pytest.raises(LocalProtocolError):
        a.set_remote_credentials(b.local_credentials, 0.0)


def test_agent_fails_after_its_patience_when_no_check_succeeds() -> None:
    network = Network(loss=1.0)
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    connect(a, b)
    failed_at = network.run(until=200.0, stop=lambda: a.state is IceState.FAILED)
    assert a.state is IceState.FAILED
    assert 39.5 <= failed_at < 40.5


def test_agent_has_patience_while_the_peer_is_heard() -> None:
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False, config=IceConfig(rto=0.1, rc=3, rm=4))
    connect(a, b)
    network.block(B4, A4)
    network.run_for(39.4)
    # The last check of the other side came at 31.5 s, and the pair has failed long ago.
    network.run_for(4.0)
    assert states_reported(a) == [IceState.CHECKING, IceState.FAILED]
    assert states_reported(b) == [IceState.CHECKING]
    network.run_for(2.0)
    assert states_reported(b) == [IceState.FAILED]


def test_nomination_is_repeated_when_the_peer_is_heard_again() -> None:
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    connect(a, b)
    network.run_until_connected(b)
    assert a.state is IceState.CHECKING
    # The answer to the nomination is lost, and all that follows for 10 s.
    network.block(B4, A4)
    network.link.drop_in_flight()
    network.run_for(10.0)
    network.unblock(B4, A4)
    # Its back-off alone would let the next retransmission wait until 15.5 s.
    network.run_until_connected(a, within=2.0)
    assert_same_path(a, b)


def test_controlled_agent_fails_when_the_peer_never_nominates() -> None:
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    connect(a, b)
    network.now = network.run(until=1.0, stop=lambda: network.link.delivered >= 4)
    assert states_reported(b) == [IceState.CHECKING]
    network.detach(A4)
    network.run_for(100.0)
    assert states_reported(b) == [IceState.FAILED]


def test_closed_agent_does_nothing() -> None:
    network = Network()
    a = network.agent(A4, is_controlling=True)
    b = network.agent(B4, is_controlling=False)
    connect(a, b)
    network.run_until_connected(a, b)
    drain_events(a)
    a.close()
    a.close()
    assert drain_events(a) == [StateChanged(state=IceState.CLOSED)]
    assert a.next_timer() is None
    a.handle_timer(1000.0)
    assert a.datagrams_to_send() == []
    with pytest.raises(LocalProtocolError):
        a.restart(network.now)
    with pytest.raises(LocalProtocolError):
        a.send_application_data(b"")
    network.run_for(60.0)
    assert b.state is IceState.FAILED


def test_same_seed_gives_the_same_run() -> None:
    def run() -> tuple[int, float, tuple[Address, Address] | None]:
        network = Network(loss=0.3, seed=9)
        a = network.agent(A4, A6, is_controlling=True)
        b = network.agent(B4, B6, is_controlling=False)
        connect(a, b)
        network.run_until_connected(a, b)
        return network.link.pushed, network.now, a.selected_path

    assert run() == run()


def test_agents_of_different_generators_have_different_credentials() -> None:
    assert generate_credentials(random.Random(1)) != generate_credentials(random.Random(2))
