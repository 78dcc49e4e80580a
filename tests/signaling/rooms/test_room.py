"""The room core: what commands and time do."""

import random
from typing import TYPE_CHECKING

import pytest

from router.node_events import MediaKind, SourceId
from signaling.errors import ApiError, ErrorCode
from signaling.rooms import (
    CompletionReason,
    LeaveReason,
    ParticipantChanged,
    ParticipantConnected,
    ParticipantDisconnected,
    ParticipantState,
    PublicationFailed,
    PublicationsChanged,
    PublicationState,
    RestoredRoom,
    Room,
    RoomCompleted,
    RoomSettings,
    SubscriptionsChanged,
    SubscriptionStarted,
    SubscriptionStopped,
    TrackChanged,
    TrackPublished,
    TrackUnpublished,
)
from signaling.rooms.room import AD_HOC_JOIN_TIMEOUT, ROOM_LIFETIME

from .support import ROOM_SID, events, join, make_room, of_type, track

if TYPE_CHECKING:
    from collections.abc import Callable


def completion(room: Room) -> list[CompletionReason]:
    return [e.reason for e in events(room) if isinstance(e, RoomCompleted)]


# Life of a room.


def test_a_room_that_nobody_joins_ends_after_its_unused_timeout() -> None:
    room = make_room(now=100.0, unused_room_timeout=2)
    assert room.next_timer() == 220.0
    room.handle_timer(219.9)
    assert not room.is_completed
    room.handle_timer(220.0)
    assert completion(room) == [CompletionReason.UNUSED]
    assert room.next_timer() is None


def test_the_unused_timeout_stops_at_the_first_join() -> None:
    room = make_room(unused_room_timeout=1, empty_room_timeout=60)
    participant = join(room, "alice", now=59.0)
    room.handle_timer(61.0)
    room.leave(participant.sid, LeaveReason.LEFT, 70.0)
    room.handle_timer(300.0)
    assert not room.is_completed
    room.handle_timer(70.0 + 3600.0)
    assert completion(room) == [CompletionReason.EMPTY]


def test_the_empty_timeout_starts_anew_whenever_the_room_becomes_empty() -> None:
    room = make_room(empty_room_timeout=1)
    room.leave(join(room, "alice").sid, LeaveReason.LEFT, 10.0)
    again = join(room, "alice", now=60.0)
    room.handle_timer(71.0)
    assert not room.is_completed
    room.leave(again.sid, LeaveReason.LEFT, 80.0)
    room.handle_timer(139.0)
    assert not room.is_completed
    room.handle_timer(140.0)
    assert room.is_completed


def test_an_ad_hoc_room_ends_with_its_last_participant() -> None:
    room = make_room(ad_hoc=True, empty_room_timeout=0, unused_room_timeout=0)
    alice, bob = join(room, "alice"), join(room, "bob")
    room.leave(alice.sid, LeaveReason.LEFT, 1.0)
    assert not room.is_completed
    room.leave(bob.sid, LeaveReason.LEFT, 2.0)
    assert completion(room) == [CompletionReason.EMPTY]


def test_an_ad_hoc_room_survives_the_return_of_its_only_identity() -> None:
    room = make_room(ad_hoc=True, empty_room_timeout=0, unused_room_timeout=0)
    join(room, "alice")
    join(room, "alice", now=1.0)
    assert not room.is_completed


def test_an_ad_hoc_room_ends_when_its_maker_never_gets_in() -> None:
    room = make_room(ad_hoc=True, empty_room_timeout=0, unused_room_timeout=0)
    room.handle_timer(AD_HOC_JOIN_TIMEOUT)
    assert room.is_completed


def test_a_room_ends_after_24_hours_whatever_happens_in_it() -> None:
    room = make_room(max_participant_duration=86_400)
    alice = join(room, "alice", now=1000.0)
    room.handle_timer(ROOM_LIFETIME)
    taken = events(room)
    assert [e.reason for e in taken if isinstance(e, RoomCompleted)] == [
        CompletionReason.LIFETIME_EXCEEDED
    ]
    assert [(e.participant_sid, e.reason) for e in taken if isinstance(e, ParticipantDisconnected)]
    assert alice.state is ParticipantState.DISCONNECTED


def test_completing_a_room_makes_everybody_leave_before_it_ends() -> None:
    room = make_room()
    join(room, "alice", track("a1"))
    join(room, "bob")
    events(room)
    room.complete(CompletionReason.REQUESTED, 5.0)
    taken = events(room)
    left = of_type(taken, ParticipantDisconnected)
    assert [e.reason for e in left if isinstance(e, ParticipantDisconnected)] == [
        LeaveReason.ROOM_COMPLETED
    ] * 2
    assert len(of_type(taken, TrackUnpublished)) == 1
    assert isinstance(taken[-1], RoomCompleted)
    assert room.participants == ()
    with pytest.raises(ApiError) as refused:
        join(room, "carol")
    assert refused.value.code == ErrorCode.ROOM_COMPLETED
    room.complete(CompletionReason.REQUESTED, 6.0)
    assert events(room) == []


