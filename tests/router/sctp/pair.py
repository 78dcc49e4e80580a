"""Two associations, a link, and what a test wants to do with them."""

import random
from collections.abc import Callable
from typing import Any, TypeVar

from router.sctp import (
    Association,
    AssociationClosed,
    DataReceived,
    SctpConfig,
    SctpEvent,
    State,
)
from tests.support.virtual_network import Link, run_virtual

T = TypeVar("T")


class Pair:
    """
    Associations ``a`` and ``b`` over a link, with their events collected.

    :param link: Settings of the link; ``seed`` also seeds both associations.
    """

    def __init__(
        self,
        config: SctpConfig | None = None,
        *,
        other: SctpConfig | None = None,
        seed: int = 1,
        **link: Any,
    ) -> None:
        config = config or SctpConfig()
        self.a = Association(config=config, rng=random.Random(seed), now=0.0)
        self.b = Association(config=other or config, rng=random.Random(seed + 1000), now=0.0)
        self.link = Link(seed=seed, **link)
        self.now = 0.0
        self.events: dict[Association, list[SctpEvent]] = {self.a: [], self.b: []}

    def connect(self) -> "Pair":
        """Establish the association, started by both."""
        self.a.connect(self.now)
        self.b.connect(self.now)
        self.run(60, stop=lambda: self.is_established)
        assert self.is_established
        return self

    @property
    def is_established(self) -> bool:
        return self.a.state is self.b.state is State.ESTABLISHED

    def run(self, duration: float = 60.0, *, stop: Callable[[], object] | None = None) -> None:
        """Run for at most ``duration`` seconds, or until ``stop`` or until nothing is due."""
        self.now = run_virtual(
            self.a,
            self.b,
            self.link,
            until=self.now + duration,
            now=self.now,
            stop=None if stop is None else lambda: self._is_done(stop),
            on_step=lambda now: self._collect(),
        )
        self._collect()

    def wait(self, duration: float) -> None:
        """Run for exactly ``duration`` seconds."""
        until = self.now + duration
        self.run(duration)
        self.now = until

    def _is_done(self, stop: Callable[[], object]) -> bool:
        self._collect()
        return bool(stop())

    def _collect(self) -> None:
        for association, events in self.events.items():
            while (event := association.next_event()) is not None:
                events.append(event)

    def of(self, association: Association, kind: type[T]) -> list[T]:
        """Return the association's events of one kind so far."""
        return [event for event in self.events[association] if isinstance(event, kind)]

    def received(self, association: Association) -> list[bytes]:
        """Return the messages that the association has delivered."""
        return [event.data for event in self.of(association, DataReceived)]

    def closed(self, association: Association) -> AssociationClosed:
        """Return the one AssociationClosed event."""
        (event,) = self.of(association, AssociationClosed)
        return event
