"""Published tracks: what a client asks for, and the rules that a publication has to meet."""

from dataclasses import dataclass
from enum import Enum

from router.node_events import MediaKind, SourceId
from signaling.errors import ErrorCode

TRACK_NAME_LENGTH_MAX = 128
"""Characters."""
TRACKS_PER_PARTICIPANT_MAX = 64
"""Ready publications of one participant; the public API recommends 2 audio, 6 video, 1 data."""


class TrackPriority(Enum):
    """How much a publisher cares for a track."""

    LOW = "low"
    STANDARD = "standard"
    HIGH = "high"


class PublicationState(Enum):
    """What the owner of a track is told about it."""

    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRequest:
    """One entry of the list of tracks that a client wants to have published."""

    track_id: str
    """The client's own id: the second token of ``a=msid``, or the data channel's label."""
    kind: MediaKind
    name: str | None = None
    """None or empty lets the track's SID be its name."""
    enabled: bool = True
    priority: TrackPriority = TrackPriority.STANDARD


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackView:
    """What others see of a published track."""

    sid: str
    name: str
    kind: MediaKind
    enabled: bool
    priority: TrackPriority


@dataclass(slots=True, kw_only=True)
class Publication:
    """A track id of a participant, from its first appearance until the client drops it."""

    track_id: str
    kind: MediaKind
    sid: str
    """Given once and final; never shown when the publication failed."""
    name: str
    enabled: bool
    priority: TrackPriority
    error: ErrorCode | None = None
    source_id: SourceId | None = None
    """What carries it, once the media node has seen it."""

    @property
    def state(self) -> PublicationState:
        """Return ``READY`` as soon as the track is known: nobody waits for media."""
        return PublicationState.READY if self.error is None else PublicationState.FAILED

    def view(self) -> TrackView:
        """Return what others may see."""
        return TrackView(
            sid=self.sid,
            name=self.name,
            kind=self.kind,
            enabled=self.enabled,
            priority=self.priority,
        )


def check_name(name: str) -> ErrorCode | None:
    """Return why a track name cannot be used, or None."""
    if len(name) > TRACK_NAME_LENGTH_MAX:
        return ErrorCode.TRACK_NAME_TOO_LONG
    # Control characters break logs and header lines later on; nothing else is forbidden.
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in name):
        return ErrorCode.TRACK_NAME_CHARACTERS_INVALID
    return None
