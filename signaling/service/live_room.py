"""A room that goes on now: the pure room joined to the media node, the store and its views."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from router.errors import RouterError
from router.node_events import (
    NodeEvent,
    PeerId,
    ReceiverAssigned,
    ReceiverLost,
    SourceAdded,
    SourceId,
    SourceRemoved,
)
from signaling.auth.access_token import AccessToken
from signaling.rooms import (
    CompletionReason,
    LeaveReason,
    Participant,
    ParticipantChanged,
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantReconnected,
    ParticipantReconnecting,
    ParticipantView,
    PublicationsChanged,
    Room,
    RoomCompleted,
    RoomEvent,
    SubscribeRules,
    SubscriptionsChanged,
    SubscriptionStarted,
    SubscriptionStopped,
    TrackChanged,
    TrackPublished,
    TrackRequest,
    TrackSubscribed,
    TrackUnpublished,
    TrackUnsubscribed,
    TrackView,
)
from signaling.rules import INCLUDE_ALL, Rule, serialize_rules
from signaling.storage.records import ParticipantRecord, RoomRecord, TrackRecord
from signaling.storage.subscription_records import SubscriptionRecord

from .clock import Clock
from .media_node import MediaNode
from .recorder import Recorder

_log = structlog.get_logger(__name__)


class ParticipantLink(Protocol):
    """
    What a participant is told through: a signaling session, or a WHIP resource.

    Called on the loop, one call at a time for each room. The first four only take note; what there
    is to say is said in :meth:`flush`, so that everything which one command changed goes out
    together and in order. All may command the room.

    Only those are flushed who took note of something: with many in a room, to ask everybody after
    each command would be most of what a join costs.
    """

    def participant_changed(self, view: ParticipantView) -> None:
        """Take note that another participant has a new revision."""

    def publications_changed(self) -> None:
        """Take note that the participant's own publications have a new revision."""

    def subscriptions_changed(self) -> None:
        """Take note that what the participant receives has a new revision."""

    def ended(self, reason: LeaveReason) -> None:
        """Take note that the participant is no longer inside; nothing follows but a flush."""

    def peer_event(self, event: NodeEvent) -> None:
        """Act on what the media node reports of the participant's own peer."""

    def signal(self, channel: str, text: str) -> bool:
        """Send a message on a media-signaling channel; tell whether the participant has it."""

    def flush(self) -> None:
        """Tell the client what is new."""


