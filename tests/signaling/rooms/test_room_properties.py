"""Invariants of the room core under any sequence of commands and times."""

import random
from collections.abc import Callable

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from router.node_events import MediaKind, SourceId
from signaling.errors import ApiError
from signaling.rooms import (
    CompletionReason,
    LeaveReason,
    Participant,
    ParticipantChanged,
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantState,
    Publication,
    PublicationState,
    RecordingUnwanted,
    RecordingWanted,
    Room,
    RoomCompleted,
    RoomSettings,
    SubscribeRules,
    SubscriptionStarted,
    SubscriptionStopped,
    TrackPublished,
    TrackRequest,
    TrackSubscribed,
    TrackUnpublished,
    TrackUnsubscribed,
)
from signaling.rules import EXCLUDE_ALL, INCLUDE_ALL, Rule, RuleType

IDENTITIES = st.sampled_from(["alice", "bob", "carol", "dave"])
TRACKS = st.lists(
    st.builds(
        TrackRequest,
        track_id=st.sampled_from(["t1", "t2", "t3", "t4"]),
        kind=st.sampled_from(MediaKind),
        name=st.sampled_from([None, "", "n1", "n2", "x" * 129]),
        enabled=st.booleans(),
    ),
    max_size=5,
)

RULES = st.lists(
    st.sampled_from([*INCLUDE_ALL, *EXCLUDE_ALL])
    | st.builds(
        Rule,
        type=st.sampled_from(RuleType),
        publisher=st.sampled_from([None, "alice", "bob"]),
        track=st.sampled_from([None, "n1", "n2"]),
        kind=st.sampled_from([None, *MediaKind]),
    ),
    min_size=1,
    max_size=4,
).map(tuple)


