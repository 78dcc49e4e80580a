import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.compositions import CompositionPlan, parse_layout


def parse(**properties: Any) -> dict[str, Any]:
    """Return the region with these properties, in a picture of 640 by 480, as answers have it."""
    members = {"video_sources": ["*"], **properties}
    return parse_layout({"r": members}, width=640, height=480)["r"].serialize()


def test_defaults_are_filled_in() -> None:
    assert parse() == {
        "x_pos": 0,
        "y_pos": 0,
        "z_pos": 0,
        "width": 0,
        "height": 0,
        "max_columns": 0,
        "max_rows": 0,
        "cells_excluded": [],
        "reuse": "show_oldest",
        "video_sources": ["*"],
        "video_sources_excluded": [],
    }


@pytest.mark.parametrize(
    "properties",
    [
        {"x_pos": 624},
        {"y_pos": 464},
        {"x_pos": 320, "width": 320},
        {"width": 640, "height": 480},
        {"z_pos": -99},
        {"max_columns": 1000, "max_rows": 1},
        {"cells_excluded": [0, 999_999]},
        {"reuse": "none"},
        {"video_sources": ["a*", "*b", "*c*", "*", "PA" + "0" * 32]},
        {"video_sources_excluded": ["x"]},
    ],
)
def test_region_within_its_bounds_reads_back(properties: dict[str, Any]) -> None:
    assert {name: parse(**properties)[name] for name in properties} == properties


@pytest.mark.parametrize(
    "properties",
    [
        {"x_pos": 625},
        {"x_pos": -1},
        {"x_pos": 321, "width": 320},
        {"y_pos": 465},
        {"width": 15},
        {"width": 641},
        {"width": 0},
        {"height": 481},
        {"z_pos": 100},
        {"z_pos": 1.0},
        {"z_pos": True},
        {"x_pos": "0"},
        {"max_columns": 0},
        {"max_columns": 1001},
        {"max_rows": False},
        {"cells_excluded": [-1]},
        {"cells_excluded": [1_000_000]},
        {"cells_excluded": [True]},
        {"cells_excluded": 3},
        {"reuse": "newest"},
        {"reuse": []},
        {"video_sources": []},
        {"video_sources": None},
        {"video_sources": "*"},
        {"video_sources": ["a*b"]},
        {"video_sources": [""]},
        {"video_sources": ["\ud800"]},
        {"video_sources_excluded": ["a*b"]},
        {"video_sources_excluded": [1]},
        {"colour": "red"},
    ],
)
def test_region_out_of_its_bounds_is_refused(properties: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="region 'r'"):
        parse(**properties)


@pytest.mark.parametrize("layout", [[], None, "x", {"r": 1}, {"r": {}}, {"r": []}])
def test_other_values_are_refused(layout: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_layout(layout, width=640, height=480)


@pytest.mark.parametrize("properties", [{}, {"width": 100, "max_rows": 3}])
def test_an_answer_can_be_sent_back(properties: dict[str, Any]) -> None:
    answered = parse(**properties)
    assert parse(**answered) == answered


def test_order_of_regions_is_kept() -> None:
    region = {"video_sources": ["*"]}
    names = ["b", "a", "é", ""]
    layout = parse_layout(dict.fromkeys(names, region), width=640, height=480)
    assert list(layout) == names


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
property_names = st.sampled_from(sorted(parse()))


@given(
    json_values
    | st.dictionaries(st.text(), st.dictionaries(property_names, json_values), max_size=3)
)
def test_any_value_is_a_layout_or_refused(value: Any) -> None:
    try:
        regions = parse_layout(value, width=640, height=480)
    except ValueError:
        return
    for region in regions.values():
        assert region.video_sources
        assert region.x_pos + region.width <= 640
        assert region.y_pos + region.height <= 480


def test_plan_reads_back() -> None:
    region = {"video_sources": ["cam*"], "cells_excluded": [4], "z_pos": 3}
    plan = CompositionPlan(
        audio_sources=("*", "a,b"),
        audio_sources_excluded=("x",),
        video_layout=parse_layout({"b": region, "a": region}, width=640, height=480),
        format="mp4",
        trim=False,
        status_callback="https://example.com",
    )
    read = CompositionPlan.from_json(plan.to_json())
    assert read == plan
    assert list(read.video_layout) == ["b", "a"]
    assert json.loads(plan.to_json())["video_layout"]["a"]["z_pos"] == 3
