"""
Status callback URLs: where a callback goes, with which credentials and deadlines.

The fragment of a URL never leaves the server. It can hold overrides, as in ``#rc=2&tt=9000``:
``rc`` retries (0 to 5), ``rp`` what is retried (``4xx``, ``5xx``, ``ct``, ``rt``, ``all``), ``ct``,
``rt`` and ``tt`` the time to connect, to wait for an answer, and for everything, in ms. Overrides
that are out of range count as not given.
"""

import base64
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from signaling.errors import SignalingError

CONNECT_TIMEOUT = 5.0
"""Seconds."""
TOTAL_TIMEOUT = 15.0
"""Seconds."""
RETRIES_MAX = 5
_POLICIES = frozenset({"4xx", "5xx", "ct", "rt"})
_TIMEOUTS_MS = {"ct": (100, 10_000), "rt": (100, 15_000), "tt": (100, 15_000)}
_DIGITS = re.compile(r"[0-9]{1,6}", re.ASCII)


class TargetInvalid(SignalingError):
    """A text that is no URL which can be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the fragment of a URL asks for; None leaves it to us."""

    retries: int | None = None
    policies: frozenset[str] | None = None
    """Of ``4xx``, ``5xx``, ``ct`` and ``rt``."""
    connect_timeout: float = CONNECT_TIMEOUT
    """Seconds."""
    read_timeout: float | None = None
    """Seconds."""
    total_timeout: float = TOTAL_TIMEOUT
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a callback goes."""

    url: str
    """What is called and signed: without user info and fragment, ASCII only."""
    receiver: str
    """Scheme, host and port: what shares a bound of callbacks under way."""
    authorization: str | None
    """The ``Authorization`` header that the user info makes."""
    overrides: Overrides


def parse_target(url: str) -> Target:
    """
    Take a status callback URL apart.

    :raises TargetInvalid: when it cannot be called.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise TargetInvalid("the URL cannot be understood") from error
    if parts.scheme not in ("http", "https") or not host:
        raise TargetInvalid("the URL is not of HTTP")
    user_info, at, authority = parts.netloc.rpartition("@")
    if not authority.isascii():
        try:
            name = host.encode("idna").decode()
        except UnicodeError as error:
            raise TargetInvalid("the host name cannot be encoded") from error
        authority = name if port is None else f"{name}:{port}"
    query = f"?{_ascii(parts.query)}" if parts.query else ""
    default = 443 if parts.scheme == "https" else 80
    return Target(
        url=f"{parts.scheme}://{authority}{_ascii(parts.path) or '/'}{query}",
        receiver=f"{parts.scheme}://{host}:{port or default}",
        authorization=_basic(user_info) if at else None,
        overrides=_parse_overrides(parts.fragment),
    )


def receiver_of(url: str) -> str:
    """Return the receiver of a URL; one that cannot be called is its own."""
    try:
        return parse_target(url).receiver
    except TargetInvalid:
        return url


def _ascii(text: str) -> str:
    # All that is ASCII stays as it was given: the receiver checks the signature over that.
    return "".join(c if c.isascii() else quote(c, errors="replace") for c in text)


def _basic(user_info: str) -> str:
    user, _, password = user_info.partition(":")
    credentials = f"{unquote(user)}:{unquote(password)}".encode()
    return "Basic " + base64.b64encode(credentials).decode()


def _parse_overrides(fragment: str) -> Overrides:
    try:
        given = dict(parse_qsl(fragment, max_num_fields=20))
    except ValueError:
        return Overrides()
    timeouts = {name: _timeout(given.get(name), *_TIMEOUTS_MS[name]) for name in _TIMEOUTS_MS}
    asked = frozenset(given.get("rp", "").lower().split(","))
    policies = _POLICIES if "all" in asked else asked & _POLICIES
    return Overrides(
        retries=_number(given.get("rc"), 0, RETRIES_MAX),
        policies=policies or None,
        connect_timeout=timeouts["ct"] or CONNECT_TIMEOUT,
        read_timeout=timeouts["rt"],
        total_timeout=timeouts["tt"] or TOTAL_TIMEOUT,
    )


def _number(text: str | None, least: int, most: int) -> int | None:
    if text is None or not _DIGITS.fullmatch(text) or not least <= int(text) <= most:
        return None
    return int(text)


def _timeout(text: str | None, least: int, most: int) -> float | None:
    number = _number(text, least, most)
    return None if number is None else number / 1000
