"""The room model: a pure core of commands in and domain events out."""

from .events import (
    CompletionReason,
    ParticipantChanged,
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantReconnected,
    ParticipantReconnecting,
    PublicationFailed,
    PublicationsChanged,
    RoomCompleted,
    RoomCreated,
    RoomEvent,
    SubscriptionsChanged,
    SubscriptionStarted,
    SubscriptionStopped,
    TrackChanged,
    TrackPublished,
    TrackUnpublished,
)
from .participant import LeaveReason, Participant, ParticipantState, ParticipantView
from .publication import Publication, PublicationState, TrackPriority, TrackRequest, TrackView
from .room import RestoredRoom, Room
from .settings import RoomSettings
from .subscription import SubscribeRules, Subscription

__all__ = [
    "CompletionReason",
    "LeaveReason",
    "Participant",
    "ParticipantChanged",
    "ParticipantConnected",
    "ParticipantDisconnected",
    "ParticipantReconnected",
    "ParticipantReconnecting",
    "ParticipantState",
    "ParticipantView",
    "Publication",
    "PublicationFailed",
    "PublicationState",
    "PublicationsChanged",
    "RestoredRoom",
    "Room",
    "RoomCompleted",
    "RoomCreated",
    "RoomEvent",
    "RoomSettings",
    "SubscribeRules",
    "Subscription",
    "SubscriptionStarted",
    "SubscriptionStopped",
    "SubscriptionsChanged",
    "TrackChanged",
    "TrackPriority",
    "TrackPublished",
    "TrackRequest",
    "TrackUnpublished",
    "TrackView",
]
