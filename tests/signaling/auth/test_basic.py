import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.auth.account import Account
from signaling.auth.basic import authenticate
from signaling.ids import AccountSid, ApiKeySid

ACCOUNT = Account(
    account_sid=AccountSid("AC" + "1" * 32),
    api_key_sid=ApiKeySid("SK" + "2" * 32),
    auth_token="the auth token",
    api_key_secret="the:key:secret",
)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_both_pairs_are_accepted() -> None:
    account, key = ACCOUNT.account_sid, ACCOUNT.api_key_sid
    assert authenticate(basic(account, "the auth token"), ACCOUNT) == account
    assert authenticate(basic(key, "the:key:secret"), ACCOUNT) == key
    assert authenticate(basic(key, "the:key:secret").replace("Basic", "bASIC"), ACCOUNT) == key


@pytest.mark.parametrize(
    ("user", "password"),
    [
        (ACCOUNT.account_sid, "the:key:secret"),
        (ACCOUNT.api_key_sid, "the auth token"),
        (ACCOUNT.account_sid, ""),
        ("", ""),
        ("AC" + "3" * 32, "the auth token"),
        (ACCOUNT.account_sid, "the auth tokeN"),
    ],
)
def test_other_pairs_are_refused(user: str, password: str) -> None:
    assert not authenticate(basic(user, password), ACCOUNT)


def test_account_without_auth_token_is_not_open_to_an_empty_password() -> None:
    account = Account(
        account_sid=ACCOUNT.account_sid,
        api_key_sid=ACCOUNT.api_key_sid,
        auth_token="",
        api_key_secret="secret",
    )
    assert not authenticate(basic(account.account_sid, ""), account)
    assert authenticate(basic(account.api_key_sid, "secret"), account)


@pytest.mark.parametrize(
    "header", [None, "", "Basic", "Basic ", "Basic !!!", "Basic /////w==", "Bearer abc", "x" * 9999]
)
def test_malformed_headers_are_refused(header: str | None) -> None:
    assert not authenticate(header, ACCOUNT)


@given(st.text(), st.binary())
def test_no_header_raises(scheme: str, data: bytes) -> None:
    assert not authenticate(f"{scheme} {base64.b64encode(data).decode()}", ACCOUNT)