@pytest.mark.parametrize(("was_used", "deadline"), [(False, 60.0), (True, 100.0 + 120.0)])
def test_a_restored_room_keeps_its_timers(was_used: bool, deadline: float) -> None:
    room = Room(
        sid=ROOM_SID,
        settings=RoomSettings(unused_room_timeout=1, empty_room_timeout=2),
        ad_hoc=False,
        rng=random.Random(1),
        now=100.0,
        restored=RestoredRoom(created_at=0.0, was_used=was_used),
    )
    assert room.next_timer() == deadline
    assert events(room) == []


def test_a_restored_room_is_empty_since_the_last_one_left() -> None:
    room = Room(
        sid=ROOM_SID,
        settings=RoomSettings(empty_room_timeout=2),
        ad_hoc=False,
        rng=random.Random(1),
        now=100.0,
        restored=RestoredRoom(created_at=0.0, was_used=True, emptied_at=40.0),
        minute=12.0,
    )
    assert room.next_timer() == 40.0 + 24.0
    room.handle_timer(100.0)
    assert of_type(events(room), RoomCompleted)


# Participants.


def test_the_newcomer_wins_when_an_identity_joins_twice() -> None:
    room = make_room(max_participants=2)
    join(room, "bob")
    older = join(room, "alice", track("a1"))
    events(room)
    newer = join(room, "alice", track("a1"), now=1.0)
    taken = events(room)
    order = [type(e) for e in of_type(taken, ParticipantConnected, ParticipantDisconnected)]
    assert order == [ParticipantDisconnected, ParticipantConnected]
    gone = of_type(taken, ParticipantDisconnected)[0]
    assert isinstance(gone, ParticipantDisconnected)
    assert (gone.participant_sid, gone.reason) == (older.sid, LeaveReason.DUPLICATE_IDENTITY)
    assert newer.sid != older.sid
    published = [e for e in taken if isinstance(e, TrackPublished | TrackUnpublished)]
    assert published[0].track.sid != published[1].track.sid


def test_a_full_room_refuses_others() -> None:
    room = make_room(max_participants=1)
    join(room, "alice")
    with pytest.raises(ApiError) as refused:
        join(room, "bob")
    assert refused.value.code == ErrorCode.ROOM_FULL
    assert len(room.participants) == 1


def test_a_participant_that_vanished_leaves_after_its_grace_period() -> None:
    room = make_room()
    alice = join(room, "alice")
    revision = alice.revision
    room.lose_connection(alice.sid, grace=30.0, now=10.0)
    assert alice.state is ParticipantState.RECONNECTING
    assert alice.revision == revision + 1
    assert room.next_timer() == 40.0
    room.handle_timer(39.0)
    assert room.participant(alice.sid) is alice
    room.handle_timer(40.0)
    left = of_type(events(room), ParticipantDisconnected)
    assert [e.reason for e in left if isinstance(e, ParticipantDisconnected)] == [
        LeaveReason.SESSION_EXPIRED
    ]


def test_a_participant_that_comes_back_in_time_stays() -> None:
    room = make_room()
    alice = join(room, "alice")
    room.lose_connection(alice.sid, grace=30.0, now=10.0)
    room.restore_connection(alice.sid, 20.0)
    room.handle_timer(50.0)
    assert alice.state is ParticipantState.CONNECTED
    assert alice.revision == 3


def test_a_participant_leaves_when_its_time_is_up() -> None:
    room = make_room(max_participant_duration=600)
    alice = join(room, "alice", now=5.0)
    room.handle_timer(604.9)
    assert room.participant(alice.sid) is alice
    room.handle_timer(605.0)
    left = [e.reason for e in events(room) if isinstance(e, ParticipantDisconnected)]
    assert left == [LeaveReason.DURATION_EXCEEDED]


def test_the_last_view_of_a_participant_keeps_its_tracks() -> None:
    room = make_room()
    alice = join(room, "alice", track("a1"))
    events(room)
    room.leave(alice.sid, LeaveReason.LEFT, 1.0)
    view = [e for e in events(room) if isinstance(e, ParticipantChanged)][-1].participant
    assert view.state is ParticipantState.DISCONNECTED
    assert [t.name for t in view.tracks] == ["name of a1"]
    assert view.revision == 2


# Publications.


def error_of(room: Room, identity: str, track_id: str) -> ErrorCode | None:
    participant = next(p for p in room.participants if p.identity == identity)
    return participant.publications[track_id].error


