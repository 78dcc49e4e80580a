"""The one account of a server: from the settings, or made at the first start and kept in a file."""

import json
import os
import random
from dataclasses import dataclass, field
from pathlib import Path

from signaling.errors import ConfigError
from signaling.ids import AccountSid, ApiKeySid, is_sid, new_account_sid, new_api_key_sid

ACCOUNT_FILE = "account.json"
_MEMBERS = ("account_sid", "auth_token", "api_key_sid", "api_key_secret")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account and its API key."""

    account_sid: AccountSid
    api_key_sid: ApiKeySid
    auth_token: str = field(repr=False)
    """Password of the account SID in the REST API; empty when that way in is closed."""
    api_key_secret: str = field(repr=False)
    """Password of the API key in the REST API, and what access tokens are signed with."""

    def __post_init__(self) -> None:
        if not is_sid(self.account_sid, "AC"):
            raise ConfigError("account_sid must be AC followed by 32 hexadecimal digits")
        if not is_sid(self.api_key_sid, "SK"):
            raise ConfigError("api_key_sid must be SK followed by 32 hexadecimal digits")
        if not self.api_key_secret:
            raise ConfigError("api_key_secret is empty")

    @property
    def keys(self) -> dict[ApiKeySid, str]:
        """The secret of each API key, for a token verifier."""
        return {self.api_key_sid: self.api_key_secret}


def make_account(rng: random.Random) -> Account:
    """Return a fresh account with fresh secrets."""
    return Account(
        account_sid=new_account_sid(rng),
        api_key_sid=new_api_key_sid(rng),
        auth_token=f"{rng.getrandbits(128):032x}",
        api_key_secret=f"{rng.getrandbits(192):048x}",
    )


def load_or_make_account(data_dir: Path, rng: random.Random) -> tuple[Account, bool]:
    """
    Return the account kept in the data directory; make and keep one if there is none.

    :return: The account, and whether it was made just now.
    :raises ConfigError: if the file cannot be read, written or understood.
    """
    path = data_dir / ACCOUNT_FILE
    try:
        return _read_account(path), False
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    account = make_account(rng)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        _write_account(path, account)
    except FileExistsError:
        # Another server on this directory was quicker.
        return _read_account(path), False
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    return account, True


def _read_account(path: Path) -> Account:
    try:
        members = json.loads(path.read_text(encoding="utf-8"))
        texts = {name: str(members[name]) for name in _MEMBERS}
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} does not hold an account") from error
    return Account(
        account_sid=AccountSid(texts["account_sid"]),
        api_key_sid=ApiKeySid(texts["api_key_sid"]),
        auth_token=texts["auth_token"],
        api_key_secret=texts["api_key_secret"],
    )


def _write_account(path: Path, account: Account) -> None:
    text = json.dumps({name: getattr(account, name) for name in _MEMBERS}, indent=2) + "\n"
    # Written aside and linked into place: a reader sees the whole file or none, and of two writers
    # one fails. The mode holds from the first byte on, whatever the umask.
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, path)
    finally:
        aside.unlink()
