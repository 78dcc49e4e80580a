"""
The state cookie: what INIT ACK asks the peer to bring back (RFC 9260 sections 5.1.3, 5.2.4).

Nothing is kept for an INIT; all that is needed to set the association up is in the cookie, under a
MAC. The format is this implementation's own business.
"""

import hmac
import struct
from dataclasses import dataclass
from enum import Enum

from ..errors import AuthenticationFailed
from .peer_parameters import PEER_PARAMETERS_BYTES, PeerParameters, parse_peer_parameters

_FIELDS = struct.Struct("!dIIII")  # created at, local tag, local initial TSN, both tie-tags
_MAC_BYTES = 32
COOKIE_BYTES = _FIELDS.size + PEER_PARAMETERS_BYTES + _MAC_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class StateCookie:
    """The association as it will be when the cookie comes back."""

    created_at: float
    local_tag: int
    local_initial_tsn: int
    local_tie_tag: int
    """The local tag of the association that existed when the INIT came; 0 if there was none."""
    peer_tie_tag: int
    """The peer's tag of that association; 0 if there was none."""
    peer: PeerParameters

    def seal(self, key: bytes) -> bytes:
        """Return the cookie's bytes, ``COOKIE_BYTES`` of them, with HMAC-SHA-256 under ``key``."""
        state = (
            _FIELDS.pack(
                self.created_at,
                self.local_tag,
                self.local_initial_tsn,
                self.local_tie_tag,
                self.peer_tie_tag,
            )
            + self.peer.serialize()
        )
        return state + hmac.digest(key, state, "sha256")


def open_cookie(data: bytes, key: bytes) -> StateCookie:
    """
    Return the cookie that :meth:`StateCookie.seal` wrote; its age is for the caller to judge.

    :raises AuthenticationFailed: if the length or the MAC is wrong.
    """
    state, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
    if len(data) != COOKIE_BYTES or not hmac.compare_digest(hmac.digest(key, state, "sha256"), mac):
        raise AuthenticationFailed("state cookie is not ours")
    created_at, local_tag, initial_tsn, local_tie_tag, peer_tie_tag = _FIELDS.unpack_from(state)
    return StateCookie(
        created_at=created_at,
        local_tag=local_tag,
        local_initial_tsn=initial_tsn,
        local_tie_tag=local_tie_tag,
        peer_tie_tag=peer_tie_tag,
        peer=parse_peer_parameters(state[_FIELDS.size :]),
    )


class CookieAction(Enum):
    """What a valid COOKIE ECHO means when an association exists (section 5.2.4)."""

    RESTART = "A"
    ESTABLISH = "B"
    """Both sides sent INIT; take the peer's tag from the cookie."""
    DISCARD = "C"
    """It was delayed; the association has moved on."""
    ACKNOWLEDGE = "D"
    """All tags match: the COOKIE ACK is (perhaps again) due."""


def classify_cookie(cookie: StateCookie, *, local_tag: int, peer_tag: int) -> CookieAction:
    """
    Compare the cookie's tags with those of the association (table 12 of section 5.2.4).

    :param peer_tag: 0 while no INIT ACK has come, which matches no cookie.
    """
    if cookie.local_tag == local_tag:
        if cookie.peer.initiate_tag == peer_tag:
            return CookieAction.ACKNOWLEDGE
        return CookieAction.ESTABLISH
    if (
        cookie.peer.initiate_tag != peer_tag
        and cookie.local_tie_tag == local_tag
        and cookie.peer_tie_tag == peer_tag
    ):
        return CookieAction.RESTART
    return CookieAction.DISCARD
