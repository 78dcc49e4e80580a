"""The rows of recordings, compositions, hooks, their settings, and transcriptions."""

from dataclasses import dataclass, field
from datetime import datetime

from signaling.compositions import CompositionPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRecord:
    """One recorded stretch of one track."""

    sid: str
    account_sid: str
    room_sid: str
    participant_sid: str
    source_sid: str
    """The track."""
    track_name: str
    """The track's SID when it had no name."""
    kind: str
    """``audio`` or ``video``."""
    codec: str
    """``opus``, ``pcmu``, ``vp8`` or ``h264``."""
    status: str
    """``processing``, ``completed``, ``failed`` or ``deleted``."""
    offset_ms: int
    """Start of the track in milliseconds since 1970, on a clock common to all rooms."""
    created_at: datetime
    size_bytes: int = 0
    duration: int = 0
    """Whole seconds; 0 while processing."""
    status_callback: str | None = None
    status_callback_method: str = "POST"

    @property
    def container(self) -> str:
        """Return the container of its file: ``mka`` or ``mkv``."""
        return {"audio": "mka", "video": "mkv"}[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositionRecord:
    """One composition."""

    sid: str
    account_sid: str
    room_sid: str
    hook_sid: str | None
    """The hook that made it, if one did."""
    plan: CompositionPlan
    status: str
    """``enqueued``, ``processing``, ``completed``, ``failed`` or ``deleted``."""
    created_at: datetime
    completed_at: datetime | None = None
    deleted_at: datetime | None = None
    failure_code: int | None = None
    """Why it failed, a code of the public API."""
    bitrate: int = 0
    size_bytes: int = 0
    duration: int = 0
    """Whole seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositionHookRecord:
    """A composition that is made of every completed room."""

    sid: str
    account_sid: str
    friendly_name: str
    """Unique in the account."""
    enabled: bool
    plan: CompositionPlan
    created_at: datetime
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSettingsRecord:
    """The account's settings for recordings or for compositions."""

    account_sid: str
    subject: str
    """``recordings`` or ``compositions``."""
    friendly_name: str
    aws_credentials_sid: str | None
    aws_s3_url: str | None
    encryption_key_sid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionRecord:
    """The transcription of a room; a room has at most one."""

    sid: str
    """Its ``ttid``."""
    account_sid: str
    room_sid: str
    status: str
    """``started``, ``stopped`` or ``failed``."""
    configuration: dict[str, object] = field(default_factory=dict)
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    """When somebody was in the room while it was started, for the first time."""
    ended_at: datetime | None = None
