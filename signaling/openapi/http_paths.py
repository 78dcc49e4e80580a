"""What is served beside REST: WHIP, WHEP, the probes, and the description itself."""

from http import HTTPStatus
from typing import Any

from signaling.whip.endpoint import FRAGMENT, PROBLEM, PROTOCOLS, SDP

from .route import PATH
from .schemas import TEXT, Schema, reference

_BEARER: list[dict[str, list[str]]] = [{"accessToken": []}]


def _answer(
    status: int, *, content: str | None = None, schema: Schema = TEXT, **headers: bool
) -> dict[str, Any]:
    """Return an answer. :param headers: With underscores for hyphens; whether each always comes."""
    found: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if headers:
        found["headers"] = {
            name.replace("_", "-"): {"required": required, "schema": TEXT}
            for name, required in headers.items()
        }
    return found if content is None else found | {"content": {content: {"schema": schema}}}


def _refusals(*statuses: int) -> dict[str, Any]:
    headers = {401: {"WWW_Authenticate": True}, 429: {"Retry_After": True}}
    return {
        str(status): _answer(
            status, content=PROBLEM, schema=reference("Problem"), **headers.get(status, {})
        )
        for status in statuses
    }


def _name(name: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _body(content: str) -> dict[str, Any]:
    return {"required": True, "content": {content: {"schema": TEXT}}}


def _endpoint(protocol: str) -> dict[str, Any]:
    does = "Publish" if protocol == "whip" else "Watch"
    return {
        "parameters": [_name("Room")],
        "post": {
            "summary": f"{does}: an offer in, the answer out",
            "operationId": f"{protocol}_create",
            "tags": [protocol.upper()],
            "security": _BEARER,
            "requestBody": _body(SDP),
            "responses": {
                "201": _answer(
                    201,
                    content=SDP,
                    Location=True,
                    ETag=True,
                    Accept_Patch=True,
                    Link=False,
                ),
                **_refusals(400, 401, 403, 404, 406, 408, 409, 413, 415, 429, 503),
            },
        },
        "options": {
            "summary": "What can be sent",
            "operationId": f"{protocol}_endpoint_options",
            "tags": [protocol.upper()],
            "security": [],
            "responses": {"204": _answer(204, Allow=True, Accept_Post=True), **_refusals(429)},
        },
    }


def _resource(protocol: str) -> dict[str, Any]:
    return {
        "parameters": [_name("Room"), _name("Session")],
        "patch": {
            "summary": "Trickled candidates (204), or an ICE restart (200)",
            "operationId": f"{protocol}_patch",
            "tags": [protocol.upper()],
            "security": _BEARER,
            "parameters": [{"name": "If-Match", "in": "header", "required": False, "schema": TEXT}],
            "requestBody": _body(FRAGMENT),
            "responses": {
                "200": _answer(200, content=FRAGMENT, ETag=True),
                "204": _answer(204),
                **_refusals(400, 401, 403, 404, 408, 409, 412, 413, 415, 428, 429, 503),
            },
        },
        "delete": {
            "summary": "Leave",
            "operationId": f"{protocol}_delete",
            "tags": [protocol.upper()],
            "security": _BEARER,
            "responses": {"200": _answer(200), **_refusals(401, 403, 404, 429)},
        },
        "options": {
            "summary": "What can be sent",
            "operationId": f"{protocol}_resource_options",
            "tags": [protocol.upper()],
            "security": [],
            "responses": {"204": _answer(204, Allow=True, Accept_Patch=True), **_refusals(429)},
        },
    }


def _probe(name: str, summary: str) -> dict[str, Any]:
    return {
        "get": {
            "summary": summary,
            "operationId": name,
            "tags": ["Health"],
            "security": [],
            "responses": {
                "200": _answer(200, content="text/plain"),
                "503": _answer(503, content="text/plain"),
            },
        }
    }


HTTP_PATHS: dict[str, dict[str, Any]] = {
    **{f"/{protocol}/{{Room}}": _endpoint(protocol) for protocol in PROTOCOLS},
    **{f"/{protocol}/{{Room}}/{{Session}}": _resource(protocol) for protocol in PROTOCOLS},
    "/livez": _probe("livez", "Whether the server need not be restarted"),
    "/readyz": _probe("readyz", "Whether clients may be sent here"),
    "/startupz": _probe("startupz", "Whether the server has started"),
    PATH: {
        "get": {
            "summary": "This description",
            "operationId": "openapi",
            "tags": ["Health"],
            "security": [],
            "responses": {
                "200": _answer(200, content="application/json", schema={"type": "object"}),
                "429": _answer(
                    429, content="application/json", schema=reference("Error"), Retry_After=True
                ),
            },
        }
    },
}
