"""The room's state as the client's messages show it."""

from router.node_events import MediaKind
from signaling.rooms import (
    Participant,
    ParticipantView,
    PublicationState,
    TrackPriority,
    TrackRequest,
    TrackView,
)
from signaling.rooms.publication import Publication

from .messages import (
    ErrorOut,
    ParticipantIn,
    ParticipantOut,
    PublishedOut,
    PublishedTrackOut,
    SubscribedOut,
    SubscribedTrackOut,
    TrackOut,
)

_PRIORITIES = {priority.value: priority for priority in TrackPriority}


def participant_out(view: ParticipantView) -> ParticipantOut:
    """Return another participant."""
    return ParticipantOut(
        sid=view.sid,
        identity=view.identity,
        state=view.state.value,
        revision=view.revision,
        tracks=[_track_out(track) for track in view.tracks],
    )


def published_out(participant: Participant) -> PublishedOut:
    """Return what became of the participant's own tracks."""
    return PublishedOut(
        participant.published_revision,
        [_published_track_out(p) for p in participant.publications.values()],
    )


def subscribed_out(participant: Participant) -> SubscribedOut:
    """Return everything that the participant receives by now."""
    return SubscribedOut(
        participant.subscribed_revision,
        [
            SubscribedTrackOut(subscription.track_sid, subscription.receiver_id)
            for subscription in participant.subscriptions.values()
            if subscription.receiver_id is not None
        ],
    )


def track_requests(participant: ParticipantIn) -> tuple[TrackRequest, ...]:
    """Return the list of tracks that a client wants published."""
    return tuple(
        TrackRequest(
            track_id=track.id,
            kind=MediaKind(track.kind),
            name=track.name,
            enabled=track.enabled,
            # An unknown priority is no reason to refuse a track.
            priority=_PRIORITIES.get(track.priority or "", TrackPriority.STANDARD),
        )
        for track in participant.tracks
    )


def _track_out(track: TrackView) -> TrackOut:
    return TrackOut(
        sid=track.sid,
        name=track.name,
        kind=track.kind.value,
        enabled=track.enabled,
        priority=track.priority.value,
    )


def _published_track_out(publication: Publication) -> PublishedTrackOut:
    if publication.state is PublicationState.READY:
        return PublishedTrackOut(publication.track_id, publication.state.value, publication.sid)
    assert publication.error is not None
    return PublishedTrackOut(
        publication.track_id,
        publication.state.value,
        error=ErrorOut(int(publication.error), publication.error.message),
    )
