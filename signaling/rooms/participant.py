"""One stay of an identity in a room."""

from dataclasses import dataclass, field
from enum import Enum

from router.node_events import MediaKind, SourceId
from signaling.rules import Candidate

from .publication import Publication, PublicationState, TrackView
from .subscription import SubscribeRules, Subscription


class ParticipantState(Enum):
    """What others are told about a participant."""

    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    DISCONNECTED = "disconnected"


class LeaveReason(Enum):
    """Why a participant left."""

    LEFT = "left"
    """It said so."""
    SESSION_EXPIRED = "session-expired"
    """It vanished and did not come back within its grace period."""
    DUPLICATE_IDENTITY = "duplicate-identity"
    """The same identity joined again: the newcomer stays."""
    REMOVED = "removed"
    """The application removed it."""
    DURATION_EXCEEDED = "duration-exceeded"
    """It used up the room's maximal participant duration."""
    MEDIA_FAILED = "media-failed"
    """Its media session cannot go on."""
    PROTOCOL_ERROR = "protocol-error"
    """It sent what the signaling protocol does not allow."""
    TOKEN_REVOKED = "token-revoked"
    """Its access token was taken back."""
    ROOM_COMPLETED = "room-completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantView:
    """What others see of a participant at one revision."""

    sid: str
    identity: str
    state: ParticipantState
    revision: int
    """Grows with every change that others can see."""
    tracks: tuple[TrackView, ...]


@dataclass(slots=True, kw_only=True)
class Participant:
    """The room's own state of a participant; only the room changes it."""

    sid: str
    identity: str
    rules: SubscribeRules
    connected_at: float
    duration_ends_at: float
    state: ParticipantState = ParticipantState.CONNECTED
    revision: int = 1
    tracks_revision: int | None = None
    """The last revision of the client's own list of tracks; older lists are stale."""
    published_revision: int = 0
    subscribed_revision: int = 0
    grace_ends_at: float | None = None
    """When it leaves unless it comes back; None while it is connected."""
    publications: dict[str, Publication] = field(default_factory=dict)
    """By the client's track id, in the order of appearance."""
    sources: dict[SourceId, tuple[MediaKind, str]] = field(default_factory=dict)
    """Everything that it sends, also what it has not declared as a track."""
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    """By track SID."""
    overrides: dict[str, bool] = field(default_factory=dict)
    """Tracks by SID that are wanted or not, whatever the rules say."""

    def wants(self, track: Candidate) -> bool:
        """Return whether the participant is to receive a track of another one."""
        if track.kind not in self.rules.kinds:
            return False
        override = self.overrides.get(track.sid)
        return self.rules.admit(track) if override is None else override

    def ready_publications(self) -> list[Publication]:
        """Return the publications that others can see."""
        return [p for p in self.publications.values() if p.state is PublicationState.READY]

    def source_of(self, publication: Publication) -> SourceId | None:
        """Return the source that carries a publication, or None when none does yet."""
        wanted = (publication.kind, publication.track_id)
        # The newest wins: a recycled m-line may announce an id before the old one is withdrawn.
        for source_id in reversed(self.sources):
            if self.sources[source_id] == wanted:
                return source_id
        return None

    def candidate(self, publication: Publication) -> Candidate:
        """Return one of the participant's publications as rules look at it."""
        return Candidate(
            sid=publication.sid,
            name=publication.name,
            kind=publication.kind,
            publisher_sid=self.sid,
            publisher_identity=self.identity,
        )

    def view(self) -> ParticipantView:
        """Return what others see now."""
        return ParticipantView(
            sid=self.sid,
            identity=self.identity,
            state=self.state,
            revision=self.revision,
            tracks=tuple(publication.view() for publication in self.ready_publications()),
        )
