"""
Our own certificate, the peer's, and the fingerprints by which SDP binds them (RFC 8122 section 5).

In WebRTC nobody signs certificates but their owners: all that counts of the peer's is its public
key, and that its hash is the one which came over the signaling channel.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from ..errors import RemoteProtocolError, WireFormatError
from .alert import Alert
from .cipher import Authentication
from .handshake import CertificateMessage
from .signature import ECDSA_SCHEMES, PublicKey, SignatureScheme, scheme_hash

# The names of RFC 8122 section 5 that are still safe, the strongest first.
_FINGERPRINT_HASHES = {"sha-512": "sha512", "sha-384": "sha384", "sha-256": "sha256"}

_ACCEPTED_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_ACCEPTED_RSA_BITS = range(2048, 8193)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The hash of a certificate's DER form."""

    algorithm: str
    """Lower case, as RFC 8122 names it: sha-256, sha-384 or sha-512."""
    digest: bytes

    def __str__(self) -> str:
        """Return the value of an SDP ``a=fingerprint`` line."""
        return f"{self.algorithm} {self.digest.hex(':').upper()}"


def parse_fingerprint(text: str) -> Fingerprint:
    """
    Return the fingerprint in the value of an SDP ``a=fingerprint`` line, digits in either case.

    :raises WireFormatError: if it is malformed, or its hash is unknown or broken.
    """
    algorithm, _, pairs = text.strip().partition(" ")
    algorithm = algorithm.lower()
    if algorithm not in _FINGERPRINT_HASHES:
        raise WireFormatError(f"fingerprint hash {algorithm[:16]!r} is not supported")
    expected = hashlib.new(_FINGERPRINT_HASHES[algorithm]).digest_size
    if not re.fullmatch(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*", pairs := pairs.strip()):
        raise WireFormatError("fingerprint is not pairs of hexadecimal digits")
    digest = bytes.fromhex(pairs.replace(":", ""))
    if len(digest) != expected:
        raise WireFormatError(f"fingerprint of {len(digest)} bytes, {expected} expected")
    return Fingerprint(algorithm, digest)


def fingerprint_of(der: bytes, algorithm: str = "sha-256") -> Fingerprint:
    """Return the fingerprint of a certificate."""
    return Fingerprint(algorithm, hashlib.new(_FINGERPRINT_HASHES[algorithm], der).digest())


def matches_fingerprints(der: bytes, fingerprints: Sequence[Fingerprint]) -> bool:
    """
    Return whether a certificate is one of those that the fingerprints name.

    RFC 8122 section 5.1: of several hash functions only the strongest counts, and any fingerprint
    made with it will do.
    """
    for algorithm in _FINGERPRINT_HASHES:
        named = [entry for entry in fingerprints if entry.algorithm == algorithm]
        if named:
            digest = fingerprint_of(der, algorithm).digest
            return any(hmac.compare_digest(digest, entry.digest) for entry in named)
    return False


class Certificate:
    """
    Our certificate and its private key: ECDSA over P-256, self-signed.

    It serves any number of connections: the DER form, the Certificate message and the key are made
    once.

    :param der: The certificate.
    :param private_key: The key that it certifies.
    :param deterministic_signatures: Sign as RFC 6979 has it, so that a recorded handshake can be
        played again. For tests: OpenSSL needs version 3.2 for it.
    """

    authentication = Authentication.ECDSA

    def __init__(
        self,
        der: bytes,
        private_key: ec.EllipticCurvePrivateKey,
        *,
        deterministic_signatures: bool = False,
    ) -> None:
        self.der = der
        self.message_body = CertificateMessage((der,)).serialize()
        self._private_key = private_key
        self._deterministic_signatures = deterministic_signatures
        self._fingerprints: dict[str, Fingerprint] = {}

    @classmethod
    def generate(
        cls,
        *,
        serial_number: int,
        not_before: datetime,
        not_after: datetime,
        common_name: str = "parlour",
        private_key: ec.EllipticCurvePrivateKey | None = None,
        deterministic_signatures: bool = False,
    ) -> Self:
        """
        Make a certificate.

        :param serial_number: Positive, at most 159 bits; random, so that browsers which keep
            certificates by issuer and serial number do not take two for one.
        :param not_before: Start of its validity, UTC.
        :param not_after: End of its validity, UTC.
        :param private_key: A P-256 key; None to make one from the operating system's randomness.
        """
        key = private_key or ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(serial_number)
            .not_valid_before(not_before)
            .not_valid_after(not_after)
        )
        if deterministic_signatures:
            certificate = builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)
        else:
            certificate = builder.sign(key, hashes.SHA256())
        return cls(
            certificate.public_bytes(serialization.Encoding.DER),
            key,
            deterministic_signatures=deterministic_signatures,
        )

    def fingerprint(self, algorithm: str = "sha-256") -> Fingerprint:
        """Return what our SDP says of this certificate."""
        known = self._fingerprints.get(algorithm)
        if known is None:
            known = self._fingerprints[algorithm] = fingerprint_of(self.der, algorithm)
        return known

    def choose_signature_scheme(self, offered: Sequence[int]) -> SignatureScheme | None:
        """Return the first scheme of ours that the peer accepts, or None."""
        return next((scheme for scheme in ECDSA_SCHEMES if scheme in offered), None)

    def sign(self, scheme: SignatureScheme, data: bytes) -> bytes:
        """Return the signature over ``data`` with one of the ECDSA schemes."""
        algorithm = ec.ECDSA(
            scheme_hash(scheme), deterministic_signing=self._deterministic_signatures
        )
        return self._private_key.sign(data, algorithm)


def load_peer_public_key(der: bytes) -> PublicKey:
    """
    Return the key in a certificate that the peer sent.

    :raises RemoteProtocolError: bad_certificate if it cannot be read, unsupported_certificate if
        the key is neither ECDSA over a NIST curve nor RSA of 2048 to 8192 bits.
    """
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except Exception as error:
        # The library raises several kinds of error on hostile DER, and under some warning filters
        # its warnings too; all of them say the same about the peer.
        raise RemoteProtocolError(
            f"certificate of {len(der)} bytes cannot be read ({type(error).__name__})",
            cause=Alert.BAD_CERTIFICATE,
        ) from None
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _ACCEPTED_CURVES:
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in _ACCEPTED_RSA_BITS:
        return key
    raise RemoteProtocolError(
        f"certificate holds a {type(key).__name__} that is not accepted",
        cause=Alert.UNSUPPORTED_CERTIFICATE,
    )
