"""What a room is created with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSettings:
    """The settings of a room, as REST shows them (rooms never change them later)."""

    unique_name: str | None = None
    """The name; None lets the room's SID be its name."""
    type: str = "group"
    """``group``, ``group-small``, ``peer-to-peer`` or ``go``; all are routed alike."""
    max_participants: int = 50
    max_participant_duration: int = 14400
    """Seconds, 600 to 86,400."""
    max_concurrent_published_tracks: int = 170
    """0 is no limit."""
    empty_room_timeout: int = 5
    """Minutes, 1 to 60; 0 for ad-hoc rooms."""
    unused_room_timeout: int = 5
    """Minutes, 1 to 60; 0 for ad-hoc rooms."""
    video_codecs: tuple[str, ...] = ("VP8", "H264")
    """Empty when audio only."""
    audio_only: bool = False
    media_region: str = "us1"
    record_participants_on_connect: bool = False
    enable_turn: bool = True
    large_room: bool = False
    status_callback: str | None = None
    status_callback_method: str = "POST"
