"""Who may call: access tokens of participants, account and API keys of back ends."""

from signaling.auth.access_token import AccessToken, TokenVerifier, mint_access_token
from signaling.auth.account import Account
from signaling.auth.basic import authenticate

__all__ = ["AccessToken", "Account", "TokenVerifier", "authenticate", "mint_access_token"]
