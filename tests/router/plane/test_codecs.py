"""Codec numbers: one for each codec, whatever peers call it, and never more than the plane has."""

import itertools

from router.plane.codecs import MAX_CODECS, CodecTable
from router.sdp.codecs import Codec


def test_spellings_of_a_name_are_one_codec() -> None:
    table = CodecTable()
    spellings = [
        "".join(letters)
        for letters in itertools.islice(
            itertools.product(*((c.lower(), c.upper()) for c in "telephone")), 500
        )
    ]
    numbers = {table.number(Codec(kind="audio", name=name, clock_rate=8000)) for name in spellings}
    assert numbers == {1}


def test_codec_without_a_number_is_not_forwarded() -> None:
    table = CodecTable()
    numbers = [
        table.number(Codec(kind="audio", name=f"codec{n}", clock_rate=8000)) for n in range(100)
    ]
    assert numbers[:MAX_CODECS] == list(range(1, MAX_CODECS + 1))
    assert set(numbers[MAX_CODECS:]) == {0}
    assert table.number(Codec(kind="audio", name="codec5", clock_rate=8000)) == 6
