"""The engine against the public API's own words: sets that rules add to and take from."""

from hypothesis import given
from hypothesis import strategies as st

from router.node_events import MediaKind
from signaling.rules import EXCLUDE_ALL, INCLUDE_ALL, Candidate, Rule, RuleType, includes

ALICE, BOB = "PA" + "a" * 32, "PA" + "b" * 32
# Some names are SIDs of other tracks and some identities those of other participants: a filter
# means either.
NAMES = ["camera", "Camera", "MT" + "0" * 32, "MT" + "1" * 32]
PUBLISHERS = ["alice", "Alice", ALICE, BOB]

candidates = st.builds(
    Candidate,
    sid=st.sampled_from(["MT" + digit * 32 for digit in "0123"]),
    name=st.sampled_from(NAMES),
    kind=st.sampled_from(MediaKind),
    publisher_sid=st.sampled_from([ALICE, BOB]),
    publisher_identity=st.sampled_from(PUBLISHERS),
)
filtered = st.builds(
    Rule,
    type=st.sampled_from(RuleType),
    publisher=st.sampled_from([None, *PUBLISHERS]),
    track=st.sampled_from([None, *NAMES]),
    kind=st.sampled_from([None, *MediaKind]),
    priority=st.sampled_from([None, "low", "high"]),
)
rules = st.lists(filtered | st.sampled_from([*INCLUDE_ALL, *EXCLUDE_ALL]), max_size=20)


def matching(rule: Rule, tracks: set[Candidate]) -> set[Candidate]:
    found = set(tracks)
    if rule.kind is not None:
        found = {t for t in found if t.kind == rule.kind}
    if rule.publisher is not None:
        by_sid = {t for t in found if t.publisher_sid == rule.publisher}
        found = by_sid | {t for t in found if t.publisher_identity == rule.publisher}
    if rule.track is not None:
        found = {t for t in found if t.sid == rule.track} | {
            t for t in found if t.name == rule.track
        }
    return found


@given(rules=rules, tracks=st.sets(candidates, max_size=12), start=st.booleans())
def test_engine_selects_what_the_sets_hold(
    rules: list[Rule], tracks: set[Candidate], start: bool
) -> None:
    selected = set(tracks) if start else set()
    for rule in rules:
        if rule.type is RuleType.INCLUDE:
            selected |= matching(rule, tracks)
        else:
            selected -= matching(rule, tracks)
    assert {track for track in tracks if includes(rules, track, start=start)} == selected


def test_no_rule_leaves_the_start() -> None:
    track = Candidate(
        sid="MT", name="n", kind=MediaKind.DATA, publisher_sid=ALICE, publisher_identity="alice"
    )
    assert not includes((), track)
    assert includes((), track, start=True)
    assert includes(INCLUDE_ALL, track)
    assert not includes(EXCLUDE_ALL, track, start=True)


def test_a_list_that_begins_with_an_exclude_gives_nothing_until_an_include() -> None:
    track = Candidate(
        sid="MT",
        name="n",
        kind=MediaKind.AUDIO,
        publisher_sid=ALICE,
        publisher_identity="alice",
    )
    but_video = Rule(type=RuleType.EXCLUDE, kind=MediaKind.VIDEO)
    assert not includes((but_video,), track)
    assert includes((but_video, *INCLUDE_ALL), track)
