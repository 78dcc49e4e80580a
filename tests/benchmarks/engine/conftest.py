"""An engine that runs."""

from collections.abc import Iterator

import pytest

from benchmarks.engine import Engine


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as one:
        yield one
