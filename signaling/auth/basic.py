"""HTTP Basic authentication (RFC 7617) of the REST API."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from signaling.auth.account import Account
from signaling.ids import ApiKeySid

HEADER_MAX_CHARACTERS = 4096


def authenticate(
    authorization: str | None, account: Account, keys: Mapping[ApiKeySid, str] | None = None
) -> str | None:
    """
    Return whose credentials of the account an ``Authorization`` header holds, if any.

    Either the account's SID with its auth token, or an API key's SID with that key's secret. How
    long this takes tells nothing about how much of a wrong pair was right.

    :param keys: The secret of each API key in force; None stands for the account's own key.
    :return: The SID, or None when the caller is not to be let in.
    """
    user, password = _parse_basic(authorization)
    if keys is None:
        keys = account.keys
    known = _equal(user, account.account_sid)
    # SIDs are no secrets, so looking one up may take its time; comparing the secret may not.
    expected = account.auth_token if known else keys.get(ApiKeySid(user), "")
    return user if _equal(password, expected) & bool(expected) else None


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
