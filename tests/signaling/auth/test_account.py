import random
import stat
from pathlib import Path

import pytest

from signaling.auth.account import ACCOUNT_FILE, Account, load_or_make_account
from signaling.errors import ConfigError
from signaling.ids import AccountSid, ApiKeySid


def test_account_is_made_once_and_kept(tmp_path: Path) -> None:
    made, fresh = load_or_make_account(tmp_path / "var", random.Random(1))
    assert fresh
    again, fresh = load_or_make_account(tmp_path / "var", random.Random(2))
    assert not fresh
    assert again == made
    assert [path.name for path in (tmp_path / "var").iterdir()] == [ACCOUNT_FILE]


def test_account_file_is_for_its_owner_only(tmp_path: Path) -> None:
    load_or_make_account(tmp_path, random.Random(1))
    assert stat.S_IMODE((tmp_path / ACCOUNT_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"account_sid": "AC"}'])
def test_spoilt_account_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / ACCOUNT_FILE).write_text(text)
    with pytest.raises(ConfigError, match="account"):
        load_or_make_account(tmp_path, random.Random(1))


def test_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"account\.json"):
        load_or_make_account(tmp_path / "file" / "var", random.Random(1))


def test_secrets_do_not_show() -> None:
    account = Account(
        account_sid=AccountSid("AC" + "1" * 32),
        api_key_sid=ApiKeySid("SK" + "1" * 32),
        auth_token="hush",
        api_key_secret="quiet",
    )
    assert "hush" not in repr(account)
    assert "quiet" not in repr(account)


@pytest.mark.parametrize(
    ("account_sid", "key_sid", "secret"),
    [
        ("AC1", "SK" + "1" * 32, "s"),
        ("AC" + "1" * 32, "AC" + "1" * 32, "s"),
        ("AC" + "1" * 32, "SK" + "1" * 32, ""),
    ],
)
def test_malformed_account_is_refused(account_sid: str, key_sid: str, secret: str) -> None:
    with pytest.raises(ConfigError):
        Account(
            account_sid=AccountSid(account_sid),
            api_key_sid=ApiKeySid(key_sid),
            auth_token="",
            api_key_secret=secret,
        )
