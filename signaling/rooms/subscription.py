"""Which tracks a participant receives, and under which id."""

from dataclasses import dataclass

from router.node_events import MediaKind, SourceId
from signaling.rules import INCLUDE_ALL, Candidate, Rule, includes


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeRules:
    """Which tracks of other participants a participant wants, and which it could take."""

    rules: tuple[Rule, ...] = INCLUDE_ALL
    kinds: frozenset[MediaKind] = frozenset(MediaKind)
    """What its transport can carry, whatever the rules say: viewers have no data channels."""

    def admit(self, track: Candidate) -> bool:
        """Return whether a track of another participant is wanted."""
        return track.kind in self.kinds and includes(self.rules, track)


@dataclass(slots=True, kw_only=True)
class Subscription:
    """One track that a subscriber is given."""

    sid: str
    """Of this stretch of the subscription; never shown to clients."""
    track_sid: str
    publisher_sid: str
    source_id: SourceId | None = None
    """What the media node was asked to forward; None while nothing carries the track."""
    receiver_id: str | None = None
    """The msid id or channel label by which the subscriber finds it, once it has one."""
