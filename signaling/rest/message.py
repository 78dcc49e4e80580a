"""Requests and responses, free of any HTTP library."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from math import ceil

from signaling.errors import ApiError, ErrorCode

JSON = "application/json; charset=utf-8"
MORE_INFO = "https://www.twilio.com/docs/errors/"
RETRY_AFTER = 2
"""Seconds after which a request that the store failed may come again."""


class BodyTooLarge(Exception):
    """The body has more bytes than the server takes."""


class BodyTooSlow(Exception):
    """The body did not arrive in time, or the client went before it had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What came in."""

    method: str
    path: str
    """As on the request line, percent-encoded, without the query."""
    query: str
    """As on the request line, without the question mark."""
    headers: Mapping[str, str]
    """By lower-case name."""
    base_url: str
    """Scheme and authority under which the client reached the server; no slash at the end."""
    read_body: Callable[[], Awaitable[bytes]]
    """Reads the whole body; raises :class:`BodyTooLarge` and :class:`BodyTooSlow`. Called only once
    the caller is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What goes out."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(
    status: int, members: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response with a JSON object."""
    return Response(
        status=status,
        body=json.dumps(members, separators=(",", ":")).encode(),
        headers={"Content-Type": JSON, **(headers or {})},
    )


def error_response(error: ApiError, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response that tells an error."""
    members = {
        "code": error.code,
        "message": error.message,
        "more_info": f"{MORE_INFO}{error.code}",
        "status": error.status,
    }
    return json_response(error.status, members, headers)


def unavailable_response() -> Response:
    """Return the response of a server that has no store at the moment."""
    headers = {"Retry-After": retry_after(RETRY_AFTER)}
    return error_response(ApiError.of(ErrorCode.UNAVAILABLE), headers)


def retry_after(wait: float) -> str:
    """Return the value of ``Retry-After`` (RFC 9110 section 10.2.3): whole seconds, 1 or more."""
    return str(max(1, ceil(wait)))
