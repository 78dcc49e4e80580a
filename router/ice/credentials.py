"""The username fragment and password of one side of an ICE session."""

import random
import re
from dataclasses import dataclass, field

from ..errors import WireFormatError

_ICE_CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_USERNAME_FRAGMENT = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")


@dataclass(frozen=True, slots=True, kw_only=True)
class IceCredentials:
    """
    Short-term credentials as exchanged in SDP (RFC 8839 section 5.4).

    :raises WireFormatError: if a part has another form than ``ice-ufrag`` or ``ice-pwd``.
    """

    username_fragment: str
    """4..256 characters of ``[A-Za-z0-9+/]``."""
    password: str = field(repr=False)
    """22..256 such characters: at least 128 bits of randomness."""

    def __post_init__(self) -> None:
        if not _USERNAME_FRAGMENT.fullmatch(self.username_fragment):
            raise WireFormatError("ice-ufrag is not 4 to 256 ice-chars")
        if not _PASSWORD.fullmatch(self.password):
            raise WireFormatError("ice-pwd is not 22 to 256 ice-chars")


def generate_credentials(
    rng: random.Random, *, username_fragment_size: int = 8, password_size: int = 24
) -> IceCredentials:
    """
    Return fresh credentials.

    The defaults give the username fragment 48 bits, so that a server may use it as the key of its
    sessions, and the password 144 (RFC 8445 section 5.3 asks for 24 and 128).
    """
    return IceCredentials(
        username_fragment=_ice_chars(rng, username_fragment_size),
        password=_ice_chars(rng, password_size),
    )


def _ice_chars(rng: random.Random, size: int) -> str:
    # Of each byte 6 bits: one draw, which in service asks the kernel, for all of them.
    return "".join(_ICE_CHARS[byte & 63] for byte in rng.randbytes(size))
