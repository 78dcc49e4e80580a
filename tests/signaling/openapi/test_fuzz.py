"""Schemathesis against a whole server: no 5xx, and no answer that breaks the description."""

from typing import Any

import pytest

from signaling.openapi.http_paths import HTTP_PATHS
from signaling.openapi.operations import OPERATIONS
from signaling.rest.parameters import Parameters

from .conftest import Populated
from .fuzz import fuzz, operations_of

EXAMPLES = 15


@pytest.fixture(scope="module")
def operations(populated: Populated) -> dict[str, Any]:
    return operations_of(populated.document)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Collect the names of the parameters that handlers look at."""
    names: set[str] = set()

    class Watched(dict[str, list[str]]):
        def get(self, name: str, default: Any = None) -> Any:
            names.add(name)
            return super().get(name, default)

    plain = Parameters.__init__

    def make(self: Parameters, text: str) -> None:
        plain(self, text)
        self._values = Watched(self._values)

    monkeypatch.setattr(Parameters, "__init__", make)
    return names


# What ends things comes last, so that the others find them.
ENDING = (
    "POST /v1/Rooms/{RoomSid}",
    "POST /v1/Rooms/{RoomSid}/Participants/{ParticipantSid}",
    "POST /v1/Revocations",
)
CASES = sorted(
    [
        *(f"{method} {path}" for path, item in OPERATIONS.items() for method in item),
        *(
            f"{method.upper()} {path}"
            for path, item in HTTP_PATHS.items()
            for method in item
            if method != "parameters"
        ),
    ],
    key=lambda name: (
        name in ENDING,
        name.startswith("DELETE"),
        name.count("/") if name.startswith("DELETE") else 0,
    ),
)


@pytest.mark.parametrize("name", CASES)
def test_answers_keep_the_promises_of_the_description(
    populated: Populated, operations: dict[str, Any], read: set[str], name: str
) -> None:
    statuses = fuzz(populated, operations[name], examples=EXAMPLES, derandomize=True)
    method, path = name.split(" ", 1)
    described = OPERATIONS.get(path, {}).get(method)
    if described is None:
        return
    # What a handler looks at is described, and what is described is looked at.
    assert read <= set(described.parameters)
    if statuses[described.status or 404]:
        assert read == set(described.parameters)