def test_a_track_is_ready_at_once_without_media() -> None:
    room = make_room()
    alice = join(room, "alice", track("a1"))
    publication = alice.publications["a1"]
    assert publication.state is PublicationState.READY
    assert publication.sid.startswith("MT")
    assert alice.published_revision == 1
    assert alice.revision == 1


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("x" * 128, None),
        ("x" * 129, ErrorCode.TRACK_NAME_TOO_LONG),
        ("taken", ErrorCode.TRACK_NAME_DUPLICATED),
        ("line\nbreak", ErrorCode.TRACK_NAME_CHARACTERS_INVALID),
        ("камера", None),
    ],
)
def test_track_names_are_checked(name: str, error: ErrorCode | None) -> None:
    room = make_room()
    join(room, "alice", track("a1", name="taken"), track("a2", name=name))
    assert error_of(room, "alice", "a2") == error


def test_the_same_track_name_of_two_participants_is_fine() -> None:
    room = make_room()
    join(room, "alice", track("a1", name="camera"))
    join(room, "bob", track("b1", name="camera"))
    assert error_of(room, "bob", "b1") is None


def test_a_track_without_a_name_is_named_by_its_sid() -> None:
    room = make_room()
    alice = join(room, "alice", track("a1", name=""))
    assert alice.publications["a1"].name == alice.publications["a1"].sid


def test_video_fails_in_an_audio_only_room() -> None:
    room = make_room(audio_only=True)
    join(room, "alice", track("a1"), track("v1", MediaKind.VIDEO))
    assert error_of(room, "alice", "a1") is None
    assert error_of(room, "alice", "v1") == ErrorCode.TRACK_KIND_NOT_SUPPORTED
    failed = of_type(events(room), PublicationFailed)
    assert [e.track_id for e in failed if isinstance(e, PublicationFailed)] == ["v1"]


def test_the_rooms_cap_on_tracks_counts_everybody() -> None:
    room = make_room(max_concurrent_published_tracks=2)
    alice = join(room, "alice", track("a1"))
    join(room, "bob", track("b1"), track("b2"))
    assert error_of(room, "bob", "b2") == ErrorCode.TOO_MANY_TRACKS
    assert room.ready_track_count == 2
    room.update_tracks(alice.sid, [], revision=2, now=1.0)
    assert room.ready_track_count == 1


def test_a_failed_track_does_not_keep_its_name() -> None:
    room = make_room()
    alice = join(room, "alice", track("a1", name="n"), track("a2", name="n"))
    room.update_tracks(alice.sid, [track("a3", name="n")], revision=2, now=1.0)
    assert error_of(room, "alice", "a3") is None
    assert list(alice.publications) == ["a3"]


def test_a_stale_list_of_tracks_is_ignored() -> None:
    room = make_room()
    alice = join(room, "alice", track("a1"))
    room.update_tracks(alice.sid, [], revision=1, now=1.0)
    assert list(alice.publications) == ["a1"]


def test_muting_reaches_others_but_not_the_owners_list() -> None:
    room = make_room()
    alice = join(room, "alice", track("a1"))
    events(room)
    room.update_tracks(alice.sid, [track("a1", enabled=False)], revision=2, now=1.0)
    taken = events(room)
    assert [type(e) for e in taken] == [TrackChanged, ParticipantChanged]
    assert alice.published_revision == 1
    assert alice.revision == 2


def test_kind_and_name_are_fixed_once_seen() -> None:
    room = make_room()
    alice = join(room, "alice", track("a1", name="first"))
    events(room)
    changed = track("a1", MediaKind.VIDEO, name="second")
    room.update_tracks(alice.sid, [changed], revision=2, now=1.0)
    assert events(room) == []
    assert alice.publications["a1"].name == "first"


def test_a_track_id_that_comes_back_gets_a_new_sid() -> None:
    room = make_room()
    alice = join(room, "alice", track("a1"))
    first = alice.publications["a1"].sid
    room.update_tracks(alice.sid, [], revision=2, now=1.0)
    room.update_tracks(alice.sid, [track("a1")], revision=3, now=2.0)
    assert alice.publications["a1"].sid != first
    assert len(of_type(events(room), PublicationsChanged)) == 3


# Subscriptions: track, source and subscriber in every order.

SOURCE = SourceId(7)


