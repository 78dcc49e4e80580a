"""STUN as the data plane's ICE-lite responder reads and writes it: for tests."""

from typing import final

@final
class StunMessage:
    """
    A parsed STUN message.

    :raises ValueError: when the bytes are not a STUN message.
    """

    def __new__(cls, data: bytes) -> StunMessage: ...
    @property
    def message_type(self) -> int: ...
    @property
    def transaction_id(self) -> bytes: ...
    @property
    def username(self) -> bytes | None: ...
    @property
    def local_username_fragment(self) -> bytes | None:
        """The part of USERNAME before the colon, empty when there is none."""
    @property
    def has_integrity(self) -> bool: ...
    @property
    def use_candidate(self) -> bool: ...
    @property
    def role(self) -> int:
        """Of the sender: 0 none, 1 controlling, 2 controlled."""
    @property
    def tie_breaker(self) -> int: ...
    @property
    def priority(self) -> int | None: ...
    @property
    def fingerprint(self) -> int:
        """0 absent, 1 valid, 2 wrong."""
    @property
    def unknown_attributes(self) -> tuple[int, ...]:
        """The first eight comprehension-required attributes that are not known."""
    def verify(self, password: bytes) -> bool:
        """Check MESSAGE-INTEGRITY."""
    def success(self, address: tuple[str, int], password: bytes) -> bytes:
        """Return a success response, or nothing when it would be longer than the request."""
    def error(self, code: int, password: bytes | None = None) -> bytes:
        """Return an error response, or nothing when it would be longer than the request."""
