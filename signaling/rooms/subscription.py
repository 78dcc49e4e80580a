"""Which tracks a participant receives, and under which id."""

from dataclasses import dataclass

from router.node_events import MediaKind, SourceId


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeRules:
    """Which tracks of other participants a participant wants."""

    include_all: bool = True
    """True is ``[{"type": "include", "all": true}]``, False the same with ``exclude``."""
    kinds: frozenset[MediaKind] = frozenset(MediaKind)
    """The only kinds that are wanted; a viewer without a data channel leaves data out."""

    def admit(self, kind: MediaKind) -> bool:
        """Return whether a track of another participant is wanted."""
        return self.include_all and kind in self.kinds


@dataclass(slots=True, kw_only=True)
class Subscription:
    """One track that the rules give to a subscriber."""

    track_sid: str
    publisher_sid: str
    source_id: SourceId | None = None
    """What the media node was asked to forward; None while nothing carries the track."""
    receiver_id: str | None = None
    """The msid id or channel label by which the subscriber finds it, once it has one."""
