"""A full agent as the client of a lite server, and what the server keeps for its signaling."""

import random

import pytest

from router.ice import (
    CandidateType,
    IceAgent,
    IceConfig,
    IceLiteEndpoint,
    IceState,
    generate_credentials,
    lite_candidates,
    parse_candidate,
)
from router.net import Address

from .peers import A4, A6, SERVER4, SERVER6, Network, connect_to_lite, states_reported


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("is_controlling", [True, False])
@pytest.mark.parametrize(("loss", "within"), [(0.0, 0.5), (0.1, 10.0), (0.3, 40.0)])
def test_agent_connects_to_a_lite_server(
    loss: float, within: float, is_controlling: bool, seed: int
) -> None:
    network = Network(loss=loss, seed=seed)
    server = network.lite_peer(SERVER4, SERVER6)
    agent = network.agent(A4, A6, is_controlling=is_controlling)
    connect_to_lite(agent, server)
    network.run_until_connected(agent, within=within)
    assert agent.is_controlling
    assert agent.selected_path is not None
    assert server.nominated[-1] == agent.selected_path[0]
    assert not server.refused


def test_agent_nominates_one_pair_and_then_keeps_consent_only() -> None:
    network = Network()
    server = network.lite_peer(SERVER4, SERVER6)
    agent = network.agent(A4, A6, is_controlling=True)
    connect_to_lite(agent, server)
    network.run_until_connected(agent)
    network.run_for(60.0)
    assert server.nominated == [A4]
    # One check and the nomination, then 12 consent checks or so.
    assert 12 <= server.authentic[A4] <= 18
    assert server.authentic[A6] <= 1


def test_agent_is_retried_until_the_server_knows_it() -> None:
    # The answer can overtake the command that tells the data plane the credentials.
    network = Network()
    server = network.lite_peer(SERVER4)
    agent = network.agent(A4, is_controlling=True)
    connect_to_lite(agent, server)
    credentials = server.endpoint.local_credentials
    server.endpoint.local_credentials = generate_credentials(random.Random(77))
    network.run_for(1.0)
    assert agent.state is IceState.CHECKING
    assert server.refused[401] == 2
    server.endpoint.local_credentials = credentials
    network.run_until_connected(agent, within=3.0)


def test_agent_fails_at_the_end_of_its_transactions_when_a_lite_server_is_dead() -> None:
    config = IceConfig(rto=0.1, rc=3, rm=4)
    network = Network()
    server = network.lite_peer(SERVER4)
    server.is_silent = True
    agent = network.agent(A4, is_controlling=True, config=config)
    connect_to_lite(agent, server)
    failed_at = network.run(until=60.0, stop=lambda: agent.state is IceState.FAILED)
    assert agent.state is IceState.FAILED
    assert failed_at == pytest.approx(0.1 + 0.2 + 0.4)


def test_agent_restarts_with_a_lite_server() -> None:
    network = Network()
    server = network.lite_peer(SERVER4)
    agent = network.agent(A4, is_controlling=True)
    connect_to_lite(agent, server)
    network.run_until_connected(agent)
    before = server.endpoint.local_credentials
    states_reported(agent)
    agent.restart(network.now)
    connect_to_lite(agent, server, network.now)
    assert server.endpoint.local_credentials != before
    network.run_until_connected(agent, within=1.0)
    assert states_reported(agent) == [IceState.CHECKING, IceState.CONNECTED]
    assert not server.refused
    network.run_for(60.0)
    assert agent.state is IceState.CONNECTED


def test_agent_whose_nat_moves_keeps_consent_of_a_lite_server() -> None:
    network = Network()
    inside = Address("10.0.0.1", 5000)
    server = network.lite_peer(SERVER4)
    agent = network.agent(inside, is_controlling=True)
    network.map_address(inside, Address("198.51.100.1", 61000))
    connect_to_lite(agent, server)
    network.run_until_connected(agent)
    network.map_address(inside, Address("198.51.100.1", 61001))
    network.run_for(60.0)
    assert agent.state is IceState.CONNECTED
    assert server.authentic[Address("198.51.100.1", 61001)] >= 10


def test_lite_endpoint_gives_candidates_in_order_of_preference() -> None:
    lines = IceLiteEndpoint(addresses=[SERVER4, SERVER6], rng=random.Random(1)).candidate_lines()
    candidates = [parse_candidate(line) for line in lines]
    assert [candidate.address for candidate in candidates] == [SERVER4, SERVER6]
    assert candidates[0].priority > candidates[1].priority
    assert {candidate.type for candidate in candidates} == {CandidateType.HOST}
    assert tuple(candidates) == lite_candidates([SERVER4, SERVER6])
    assert len({candidate.foundation for candidate in candidates}) == 2


def test_lite_endpoint_tells_a_restart_from_a_repeated_description() -> None:
    rng = random.Random(1)
    endpoint = IceLiteEndpoint(addresses=[SERVER4], rng=rng)
    first, second = generate_credentials(rng), generate_credentials(rng)
    ours = endpoint.local_credentials
    assert not endpoint.set_remote_credentials(first)
    assert not endpoint.set_remote_credentials(first)
    assert endpoint.local_credentials == ours
    assert endpoint.set_remote_credentials(second)
    assert endpoint.local_credentials != ours
    assert endpoint.previous_credentials == ours


def test_agent_without_addresses_waits() -> None:
    agent = IceAgent(is_controlling=True, rng=random.Random(1))
    network = Network()
    server = network.lite_peer(SERVER4)
    connect_to_lite(agent, server)
    assert agent.state is IceState.CHECKING
    agent.add_local_address(A4, 0.0)
    network.attach(agent, A4)
    network.run_until_connected(agent)
