"""
The room: commands in, domain events out, timers as absolute times.

No I/O, no clock and no task. Every method that changes something takes ``now`` in monotonic
seconds; what happened is then read with :meth:`Room.next_event`. Commands of a caller that are
impossible raise; nothing that a client may send does.
"""

import math
import random
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from operator import itemgetter

from router.node_events import MediaKind, SourceId
from signaling.errors import ApiError, ErrorCode
from signaling.ids import new_participant_sid, new_subscription_sid, new_track_sid
from signaling.rules import Rule

from .events import (
    CompletionReason,
    ParticipantChanged,
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantReconnected,
    ParticipantReconnecting,
    PublicationFailed,
    PublicationsChanged,
    RecordingUnwanted,
    RecordingWanted,
    RoomCompleted,
    RoomCreated,
    RoomEvent,
    SubscriptionsChanged,
    SubscriptionStarted,
    SubscriptionStopped,
    TrackChanged,
    TrackPublished,
    TrackSubscribed,
    TrackUnpublished,
    TrackUnsubscribed,
)
from .participant import LeaveReason, Participant, ParticipantState, ParticipantView
from .publication import (
    TRACKS_PER_PARTICIPANT_MAX,
    Publication,
    PublicationState,
    TrackRequest,
    check_name,
)
from .recording_rules import wants_recording
from .settings import RoomSettings
from .subscription import SubscribeRules, Subscription

ROOM_LIFETIME = 86_400.0
"""A room is completed this many seconds after its creation, whatever happens in it."""
AD_HOC_JOIN_TIMEOUT = 60.0
"""Seconds after which an ad-hoc room ends whose maker did not get in after all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredRoom:
    """What a room that a former run of the server left in progress needs to know."""

    created_at: float
    """On this run's monotonic clock; normally before its start, so perhaps negative."""
    was_used: bool
    """Whether anybody ever joined: its empty timer counts then, not the one of unused rooms."""
    emptied_at: float | None = None
    """When the last one left, on the same clock; None counts from now."""


