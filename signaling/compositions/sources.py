"""Which recorded tracks a list of sources stands for."""

import re
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

_SID = re.compile(r"(RT|MT|PA)[0-9a-fA-F]{32}", re.ASCII)


class SourceFacts(Protocol):
    """What has to be known of a recording."""

    @property
    def sid(self) -> str: ...
    @property
    def source_sid(self) -> str: ...
    @property
    def participant_sid(self) -> str: ...
    @property
    def track_name(self) -> str: ...


SourceT = TypeVar("SourceT", bound=SourceFacts)


def check_source(source: object) -> None:
    """
    Tell whether something can name a source.

    :raises ValueError: when it cannot.
    """
    if not isinstance(source, str) or not source or "\0" in source:
        raise ValueError("sources must be texts")
    try:
        source.encode()
    except UnicodeEncodeError:
        raise ValueError("sources must be UTF-8") from None


def select_sources(
    recordings: Iterable[SourceT], included: Sequence[str], excluded: Sequence[str]
) -> list[SourceT]:
    """
    Return the recordings that are included and not excluded, in order.

    A SID stands for itself, that of a participant for all its tracks. Any other text is the name
    of a track, in which each ``*`` stands for any run of characters.
    """
    wanted, unwanted = _Matcher(included), _Matcher(excluded)
    return [recording for recording in recordings if wanted(recording) and not unwanted(recording)]


class _Matcher:
    def __init__(self, sources: Sequence[str]) -> None:
        self._sids = {source for source in sources if _SID.fullmatch(source)}
        names = {source for source in sources if source not in self._sids}
        self._plain = {name for name in names if "*" not in name}
        self._patterns = [name.split("*") for name in names if "*" in name]

    def __call__(self, recording: SourceFacts) -> bool:
        sids = {recording.sid, recording.source_sid, recording.participant_sid}
        name = recording.track_name
        return (
            not self._sids.isdisjoint(sids)
            or name in self._plain
            or any(_matches(parts, name) for parts in self._patterns)
        )


def _matches(parts: list[str], name: str) -> bool:
    # Not by a regular expression: many stars would make one take exponential time.
    first, *middle, last = parts
    if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