class _NoLink:
    """Stands in for a link until there is one: tells nobody anything."""

    def participant_changed(self, view: ParticipantView) -> None: ...
    def publications_changed(self) -> None: ...
    def subscriptions_changed(self) -> None: ...
    def ended(self, reason: LeaveReason) -> None: ...
    def peer_event(self, event: NodeEvent) -> None: ...
    def signal(self, channel: str, text: str) -> bool:
        return False

    def flush(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class _Member:
    """What the service holds for a participant who is inside."""

    link: ParticipantLink
    peer_id: PeerId | None
    record: ParticipantRecord
    tracks: dict[str, TrackRecord]
    """The records of the published tracks, by SID."""
    subscriptions: dict[str, SubscriptionRecord] = field(default_factory=dict)
    """The records of what it is given, by SID."""
    token: AccessToken | None
    """What it was let in with."""


class LiveRoom:
    """
    One room in progress. Every command ends with :meth:`pump`.

    :param room: The room's core.
    :param record: Its row.
    :param began: When this run took it up, on both clocks.
    :param room_by_peer: The service's index, in which the room enters its peers.
    :param changed: Called after each command with the room, to re-arm timers and forget the ended.
    :param observe: Called with each domain event, after the room's own views.
    """

    def __init__(
        self,
        *,
        room: Room,
        record: RoomRecord,
        node: MediaNode,
        recorder: Recorder,
        clock: Clock,
        began: tuple[float, datetime],
        room_by_peer: dict[PeerId, "LiveRoom"],
        changed: Callable[["LiveRoom"], None],
        observe: Callable[["LiveRoom", RoomEvent], None],
    ) -> None:
        self.room = room
        self.record = record
        self._node = node
        self._recorder = recorder
        self._clock = clock
        self._began = began
        self._changed = changed
        self._observe = observe
        self._members: dict[str, _Member] = {}
        # Those to flush, in order.
        self._noting: dict[str, _Member] = {}
        self._sid_by_peer: dict[PeerId, str] = {}
        self._room_by_peer = room_by_peer
        self._pumping = False
        self._log = _log.bind(room_sid=room.sid)

    @property
    def sid(self) -> str:
        """Return the room's SID."""
        return self.room.sid

    def find_record(self, name_or_sid: str) -> ParticipantRecord | None:
        """Return the row of somebody inside, by SID or identity."""
        member = self._members.get(name_or_sid)
        if member is not None:
            return member.record
        for other in self._members.values():
            if other.record.identity == name_or_sid:
                return other.record
        return None

    def track_record(self, participant_sid: str, track_sid: str) -> TrackRecord | None:
        """Return the row of a published track."""
        member = self._members.get(participant_sid)
        return None if member is None else member.tracks.get(track_sid)

    # Commands of the views.

    def join(
        self,
        *,
        identity: str,
        rules: SubscribeRules,
        tracks: tuple[TrackRequest, ...],
        tracks_revision: int | None,
        peer_id: PeerId | None,
        make_link: Callable[[Participant], ParticipantLink],
        token: AccessToken | None = None,
    ) -> Participant:
        """
        Let somebody in.

        :param peer_id: The participant's peer; the room closes it when the participant leaves.
        :param make_link: Makes what the participant is told through.
        :param token: What it was let in with; when that is revoked, the participant leaves.
        :raises ApiError: 53118 when the room has ended, 53105 when it is full; the peer stays then.
        """
        participant = self.room.join(
            identity=identity,
            rules=rules,
            tracks=tracks,
            tracks_revision=tracks_revision,
            now=self._clock.monotonic(),
        )
        at = self._clock.utc_now()
        member = self._members[participant.sid] = _Member(
            link=_NoLink(),
            peer_id=None,
            record=ParticipantRecord(
                sid=participant.sid,
                room_sid=self.sid,
                account_sid=self.record.account_sid,
                identity=identity,
                status="connected",
                created_at=at,
                updated_at=at,
                subscribe_rules=(
                    None if rules.rules == INCLUDE_ALL else serialize_rules(rules.rules)
                ),
            ),
            tracks={},
            token=token,
        )
        try:
            member.link = make_link(participant)
        except Exception:
            # Nobody would ever take it out again.
            self.leave(participant.sid, LeaveReason.LEFT)
            raise
        if peer_id is not None:
            self._bind_peer(participant.sid, peer_id)
        self.pump(participant.sid)
        return participant

    def set_peer(self, participant_sid: str, peer_id: PeerId | None) -> None:
        """Give a participant another peer, or none; the one before is closed."""
        member = self._members.get(participant_sid)
        participant = self.room.participant(participant_sid)
        if member is None or participant is None:
            if peer_id is not None:
                self._node.close_peer(peer_id)
            return
        now = self._clock.monotonic()
        if member.peer_id is not None:
            self._release_peer(member)
            for source_id in tuple(participant.sources):
                self.room.remove_source(participant_sid, source_id, now)
            self.room.lose_all_receivers(participant_sid, now)
        if peer_id is not None:
            self._bind_peer(participant_sid, peer_id)
            for subscription in tuple(participant.subscriptions.values()):
                if subscription.source_id is not None:
                    self._subscribe(member, participant_sid, subscription.source_id)
        self.pump(participant_sid)

    def update_tracks(
        self, participant_sid: str, tracks: tuple[TrackRequest, ...], *, revision: int
    ) -> None:
        """Take a client's full list of tracks."""
        self.room.update_tracks(
            participant_sid, tracks, revision=revision, now=self._clock.monotonic()
        )
        self.pump()

    def set_subscribe_rules(
        self, participant_sid: str, rules: tuple[Rule, ...]
    ) -> ParticipantRecord:
        """
        Replace a participant's subscribe rules; return its row.

        :raises ApiError: 53204 when the participant has left.
        """
        self.room.set_subscribe_rules(participant_sid, rules, self._clock.monotonic())
        member, at = self._members[participant_sid], self._clock.utc_now()
        record = member.record = replace(
            member.record,
            subscribe_rules=serialize_rules(rules),
            subscribe_rules_created_at=member.record.subscribe_rules_created_at or at,
            subscribe_rules_updated_at=at,
        )
        self._recorder.put(record)
        self.pump()
        return record

    def override_subscription(self, participant_sid: str, track_sid: str, *, wanted: bool) -> None:
        """
        Give a participant a single track, or take it, until its rules are replaced.

        :raises ApiError: 53204, 20404 or 53117, as :meth:`Room.override_subscription`.
        """
        now = self._clock.monotonic()
        self.room.override_subscription(participant_sid, track_sid, wanted=wanted, now=now)
        self.pump()

    def set_recording_rules(self, rules: tuple[Rule, ...]) -> RoomRecord:
        """
        Replace the recording rules; return the room's row.

        :raises ApiError: 53118 when the room has ended.
        """
        self.room.set_recording_rules(rules, self._clock.monotonic())
        at = self._clock.utc_now()
        record = self.record = replace(
            self.record,
            recording_rules=serialize_rules(rules),
            recording_rules_created_at=self.record.recording_rules_created_at or at,
            recording_rules_updated_at=at,
        )
        self._recorder.put(record)
        self.pump()
        return record

    def lose_connection(self, participant_sid: str, *, grace: float) -> None:
        """Let a participant's grace period begin."""
        self.room.lose_connection(participant_sid, grace=grace, now=self._clock.monotonic())
        self.pump()

    def restore_connection(self, participant_sid: str) -> None:
        """End a participant's grace period."""
        self.room.restore_connection(participant_sid, self._clock.monotonic())
        self.pump()

    def leave(self, participant_sid: str, reason: LeaveReason) -> ParticipantRecord | None:
        """Let a participant out; return its final row, or None when it is not inside."""
        member = self._members.get(participant_sid)
        self.room.leave(participant_sid, reason, self._clock.monotonic())
        self.pump()
        return None if member is None else member.record

    def end_tokens(self, revoked: Callable[[AccessToken], bool]) -> None:
        """Let those out whose access tokens were taken back."""
        for participant_sid, member in tuple(self._members.items()):
            if member.token is not None and revoked(member.token):
                self.leave(participant_sid, LeaveReason.TOKEN_REVOKED)

    def complete(self, reason: CompletionReason) -> None:
        """End the room."""
        self.room.complete(reason, self._clock.monotonic())
        self.pump()

    def handle_timer(self) -> None:
        """Act on the room's timers that are due."""
        self.room.handle_timer(self._clock.monotonic())
        self.pump()

    def signal(self, channel: str, text: str) -> int:
        """
        Send everybody a message on a media-signaling channel.

        :param channel: Key of the channel; participants who have not asked for it get nothing.
        :return: To how many it was sent.
        """
        reached = 0
        for participant_sid, member in tuple(self._members.items()):
            try:
                reached += member.link.signal(channel, text)
            except Exception:
                self._log.exception("a message was not sent", participant_sid=participant_sid)
        return reached

    # What the media node reports.

    def peer_event(self, event: NodeEvent) -> None:
        """Act on an event of a peer of this room."""
        participant_sid = self._sid_by_peer.get(event.peer_id)
        member = self._members.get(participant_sid) if participant_sid is not None else None
        if participant_sid is None or member is None:
            return
        now = self._clock.monotonic()
        if isinstance(event, SourceAdded):
            source = event.source
            self.room.add_source(
                participant_sid,
                source_id=source.source_id,
                kind=source.kind,
                track_id=source.track_id,
                now=now,
            )
        elif isinstance(event, SourceRemoved):
            self.room.remove_source(participant_sid, event.source.source_id, now)
        elif isinstance(event, ReceiverAssigned):
            self.room.assign_receiver(participant_sid, event.source_id, event.receiver_id, now)
        elif isinstance(event, ReceiverLost):
            self.room.lose_receiver(participant_sid, event.source_id, now)
        else:
            self._noting[participant_sid] = member
            self._guarded(member.link.peer_event, event)
        self.pump()

    # Telling everybody.

    def pump(self, participant_sid: str | None = None) -> None:
        """
        Carry out and tell everything that has happened; call after every command.

        :param participant_sid: Whose link has something to say for another reason.
        """
        member = self._members.get(participant_sid) if participant_sid is not None else None
        if participant_sid is not None and member is not None:
            self._noting[participant_sid] = member
        if self._pumping:
            # A link commanded the room while it was told: the loop below sees to it.
            return
        self._pumping = True
        try:
            while self._handle_events():
                pass
        finally:
            self._pumping = False
        self._changed(self)

    def _handle_events(self) -> bool:
        """Return whether there was anything to do."""
        left: list[_Member] = []
        busy = False
        while (event := self.room.next_event()) is not None:
            busy = True
            self._guarded(self._handle, event, left)
        noting, self._noting = self._noting, {}
        for member in (*left, *noting.values()):
            self._guarded(member.link.flush)
        return busy or bool(noting)

    def _handle(self, event: RoomEvent, left: list[_Member]) -> None:
        match event:
            case SubscriptionStarted():
                member = self._members.get(event.participant_sid)
                if member is not None:
                    self._subscribe(member, event.participant_sid, event.source_id)
            case SubscriptionStopped():
                member = self._members.get(event.participant_sid)
                if member is not None and not event.source_ended:
                    self._unsubscribe(member, event)
            case SubscriptionsChanged():
                member = self._members.get(event.participant_sid)
                if member is not None:
                    self._noting[event.participant_sid] = member
                    self._guarded(member.link.subscriptions_changed)
            case PublicationsChanged():
                member = self._members.get(event.participant_sid)
                if member is not None:
                    self._noting[event.participant_sid] = member
                    self._guarded(member.link.publications_changed)
            case ParticipantChanged():
                for sid, member in self._members.items():
                    if sid != event.participant.sid:
                        self._noting[sid] = member
                        self._guarded(member.link.participant_changed, event.participant)
            case ParticipantDisconnected():
                member = self._members.pop(event.participant_sid, None)
                self._noting.pop(event.participant_sid, None)
                if member is not None:
                    left.append(member)
                    self._log.info(
                        "participant left",
                        participant_sid=event.participant_sid,
                        reason=event.reason.value,
                    )
                    self._record_participant(member, "disconnected", ended=True)
                    self._guarded(self._release_peer, member)
                    self._guarded(member.link.ended, event.reason)
            case _:
                self._record(event)
        self._guarded(self._observe, self, event)

    def _guarded(self, call: Callable[..., None], *arguments: object) -> None:
        # A fault that concerns one participant must not take the room down with it.
        try:
            call(*arguments)
        except Exception:
            self._log.exception("a room failed in part")

    # Media.

    def _bind_peer(self, participant_sid: str, peer_id: PeerId) -> None:
        self._members[participant_sid].peer_id = peer_id
        self._sid_by_peer[peer_id] = participant_sid
        self._room_by_peer[peer_id] = self

    def _release_peer(self, member: _Member) -> None:
        if member.peer_id is None:
            return
        peer_id, member.peer_id = member.peer_id, None
        self._sid_by_peer.pop(peer_id, None)
        self._room_by_peer.pop(peer_id, None)
        self._node.close_peer(peer_id)

    def _subscribe(self, member: _Member, participant_sid: str, source_id: SourceId) -> None:
        if member.peer_id is None:
            return
        try:
            receiver_id = self._node.subscribe(member.peer_id, source_id)
        except RouterError as error:
            # The source ended in this very moment and its event is under way, or the plane is full.
            self._log.info("not subscribed", participant_sid=participant_sid, error=str(error))
            return
        if receiver_id is not None:
            self.room.assign_receiver(
                participant_sid, source_id, receiver_id, self._clock.monotonic()
            )

    def _unsubscribe(self, member: _Member, event: SubscriptionStopped) -> None:
        if member.peer_id is None:
            return
        with contextlib.suppress(RouterError):
            self._node.unsubscribe(member.peer_id, event.source_id)

    # Records.

    def _record(self, event: RoomEvent) -> None:
        match event:
            case ParticipantConnected():
                member = self._members.get(event.participant_sid)
                if member is not None:
                    self._recorder.put(member.record)
                self._log.info("participant joined", participant_sid=event.participant_sid)
            case ParticipantReconnecting():
                self._record_state(event.participant_sid, "reconnecting")
            case ParticipantReconnected():
                self._record_state(event.participant_sid, "connected")
            case TrackPublished():
                self._record_track(event.participant_sid, event.track, first=True)
            case TrackChanged():
                self._record_track(event.participant_sid, event.track, first=False)
            case TrackUnpublished():
                self._record_unpublished(event.participant_sid, event.track.sid)
            case TrackSubscribed():
                self._record_subscribed(event)
            case TrackUnsubscribed():
                self._record_unsubscribed(event)
            case RoomCompleted():
                at = self._clock.utc_now() if event.due_at is None else self._utc(event.due_at)
                self.record = replace(self.record, status="completed", updated_at=at, ended_at=at)
                self._recorder.put(self.record)
                self._log.info("room completed", reason=event.reason.value)

    def _utc(self, at: float) -> datetime:
        """Return a time of the monotonic clock that has passed as wall time."""
        now, utc_now = self._began
        if at >= now:
            # The wall clock may have been set since.
            now, utc_now = self._clock.monotonic(), self._clock.utc_now()
        return utc_now - timedelta(seconds=now - at)

    def _record_state(self, participant_sid: str, status: str) -> None:
        member = self._members.get(participant_sid)
        if member is not None:
            self._record_participant(member, status, ended=False)

    def _record_participant(self, member: _Member, status: str, *, ended: bool) -> None:
        at = self._clock.utc_now()
        member.record = replace(
            member.record, status=status, updated_at=at, ended_at=at if ended else None
        )
        self._recorder.put(member.record)

    def _record_track(self, participant_sid: str, track: TrackView, *, first: bool) -> None:
        member = self._members.get(participant_sid)
        if member is None:
            return
        at = self._clock.utc_now()
        known = member.tracks.get(track.sid)
        if first or known is None:
            record = TrackRecord(
                sid=track.sid,
                room_sid=self.sid,
                participant_sid=participant_sid,
                name=track.name,
                kind=track.kind.value,
                enabled=track.enabled,
                created_at=at,
            )
        else:
            record = replace(known, enabled=track.enabled, updated_at=at)
        member.tracks[track.sid] = record
        self._recorder.put(record)

    def _record_unpublished(self, participant_sid: str, track_sid: str) -> None:
        member = self._members.get(participant_sid)
        record = member.tracks.pop(track_sid, None) if member is not None else None
        if record is not None:
            self._recorder.put(replace(record, unpublished_at=self._clock.utc_now()))

    def _record_subscribed(self, event: TrackSubscribed) -> None:
        member = self._members.get(event.participant_sid)
        if member is None:
            return
        record = member.subscriptions[event.subscription_sid] = SubscriptionRecord(
            sid=event.subscription_sid,
            participant_sid=event.participant_sid,
            publisher_sid=event.publisher_sid,
            track_sid=event.track_sid,
            created_at=self._clock.utc_now(),
        )
        self._recorder.put(record)

    def _record_unsubscribed(self, event: TrackUnsubscribed) -> None:
        member = self._members.get(event.participant_sid)
        record = (
            member.subscriptions.pop(event.subscription_sid, None) if member is not None else None
        )
        if record is not None:
            self._recorder.put(replace(record, ended_at=self._clock.utc_now()))
