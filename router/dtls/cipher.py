"""
Cipher suites, and the protection of records by their AEADs.

AES-128-GCM as in RFC 5288, ChaCha20-Poly1305 as in RFC 7905. Both take the epoch and sequence
number of the record as one 64-bit number.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from ..errors import AuthenticationFailed

_ADDITIONAL_DATA = struct.Struct("!QBHH")  # epoch and sequence number, type, version, length
_EXPLICIT_NONCE_LENGTH = 8
_TAG_LENGTH = 16


class RecordProtection(Protocol):
    """Seals and opens the fragments of one epoch in one direction."""

    @property
    def expansion(self) -> int:
        """How many bytes sealing adds."""

    def seal(self, number: int, content_type: int, version: int, plaintext: bytes) -> bytes:
        """Return the protected fragment of the record with this epoch and sequence number."""

    def open(self, number: int, content_type: int, version: int, fragment: bytes) -> bytes:
        """
        Return the plaintext of a fragment.

        :raises AuthenticationFailed: if it was not sealed with our key for this very header.
        """


class NullProtection:
    """The protection of epoch 0: none."""

    expansion = 0

    def seal(self, number: int, content_type: int, version: int, plaintext: bytes) -> bytes:
        return plaintext

    def open(self, number: int, content_type: int, version: int, fragment: bytes) -> bytes:
        return fragment


class AesGcmProtection:
    """
    AES-GCM with the explicit nonce of RFC 5288 section 3.

    The nonce is the record's own number, as the RFC advises: it cannot repeat under one key.

    :param fixed_iv: 4 bytes, the implicit part of the nonce.
    """

    expansion = _EXPLICIT_NONCE_LENGTH + _TAG_LENGTH

    def __init__(self, key: bytes, fixed_iv: bytes) -> None:
        self._aead = AESGCM(key)
        self._fixed_iv = fixed_iv

    def seal(self, number: int, content_type: int, version: int, plaintext: bytes) -> bytes:
        explicit = number.to_bytes(_EXPLICIT_NONCE_LENGTH, "big")
        additional = _ADDITIONAL_DATA.pack(number, content_type, version, len(plaintext))
        return explicit + self._aead.encrypt(self._fixed_iv + explicit, plaintext, additional)

    def open(self, number: int, content_type: int, version: int, fragment: bytes) -> bytes:
        length = len(fragment) - self.expansion
        if length < 0:
            raise AuthenticationFailed(f"fragment of {len(fragment)} bytes has no room for a tag")
        nonce = self._fixed_iv + fragment[:_EXPLICIT_NONCE_LENGTH]
        additional = _ADDITIONAL_DATA.pack(number, content_type, version, length)
        try:
            return self._aead.decrypt(nonce, fragment[_EXPLICIT_NONCE_LENGTH:], additional)
        except InvalidTag:
            raise AuthenticationFailed("record does not authenticate") from None


class ChaCha20Poly1305Protection:
    """
    ChaCha20-Poly1305 with the implicit nonce of RFC 7905 section 2.

    :param fixed_iv: 12 bytes, to which the record's number is added without carry.
    """

    expansion = _TAG_LENGTH

    def __init__(self, key: bytes, fixed_iv: bytes) -> None:
        self._aead = ChaCha20Poly1305(key)
        self._fixed_iv = int.from_bytes(fixed_iv, "big")

    def seal(self, number: int, content_type: int, version: int, plaintext: bytes) -> bytes:
        additional = _ADDITIONAL_DATA.pack(number, content_type, version, len(plaintext))
        return self._aead.encrypt(self._nonce(number), plaintext, additional)

    def open(self, number: int, content_type: int, version: int, fragment: bytes) -> bytes:
        length = len(fragment) - self.expansion
        if length < 0:
            raise AuthenticationFailed(f"fragment of {len(fragment)} bytes has no room for a tag")
        additional = _ADDITIONAL_DATA.pack(number, content_type, version, length)
        try:
            return self._aead.decrypt(self._nonce(number), fragment, additional)
        except InvalidTag:
            raise AuthenticationFailed("record does not authenticate") from None

    def _nonce(self, number: int) -> bytes:
        return (self._fixed_iv ^ number).to_bytes(12, "big")


class Authentication(Enum):
    """The kind of key that a certificate holds, and so the suites that it can serve."""

    ECDSA = "ECDSA"
    RSA = "RSA"


@dataclass(frozen=True, slots=True, kw_only=True)
class CipherSuite:
    """One cipher suite. All of ours agree keys by ECDHE and hash with SHA-256."""

    id: int
    name: str
    authentication: Authentication
    key_length: int
    """Write key, in bytes."""
    fixed_iv_length: int
    """Implicit part of the nonce, in bytes."""
    make_protection: Callable[[bytes, bytes], RecordProtection]
    """Makes the protection of one direction from its write key and fixed IV."""


ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = CipherSuite(
    id=0xC02B,
    name="TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    authentication=Authentication.ECDSA,
    key_length=16,
    fixed_iv_length=4,
    make_protection=AesGcmProtection,
)
ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 = CipherSuite(
    id=0xCCA9,
    name="TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    authentication=Authentication.ECDSA,
    key_length=32,
    fixed_iv_length=12,
    make_protection=ChaCha20Poly1305Protection,
)
ECDHE_RSA_WITH_AES_128_GCM_SHA256 = CipherSuite(
    id=0xC02F,
    name="TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    authentication=Authentication.RSA,
    key_length=16,
    fixed_iv_length=4,
    make_protection=AesGcmProtection,
)
ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = CipherSuite(
    id=0xCCA8,
    name="TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    authentication=Authentication.RSA,
    key_length=32,
    fixed_iv_length=12,
    make_protection=ChaCha20Poly1305Protection,
)

CIPHER_SUITES = (
    ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
)
"""Every suite that is known, the preferred one first."""
