"""Numbers for codecs: what one peer sends as payload type 96 another receives as 120."""

from dataclasses import replace

from router._fastpath import plane
from router.sdp.codecs import Codec

MAX_CODECS = 63
_SPELLINGS_MAX = 256
"""Names as peers spell them that are found at once."""

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
    """
    One numbering of codecs, 1 to 63, the same for all peers of all data planes.

    Numbers are never given back. Names are compared without regard to case (RFC 4855 section 3),
    which peers choose, so that the number of codecs is that of the configured preferences.
    """

    def __init__(self) -> None:
        self._numbers: dict[Codec, int] = {}
        self._as_spelled: dict[Codec, int] = {}

    def number(self, codec: Codec) -> int:
        """Return the codec's number; 0, for one that is not forwarded, when 63 others are known."""
        number = self._as_spelled.get(codec)
        if number is None:
            number = self._number(replace(codec, name=codec.name.lower()))
            if number and len(self._as_spelled) < _SPELLINGS_MAX:
                self._as_spelled[codec] = number
        return number

    def _number(self, codec: Codec) -> int:
        number = self._numbers.get(codec)
        if number is not None:
            return number
        if len(self._numbers) == MAX_CODECS:
            return 0
        number = len(self._numbers) + 1
        self._numbers[codec] = number
        return number
