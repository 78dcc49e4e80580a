"""Two data channel transports over a link."""

import random
from collections.abc import Callable
from typing import Any, TypeVar

from router.datachannel import (
    ChannelClosed,
    DataChannelConfig,
    DataChannelEvent,
    DataChannelTransport,
    DtlsRole,
    MessageReceived,
)
from tests.support.virtual_network import Link, run_virtual

T = TypeVar("T")


class Pair:
    """
    Transports ``client`` and ``server`` with their events collected.

    :param link: Settings of the link; ``seed`` also seeds both sides.
    """

    def __init__(
        self,
        config: DataChannelConfig | None = None,
        *,
        server: DataChannelConfig | None = None,
        seed: int = 1,
        **link: Any,
    ) -> None:
        config = config or DataChannelConfig()
        self.client = DataChannelTransport(
            config=config, role=DtlsRole.CLIENT, rng=random.Random(seed), now=0.0
        )
        self.server = DataChannelTransport(
            config=server or config, role=DtlsRole.SERVER, rng=random.Random(seed + 1000), now=0.0
        )
        self.link = Link(seed=seed, **link)
        self.now = 0.0
        self.events: dict[DataChannelTransport, list[DataChannelEvent]] = {
            self.client: [],
            self.server: [],
        }

    def connect(self) -> "Pair":
        """Start from both sides and wait until both are connected."""
        self.client.connect(self.now)
        self.server.connect(self.now)
        self.run(60, stop=lambda: self.client.is_connected and self.server.is_connected)
        assert self.client.is_connected
        assert self.server.is_connected
        return self

    def run(self, duration: float = 60.0, *, stop: Callable[[], object] | None = None) -> None:
        """Run for at most ``duration`` seconds, or until ``stop`` or until nothing is due."""

        def is_done() -> bool:
            self._collect()
            return stop is not None and bool(stop())

        self.now = run_virtual(
            self.client,
            self.server,
            self.link,
            until=self.now + duration,
            now=self.now,
            stop=is_done,
        )
        self._collect()

    def _collect(self) -> None:
        for transport, events in self.events.items():
            while (event := transport.next_event()) is not None:
                events.append(event)

    def of(self, transport: DataChannelTransport, kind: type[T]) -> list[T]:
        """Return the transport's events of one kind so far."""
        return [event for event in self.events[transport] if isinstance(event, kind)]

    def messages(self, transport: DataChannelTransport, channel_id: int) -> list[str | bytes]:
        """Return what came in on a channel."""
        events = self.of(transport, MessageReceived)
        return [event.data for event in events if event.channel_id == channel_id]

    def closed(self, transport: DataChannelTransport) -> list[int]:
        """Return the identifiers of the channels that were reported closed, in order."""
        return [event.channel_id for event in self.of(transport, ChannelClosed)]
