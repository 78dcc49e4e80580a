"""FINGERPRINT and MESSAGE-INTEGRITY over serialized messages (RFC 8489 sections 14.5 and 14.7)."""

import hashlib
import hmac
import struct
import zlib

_LENGTH = struct.Struct("!H")  # at offset 2 of the header
_FINGERPRINT_MASK = 0x5354554E
_HEADER_SIZE = 20

INTEGRITY_SIZE = 24
"""Bytes of a MESSAGE-INTEGRITY attribute, with its header."""
FINGERPRINT_SIZE = 8
"""Bytes of a FINGERPRINT attribute, with its header."""


def compute_integrity(prefix: bytes, key: bytes) -> bytes:
    """
    Return the HMAC-SHA1 of a message as far as it comes before MESSAGE-INTEGRITY.

    :param prefix: Header and attributes before MESSAGE-INTEGRITY; the header's length field may
        have any value, as the MAC covers the one that ends with MESSAGE-INTEGRITY.
    :param key: For short-term credentials, the password.
    """
    return hmac.digest(key, _with_length(prefix, INTEGRITY_SIZE), hashlib.sha1)


def compute_fingerprint(prefix: bytes) -> int:
    """
    Return the CRC-32, masked, of a message as far as it comes before FINGERPRINT.

    :param prefix: As for :func:`compute_integrity`.
    """
    return zlib.crc32(_with_length(prefix, FINGERPRINT_SIZE)) ^ _FINGERPRINT_MASK


def long_term_key(username: str, realm: str, password: str) -> bytes:
    """
    Return the key for long-term credentials (RFC 8489 section 9.2.2), which TURN uses.

    The arguments must have been through SASLprep where they are not ASCII.
    """
    text = f"{username}:{realm}:{password}".encode()
    return hashlib.md5(text, usedforsecurity=False).digest()


def _with_length(prefix: bytes, attribute_size: int) -> bytes:
    length = len(prefix) - _HEADER_SIZE + attribute_size
    return prefix[:2] + _LENGTH.pack(length) + prefix[4:]
