"""Requests that schemathesis makes from the description, held against what it promises."""

from collections import Counter
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from signaling.openapi.operations import OPERATIONS

from .conftest import OFFER, Populated

CHECKS: list[Any] = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
WHIP = ("/whip/{Room}", "/whep/{Room}")
MODES = (GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE)

for media_type in ("application/sdp", "application/trickle-ice-sdpfrag"):
    schemathesis.serializer.alias(media_type, "text/plain")


def operations_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return schemathesis' operations by method and path."""
    schema = schemathesis.openapi.from_dict(document)
    found = {}
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        found[f"{operation.method.upper()} {operation.path}"] = operation
    return found


def fuzz(populated: Populated, operation: Any, *, examples: int, derandomize: bool) -> Counter[int]:
    """
    Send requests, most of them to what exists; return how often each status was answered.

    :raises Exception: schemathesis', saying which promise which request broke.
    """
    statuses: Counter[int] = Counter()
    likely = _likely_values(populated, operation)

    @settings(
        max_examples=examples,
        derandomize=derandomize,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def run(data: st.DataObject) -> None:
        # Negation needs something that can be wrong, which not every operation has.
        modes = MODES if _can_be_negated(operation) else MODES[:1]
        case = data.draw(operation.as_strategy(generation_mode=data.draw(st.sampled_from(modes))))
        if operation.path in WHIP and data.draw(st.booleans()):
            case.body = OFFER
        if case.path_parameters and data.draw(st.integers(0, 3)):
            for name in case.path_parameters:
                case.path_parameters[name] = data.draw(st.sampled_from(populated.names[name]))
        if isinstance(case.body, dict):
            for name, known in likely.items():
                if data.draw(st.booleans()):
                    case.body[name] = data.draw(st.sampled_from(known))
        statuses[send(populated, case)] += 1

    run()
    return statuses


def send(populated: Populated, case: Case[Any]) -> int:
    """Send one request and hold the answer against the description."""
    by_token = case.path.startswith(("/whip", "/whep"))
    session, headers = (None, populated.bearer) if by_token else (populated.http, {})
    if case.path in WHIP:
        # As somebody else: the session that there is would make way for the same identity.
        headers = populated.other_bearer
    answer = case.call(
        base_url=populated.url, session=session, headers=headers, timeout=20, allow_redirects=False
    )
    case.validate_response(answer, checks=CHECKS)
    return int(answer.status_code)


def _can_be_negated(operation: Any) -> bool:
    return bool(list(operation.iter_parameters())) or bool(operation.body)


def _likely_values(populated: Populated, operation: Any) -> dict[str, list[Any]]:
    """Return values of a form that chance would not find: SIDs of what exists, texts with JSON."""
    form = OPERATIONS.get(operation.path, {}).get(operation.method.upper())
    if form is None:
        return {}
    found = {name: schema.get("examples", []) for name, schema in form.parameters.items()}
    found |= {name: populated.names[name] for name in found.keys() & populated.names.keys()}
    # Those that the lists of sources need, which have any text in them otherwise.
    found |= {name: [["*"], ["mic"]] for name in found if name == "AudioSources"}
    if form.body is not None:
        person, track = populated.names["ParticipantSid"][0], populated.names["TrackSid"][0]
        found |= {"participant": [person], "track": [track]}
    return {name: known for name, known in found.items() if known}
