"""The account that the settings give, or the one that is kept in the data directory."""

import random
from pathlib import Path
from typing import TextIO

from signaling.auth.account import ACCOUNT_FILE, Account, load_or_make_account
from signaling.config import Settings
from signaling.ids import AccountSid, ApiKeySid


def account_of(settings: Settings, rng: random.Random) -> tuple[Account, bool]:
    """
    Return the server's account, and whether it was made just now.

    :raises ConfigError: when it is malformed, or its file cannot be used.
    """
    if not settings.account_sid:
        return load_or_make_account(settings.data_dir, rng)
    account = Account(
        account_sid=AccountSid(settings.account_sid),
        auth_token=settings.auth_token.get_secret_value(),
        api_key_sid=ApiKeySid(settings.api_key_sid),
        api_key_secret=settings.api_key_secret.get_secret_value(),
    )
    return account, False


def print_account(account: Account, data_dir: Path, *, file: TextIO) -> None:
    """Show a new account; the only time that a secret is printed."""
    print(
        "A new account was made. Its secrets are shown this once; "
        f"they are kept in {data_dir / ACCOUNT_FILE}.\n"
        f"  account SID     {account.account_sid}\n"
        f"  auth token      {account.auth_token}\n"
        f"  API key SID     {account.api_key_sid}\n"
        f"  API key secret  {account.api_key_secret}",
        file=file,
        flush=True,
    )
