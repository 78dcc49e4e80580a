"""
Access tokens: JWTs (RFC 7519) that a back end signs with an API key and a participant presents.

Every fault has a code of its own. They are looked for in this order: decoding, header, issuer,
signature, times, grants; so the times and grants of a token that nobody signed are never judged.
Everything here is pure: the time comes in, and nothing is remembered.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeGuard

import jwt
from jwt.utils import base64url_encode

from signaling.auth.revocations import Revocations
from signaling.errors import ErrorCode, TokenError
from signaling.ids import AccountSid, ApiKeySid

ALGORITHMS = ("HS256", "HS384", "HS512")
CONTENT_TYPE = "twilio-fpa;v=1"
LEEWAY = timedelta(seconds=60)
"""How far the clocks of the back end and of this server may be apart."""
LIFETIME_MAX = timedelta(hours=24)
TOKEN_MAX_BYTES = 16 * 1024
"""Longer tokens are refused before they are looked at; real ones have well under 2 KiB."""
IDENTITY_MAX_CHARACTERS = 128

# Seconds, in the year 9999: where datetime ends. A token for later is as bad as one for never.
_TIME_MAX = 253_402_300_799

# Only HMAC is known to this instance, so that no header can turn a secret into a public key.
_JWS = jwt.PyJWS(algorithms=ALGORITHMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What a verified token says."""

    identity: str
    """Who the participant is, 1 to 128 characters."""
    room: str | None
    """Name or SID of the only room that it admits to; None admits to any."""
    key_sid: ApiKeySid
    account_sid: AccountSid
    expires_at: datetime
    jti: str | None = None
    """The token's own name; not unique by force."""
    issued_at: datetime | None = None
    """When its life began, as it says: ``iat``, else ``nbf``."""

    def admits_to(self, *, name: str | None = None, sid: str | None = None) -> bool:
        """Tell whether the token admits to the room that has this name or SID."""
        return self.room is None or self.room in (name, sid)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVerifier:
    """Checks access tokens of one account."""

    account_sid: AccountSid
    keys: Mapping[ApiKeySid, str]
    """The secret of each API key; it may change while the server runs."""
    revocations: Revocations | None = None
    """Tokens that were taken back; None when none can be."""

    def verify(self, token: object, now: datetime, *, allow_expired: bool = False) -> AccessToken:
        """
        Return what a token grants.

        :param token: What the client sent; anything but a token is refused with 20101.
        :param now: Aware wall time.
        :param allow_expired: Accept a token whose time has passed, for a session that began before.
        :raises TokenError: with the code of the first fault.
        """
        header, claims, text = _decode(token)
        if (
            header.get("typ") != "JWT"
            or header.get("alg") not in ALGORITHMS
            or header.get("cty") != CONTENT_TYPE
        ):
            _refuse(ErrorCode.TOKEN_HEADER_INVALID)
        issuer = claims.get("iss")
        secret = self.keys.get(ApiKeySid(issuer)) if isinstance(issuer, str) else None
        if secret is None or claims.get("sub") != self.account_sid:
            _refuse(ErrorCode.TOKEN_ISSUER_INVALID)
        if not _is_signed(text, header["alg"], secret):
            _refuse(ErrorCode.TOKEN_SIGNATURE_INVALID)
        expires_at = _check_times(claims, now, allow_expired=allow_expired)
        room, identity = _read_grants(claims.get("grants"))
        jti = claims.get("jti")
        token_facts = AccessToken(
            identity=identity,
            room=room,
            key_sid=ApiKeySid(str(issuer)),
            account_sid=self.account_sid,
            expires_at=expires_at,
            jti=jti if isinstance(jti, str) else None,
            issued_at=_issued_at(claims),
        )
        self.check_in_force(token_facts)
        return token_facts

    def verify_again(self, token: AccessToken, now: datetime) -> bool:
        """
        Tell whether a token that was verified a moment ago is still good, at a small part of the
        cost; if not, :meth:`verify` tells why.
        """
        if now >= token.expires_at + LEEWAY:
            return False
        try:
            self.check_in_force(token)
        except TokenError:
            return False
        return True

    def check_in_force(self, token: AccessToken) -> None:
        """
        Tell whether a verified token still counts; keys and tokens may be taken back meanwhile.

        :raises TokenError: 20103 when its key is gone, 20101 when it was revoked.
        """
        if token.key_sid not in self.keys:
            _refuse(ErrorCode.TOKEN_ISSUER_INVALID)
        if self.revocations is not None and self.revocations.include(token):
            _refuse(ErrorCode.TOKEN_INVALID)


