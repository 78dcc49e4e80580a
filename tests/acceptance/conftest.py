"""How long the long runs are."""

import os

import pytest

DEFAULT_SECONDS = 120.0


@pytest.fixture
def seconds() -> float:
    """How long a run takes: PARLOUR_ACCEPTANCE_SECONDS, two minutes when that is not set."""
    return float(os.environ.get("PARLOUR_ACCEPTANCE_SECONDS", DEFAULT_SECONDS))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is outside of ``make test``."""
    for item in items:
        if "tests/acceptance" in item.path.as_posix():
            item.add_marker(pytest.mark.acceptance)
