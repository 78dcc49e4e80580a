"""The parameters of compositions and composition hooks, and their ranges."""

import re

from signaling.compositions import CompositionPlan, parse_layout
from signaling.compositions.sources import check_source
from signaling.errors import ApiError, ErrorCode
from signaling.rest.parameters import Parameters
from signaling.rest.room_parameters import read_status_callback, read_status_callback_method

SIZE_MIN, SIZE_MAX = 16, 1280
PIXELS_MAX = 921_600
FORMATS = frozenset({"webm", "mp4"})
RESOLUTION_DEFAULT = "640x480"
_RESOLUTION = re.compile(r"([1-9][0-9]{1,3})x([1-9][0-9]{1,3})", re.ASCII)


def read_plan(given: Parameters) -> CompositionPlan:
    """
    Return what a request asks to be composed.

    :raises ApiError: 20001, or 53110 and 53111 for the status callback.
    """
    width, height = _resolution(given)
    layout = given.json_object("VideoLayout") or {}
    try:
        regions = parse_layout(layout, width=width, height=height)
    except ValueError as error:
        raise _invalid(f"VideoLayout: {error}") from None
    plan = CompositionPlan(
        audio_sources=_sources(given, "AudioSources"),
        audio_sources_excluded=_sources(given, "AudioSourcesExcluded"),
        video_layout=regions,
        resolution=f"{width}x{height}",
        format=given.choice("Format", FORMATS, ErrorCode.INVALID_PARAMETER) or "webm",
        trim=given.boolean("Trim", True),
        status_callback=read_status_callback(given),
        status_callback_method=read_status_callback_method(given),
    )
    if not plan.audio_sources and not plan.video_layout:
        raise _invalid("VideoLayout or AudioSources must name a source")
    return plan


def _resolution(given: Parameters) -> tuple[int, int]:
    match = _RESOLUTION.fullmatch(given.text("Resolution") or RESOLUTION_DEFAULT)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    within = min(width, height) >= SIZE_MIN and max(width, height) <= SIZE_MAX
    if not within or width * height > PIXELS_MAX:
        raise _invalid("Resolution is out of range")
    return width, height


def _sources(given: Parameters, name: str) -> tuple[str, ...]:
    sources = given.names(name)
    for source in sources:
        try:
            check_source(source)
        except ValueError as error:
            raise _invalid(f"{name}: {error}") from None
    return sources


def _invalid(message: str) -> ApiError:
    return ApiError.of(ErrorCode.INVALID_PARAMETER, message)
