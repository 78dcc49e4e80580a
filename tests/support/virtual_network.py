"""
A seeded virtual link and a driver that run two protocol cores on virtual time.

No socket, no task and no clock: an hour of protocol runs in milliseconds, and the same seed gives
the same run, byte for byte.

.. code-block:: python

    link = Link(seed=1, loss=0.1, delay=0.02, jitter=0.005, reorder=0.02)
    now = run_virtual(client, server, link, until=30.0, stop=lambda: client.is_connected)
    assert client.is_connected
    now = run_virtual(client, server, link, until=now + 60.0, now=now)  # carries on

:class:`Link` and :func:`run_virtual` are for cores with the surface of ``router.core``.
:class:`VirtualNetwork` is for cores whose datagrams carry addresses (ICE, TURN).
"""

import heapq
import random
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

AddressT = TypeVar("AddressT")

# A core whose timer is due again without virtual time moving spins; no healthy one gets near this.
_MAX_ROUNDS_AT_ONE_INSTANT = 10_000


class Receiver(Protocol):
    """What a link delivers to."""

    def receive_datagram(self, data: bytes, now: float) -> None: ...


class Core(Receiver, Protocol):
    """What :func:`run_virtual` drives: the surface of ``router.core``, without its events."""

    def handle_timer(self, now: float) -> None: ...

    def next_timer(self) -> float | None: ...

    def datagrams_to_send(self) -> list[bytes]: ...


class Link:
    """
    A path for datagrams with loss, delay, jitter, reordering and duplication, all seeded.

    One link serves both directions; order is kept for each receiver by itself. All settings may be
    changed while it runs (a path that dies: ``link.loss = 1.0``).

    :param seed: Seed of the link's own generator, which nothing else draws from.
    :param loss: Probability 0..1 that a datagram is dropped.
    :param delay: One-way delay in seconds.
    :param jitter: Up to this many seconds are added to the delay, uniformly. Jitter by itself does
        not reorder: a datagram waits for the one before it.
    :param reorder: Probability 0..1 that a datagram is held back so that later ones overtake it.
    :param reorder_delay: For how many seconds such a datagram is held back.
    :param duplicate: Probability 0..1 that a datagram is delivered twice.
    :param mtu: Datagrams of more bytes than this are dropped; None for no limit.
    """

    def __init__(
        self,
        *,
        seed: int,
        loss: float = 0.0,
        delay: float = 0.02,
        jitter: float = 0.0,
        reorder: float = 0.0,
        reorder_delay: float = 0.05,
        duplicate: float = 0.0,
        mtu: int | None = None,
    ) -> None:
        self.loss = loss
        self.delay = delay
        self.jitter = jitter
        self.reorder = reorder
        self.reorder_delay = reorder_delay
        self.duplicate = duplicate
        self.mtu = mtu
        #: Datagrams that were pushed, dropped, and handed to a receiver so far.
        self.pushed = 0
        self.dropped = 0
        self.delivered = 0
        self._rng = random.Random(seed)
        self._in_flight: list[tuple[float, int, bytes, Receiver]] = []
        self._count = 0
        self._last_arrival_at: dict[int, float] = {}

    def push(self, data: bytes, receiver: Receiver, now: float) -> None:
        """Take a datagram that is sent to ``receiver`` at ``now``."""
        self.pushed += 1
        # Drawn for every datagram, so that one setting does not shift the fate of all later ones.
        lost, held, doubled, extra = (self._rng.random() for _ in range(4))
        if lost < self.loss or (self.mtu is not None and len(data) > self.mtu):
            self.dropped += 1
            return
        arrival_at = now + self.delay + extra * self.jitter
        if held < self.reorder:
            arrival_at += self.reorder_delay
        else:
            arrival_at = max(arrival_at, self._last_arrival_at.get(id(receiver), 0.0))
            self._last_arrival_at[id(receiver)] = arrival_at
        for _ in range(2 if doubled < self.duplicate else 1):
            heapq.heappush(self._in_flight, (arrival_at, self._count, data, receiver))
            self._count += 1

    def deliver(self, now: float) -> None:
        """Hand over all datagrams that have arrived by ``now``, in order of arrival."""
        while self._in_flight and self._in_flight[0][0] <= now:
            _, _, data, receiver = heapq.heappop(self._in_flight)
            self.delivered += 1
            receiver.receive_datagram(data, now)

    def drop_in_flight(self) -> None:
        """Lose all that is under way."""
        self.dropped += len(self._in_flight)
        self._in_flight.clear()

    def next_timer(self) -> float | None:
        """Return when the next datagram arrives, or None when none is in flight."""
        return self._in_flight[0][0] if self._in_flight else None


