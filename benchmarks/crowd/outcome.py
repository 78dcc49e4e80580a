"""What became of the joins that were tried."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(slots=True, kw_only=True)
class Outcome:
    """Of one worker, or the sum over several."""

    offered: int = 0
    """Joins that were begun."""
    joined: int = 0
    """Of these, how many had their first packet in time."""
    busy: int = 0
    """How many were told to come back later."""
    failed: Counter[str] = field(default_factory=Counter)
    """The others, by reason."""
    offering_seconds: float = 0.0
    """In which they were begun; more than was asked for when the worker could not keep up."""
    seconds: float = 0.0
    """From the first join that was begun to the last that ended."""
    latencies_ms: list[float] = field(default_factory=list)
    """From opening the WebSocket to the first RTP packet, of those that joined."""
    cpu_seconds: float = 0.0
    """Of the workers."""

    @property
    def offered_rate(self) -> float:
        """Joins that were begun in a second."""
        return self.offered / self.offering_seconds if self.offering_seconds else 0.0

    @property
    def goodput(self) -> float:
        """Joins a second."""
        return self.joined / self.seconds if self.seconds else 0.0

    def as_message(self) -> dict[str, Any]:
        """Return what JSON can carry."""
        # asdict would make another counter, of pairs.
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return found | {"failed": dict(self.failed)}

    @classmethod
    def from_messages(cls, messages: Iterable[dict[str, Any]]) -> "Outcome":
        """Return the sum of what several workers said."""
        total = cls()
        for message in messages:
            total.offered += message["offered"]
            total.joined += message["joined"]
            total.busy += message["busy"]
            total.failed.update(message["failed"])
            total.offering_seconds = max(total.offering_seconds, message["offering_seconds"])
            total.seconds = max(total.seconds, message["seconds"])
            total.latencies_ms += message["latencies_ms"]
            total.cpu_seconds += message["cpu_seconds"]
        return total
