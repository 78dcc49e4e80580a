"""The room service: live rooms over the media node and the store, for all views."""

from .clock import Clock, SystemClock
from .config import IceServer, ServiceConfig
from .live_room import LiveRoom, ParticipantLink
from .room_service import RoomService

__all__ = [
    "Clock",
    "IceServer",
    "LiveRoom",
    "ParticipantLink",
    "RoomService",
    "ServiceConfig",
    "SystemClock",
]