class Room:
    """
    One room and everybody in it.

    :param sid: The room's SID.
    :param settings: What it was created with.
    :param ad_hoc: Whether a client made it by joining; it ends with its last participant then.
    :param rng: Source of SIDs.
    :param restored: Given when the room existed before this run.
    :param minute: Length in seconds of the minutes in which the timeouts are given.
    :param recording_rules: The rules by which tracks are selected for recording.
    :param reject_duplicates: Refuse an identity that is inside already, in place of letting the
        newcomer replace it.
    """

    def __init__(
        self,
        *,
        sid: str,
        settings: RoomSettings,
        ad_hoc: bool,
        rng: random.Random,
        now: float,
        restored: RestoredRoom | None = None,
        minute: float = 60.0,
        recording_rules: tuple[Rule, ...] = (),
        reject_duplicates: bool = False,
    ) -> None:
        self.sid = sid
        self.name = settings.unique_name if settings.unique_name is not None else sid
        self.settings = settings
        self.ad_hoc = ad_hoc
        self._minute = minute
        self._reject_duplicates = reject_duplicates
        self._rng = rng
        self._events: deque[RoomEvent] = deque()
        self._participants: dict[str, Participant] = {}
        self._sid_by_identity: dict[str, str] = {}
        self._ready_tracks = 0
        self._recording_rules = recording_rules
        # The SIDs of the tracks that the recording rules select.
        self._recorded: set[str] = set()
        self._completed = False
        created_at = now if restored is None else restored.created_at
        self._lifetime_ends_at = created_at + ROOM_LIFETIME
        self._unused_ends_at: float | None = None
        self._empty_ends_at: float | None = None
        if restored is None:
            self._events.append(RoomCreated(at=now))
        if restored is not None and restored.was_used:
            emptied_at = now if restored.emptied_at is None else restored.emptied_at
            self._empty_ends_at = emptied_at + self._empty_timeout
        elif not ad_hoc:
            self._unused_ends_at = created_at + minute * settings.unused_room_timeout
        else:
            # Made by a client that is about to join; should its media be refused, nobody stays.
            self._unused_ends_at = created_at + AD_HOC_JOIN_TIMEOUT

    # What the room looks like.

    @property
    def is_completed(self) -> bool:
        """Return whether the room has ended."""
        return self._completed

    @property
    def participants(self) -> tuple[Participant, ...]:
        """Return everybody inside, those in their grace period included, in order of joining."""
        return tuple(self._participants.values())

    @property
    def participant_count(self) -> int:
        """Return how many are inside."""
        return len(self._participants)

    def has_identity(self, identity: str) -> bool:
        """Return whether somebody of this identity is inside, who may make way for a newcomer."""
        return identity in self._sid_by_identity

    @property
    def ready_track_count(self) -> int:
        """Return the number of published tracks."""
        return self._ready_tracks

    @property
    def recorded_tracks(self) -> frozenset[str]:
        """Return the SIDs of the tracks that the recording rules select."""
        return frozenset(self._recorded)

    def participant(self, participant_sid: str) -> Participant | None:
        """Return a participant who is inside, or None."""
        return self._participants.get(participant_sid)

    def others(self, participant_sid: str) -> list[ParticipantView]:
        """Return what one participant sees of all others."""
        return [p.view() for p in self._participants.values() if p.sid != participant_sid]

    def check_admission(self, identity: str) -> None:
        """
        Tell whether an identity could join now.

        :raises ApiError: 53118 when the room has ended, 53105 when it is full, 53205 when somebody
            of this identity is connected and stays.
        """
        if self._completed:
            raise ApiError.of(ErrorCode.ROOM_COMPLETED)
        older = self._participants.get(self._sid_by_identity.get(identity, ""))
        if (
            self._reject_duplicates
            and older is not None
            # Whoever reloads a page comes back as a newcomer while the old stay lingers.
            and older.state is ParticipantState.CONNECTED
        ):
            raise ApiError.of(ErrorCode.DUPLICATE_IDENTITY)
        # The older stay of the same identity makes way for the newcomer.
        inside = len(self._participants) - (identity in self._sid_by_identity)
        if inside >= self.settings.max_participants:
            raise ApiError.of(ErrorCode.ROOM_FULL)

    # Commands.

    def join(
        self,
        *,
        identity: str,
        rules: SubscribeRules,
        tracks: Iterable[TrackRequest] = (),
        tracks_revision: int | None = None,
        now: float,
    ) -> Participant:
        """
        Let somebody in; an older participant of the same identity is disconnected.

        :param tracks_revision: The revision of the client's list of tracks.
        :raises ApiError: as :meth:`check_admission`.
        """
        self.check_admission(identity)
        older = self._sid_by_identity.get(identity)
        if older is not None:
            self._remove(self._participants[older], LeaveReason.DUPLICATE_IDENTITY, now)
        participant = Participant(
            sid=new_participant_sid(self._rng),
            identity=identity,
            rules=rules,
            connected_at=now,
            duration_ends_at=now + self.settings.max_participant_duration,
            tracks_revision=tracks_revision,
        )
        self._participants[participant.sid] = participant
        self._sid_by_identity[identity] = participant.sid
        self._unused_ends_at = self._empty_ends_at = None
        self._events.append(
            ParticipantConnected(at=now, participant_sid=participant.sid, identity=identity)
        )
        self._apply_tracks(participant, tracks, now)
        self._publications_changed(participant, now)
        self._events.append(ParticipantChanged(at=now, participant=participant.view()))
        for other in self._participants.values():
            if other.sid != participant.sid:
                for publication in other.ready_publications():
                    self._match(participant, other, publication, now)
        return participant

    def update_tracks(
        self,
        participant_sid: str,
        tracks: Iterable[TrackRequest],
        *,
        revision: int,
        now: float,
    ) -> None:
        """
        Take a client's full list of the tracks it wants published.

        :param revision: The client's own; a list that is not newer than the last is ignored.
        """
        participant = self._participants.get(participant_sid)
        if participant is None:
            return
        if participant.tracks_revision is not None and revision <= participant.tracks_revision:
            return
        participant.tracks_revision = revision
        publications_changed, seen_by_others = self._apply_tracks(participant, tracks, now)
        if publications_changed:
            self._publications_changed(participant, now)
        if seen_by_others:
            self._changed(participant, now)

    def set_subscribe_rules(
        self, participant_sid: str, rules: tuple[Rule, ...], now: float
    ) -> None:
        """
        Replace a participant's rules; what single tracks were told apart from them is void.

        :raises ApiError: 53204 when the participant has left.
        """
        participant = self._participants.get(participant_sid)
        if participant is None:
            raise ApiError.of(ErrorCode.PARTICIPANT_NOT_FOUND)
        participant.rules = replace(participant.rules, rules=rules)
        participant.overrides.clear()
        self._evaluate(participant, now)

    def override_subscription(
        self, participant_sid: str, track_sid: str, *, wanted: bool, now: float
    ) -> None:
        """
        Give or take a single track, until the rules are replaced.

        :raises ApiError: 53204 when the participant has left, 20404 when nobody else publishes the
            track, 53117 when the participant cannot receive its kind.
        """
        participant = self._participants.get(participant_sid)
        if participant is None:
            raise ApiError.of(ErrorCode.PARTICIPANT_NOT_FOUND)
        track = next((p for _, p in self._offered_to(participant) if p.sid == track_sid), None)
        if track is None:
            raise ApiError.of(ErrorCode.NOT_FOUND)
        if wanted and track.kind not in participant.rules.kinds:
            raise ApiError.of(ErrorCode.SUBSCRIPTION_NOT_SUPPORTED)
        participant.overrides[track_sid] = wanted
        self._evaluate(participant, now)

    def set_recording_rules(self, rules: tuple[Rule, ...], now: float) -> None:
        """
        Replace the recording rules.

        :raises ApiError: 53118 when the room has ended.
        """
        if self._completed:
            raise ApiError.of(ErrorCode.ROOM_COMPLETED)
        self._recording_rules = rules
        for participant in self._participants.values():
            for publication in participant.ready_publications():
                self._select_for_recording(participant, publication, now)

    def add_source(
        self,
        participant_sid: str,
        *,
        source_id: SourceId,
        kind: MediaKind,
        track_id: str,
        now: float,
    ) -> None:
        """Take note of something that a participant sends, declared as a track or not."""
        participant = self._participants.get(participant_sid)
        if participant is None:
            return
        participant.sources[source_id] = (kind, track_id)
        publication = participant.publications.get(track_id)
        if publication is not None:
            self._join_source(participant, publication, now)

    def remove_source(self, participant_sid: str, source_id: SourceId, now: float) -> None:
        """Take note that a source ended; the media node has dropped its subscriptions already."""
        participant = self._participants.get(participant_sid)
        if participant is None or participant.sources.pop(source_id, None) is None:
            return
        for publication in participant.publications.values():
            if publication.source_id == source_id:
                self._detach_source(participant, publication, now, source_ended=True)
                self._join_source(participant, publication, now)

    def assign_receiver(
        self, participant_sid: str, source_id: SourceId, receiver_id: str, now: float
    ) -> None:
        """Take note of the id by which a subscriber finds what the media node forwards."""
        participant = self._participants.get(participant_sid)
        if participant is None:
            return
        for subscription in participant.subscriptions.values():
            if subscription.source_id == source_id and subscription.receiver_id != receiver_id:
                subscription.receiver_id = receiver_id
                self._subscriptions_changed(participant, now)

    def lose_receiver(self, participant_sid: str, source_id: SourceId, now: float) -> None:
        """Take note that a subscriber cannot find a source any more; it may get another id."""
        self._lose_receivers(participant_sid, now, only=source_id)

    def lose_all_receivers(self, participant_sid: str, now: float) -> None:
        """Take note that nothing reaches a subscriber under the ids that it knows."""
        self._lose_receivers(participant_sid, now, only=None)

    def _lose_receivers(self, participant_sid: str, now: float, *, only: SourceId | None) -> None:
        participant = self._participants.get(participant_sid)
        if participant is None:
            return
        lost = [
            subscription
            for subscription in participant.subscriptions.values()
            if subscription.receiver_id is not None and only in (None, subscription.source_id)
        ]
        for subscription in lost:
            subscription.receiver_id = None
        if lost:
            self._subscriptions_changed(participant, now)

    def lose_connection(self, participant_sid: str, *, grace: float, now: float) -> None:
        """
        Let a participant's grace period begin; it stays inside meanwhile.

        :param grace: Seconds until it leaves unless it comes back.
        """
        participant = self._participants.get(participant_sid)
        if participant is None or participant.state is not ParticipantState.CONNECTED:
            return
        participant.state = ParticipantState.RECONNECTING
        participant.grace_ends_at = now + grace
        self._events.append(ParticipantReconnecting(at=now, participant_sid=participant_sid))
        self._changed(participant, now)

    def restore_connection(self, participant_sid: str, now: float) -> None:
        """End a participant's grace period: it is back."""
        participant = self._participants.get(participant_sid)
        if participant is None or participant.state is not ParticipantState.RECONNECTING:
            return
        participant.state = ParticipantState.CONNECTED
        participant.grace_ends_at = None
        self._events.append(ParticipantReconnected(at=now, participant_sid=participant_sid))
        self._changed(participant, now)

    def leave(self, participant_sid: str, reason: LeaveReason, now: float) -> None:
        """Let a participant out."""
        participant = self._participants.get(participant_sid)
        if participant is None:
            return
        self._remove(participant, reason, now)
        if not self._participants:
            self._become_empty(now)

    def complete(
        self, reason: CompletionReason, now: float, *, due_at: float | None = None
    ) -> None:
        """
        End the room; everybody leaves.

        :param due_at: When its time ran out, if nobody is inside.
        """
        if self._completed:
            return
        self._completed = True
        self._unused_ends_at = self._empty_ends_at = None
        # Nobody stays to be told of the others, so subscriptions go without events of their own.
        for participant in self._participants.values():
            participant.subscriptions.clear()
        for participant in self.participants:
            self._remove(participant, LeaveReason.ROOM_COMPLETED, now)
        self._events.append(RoomCompleted(at=now, reason=reason, due_at=due_at))

    # Time.

    def next_timer(self) -> float | None:
        """Return the absolute time of the next timer, or None when the room has ended."""
        if self._completed:
            return None
        timers = [self._lifetime_ends_at]
        timers += [t for t in (self._unused_ends_at, self._empty_ends_at) if t is not None]
        for participant in self._participants.values():
            timers.append(participant.duration_ends_at)
            if participant.grace_ends_at is not None:
                timers.append(participant.grace_ends_at)
        return min(timers)

    def handle_timer(self, now: float) -> None:
        """Act on all timers that are due; an early or repeated call changes nothing."""
        if self._completed:
            return
        if not self._participants:
            # The earliest counts: all may have passed while no server ran.
            due_at, reason = min(
                (self._lifetime_ends_at, CompletionReason.LIFETIME_EXCEEDED),
                (_or_never(self._unused_ends_at), CompletionReason.UNUSED),
                (_or_never(self._empty_ends_at), CompletionReason.EMPTY),
                key=itemgetter(0),
            )
            if now >= due_at:
                self.complete(reason, now, due_at=due_at)
            return
        if now >= self._lifetime_ends_at:
            self.complete(CompletionReason.LIFETIME_EXCEEDED, now)
            return
        for participant in self.participants:
            if participant.grace_ends_at is not None and now >= participant.grace_ends_at:
                self.leave(participant.sid, LeaveReason.SESSION_EXPIRED, now)
            elif now >= participant.duration_ends_at:
                self.leave(participant.sid, LeaveReason.DURATION_EXCEEDED, now)

    def next_event(self) -> RoomEvent | None:
        """Return the next event and forget it, or None when there is none."""
        return self._events.popleft() if self._events else None

    # Leaving.

    @property
    def _empty_timeout(self) -> float:
        return 0.0 if self.ad_hoc else self._minute * self.settings.empty_room_timeout

    def _become_empty(self, now: float) -> None:
        if self._empty_timeout > 0:
            self._empty_ends_at = now + self._empty_timeout
        else:
            self.complete(CompletionReason.EMPTY, now)

    def _remove(self, participant: Participant, reason: LeaveReason, now: float) -> None:
        # The others see the tracks that it had until the end, as part of its last state.
        last = participant.ready_publications()
        participant.state = ParticipantState.DISCONNECTED
        participant.grace_ends_at = None
        participant.revision += 1
        view = participant.view()
        participant.subscriptions.clear()
        for publication in last:
            self._unpublish(participant, publication, now)
        participant.publications.clear()
        participant.sources.clear()
        del self._participants[participant.sid]
        del self._sid_by_identity[participant.identity]
        self._events.append(
            ParticipantDisconnected(
                at=now,
                participant_sid=participant.sid,
                identity=participant.identity,
                reason=reason,
            )
        )
        self._events.append(ParticipantChanged(at=now, participant=view))

    # Publishing.

    def _apply_tracks(
        self, participant: Participant, tracks: Iterable[TrackRequest], now: float
    ) -> tuple[bool, bool]:
        """Return whether the owner's list changed, and whether others see a difference."""
        wanted = {request.track_id: request for request in tracks}
        mine = theirs = False
        for publication in list(participant.publications.values()):
            if publication.track_id not in wanted:
                del participant.publications[publication.track_id]
                mine = True
                if publication.state is PublicationState.READY:
                    self._unpublish(participant, publication, now)
                    theirs = True
        for request in wanted.values():
            known = participant.publications.get(request.track_id)
            if known is None:
                published = self._publish(participant, request, now)
                mine, theirs = True, theirs or published
            elif known.state is PublicationState.READY:
                theirs |= self._change(participant, known, request, now)
        return mine, theirs

    def _publish(self, participant: Participant, request: TrackRequest, now: float) -> bool:
        sid = new_track_sid(self._rng)
        publication = Publication(
            track_id=request.track_id,
            kind=request.kind,
            sid=sid,
            name=request.name or sid,
            enabled=request.enabled,
            priority=request.priority,
        )
        publication.error = self._refusal(participant, publication)
        participant.publications[request.track_id] = publication
        if publication.error is not None:
            self._events.append(
                PublicationFailed(
                    at=now,
                    participant_sid=participant.sid,
                    track_id=request.track_id,
                    error=publication.error,
                )
            )
            return False
        self._ready_tracks += 1
        self._events.append(
            TrackPublished(at=now, participant_sid=participant.sid, track=publication.view())
        )
        for subscriber in self._participants.values():
            if subscriber.sid != participant.sid:
                self._match(subscriber, participant, publication, now)
        self._select_for_recording(participant, publication, now)
        self._join_source(participant, publication, now)
        return True

    def _refusal(self, participant: Participant, publication: Publication) -> ErrorCode | None:
        error = check_name(publication.name)
        if error is not None:
            return error
        if publication.kind is MediaKind.VIDEO and self.settings.audio_only:
            return ErrorCode.TRACK_KIND_NOT_SUPPORTED
        ready = participant.ready_publications()
        if any(other.name == publication.name for other in ready):
            return ErrorCode.TRACK_NAME_DUPLICATED
        most = self.settings.max_concurrent_published_tracks
        if len(ready) >= TRACKS_PER_PARTICIPANT_MAX or 0 < most <= self._ready_tracks:
            return ErrorCode.TOO_MANY_TRACKS
        return None

    def _change(
        self, participant: Participant, publication: Publication, request: TrackRequest, now: float
    ) -> bool:
        # Kind and name are fixed once seen: whatever else the client says about them is ignored.
        if (publication.enabled, publication.priority) == (request.enabled, request.priority):
            return False
        publication.enabled, publication.priority = request.enabled, request.priority
        self._events.append(
            TrackChanged(at=now, participant_sid=participant.sid, track=publication.view())
        )
        return True

    def _unpublish(self, participant: Participant, publication: Publication, now: float) -> None:
        self._ready_tracks -= 1
        if publication.source_id is not None:
            self._detach_source(participant, publication, now, source_ended=False)
        for subscriber in self._participants.values():
            subscriber.overrides.pop(publication.sid, None)
            subscription = subscriber.subscriptions.pop(publication.sid, None)
            if subscription is not None:
                self._unsubscribed(subscriber, subscription, now)
        if publication.sid in self._recorded:
            self._end_recording(participant, publication, now)
        self._events.append(
            TrackUnpublished(at=now, participant_sid=participant.sid, track=publication.view())
        )

    # Joining tracks, sources and subscribers. Any of the three may come first.

    def _match(
        self, subscriber: Participant, owner: Participant, publication: Publication, now: float
    ) -> None:
        if not subscriber.wants(owner.candidate(publication)):
            return
        subscription = Subscription(
            sid=new_subscription_sid(self._rng),
            track_sid=publication.sid,
            publisher_sid=owner.sid,
        )
        subscriber.subscriptions[publication.sid] = subscription
        self._events.append(
            TrackSubscribed(
                at=now,
                participant_sid=subscriber.sid,
                subscription_sid=subscription.sid,
                publisher_sid=owner.sid,
                track_sid=publication.sid,
            )
        )
        if publication.source_id is not None:
            self._start(subscriber, subscription, publication.source_id, now)

    def _offered_to(self, subscriber: Participant) -> Iterator[tuple[Participant, Publication]]:
        for owner in self._participants.values():
            if owner.sid != subscriber.sid:
                for publication in owner.ready_publications():
                    yield owner, publication

    def _evaluate(self, subscriber: Participant, now: float) -> None:
        offered = list(self._offered_to(subscriber))
        # What stops goes first, so that its slots serve what starts.
        for owner, publication in offered:
            subscription = subscriber.subscriptions.get(publication.sid)
            if subscription is not None and not subscriber.wants(owner.candidate(publication)):
                del subscriber.subscriptions[publication.sid]
                if subscription.source_id is not None:
                    self._stop(subscriber, subscription, now, source_ended=False)
                self._unsubscribed(subscriber, subscription, now)
        for owner, publication in offered:
            if publication.sid not in subscriber.subscriptions:
                self._match(subscriber, owner, publication, now)

    def _unsubscribed(
        self, subscriber: Participant, subscription: Subscription, now: float
    ) -> None:
        self._events.append(
            TrackUnsubscribed(
                at=now,
                participant_sid=subscriber.sid,
                subscription_sid=subscription.sid,
                track_sid=subscription.track_sid,
            )
        )

    def _join_source(self, owner: Participant, publication: Publication, now: float) -> None:
        source_id = owner.source_of(publication)
        if publication.state is not PublicationState.READY or source_id is None:
            return
        if publication.source_id is not None and publication.source_id != source_id:
            self._detach_source(owner, publication, now, source_ended=False)
        if publication.source_id is None:
            publication.source_id = source_id
            for subscriber in self._participants.values():
                subscription = subscriber.subscriptions.get(publication.sid)
                if subscription is not None:
                    self._start(subscriber, subscription, source_id, now)

    def _detach_source(
        self, owner: Participant, publication: Publication, now: float, *, source_ended: bool
    ) -> None:
        publication.source_id = None
        for subscriber in self._participants.values():
            subscription = subscriber.subscriptions.get(publication.sid)
            if subscription is not None and subscription.source_id is not None:
                self._stop(subscriber, subscription, now, source_ended=source_ended)

    def _start(
        self, subscriber: Participant, subscription: Subscription, source_id: SourceId, now: float
    ) -> None:
        subscription.source_id = source_id
        self._events.append(
            SubscriptionStarted(
                at=now,
                participant_sid=subscriber.sid,
                track_sid=subscription.track_sid,
                source_id=source_id,
            )
        )

    def _stop(
        self, subscriber: Participant, subscription: Subscription, now: float, *, source_ended: bool
    ) -> None:
        assert subscription.source_id is not None
        self._events.append(
            SubscriptionStopped(
                at=now,
                participant_sid=subscriber.sid,
                track_sid=subscription.track_sid,
                source_id=subscription.source_id,
                source_ended=source_ended,
            )
        )
        subscription.source_id = None
        if subscription.receiver_id is not None:
            subscription.receiver_id = None
            self._subscriptions_changed(subscriber, now)

    # Recording.

    def _select_for_recording(
        self, owner: Participant, publication: Publication, now: float
    ) -> None:
        wanted = wants_recording(
            self._recording_rules,
            owner.candidate(publication),
            starts_with_all=self.settings.record_participants_on_connect,
        )
        if wanted and publication.sid not in self._recorded:
            self._recorded.add(publication.sid)
            self._events.append(
                RecordingWanted(at=now, participant_sid=owner.sid, track_sid=publication.sid)
            )
        elif not wanted and publication.sid in self._recorded:
            self._end_recording(owner, publication, now)

    def _end_recording(self, owner: Participant, publication: Publication, now: float) -> None:
        self._recorded.discard(publication.sid)
        self._events.append(
            RecordingUnwanted(at=now, participant_sid=owner.sid, track_sid=publication.sid)
        )

    # Revisions. They only grow, whatever happens to the connection.

    def _changed(self, participant: Participant, now: float) -> None:
        participant.revision += 1
        self._events.append(ParticipantChanged(at=now, participant=participant.view()))

    def _publications_changed(self, participant: Participant, now: float) -> None:
        participant.published_revision += 1
        self._events.append(PublicationsChanged(at=now, participant_sid=participant.sid))

    def _subscriptions_changed(self, participant: Participant, now: float) -> None:
        participant.subscribed_revision += 1
        self._events.append(SubscriptionsChanged(at=now, participant_sid=participant.sid))


def _or_never(at: float | None) -> float:
    return math.inf if at is None else at
