"""
Signature schemes: which we offer, and verification of the peer's signatures.

The numbers are those of RFC 8446 section 4.2.3, which DTLS 1.2 reads as pairs of hash and
signature: an ECDSA scheme does not fix the curve there, and RSA-PSS may be used as well.
"""

from enum import IntEnum

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from ..errors import RemoteProtocolError
from .alert import Alert
from .cipher import Authentication


class SignatureScheme(IntEnum):
    """The schemes that we accept; none uses SHA-1."""

    ECDSA_SECP256R1_SHA256 = 0x0403
    ECDSA_SECP384R1_SHA384 = 0x0503
    ECDSA_SECP521R1_SHA512 = 0x0603
    RSA_PSS_RSAE_SHA256 = 0x0804
    RSA_PSS_RSAE_SHA384 = 0x0805
    RSA_PSS_RSAE_SHA512 = 0x0806
    RSA_PKCS1_SHA256 = 0x0401
    RSA_PKCS1_SHA384 = 0x0501
    RSA_PKCS1_SHA512 = 0x0601


OFFERED_SCHEMES = tuple(int(scheme) for scheme in SignatureScheme)
"""What signature_algorithms and CertificateRequest carry, the preferred one first."""

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_HASHES: dict[SignatureScheme, hashes.HashAlgorithm] = {
    SignatureScheme.ECDSA_SECP256R1_SHA256: hashes.SHA256(),
    SignatureScheme.ECDSA_SECP384R1_SHA384: hashes.SHA384(),
    SignatureScheme.ECDSA_SECP521R1_SHA512: hashes.SHA512(),
    SignatureScheme.RSA_PSS_RSAE_SHA256: hashes.SHA256(),
    SignatureScheme.RSA_PSS_RSAE_SHA384: hashes.SHA384(),
    SignatureScheme.RSA_PSS_RSAE_SHA512: hashes.SHA512(),
    SignatureScheme.RSA_PKCS1_SHA256: hashes.SHA256(),
    SignatureScheme.RSA_PKCS1_SHA384: hashes.SHA384(),
    SignatureScheme.RSA_PKCS1_SHA512: hashes.SHA512(),
}

ECDSA_SCHEMES = (
    SignatureScheme.ECDSA_SECP256R1_SHA256,
    SignatureScheme.ECDSA_SECP384R1_SHA384,
    SignatureScheme.ECDSA_SECP521R1_SHA512,
)
_PSS_SCHEMES = (
    SignatureScheme.RSA_PSS_RSAE_SHA256,
    SignatureScheme.RSA_PSS_RSAE_SHA384,
    SignatureScheme.RSA_PSS_RSAE_SHA512,
)


def scheme_hash(scheme: SignatureScheme) -> hashes.HashAlgorithm:
    """Return the hash that a scheme signs."""
    return _HASHES[scheme]


def authentication_of(public_key: PublicKey) -> Authentication:
    """Return the kind of suite that a key can serve."""
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return Authentication.ECDSA
    return Authentication.RSA


def verify_signature(public_key: PublicKey, scheme: int, signature: bytes, data: bytes) -> None:
    """
    Check the peer's signature.

    :param scheme: The number that the peer sent beside it.
    :raises RemoteProtocolError: illegal_parameter if we did not offer the scheme or it does not fit
        the key, decrypt_error if the signature is wrong.
    """
    try:
        known = SignatureScheme(scheme)
    except ValueError:
        raise RemoteProtocolError(
            f"signature scheme 0x{scheme:04x} was not offered", cause=Alert.ILLEGAL_PARAMETER
        ) from None
    if (known in ECDSA_SCHEMES) != isinstance(public_key, ec.EllipticCurvePublicKey):
        raise RemoteProtocolError(
            f"{known.name} does not fit the key", cause=Alert.ILLEGAL_PARAMETER
        )
    algorithm = _HASHES[known]
    try:
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            public_key.verify(signature, data, ec.ECDSA(algorithm))
        elif known in _PSS_SCHEMES:
            pss = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
            public_key.verify(signature, data, pss, algorithm)
        else:
            public_key.verify(signature, data, padding.PKCS1v15(), algorithm)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        raise RemoteProtocolError(
            f"{known.name} signature is wrong", cause=Alert.DECRYPT_ERROR
        ) from None
