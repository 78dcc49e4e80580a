"""
Time-limited credentials for TURN servers.

The user name is the time until which it counts, a colon and a nonce; the password is a MAC of the
user name under a secret that the TURN server shares (draft-uberti-behave-turn-rest-00 section 2.2,
coturn's ``use-auth-secret``). Nobody has to remember what was handed out.
"""

import base64
import hashlib
import hmac
import random
from dataclasses import dataclass
from datetime import datetime, timedelta

LIFETIME_MAX = timedelta(hours=24)
"""Also what clients get: they ask once, and may restart ICE as long as their session lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCredential:
    """A user name and its password."""

    username: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnServers:
    """The operator's STUN and TURN servers."""

    urls: tuple[str, ...]
    """``stun:``, ``stuns:``, ``turn:`` and ``turns:`` URLs (RFC 7064, RFC 7065)."""
    secret: str
    """What the TURN servers share."""

    @property
    def stun_urls(self) -> tuple[str, ...]:
        """Return those that ask for no credential."""
        return tuple(url for url in self.urls if not needs_credential(url))

    @property
    def turn_urls(self) -> tuple[str, ...]:
        """Return those that ask for one."""
        return tuple(url for url in self.urls if needs_credential(url))

    def issue(self, *, now: datetime, lifetime: timedelta, rng: random.Random) -> TurnCredential:
        """Return a fresh credential. :param now: Aware wall time."""
        expires_at = int((now + lifetime).timestamp())
        username = f"{expires_at}:{rng.getrandbits(128):032x}"
        digest = hmac.new(self.secret.encode(), username.encode(), hashlib.sha1).digest()
        return TurnCredential(username=username, password=base64.b64encode(digest).decode())


def needs_credential(url: str) -> bool:
    """Tell whether a URL is that of a TURN server."""
    return url.lower().startswith(("turn:", "turns:"))
