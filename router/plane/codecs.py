"""Numbers for codecs: what one peer sends as payload type 96 another receives as 120."""

from router._fastpath import plane
from router.errors import DataPlaneError
from router.sdp.codecs import Codec

MAX_CODECS = 63

_FORMATS = {
    "opus": plane.FORMAT_OPUS,
    "vp8": plane.FORMAT_VP8,
    "h264": plane.FORMAT_H264,
    "vp9": plane.FORMAT_VP9,
    "av1": plane.FORMAT_AV1,
}


def payload_format(codec: Codec) -> int:
    """Return the data plane's ``FORMAT_*`` of a codec."""
    return _FORMATS.get(codec.name.lower(), plane.FORMAT_OPAQUE)


class CodecTable:
    """One numbering of codecs, 1 to 63, the same for all peers of a data plane."""

    def __init__(self) -> None:
        self._numbers: dict[Codec, int] = {}

    def number(self, codec: Codec) -> tuple[int, bool]:
        """
        Return the codec's number and whether it is new.

        :raises DataPlaneError: when 63 codecs are known. Peers choose from a fixed list of
            preferences, so they cannot make this happen.
        """
        number = self._numbers.get(codec)
        if number is not None:
            return number, False
        if len(self._numbers) == MAX_CODECS:
            raise DataPlaneError(f"all {MAX_CODECS} codec numbers are in use")
        number = len(self._numbers) + 1
        self._numbers[codec] = number
        return number, True
