"""How often a client may ask: by its address before it is known, by its key afterwards."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from signaling.edge.clients import limit_key
from signaling.edge.rates import RateLimiter


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """The settings; 0 sets no limit."""

    key_requests_per_second: float = 0.0
    """REST requests with one API key, or with the account's own password."""
    address_requests_per_second: float = 0.0
    """Requests from one address."""
    refused_logins_per_minute: float = 0.0
    """Refused credentials from one address; then all from there are refused for a while."""
    joins_per_minute: float = 0.0
    """WebSockets and WHIP or WHEP sessions from one address."""


class EdgeLimits:
    """
    Counts. Each method returns 0.0, or the seconds after which a client may try again.

    :param monotonic: The time in seconds.
    """

    def __init__(self, settings: LimitSettings, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        keys, addresses = settings.key_requests_per_second, settings.address_requests_per_second
        logins, joins = settings.refused_logins_per_minute, settings.joins_per_minute
        self._keys = RateLimiter(rate=keys, burst=keys)
        self._addresses = RateLimiter(rate=addresses, burst=addresses)
        # What is given by the minute may come all at once: a whole office reconnects.
        self._logins = RateLimiter(rate=logins / 60, burst=logins)
        self._joins = RateLimiter(rate=joins / 60, burst=joins)
        self.refusals: Counter[str] = Counter(key=0, address=0, login=0, join=0)
        """Requests refused by ``key``, ``address``, ``login`` and ``join``."""

    def admit_key(self, key: str) -> float:
        """Count a request of somebody who is known."""
        return self._told("key", self._keys.take(key, self._monotonic()))

    def admit_request(self, address: str) -> float:
        """Count a request."""
        key = limit_key(address)
        return self._told("address", self._addresses.take(key, self._monotonic()))

    def admit_join(self, address: str) -> float:
        """Count somebody who comes to stay."""
        return self._told("join", self._joins.take(limit_key(address), self._monotonic()))

    def admit_login(self, address: str) -> float:
        """Tell whether credentials from an address are looked at; counts nothing."""
        return self._told("login", self._logins.wait(limit_key(address), self._monotonic()))

    def login_refused(self, address: str) -> None:
        """Count wrong credentials."""
        self._logins.spend(limit_key(address), self._monotonic())

    def _told(self, name: str, wait: float) -> float:
        if wait > 0.0:
            self.refusals[name] += 1
        return wait