def run_virtual(
    a: Core,
    b: Core,
    link: Link,
    *,
    until: float,
    now: float = 0.0,
    stop: Callable[[], bool] | None = None,
    on_step: Callable[[float], None] | None = None,
) -> float:
    """
    Drive both cores on virtual time until nothing is due; return the time reached.

    :param until: Virtual time at which to stop at the latest. When the next thing is due later
        than this, the result is the time of the last thing that happened.
    :param now: Virtual time at which to start; pass the last result to carry on.
    :param stop: Asked after every step; the run ends when it returns True.
    :param on_step: Called with the time before datagrams are collected, at every step; it may
        drain events and call into the cores (answer a message, open a channel).
    """
    rounds = 0
    while True:
        if on_step is not None:
            on_step(now)
        for sender, receiver in ((a, b), (b, a)):
            for data in sender.datagrams_to_send():
                link.push(data, receiver, now)
        if stop is not None and stop():
            return now
        due = [t for x in (a, b, link) if (t := x.next_timer()) is not None]
        if not due or min(due) > until:
            return now
        rounds = 0 if min(due) > now else rounds + 1
        assert rounds < _MAX_ROUNDS_AT_ONE_INSTANT, f"a timer stays due at {now}"
        now = max(now, min(due))
        link.deliver(now)
        for core in (a, b):
            if (t := core.next_timer()) is not None and t <= now:
                core.handle_timer(now)


class AddressedCore(Protocol[AddressT]):
    """A core whose datagrams carry a local and a remote address."""

    def receive_datagram(
        self, data: bytes, *, source: AddressT, destination: AddressT, now: float
    ) -> None: ...

    def handle_timer(self, now: float) -> None: ...

    def next_timer(self) -> float | None: ...

    def datagrams_to_send(self) -> list[tuple[bytes, AddressT, AddressT]]: ...


class _Arrival(Generic[AddressT]):
    """The receiving end of one directed pair of addresses."""

    def __init__(
        self, network: "VirtualNetwork[AddressT]", source: AddressT, destination: AddressT
    ) -> None:
        self._network = network
        self._source = source
        self._destination = destination

    def receive_datagram(self, data: bytes, now: float) -> None:
        core = self._network.core_at(self._destination)
        if core is not None:
            core.receive_datagram(data, source=self._source, destination=self._destination, now=now)


class VirtualNetwork(Generic[AddressT]):
    """
    Cores at addresses, joined by one :class:`Link`, with translation of addresses and broken paths.

    :param link: Decides the fate of every datagram.
    """

    def __init__(self, link: Link) -> None:
        self.link = link
        self._cores: dict[AddressT, AddressedCore[AddressT]] = {}
        self._mapped: dict[AddressT, AddressT] = {}
        self._blocked: set[tuple[AddressT, AddressT]] = set()
        self._arrivals: dict[tuple[AddressT, AddressT], _Arrival[AddressT]] = {}

    def attach(self, core: AddressedCore[AddressT], *addresses: AddressT) -> None:
        """Give ``core`` these addresses; a core may have several."""
        for address in addresses:
            self._cores[address] = core

    def detach(self, *addresses: AddressT) -> None:
        """Lose datagrams to these addresses; a core without an address is no longer driven."""
        for address in addresses:
            del self._cores[address]

    def map_address(self, inside: AddressT, outside: AddressT) -> None:
        """
        Put a NAT (endpoint independent, any sender may answer) before ``inside``.

        Receivers see ``outside`` as the source, and what is sent to ``outside`` reaches ``inside``.
        Mapping again moves the binding, as after a NAT rebinding: the old outside address is dead.
        """
        self._mapped[inside] = outside

    def block(self, source: AddressT, destination: AddressT) -> None:
        """Drop what goes from ``source`` to ``destination`` (as sent, before any NAT)."""
        self._blocked.add((source, destination))

    def unblock(self, source: AddressT, destination: AddressT) -> None:
        """Undo :meth:`block`."""
        self._blocked.discard((source, destination))

    def core_at(self, address: AddressT) -> AddressedCore[AddressT] | None:
        """Return the core that has the address, or None."""
        return self._cores.get(address)

    def send(self, data: bytes, *, source: AddressT, destination: AddressT, now: float) -> None:
        """Send a datagram as any host could, also one that no core sent (an attacker's)."""
        if (source, destination) in self._blocked:
            return
        source = self._mapped.get(source, source)
        for inside, outside in self._mapped.items():
            if outside == destination:
                destination = inside
                break
        path = (source, destination)
        if path not in self._arrivals:
            self._arrivals[path] = _Arrival(self, source, destination)
        self.link.push(data, self._arrivals[path], now)

    def run(
        self,
        *,
        until: float,
        now: float = 0.0,
        stop: Callable[[], bool] | None = None,
        on_step: Callable[[float], None] | None = None,
    ) -> float:
        """Drive all attached cores as :func:`run_virtual` does; return the time reached."""
        rounds = 0
        while True:
            cores = list({id(core): core for core in self._cores.values()}.values())
            if on_step is not None:
                on_step(now)
            for core in cores:
                for data, local, remote in core.datagrams_to_send():
                    self.send(data, source=local, destination=remote, now=now)
            if stop is not None and stop():
                return now
            timers = [core.next_timer() for core in cores] + [self.link.next_timer()]
            due = [t for t in timers if t is not None]
            if not due or min(due) > until:
                return now
            rounds = 0 if min(due) > now else rounds + 1
            assert rounds < _MAX_ROUNDS_AT_ONE_INSTANT, f"a timer stays due at {now}"
            now = max(now, min(due))
            self.link.deliver(now)
            for core in cores:
                if (t := core.next_timer()) is not None and t <= now:
                    core.handle_timer(now)
