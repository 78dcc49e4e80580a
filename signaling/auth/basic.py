"""HTTP Basic authentication (RFC 7617) of the REST API."""

import base64
import binascii
import hashlib
import hmac

from signaling.auth.account import Account

HEADER_MAX_CHARACTERS = 4096


def is_authentic(authorization: str | None, account: Account) -> bool:
    """
    Tell whether an ``Authorization`` header holds credentials of the account.

    Either the account's SID with its auth token, or an API key's SID with that key's secret. How
    long this takes tells nothing about how much of a wrong pair was right.
    """
    user, password = _parse_basic(authorization)
    pairs = (
        (account.account_sid, account.auth_token),
        (account.api_key_sid, account.api_key_secret),
    )
    authentic = False
    for expected_user, expected_password in pairs:
        matches = _equal(user, expected_user) & _equal(password, expected_password)
        authentic |= matches and bool(expected_password)
    return authentic


def _parse_basic(authorization: str | None) -> tuple[str, str]:
    if authorization is None or len(authorization) > HEADER_MAX_CHARACTERS:
        return "", ""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        text = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return "", ""
    user, _, password = text.partition(":")
    return user, password


def _equal(given: str, expected: str) -> bool:
    # Digests are of one length, so that not even the expected one's length shows.
    return hmac.compare_digest(
        hashlib.sha256(given.encode()).digest(), hashlib.sha256(expected.encode()).digest()
    )
