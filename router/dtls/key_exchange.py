"""Ephemeral Diffie-Hellman over P-256 and X25519 (RFC 8422 sections 5.4, 5.10 and 5.11)."""

from collections.abc import Callable
from enum import IntEnum

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from ..errors import RemoteProtocolError
from .alert import Alert


class NamedGroup(IntEnum):
    """The groups that we know."""

    SECP256R1 = 23
    X25519 = 29


EphemeralPrivateKey = ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey
PrivateKeyGenerator = Callable[[NamedGroup], EphemeralPrivateKey]

_UNCOMPRESSED_P256_LENGTH = 65


def generate_private_key(group: NamedGroup) -> EphemeralPrivateKey:
    """Return a fresh private key; the randomness is the operating system's."""
    if group is NamedGroup.X25519:
        return x25519.X25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


def public_bytes(private_key: EphemeralPrivateKey) -> bytes:
    """Return the public key as the key exchange messages carry it."""
    if isinstance(private_key, x25519.X25519PrivateKey):
        return private_key.public_key().public_bytes_raw()
    return private_key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def shared_secret(private_key: EphemeralPrivateKey, peer_public: bytes) -> bytes:
    """
    Return the premaster secret.

    :raises RemoteProtocolError: illegal_parameter if the peer's key is not a point of the group,
        or would make the secret zero (RFC 8422 section 5.11).
    """
    try:
        if isinstance(private_key, x25519.X25519PrivateKey):
            return private_key.exchange(x25519.X25519PublicKey.from_public_bytes(peer_public))
        if len(peer_public) != _UNCOMPRESSED_P256_LENGTH:
            raise ValueError("not an uncompressed point")
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), peer_public)
        return private_key.exchange(ec.ECDH(), point)
    except ValueError:
        raise RemoteProtocolError(
            f"public key of {len(peer_public)} bytes is not in the group",
            cause=Alert.ILLEGAL_PARAMETER,
        ) from None
