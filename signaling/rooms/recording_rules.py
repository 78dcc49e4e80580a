"""Which tracks of a room its recording rules select."""

from router.node_events import MediaKind
from signaling.rules import EXCLUDE_ALL, INCLUDE_ALL, Candidate, Rule, includes

TYPES_WITHOUT_RECORDING = frozenset({"peer-to-peer", "go"})
"""Room types whose media the original does not route, and so cannot record."""


def initial_recording_rules(*, record_participants_on_connect: bool) -> tuple[Rule, ...]:
    """Return the rules of a room that was given none."""
    return INCLUDE_ALL if record_participants_on_connect else EXCLUDE_ALL


def wants_recording(rules: tuple[Rule, ...], track: Candidate, *, starts_with_all: bool) -> bool:
    """
    Return whether a track is to be recorded.

    :param starts_with_all: True for a room that records its participants on connect: for its whole
        life the rules start from everything there, and otherwise from nothing.
    """
    # Nothing ever records data.
    return track.kind is not MediaKind.DATA and includes(rules, track, start=starts_with_all)
