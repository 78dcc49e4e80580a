"""What the room service and its views need to be told."""

from dataclasses import dataclass, field
from typing import Literal

from signaling.rooms.settings import RoomSettings

from .turn import TurnServers


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """One entry of an ``RTCIceServer`` list that clients are given."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """The settings of the room service, of signaling sessions and of WHIP resources."""

    account_sid: str
    """The one account of this server."""
    ad_hoc_rooms: bool = True
    """Whether joining an unknown name makes a room."""
    ad_hoc_settings: RoomSettings = field(default_factory=RoomSettings)
    """What such rooms are created with, apart from the name; both timeouts count as 0."""
    messages_per_session: float = 50.0
    """Signaling messages a second that are taken from one client; 0 is no limit."""
    session_timeout: float = 30.0
    """Seconds for which a participant whose signaling was lost may come back; more than 0."""
    page_closed_grace: float = 5.0
    """The same after a WebSocket close with 1001: the page is gone and seldom comes back."""
    accept_expired_token_on_resume: bool = True
    """A long session resumes with the token that it began with; False answers 20104."""
    signaling_region: str = "us1"
    """Shown to clients as the region that they are connected to."""
    ice_servers: tuple[IceServer, ...] = ()
    """Handed to clients unchanged."""
    max_participants: int = 0
    """In all rooms together; more are told to come back later. 0 is no limit."""
    room_quota: int = 0
    """Rooms in progress at a time; more are refused with 53119. 0 is no limit."""
    participant_quota: int = 0
    """Participants in all rooms together; more are refused with 53206. 0 is no limit."""
    busy_lag: float = 0.25
    """Seconds by which the event loop may be behind before newcomers are told to come back later;
    0 is no limit."""
    busy_retry_after_ms: int = 2_000
    """When such clients shall try again, milliseconds; negative tells them to give up."""
    whip_connect_timeout: float = 30.0
    """Seconds within which the media of a WHIP or WHEP resource has to connect."""

    turn: TurnServers | None = None
    """For these each client is given a credential of its own."""
    duplicate_identity: Literal["replace", "reject"] = "replace"
    """Who stays when an identity joins again: the newcomer, or the one who is inside."""

    minute: float = 60.0
    """Length in seconds of the minutes in which rooms give their timeouts; shorter in tests."""

    def __post_init__(self) -> None:
        if self.session_timeout <= 0 or self.page_closed_grace < 0:
            raise ValueError("session_timeout must be positive, page_closed_grace not negative")
