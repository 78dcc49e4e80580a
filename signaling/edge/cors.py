"""
Which pages of other origins may read answers (the Fetch standard's CORS protocol).

Credentials of the browser are never allowed: whoever calls writes an ``Authorization`` header.
"""

from collections.abc import Iterable, Mapping

ANY = "*"
PREFLIGHT_LIFETIME = 7200
"""Seconds; browsers keep it no longer."""
METHODS = "DELETE, GET, PATCH, POST"
REQUEST_HEADERS = "Authorization, Content-Type, If-Match"
EXPOSED_HEADERS = (
    "Accept-Patch, Accept-Post, ETag, Link, Location, Retry-After, Twilio-Request-Id, "
    "WWW-Authenticate"
)


class CorsPolicy:
    """
    The operator's list of origins.

    :param origins: As browsers write them, in lower case and without a slash at the end; ``*``
        stands for every origin. Empty: CORS is off.
    """

    def __init__(self, origins: Iterable[str] = ()) -> None:
        self._origins = frozenset(origins)

    @property
    def is_on(self) -> bool:
        """Tell whether any origin is listed."""
        return bool(self._origins)

    def answer_headers(self, origin: str | None) -> Mapping[str, str]:
        """Return the headers of an answer to a request from an origin."""
        if not self._origins:
            return {}
        allowed = self._allowed(origin)
        headers = {} if ANY in self._origins else {"Vary": "Origin"}
        if allowed is not None:
            headers |= {
                "Access-Control-Allow-Origin": allowed,
                "Access-Control-Expose-Headers": EXPOSED_HEADERS,
            }
        return headers

    def preflight_headers(self, origin: str) -> Mapping[str, str] | None:
        """Return the headers of the answer to a preflight, or None when it gets none."""
        allowed = self._allowed(origin)
        if allowed is None:
            return None
        headers = {
            "Access-Control-Allow-Origin": allowed,
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": REQUEST_HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_LIFETIME),
        }
        return headers if allowed == ANY else headers | {"Vary": "Origin"}

    def _allowed(self, origin: str | None) -> str | None:
        if origin is None:
            return None
        if ANY in self._origins:
            return ANY
        return origin if origin in self._origins else None
