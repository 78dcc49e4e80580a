"""
What a list of rules selects.

The public API describes it with sets: start from the empty set, and let each rule in order add
(include) or remove (exclude) the tracks that it matches. For a single track that comes to this:
the last rule that matches it decides, and without one the start does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from router.node_events import MediaKind


class RuleType(Enum):
    """What a rule does with the tracks that it matches."""

    INCLUDE = "include"
    EXCLUDE = "exclude"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A published track, as far as rules look at it."""

    sid: str
    name: str
    kind: MediaKind
    publisher_sid: str
    publisher_identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. Filters that are None match every track; all others must match."""

    type: RuleType
    all: bool = False
    """Whether the rule was written with ``all``; it then has no filter."""
    publisher: str | None = None
    """An identity, case sensitive, or a participant's SID."""
    track: str | None = None
    """A track's name, case sensitive, or its SID."""
    kind: MediaKind | None = None
    priority: str | None = None
    """``low``, ``standard`` or ``high``: kept and shown, without effect on what is selected."""

    def matches(self, track: Candidate) -> bool:
        """Return whether all filters match a track."""
        return (
            (self.kind is None or self.kind is track.kind)
            and (
                self.publisher is None
                or self.publisher in (track.publisher_identity, track.publisher_sid)
            )
            and (self.track is None or self.track in (track.name, track.sid))
        )


INCLUDE_ALL = (Rule(type=RuleType.INCLUDE, all=True),)
EXCLUDE_ALL = (Rule(type=RuleType.EXCLUDE, all=True),)


def includes(rules: Sequence[Rule], track: Candidate, *, start: bool = False) -> bool:
    """
    Return whether a list of rules selects a track.

    :param start: Whether the set starts with everything in place of nothing.
    """
    for rule in reversed(rules):
        if rule.matches(track):
            return rule.type is RuleType.INCLUDE
    return start