class RoomMachine(RuleBasedStateMachine):
    """Drives a room and keeps, from its events alone, a model of what must be inside."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.room = Room(
            sid="RM" + "0" * 32,
            settings=RoomSettings(
                max_participants=3, max_concurrent_published_tracks=6, audio_only=False
            ),
            ad_hoc=False,
            rng=random.Random(1),
            now=0.0,
        )
        self.next_source = 0
        self.inside: set[str] = set()
        self.tracks: dict[str, str] = {}
        self.seen_tracks: set[str] = set()
        self.revisions: dict[str, int] = {}
        self.published: dict[str, int] = {}
        self.subscribed: dict[str, int] = {}
        self.forwarded: set[tuple[str, SourceId]] = set()
        self.received: dict[str, tuple[str, str]] = {}
        self.wishes: dict[str, tuple[Rule, ...]] = {}
        self.overrides: dict[tuple[str, str], bool] = {}
        self.recording_rules: tuple[Rule, ...] = ()
        self.recorded: set[str] = set()
        self.ended = 0

    def pick(self, index: int) -> str:
        inside = self.room.participants
        return inside[index % len(inside)].sid if inside else "PA" + "f" * 32

    @rule(identity=IDENTITIES, tracks=TRACKS, include_all=st.booleans())
    def join(self, identity: str, tracks: list[TrackRequest], include_all: bool) -> None:
        others = {p.identity for p in self.room.participants} - {identity}
        try:
            participant = self.room.join(
                identity=identity,
                rules=SubscribeRules(rules=INCLUDE_ALL if include_all else EXCLUDE_ALL),
                tracks=tracks,
                tracks_revision=1,
                now=self.now,
            )
        except ApiError:
            assert len(others) == 3 or self.room.is_completed
        else:
            self.wishes[participant.sid] = INCLUDE_ALL if include_all else EXCLUDE_ALL

    @rule(index=st.integers(0, 3), rules=RULES)
    def set_subscribe_rules(self, index: int, rules: tuple[Rule, ...]) -> None:
        sid = self.pick(index)
        code = refusal(lambda: self.room.set_subscribe_rules(sid, rules, self.now))
        assert code == (None if sid in self.inside else 53204)
        if code is None:
            self.wishes[sid] = rules
            self.overrides = {k: v for k, v in self.overrides.items() if k[0] != sid}

    @rule(index=st.integers(0, 3), track=st.integers(0, 5), wanted=st.booleans())
    def override(self, index: int, track: int, wanted: bool) -> None:
        sid = self.pick(index)
        track_sid = [*self.tracks, *["MT" + "f" * 32] * 6][track]
        code = refusal(
            lambda: self.room.override_subscription(sid, track_sid, wanted=wanted, now=self.now)
        )
        if sid not in self.inside:
            assert code == 53204
        elif self.tracks.get(track_sid) in (None, sid):
            assert code == 20404
        else:
            assert code is None
            self.overrides[sid, track_sid] = wanted

    @rule(rules=RULES)
    def set_recording_rules(self, rules: tuple[Rule, ...]) -> None:
        code = refusal(lambda: self.room.set_recording_rules(rules, self.now))
        assert code == (53118 if self.room.is_completed else None)
        if code is None:
            self.recording_rules = rules

    @rule(index=st.integers(0, 3), tracks=TRACKS, revision=st.integers(0, 30))
    def update(self, index: int, tracks: list[TrackRequest], revision: int) -> None:
        self.room.update_tracks(self.pick(index), tracks, revision=revision, now=self.now)

    @rule(
        index=st.integers(0, 3),
        track_id=st.sampled_from(["t1", "t2", "dummy"]),
        kind=st.sampled_from(MediaKind),
    )
    def add_source(self, index: int, track_id: str, kind: MediaKind) -> None:
        self.next_source += 1
        self.room.add_source(
            self.pick(index),
            source_id=SourceId(self.next_source),
            kind=kind,
            track_id=track_id,
            now=self.now,
        )

    @rule(index=st.integers(0, 3), source=st.integers(1, 40))
    def remove_source(self, index: int, source: int) -> None:
        self.room.remove_source(self.pick(index), SourceId(source), self.now)

    @rule(index=st.integers(0, 3), source=st.integers(1, 40))
    def assign_receiver(self, index: int, source: int) -> None:
        self.room.assign_receiver(self.pick(index), SourceId(source), f"slot-{source}", self.now)

    @rule(index=st.integers(0, 3), source=st.integers(1, 40))
    def lose_receiver(self, index: int, source: int) -> None:
        self.room.lose_receiver(self.pick(index), SourceId(source), self.now)

    @rule(index=st.integers(0, 3))
    def lose_all_receivers(self, index: int) -> None:
        self.room.lose_all_receivers(self.pick(index), self.now)

    @rule(index=st.integers(0, 3), grace=st.floats(0.0, 30.0))
    def lose_connection(self, index: int, grace: float) -> None:
        self.room.lose_connection(self.pick(index), grace=grace, now=self.now)

    @rule(index=st.integers(0, 3))
    def restore_connection(self, index: int) -> None:
        self.room.restore_connection(self.pick(index), self.now)

    @rule(index=st.integers(0, 3), reason=st.sampled_from(LeaveReason))
    def leave(self, index: int, reason: LeaveReason) -> None:
        self.room.leave(self.pick(index), reason, self.now)

    @rule(seconds=st.floats(0.0, 400.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.room.handle_timer(self.now)
        at = self.room.next_timer()
        assert at is None or at > self.now

    @precondition(lambda self: self.now > 2000.0)
    @rule()
    def complete(self) -> None:
        self.room.complete(CompletionReason.REQUESTED, self.now)

    @invariant()
    def events_tell_the_truth(self) -> None:
        while (event := self.room.next_event()) is not None:
            match event:
                case ParticipantConnected():
                    assert event.participant_sid not in self.inside
                    self.inside.add(event.participant_sid)
                case ParticipantDisconnected():
                    self.inside.remove(event.participant_sid)
                    assert event.participant_sid not in self.tracks.values()
                    self.forwarded = {f for f in self.forwarded if f[0] != event.participant_sid}
                    gone = event.participant_sid
                    self.received = {k: v for k, v in self.received.items() if v[0] != gone}
                case ParticipantChanged():
                    view = event.participant
                    assert view.revision > self.revisions.get(view.sid, 0)
                    self.revisions[view.sid] = view.revision
                    assert (view.state is ParticipantState.DISCONNECTED) == (
                        view.sid not in self.inside
                    )
                case TrackPublished():
                    assert event.participant_sid in self.inside
                    assert event.track.sid not in self.seen_tracks
                    self.seen_tracks.add(event.track.sid)
                    self.tracks[event.track.sid] = event.participant_sid
                case TrackUnpublished():
                    assert self.tracks.pop(event.track.sid) == event.participant_sid
                    # Completion tells nobody of the others: they leave in the same breath.
                    if not self.room.is_completed:
                        assert event.track.sid not in {t for _, t in self.received.values()}
                    assert event.track.sid not in self.recorded
                case TrackSubscribed():
                    assert self.tracks[event.track_sid] == event.publisher_sid
                    assert event.subscription_sid not in self.received
                    given = (event.participant_sid, event.track_sid)
                    assert given not in self.received.values()
                    self.received[event.subscription_sid] = given
                case TrackUnsubscribed():
                    given = (event.participant_sid, event.track_sid)
                    assert self.received.pop(event.subscription_sid) == given
                case RecordingWanted():
                    assert self.tracks[event.track_sid] == event.participant_sid
                    assert event.track_sid not in self.recorded
                    self.recorded.add(event.track_sid)
                case RecordingUnwanted():
                    self.recorded.remove(event.track_sid)
                case SubscriptionStarted():
                    assert event.participant_sid in self.inside
                    assert self.tracks[event.track_sid] != event.participant_sid
                    key = (event.participant_sid, event.source_id)
                    assert key not in self.forwarded
                    self.forwarded.add(key)
                case SubscriptionStopped():
                    self.forwarded.discard((event.participant_sid, event.source_id))
                case RoomCompleted():
                    self.ended += 1
                    assert not self.inside

    @invariant()
    def model_and_room_agree(self) -> None:
        assert {p.sid for p in self.room.participants} == self.inside
        assert self.room.ready_track_count == len(self.tracks)
        assert len(self.inside) <= 3
        assert len(self.tracks) <= 6
        assert self.ended == int(self.room.is_completed)
        identities = [p.identity for p in self.room.participants]
        assert len(identities) == len(set(identities))

    @invariant()
    def revisions_only_grow(self) -> None:
        for participant in self.room.participants:
            sid = participant.sid
            assert participant.revision == self.revisions[sid]
            assert participant.published_revision >= self.published.get(sid, 1)
            assert participant.subscribed_revision >= self.subscribed.get(sid, 0)
            self.published[sid] = participant.published_revision
            self.subscribed[sid] = participant.subscribed_revision

    @invariant()
    def what_is_received_is_published(self) -> None:
        forwarded = set()
        for participant in self.room.participants:
            for track_sid, subscription in participant.subscriptions.items():
                assert self.tracks[track_sid] == subscription.publisher_sid != participant.sid
                if subscription.source_id is not None:
                    forwarded.add((participant.sid, subscription.source_id))
                else:
                    assert subscription.receiver_id is None
            names = [
                p.name
                for p in participant.publications.values()
                if p.state is PublicationState.READY
            ]
            assert len(names) == len(set(names))
        assert forwarded == self.forwarded

    @invariant()
    def what_is_received_is_what_the_rules_give(self) -> None:
        tracks = {
            publication.sid: (owner, publication)
            for owner in self.room.participants
            for publication in owner.ready_publications()
        }
        assert self.room.recorded_tracks == self.recorded
        assert self.recorded == {
            sid
            for sid in selected(self.recording_rules, tracks)
            if tracks[sid][1].kind is not MediaKind.DATA
        }
        for participant in self.room.participants:
            sid = participant.sid
            others = {t: where for t, where in tracks.items() if where[0] is not participant}
            wanted = selected(self.wishes[sid], others)
            wanted |= {t for t in others if self.overrides.get((sid, t)) is True}
            wanted -= {t for t in others if self.overrides.get((sid, t)) is False}
            assert set(participant.subscriptions) == wanted
            assert {t for p, t in self.received.values() if p == sid} == wanted


def refusal(call: Callable[[], None]) -> int | None:
    """Return the code with which a command is refused, or None."""
    try:
        call()
    except ApiError as error:
        return error.code
    return None


def selected(
    rules: tuple[Rule, ...], tracks: dict[str, tuple[Participant, Publication]]
) -> set[str]:
    """Return what a list of rules gives, by the sets of the public API's own words."""
    result: set[str] = set()
    for r in rules:
        matching = {
            sid
            for sid, (owner, publication) in tracks.items()
            if r.kind in (None, publication.kind)
            and r.publisher in (None, owner.identity)
            and r.track in (None, publication.name)
        }
        result = result | matching if r.type is RuleType.INCLUDE else result - matching
    return result


RoomMachine.TestCase.settings = hypothesis_settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
TestRoomMachine = RoomMachine.TestCase
