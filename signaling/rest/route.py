"""Which handler answers which path."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from signaling.rest.call import Call
from signaling.rest.message import Response

VERSION = "v1"
LEGACY_VERSION = "2010-04-01"
"""What the helper libraries call ``client.api``."""

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

Handler: TypeAlias = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One resource and its methods."""

    segments: tuple[str | None, ...]
    """Path segments after the version; None takes any name."""
    methods: Mapping[str, Handler]
    version: str = VERSION
    media_type: str = FORM
    """Of the bodies that it takes."""

    def matches(self, version: str, path: tuple[str, ...]) -> bool:
        """Tell whether a decoded path is this resource."""
        return (
            version == self.version
            and len(self.segments) == len(path)
            and all(
                bool(name) if segment is None else name == segment
                for segment, name in zip(self.segments, path, strict=True)
            )
        )
