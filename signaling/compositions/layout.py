"""Video layouts: named regions of the picture, each with its sources."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .sources import check_source

SIZE_MIN = 16
"""Pixels; the least width and height of a region and of a picture."""
Z_MAX = 99
GRID_MAX = 1000
CELL_MAX = 999_999
REUSES = ("none", "show_oldest", "show_newest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One region, with the properties of the API. Zero stands for "as large as there is room"."""

    x_pos: int = 0
    """Pixels from the left."""
    y_pos: int = 0
    """Pixels from the top."""
    z_pos: int = 0
    """Higher is in front."""
    width: int = 0
    height: int = 0
    max_columns: int = 0
    max_rows: int = 0
    cells_excluded: tuple[int, ...] = ()
    """Cell 0 is top left; counted by rows."""
    reuse: str = "show_oldest"
    """``none``, ``show_oldest`` or ``show_newest``."""
    video_sources: tuple[str, ...]
    video_sources_excluded: tuple[str, ...] = ()

    def serialize(self) -> dict[str, Any]:
        """Return the JSON object of the API, with every property."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }


_PROPERTIES = frozenset(Region.__dataclass_fields__)


def parse_layout(value: object, *, width: int, height: int) -> dict[str, Region]:
    """
    Return the regions of a layout by name, in order.

    :param value: The decoded JSON.
    :param width: Of the picture, pixels.
    :param height: Of the picture, pixels.
    :raises ValueError: saying which region is wrong, and how.
    """
    if not isinstance(value, dict):
        raise ValueError("must be an object of regions")
    regions = {}
    for name, members in value.items():
        try:
            regions[name] = _parse_region(members, width, height)
        except ValueError as error:
            raise ValueError(f"region {name!r}: {error}") from None
    return regions


def _parse_region(members: object, width: int, height: int) -> Region:
    if not isinstance(members, dict):
        raise ValueError("must be an object")
    unknown = members.keys() - _PROPERTIES
    if unknown:
        raise ValueError(f"unknown property {min(unknown)!r}")
    # In answers 0 stands for an absent size. A program may send back what it was answered, every
    # property; otherwise 0 is out of range.
    absent = 0 if members.keys() == _PROPERTIES else None
    across = _optional(members, "width", SIZE_MIN, width, absent)
    down = _optional(members, "height", SIZE_MIN, height, absent)
    x_pos = _integer(members, "x_pos", 0, width - (across or SIZE_MIN))
    y_pos = _integer(members, "y_pos", 0, height - (down or SIZE_MIN))
    reuse = members.get("reuse", "show_oldest")
    if reuse not in REUSES:
        raise ValueError(f"reuse must be one of {', '.join(REUSES)}")
    sources = _sources(members, "video_sources")
    if not sources:
        raise ValueError("video_sources must name at least one source")
    cells = members.get("cells_excluded", [])
    if not isinstance(cells, list) or not all(_is_integer(cell, 0, CELL_MAX) for cell in cells):
        raise ValueError(f"cells_excluded must be a list of integers from 0 to {CELL_MAX}")
    return Region(
        x_pos=x_pos,
        y_pos=y_pos,
        z_pos=_integer(members, "z_pos", -Z_MAX, Z_MAX),
        width=across,
        height=down,
        max_columns=_optional(members, "max_columns", 1, GRID_MAX, absent),
        max_rows=_optional(members, "max_rows", 1, GRID_MAX, absent),
        cells_excluded=tuple(cells),
        reuse=reuse,
        video_sources=sources,
        video_sources_excluded=_sources(members, "video_sources_excluded"),
    )


def _integer(members: Mapping[str, object], name: str, least: int, most: int) -> int:
    value = members.get(name, 0)
    if not _is_integer(value, least, most):
        raise ValueError(f"{name} must be an integer from {least} to {most}")
    assert isinstance(value, int)
    return value


def _optional(
    members: Mapping[str, object], name: str, least: int, most: int, absent: int | None
) -> int:
    value = members.get(name)
    is_zero = value == 0 and not isinstance(value, bool)
    if name not in members or (is_zero and absent == 0):
        return 0
    return _integer(members, name, least, most)


def _is_integer(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _sources(members: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = members.get(name, [])
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list")
    for source in value:
        check_source(source)
        assert isinstance(source, str)
        if "*" in source[1:-1]:
            raise ValueError(f"{name} may have * only at the start or the end of a name")
    return tuple(value)