def mint_access_token(
    *,
    account_sid: AccountSid,
    key_sid: ApiKeySid,
    secret: str,
    identity: str,
    room: str | None,
    now: datetime,
    lifetime: timedelta = timedelta(hours=1),
) -> str:
    """
    Return a signed token as the helper libraries make it.

    :param room: Name or SID of the only room that it admits to; None for any room.
    :param now: Aware wall time, the start of the token's life.
    :param lifetime: More than zero, at most 24 hours.
    :raises TokenError: if the identity is none that :meth:`TokenVerifier.verify` would accept.
    :raises ValueError: if the lifetime is out of range.
    """
    if not timedelta(0) < lifetime <= LIFETIME_MAX:
        raise ValueError(f"token lifetime is {lifetime}, allowed is up to {LIFETIME_MAX}")
    _check_identity(identity)
    start = int(now.timestamp())
    claims = {
        "jti": f"{key_sid}-{start}",
        "iss": key_sid,
        "sub": account_sid,
        "iat": start,
        "nbf": start,
        "exp": start + int(lifetime.total_seconds()),
        "grants": {"identity": identity, "video": {} if room is None else {"room": room}},
    }
    return _JWS.encode(
        json.dumps(claims, separators=(",", ":")).encode(),
        secret,
        algorithm="HS256",
        headers={"typ": "JWT", "cty": CONTENT_TYPE},
    )


def _decode(token: object) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return header, claims and text of a token whose signature was not looked at."""
    if not isinstance(token, str) or len(token) > TOKEN_MAX_BYTES or token.count(".") != 2:
        _refuse(ErrorCode.TOKEN_INVALID)
    signed, _, _ = token.rpartition(".")
    try:
        # Without its last segment, so that a garbled signature counts as a wrong one.
        parts = _JWS.decode_complete(f"{signed}.", options={"verify_signature": False})
        header, claims = parts["header"], json.loads(parts["payload"])
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        raise TokenError(ErrorCode.TOKEN_INVALID) from None
    if not isinstance(claims, dict):
        _refuse(ErrorCode.TOKEN_INVALID)
    return header, claims, token


def _is_signed(text: str, algorithm: str, secret: str) -> bool:
    signed, _, signature = text.rpartition(".")
    digest = _JWS.get_algorithm_by_name(algorithm).sign(signed.encode(), secret.encode())
    # The text is compared, so that of all spellings of a signature only the canonical one counts;
    # some issuers pad it.
    given = signature.removesuffix("=").removesuffix("=")
    return hmac.compare_digest(base64url_encode(digest), given.encode(errors="replace"))


def _check_times(claims: dict[str, Any], now: datetime, *, allow_expired: bool) -> datetime:
    seconds, leeway = now.timestamp(), LEEWAY.total_seconds()
    expires = claims.get("exp")
    if not _is_time(expires) or expires <= 0:
        _refuse(ErrorCode.TOKEN_EXPIRED)
    for name in ("iat", "nbf"):
        if claims.get(name) is not None and not _is_time(claims[name]):
            _refuse(ErrorCode.TOKEN_INVALID)
    starts = claims.get("iat")
    if starts is None:
        starts = claims.get("nbf")
    if starts is None:
        starts = min(seconds, expires)
    if expires - starts > LIFETIME_MAX.total_seconds() + leeway:
        _refuse(ErrorCode.TOKEN_EXPIRED)
    if expires <= seconds - leeway and not allow_expired:
        _refuse(ErrorCode.TOKEN_EXPIRED)
    if max(starts, claims.get("nbf") or starts) > seconds + leeway:
        _refuse(ErrorCode.TOKEN_NOT_YET_VALID)
    return datetime.fromtimestamp(expires, UTC)


def _issued_at(claims: dict[str, Any]) -> datetime | None:
    starts = claims.get("iat")
    if starts is None:
        starts = claims.get("nbf")
    # Times were checked; before 1970 nothing was issued.
    return None if starts is None else datetime.fromtimestamp(max(0, starts), UTC)


def _read_grants(grants: object) -> tuple[str | None, str]:
    video = grants.get("video") if isinstance(grants, dict) else None
    if not isinstance(grants, dict) or not isinstance(video, dict):
        _refuse(ErrorCode.TOKEN_GRANTS_INVALID)
    room = video.get("room")
    if room is not None and not isinstance(room, str):
        _refuse(ErrorCode.TOKEN_GRANTS_INVALID)
    # The libraries write an absent room as absent, some back ends as "": any room.
    return room or None, _check_identity(grants.get("identity"))


def _check_identity(identity: object) -> str:
    if not isinstance(identity, str) or not identity:
        _refuse(ErrorCode.IDENTITY_INVALID)
    if len(identity) > IDENTITY_MAX_CHARACTERS:
        _refuse(ErrorCode.IDENTITY_TOO_LONG)
    try:
        identity.encode()
    except UnicodeEncodeError:
        # JSON can spell half of a surrogate pair, UTF-8 cannot.
        raise TokenError(ErrorCode.IDENTITY_CHARACTERS_INVALID) from None
    if "\0" in identity:
        _refuse(ErrorCode.IDENTITY_CHARACTERS_INVALID)
    return identity


def _is_time(value: object) -> TypeGuard[int | float]:
    # The comparison also keeps out NaN, and integers that no float can hold.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and -_TIME_MAX < value < _TIME_MAX
    )


def _refuse(code: ErrorCode) -> NoReturn:
    raise TokenError(code)
