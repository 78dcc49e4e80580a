"""The packet path takes as many instructions as it did; time cannot show that everywhere."""

import json

import pytest

from .instructions import FIGURES, compiler_version, count

TOLERANCE = 0.1


def test_packet_path_takes_as_many_instructions_as_before() -> None:
    """Fewer fail too, so that what was gained cannot be lost again: run it with ``--update``."""
    stored = json.loads(FIGURES.read_text())
    if stored["compiler"] != compiler_version():
        pytest.skip(f"the figures are those of {stored['compiler']}")
    expected = stored["instructions_per_packet"]
    assert count() == pytest.approx(expected, rel=TOLERANCE)
