"""The surface that every sans-IO protocol core has."""

from typing import Protocol, TypeVar

EventT_co = TypeVar("EventT_co", covariant=True)


class DatagramCore(Protocol[EventT_co]):
    """
    A protocol core that reads datagrams and time, and never raises because of what a peer sent.

    One call that mutates, then drain: ``next_event`` until None, ``datagrams_to_send``, and re-arm
    one timer for ``next_timer``. ``now`` is CLOCK_MONOTONIC in seconds.
    """

    def receive_datagram(self, data: bytes, now: float) -> None:
        """Take one datagram from the peer."""

    def handle_timer(self, now: float) -> None:
        """Act on all timers that are due; an early or repeated call changes nothing."""

    def next_timer(self) -> float | None:
        """Return the absolute time of the next timer, or None when nothing is pending."""

    def datagrams_to_send(self) -> list[bytes]:
        """Return the datagrams to send, in order, and forget them."""

    def next_event(self) -> EventT_co | None:
        """Return the next event and forget it, or None when there is none."""
