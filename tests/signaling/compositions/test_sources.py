import re
import time
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from signaling.compositions import CompositionPlan, parse_layout, select_sources


@dataclass(frozen=True)
class Recording:
    """What is known of a recording."""

    sid: str
    source_sid: str
    participant_sid: str
    track_name: str


def recording(number: int, name: str, participant: int = 0) -> Recording:
    return Recording(f"RT{number:032x}", f"MT{number:032x}", f"PA{participant:032x}", name)


RECORDINGS = [recording(1, "mic-1"), recording(2, "mic-2", 7), recording(3, "screen", 7)]


def names(included: list[str], excluded: list[str] | None = None) -> list[str]:
    return [r.track_name for r in select_sources(RECORDINGS, included, excluded or [])]


def test_sources_are_sids_names_or_patterns() -> None:
    assert names(["*"]) == ["mic-1", "mic-2", "screen"]
    assert names(["mic-*"]) == ["mic-1", "mic-2"]
    assert names(["screen", "mic-1"]) == ["mic-1", "screen"]
    assert names(["RT" + f"{1:032x}"]) == ["mic-1"]
    assert names(["MT" + f"{2:032x}"]) == ["mic-2"]
    assert names(["PA" + f"{7:032x}"]) == ["mic-2", "screen"]
    assert names(["Mic-1", "mic"]) == []
    assert names([]) == []


def test_excluded_sources_are_taken_away() -> None:
    assert names(["*"], ["mic-*"]) == ["screen"]
    assert names(["*"], ["PA" + f"{7:032x}"]) == ["mic-1"]
    assert names(["mic-1"], ["*"]) == []


def test_plan_selects_what_any_region_shows() -> None:
    layout = {
        "a": {"video_sources": ["mic-*"], "video_sources_excluded": ["mic-2"]},
        "b": {"video_sources": ["screen"]},
    }
    plan = CompositionPlan(video_layout=parse_layout(layout, width=640, height=480))
    assert [r.track_name for r in plan.select_video(RECORDINGS)] == ["mic-1", "screen"]
    assert plan.select_audio(RECORDINGS) == []


@given(st.text("ab*", min_size=1, max_size=8), st.text("ab", max_size=8))
def test_stars_stand_for_any_characters(pattern: str, name: str) -> None:
    model = ".*".join(re.escape(part) for part in pattern.split("*"))
    found = select_sources([recording(1, name)], [pattern], [])
    assert bool(found) == bool(re.fullmatch(model, name, re.DOTALL))


def test_many_stars_cost_little_time() -> None:
    began = time.process_time()
    assert select_sources([recording(1, "a" * 128)], ["*a" * 5000 + "*b"], []) == []
    assert time.process_time() - began < 1
