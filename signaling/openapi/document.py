"""The OpenAPI 3.1 document, made of the routes that are served and what is said of each."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from signaling.rest.route import FORM, JSON, LEGACY_VERSION, VERSION, Route

from .http_paths import HTTP_PATHS
from .operations import OPERATIONS, Operation
from .schemas import SCHEMAS, reference

OPENAPI_VERSION = "3.1.0"
_NAME = re.compile(r"\{([A-Za-z]+)\}")
_REFUSALS = (400, 401, 404, 429, 503)
_BODY_REFUSALS = (408, 413, 415)


def describe(routes: Iterable[Route], *, version: str) -> dict[str, Any]:
    """
    Return the description of the API.

    :param routes: All routes of REST.
    :param version: Of the server.
    :raises ValueError: when an operation is served and not described, or described and not served.
    """
    served = {
        (route.version, route.segments, method): route
        for route in routes
        for method in route.methods
    }
    described = {
        (*_split(path), method): (path, operation)
        for path, operations in OPERATIONS.items()
        for method, operation in operations.items()
    }
    if odd := served.keys() ^ described.keys():
        raise ValueError(f"served or described, but not both: {sorted(map(str, odd))}")
    paths: dict[str, dict[str, Any]] = {}
    for key, (path, operation) in described.items():
        if served[key].media_type != (FORM if operation.body is None else JSON):
            raise ValueError(f"{path} takes {served[key].media_type}")
        paths.setdefault(path, {})[key[-1].lower()] = _operation(path, key[-1], operation)
    return {
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": "Parlour",
            "version": version,
            "description": "Rooms and all that belongs to them, as the twilio helper libraries "
            "call them; WHIP and WHEP; health.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"basic": []}],
        "paths": paths | HTTP_PATHS,
        "components": {
            "schemas": SCHEMAS,
            "responses": {
                f"Error{status}": _refusal(status) for status in _REFUSALS + _BODY_REFUSALS
            },
            "securitySchemes": {
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The SID of an API key with its secret, or that of the account "
                    "with its auth token.",
                },
                "accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    }


def _split(path: str) -> tuple[str, tuple[str | None, ...]]:
    version, *segments = path.split("/")[1:]
    assert version in (VERSION, LEGACY_VERSION), path
    return version, tuple(None if _NAME.match(segment) else segment for segment in segments)


def _operation(path: str, method: str, operation: Operation) -> dict[str, Any]:
    has_body = method == "POST"
    found: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": f"{method.lower()}{re.sub('[^A-Za-z0-9]+', '_', path)}".rstrip("_"),
        "tags": [path.split("/")[2] if path.startswith(f"/{VERSION}/") else "Account"],
        "responses": _responses(operation, refusals=_REFUSALS + _BODY_REFUSALS * has_body),
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _NAME.findall(path)
    ]
    if has_body:
        if operation.body is not None:
            content = {JSON: {"schema": operation.body}}
            found["requestBody"] = {"required": True, "content": content}
        elif operation.parameters:
            required = {"required": list(operation.required)} if operation.required else {}
            form = {"type": "object", "properties": operation.parameters, **required}
            found["requestBody"] = {
                "required": bool(operation.required),
                "content": {FORM: {"schema": form}},
            }
    else:
        parameters += [
            {"name": name, "in": "query", "required": name in operation.required, "schema": schema}
            for name, schema in operation.parameters.items()
        ]
    return found | ({"parameters": parameters} if parameters else {})


def _responses(operation: Operation, *, refusals: Iterable[int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if operation.status is not None:
        found[str(operation.status)] = _response(operation.status, operation.answer)
    return found | {
        str(status): {"$ref": f"#/components/responses/Error{status}"} for status in refusals
    }


def _refusal(status: int) -> dict[str, Any]:
    found = _response(status, reference("Error"))
    found["headers"] |= _REFUSAL_HEADERS.get(status, {})
    return found


_REFUSAL_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}},
    429: {"Retry-After": {"required": True, "schema": {"type": "string", "pattern": "^[0-9]+$"}}},
}


def _response(status: int, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    request_sid = {"type": "string", "pattern": "^RQ[0-9a-f]{32}$"}
    found: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        # A request over an address's limit never reaches the API, and has no name.
        "headers": {"Twilio-Request-Id": {"required": status != 429, "schema": request_sid}},
    }
    return found if schema is None else found | {"content": {JSON: {"schema": schema}}}
