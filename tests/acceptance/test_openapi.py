"""Schemathesis against a whole server for minutes, with other requests in each run."""

from typing import Any

import pytest

from tests.signaling.openapi.conftest import Populated, populated
from tests.signaling.openapi.fuzz import fuzz, operations_of
from tests.signaling.openapi.test_fuzz import CASES

__all__ = ["populated"]

EXAMPLES = 100


@pytest.fixture(scope="module")
def operations(populated: Populated) -> dict[str, Any]:
    return operations_of(populated.document)


@pytest.mark.parametrize("name", CASES)
def test_answers_keep_the_promises_of_the_description(
    populated: Populated, operations: dict[str, Any], name: str
) -> None:
    fuzz(populated, operations[name], examples=EXAMPLES, derandomize=False)
