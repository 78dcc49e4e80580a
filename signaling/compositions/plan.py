"""Everything that a composition and a composition hook have in common."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from .layout import Region
from .sources import SourceT, select_sources


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositionPlan:
    """What is to be composed, and into what."""

    audio_sources: tuple[str, ...] = ()
    audio_sources_excluded: tuple[str, ...] = ()
    video_layout: dict[str, Region] = field(default_factory=dict)
    """Regions by name; the later is in front of the earlier at the same ``z_pos``."""
    resolution: str = "640x480"
    format: str = "webm"
    """``webm`` or ``mp4``."""
    trim: bool = True
    """Whether stretches without any media are cut."""
    status_callback: str | None = None
    status_callback_method: str = "POST"

    def select_audio(self, recordings: Iterable[SourceT]) -> list[SourceT]:
        """Return the recordings to be mixed, of those given, which are of audio."""
        return select_sources(recordings, self.audio_sources, self.audio_sources_excluded)

    def select_video(self, recordings: Iterable[SourceT]) -> list[SourceT]:
        """Return the recordings to be shown in any region, of those given, which are of video."""
        candidates = list(recordings)
        shown = {
            recording.sid
            for region in self.video_layout.values()
            for recording in select_sources(
                candidates, region.video_sources, region.video_sources_excluded
            )
        }
        return [recording for recording in candidates if recording.sid in shown]

    def to_json(self) -> str:
        """Return a text that :meth:`from_json` reads."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the plan that :meth:`to_json` wrote."""
        members = json.loads(text)
        for name in ("audio_sources", "audio_sources_excluded"):
            members[name] = tuple(members[name])
        members["video_layout"] = {
            name: _region_of(properties) for name, properties in members["video_layout"].items()
        }
        return cls(**members)


def _region_of(properties: dict[str, Any]) -> Region:
    lists = {name: tuple(value) for name, value in properties.items() if isinstance(value, list)}
    return Region(**(properties | lists))