@pytest.mark.parametrize("order", ["tsj", "stj", "tjs", "sjt", "jts", "jst"])
def test_track_source_and_subscriber_meet_in_every_order(order: str) -> None:
    room = make_room()
    alice = join(room, "alice")
    steps: dict[str, Callable[[], object]] = {
        "t": lambda: room.update_tracks(alice.sid, [track("a1")], revision=2, now=1.0),
        "s": lambda: room.add_source(
            alice.sid, source_id=SOURCE, kind=MediaKind.AUDIO, track_id="a1", now=1.0
        ),
        "j": lambda: join(room, "bob"),
    }
    for step in order:
        steps[step]()
    bob = next(p for p in room.participants if p.identity == "bob")
    started = [e for e in events(room) if isinstance(e, SubscriptionStarted)]
    assert [(e.participant_sid, e.source_id) for e in started] == [(bob.sid, SOURCE)]
    room.assign_receiver(bob.sid, SOURCE, "slot-1", 2.0)
    assert bob.subscribed_revision == 1
    assert [s.receiver_id for s in bob.subscriptions.values()] == ["slot-1"]


def published_and_received() -> tuple[Room, str, str]:
    room = make_room()
    alice = join(room, "alice", track("a1"))
    bob = join(room, "bob")
    room.add_source(alice.sid, source_id=SOURCE, kind=MediaKind.AUDIO, track_id="a1", now=0.0)
    room.assign_receiver(bob.sid, SOURCE, "slot-1", 0.0)
    events(room)
    return room, alice.sid, bob.sid


def test_a_subscriber_that_lost_its_receiver_may_get_another() -> None:
    room, _, bob = published_and_received()
    room.lose_receiver(bob, SourceId(99), 1.0)
    assert events(room) == []
    room.lose_receiver(bob, SOURCE, 1.0)
    # Media goes on being wanted, so nothing is stopped.
    assert [type(e) for e in events(room)] == [SubscriptionsChanged]
    room.lose_all_receivers(bob, 1.0)
    assert events(room) == []
    room.assign_receiver(bob, SOURCE, "slot-2", 2.0)
    subscriber = room.participant(bob)
    assert subscriber is not None
    assert [s.receiver_id for s in subscriber.subscriptions.values()] == ["slot-2"]
    assert subscriber.subscribed_revision == 3


def test_unpublishing_takes_the_track_from_its_subscribers_at_once() -> None:
    room, alice, bob = published_and_received()
    room.update_tracks(alice, [], revision=2, now=1.0)
    taken = events(room)
    stopped = of_type(taken, SubscriptionStopped)
    assert [e.source_ended for e in stopped if isinstance(e, SubscriptionStopped)] == [False]
    assert len(of_type(taken, SubscriptionsChanged)) == 1
    subscriber = room.participant(bob)
    assert subscriber is not None
    assert subscriber.subscriptions == {}
    assert subscriber.subscribed_revision == 2


def test_a_source_that_ends_is_not_stopped_again() -> None:
    room, alice, _ = published_and_received()
    room.remove_source(alice, SOURCE, 1.0)
    stopped = of_type(events(room), SubscriptionStopped)
    assert [e.source_ended for e in stopped if isinstance(e, SubscriptionStopped)] == [True]
    room.add_source(alice, source_id=SourceId(8), kind=MediaKind.AUDIO, track_id="a1", now=2.0)
    started = of_type(events(room), SubscriptionStarted)
    assert [e.source_id for e in started if isinstance(e, SubscriptionStarted)] == [8]


def test_a_leaving_publisher_frees_its_subscribers_before_it_is_gone() -> None:
    room, alice, _ = published_and_received()
    room.leave(alice, LeaveReason.LEFT, 1.0)
    order = [type(e) for e in of_type(events(room), SubscriptionStopped, ParticipantDisconnected)]
    assert order == [SubscriptionStopped, ParticipantDisconnected]


def test_a_source_of_another_kind_or_id_is_never_subscribed_to() -> None:
    room = make_room()
    alice = join(room, "alice", track("v1", MediaKind.VIDEO))
    join(room, "bob")
    room.add_source(alice.sid, source_id=SOURCE, kind=MediaKind.AUDIO, track_id="v1", now=0.0)
    room.add_source(
        alice.sid, source_id=SourceId(8), kind=MediaKind.AUDIO, track_id="dummy", now=0.0
    )
    assert of_type(events(room), SubscriptionStarted) == []


def test_a_participant_that_excludes_all_is_subscribed_to_nothing() -> None:
    room = make_room()
    alice = join(room, "alice", track("a1"))
    room.add_source(alice.sid, source_id=SOURCE, kind=MediaKind.AUDIO, track_id="a1", now=0.0)
    bob = join(room, "bob", include_all=False)
    room.update_tracks(alice.sid, [track("a1"), track("a2")], revision=2, now=1.0)
    assert bob.subscriptions == {}


def test_a_receiver_assigned_for_what_was_meanwhile_unpublished_changes_nothing() -> None:
    room, alice, bob = published_and_received()
    room.update_tracks(alice, [], revision=2, now=1.0)
    events(room)
    room.assign_receiver(bob, SOURCE, "slot-2", 2.0)
    assert events(room) == []
