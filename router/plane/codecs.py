"""Numbers for codecs: what one peer sends as payload type 96 another receives as 120."""

from dataclasses import dataclass

from router._fastpath import plane
from router.errors import DataPlaneError

MAX_CODECS = 63

_FORMATS = {
    "opus": plane.FORMAT_OPUS,
    "vp8": plane.FORMAT_VP8,
    "h264": plane.FORMAT_H264,
    "vp9": plane.FORMAT_VP9,
    "av1": plane.FORMAT_AV1,
}


@dataclass(frozen=True, slots=True)
class CodecKey:
    """What makes two payload types of different peers the same codec."""

    name: str
    """Lower case encoding name."""
    clock_rate: int
    """Hz."""
    channels: int
    parameters: str
    """The format parameters that must match, in canonical form (H.264 mode and profile)."""

    @property
    def payload_format(self) -> int:
        """The data plane's ``FORMAT_*`` of this codec."""
        return _FORMATS.get(self.name, plane.FORMAT_OPAQUE)


class CodecTable:
    """One numbering of codecs, 1 to 63, the same for all peers of a node."""

    def __init__(self) -> None:
        self._numbers: dict[CodecKey, int] = {}

    def number(self, key: CodecKey) -> tuple[int, bool]:
        """
        Return the codec's number and whether it is new.

        :raises DataPlaneError: when 63 codecs are known; peers choose from a fixed preference
            list, so this bounds what they can make us remember.
        """
        number = self._numbers.get(key)
        if number is not None:
            return number, False
        if len(self._numbers) == MAX_CODECS:
            raise DataPlaneError(f"{MAX_CODECS} codecs are in use")
        number = len(self._numbers) + 1
        self._numbers[key] = number
        return number, True
