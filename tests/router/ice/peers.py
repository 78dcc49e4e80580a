"""Agents and a lite server on the virtual network."""

import random
from collections import Counter

from router.ice import (
    IceAgent,
    IceConfig,
    IceEvent,
    IceLiteEndpoint,
    IceState,
    StateChanged,
)
from router.net import Address
from router.stun import USE_CANDIDATE, respond_to_binding_request
from tests.support.virtual_network import Link, VirtualNetwork

A4, A6 = Address("192.0.2.1", 10001), Address("2001:db8::1", 10001)
B4, B6 = Address("192.0.2.2", 20002), Address("2001:db8::2", 20002)
SERVER4, SERVER6 = Address("203.0.113.1", 8443), Address("2001:db8:1::1", 8443)


class LitePeer:
    """An ICE-lite server: it only answers, and notes who was authentic and who nominated."""

    def __init__(self, *addresses: Address, rng: random.Random) -> None:
        self.endpoint = IceLiteEndpoint(addresses=addresses, rng=rng)
        self.authentic: Counter[Address] = Counter()
        self.nominated: list[Address] = []
        self.refused: Counter[int] = Counter()
        self.is_silent = False
        self._datagrams: list[tuple[bytes, Address, Address]] = []

    def receive_datagram(
        self, data: bytes, *, source: Address, destination: Address, now: float
    ) -> None:
        if self.is_silent:
            return
        credentials = self.endpoint.local_credentials
        result = respond_to_binding_request(
            data,
            source=source,
            username_fragment=credentials.username_fragment,
            password=credentials.password,
        )
        if result.error_code is not None:
            self.refused[result.error_code] += 1
        if result.request is not None:
            self.authentic[source] += 1
            if result.request.has(USE_CANDIDATE):
                self.nominated.append(source)
        if result.response is not None:
            self._datagrams.append((result.response, destination, source))

    def handle_timer(self, now: float) -> None:
        pass

    def next_timer(self) -> float | None:
        return None

    def datagrams_to_send(self) -> list[tuple[bytes, Address, Address]]:
        datagrams, self._datagrams = self._datagrams, []
        return datagrams


class Network(VirtualNetwork[Address]):
    """A virtual network that keeps what the agents on it report."""

    def __init__(
        self, *, loss: float = 0.0, seed: int = 1, delay: float = 0.02, jitter: float = 0.0
    ) -> None:
        super().__init__(Link(seed=seed, loss=loss, delay=delay, jitter=jitter))
        self.now = 0.0
        self.seed = seed

    def agent(
        self, *addresses: Address, is_controlling: bool, config: IceConfig | None = None
    ) -> IceAgent:
        """Return a new agent that is attached at these addresses."""
        rng = random.Random(f"{self.seed} {addresses}")
        agent = IceAgent(is_controlling=is_controlling, rng=rng, config=config)
        for address in addresses:
            agent.add_local_address(address, self.now)
        self.attach(agent, *addresses)
        return agent

    def lite_peer(self, *addresses: Address) -> LitePeer:
        """Return a new lite server that is attached at these addresses."""
        peer = LitePeer(*addresses, rng=random.Random(f"{self.seed} {addresses}"))
        self.attach(peer, *addresses)
        return peer

    def run_until_connected(self, *agents: IceAgent, within: float = 40.0) -> None:
        """Run until all agents are connected; fail if that takes longer than ``within``."""
        self.now = self.run(
            now=self.now,
            until=self.now + within,
            stop=lambda: all(agent.state is IceState.CONNECTED for agent in agents),
        )
        assert [agent.state for agent in agents] == [IceState.CONNECTED] * len(agents)

    def run_for(self, seconds: float) -> None:
        """Let time go on."""
        until = self.now + seconds
        self.run(now=self.now, until=until)
        self.now = until


def connect(a: IceAgent, b: IceAgent, now: float = 0.0) -> None:
    """Exchange credentials and all candidates at once."""
    for here, there in ((a, b), (b, a)):
        here.set_remote_credentials(there.local_credentials, now)
        for candidate in there.local_candidates:
            here.add_remote_candidate(candidate, now)
        here.end_of_remote_candidates(now)


def connect_to_lite(agent: IceAgent, peer: LitePeer, now: float = 0.0) -> None:
    """Exchange what an offer and the answer of a lite server carry."""
    peer.endpoint.set_remote_credentials(agent.local_credentials)
    agent.set_remote_credentials(peer.endpoint.local_credentials, now, is_lite=True)
    for candidate in peer.endpoint.candidates:
        agent.add_remote_candidate(candidate, now)
    agent.end_of_remote_candidates(now)


def drain_events(agent: IceAgent) -> list[IceEvent]:
    """Return all events that are waiting."""
    events = []
    while (event := agent.next_event()) is not None:
        events.append(event)
    return events


def states_reported(agent: IceAgent) -> list[IceState]:
    """Return the states among the events that are waiting."""
    return [event.state for event in drain_events(agent) if isinstance(event, StateChanged)]
