"""
Secrets of DTLS 1.2: the PRF, the extended master secret, record keys, Finished and the exporter.

RFC 5246 sections 5, 6.3, 7.4.9 and 8; RFC 7627 section 4; RFC 5705 section 4. Every suite of ours
uses the PRF with SHA-256.
"""

import hashlib
import hmac
from dataclasses import dataclass, field

from .cipher import CipherSuite, RecordProtection

MASTER_SECRET_LENGTH = 48
VERIFY_DATA_LENGTH = 12
CLIENT_FINISHED = b"client finished"
SERVER_FINISHED = b"server finished"


def prf(secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """Return ``length`` bytes of PRF(secret, label, seed), RFC 5246 section 5."""
    label_and_seed = label + seed
    output = b""
    a = label_and_seed
    while len(output) < length:
        a = hmac.digest(secret, a, "sha256")
        output += hmac.digest(secret, a + label_and_seed, "sha256")
    return output[:length]


def extended_master_secret(pre_master_secret: bytes, transcript: bytes) -> bytes:
    """
    Return the 48-byte master secret that is bound to its handshake (RFC 7627 section 4).

    :param transcript: All handshake messages up to and including ClientKeyExchange.
    """
    session_hash = hashlib.sha256(transcript).digest()
    return prf(pre_master_secret, b"extended master secret", session_hash, MASTER_SECRET_LENGTH)


def verify_data(master_secret: bytes, label: bytes, transcript: bytes) -> bytes:
    """
    Return the contents of a Finished message (RFC 5246 section 7.4.9).

    :param label: CLIENT_FINISHED or SERVER_FINISHED.
    :param transcript: All handshake messages before this one.
    """
    return prf(master_secret, label, hashlib.sha256(transcript).digest(), VERIFY_DATA_LENGTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session12:
    """What both sides of a DTLS 1.2 handshake share."""

    cipher_suite: CipherSuite
    master_secret: bytes = field(repr=False)
    client_random: bytes
    server_random: bytes

    def record_protections(self) -> tuple[RecordProtection, RecordProtection]:
        """Return what protects the client's records, and the server's (RFC 5246 section 6.3)."""
        suite = self.cipher_suite
        key, iv = suite.key_length, suite.fixed_iv_length
        block = prf(
            self.master_secret,
            b"key expansion",
            self.server_random + self.client_random,
            2 * (key + iv),
        )
        ivs = block[2 * key :]
        return (
            suite.make_protection(block[:key], ivs[:iv]),
            suite.make_protection(block[key : 2 * key], ivs[iv:]),
        )

    def export(self, label: bytes, length: int, context: bytes | None = None) -> bytes:
        """Return keying material for another protocol (RFC 5705 section 4)."""
        seed = self.client_random + self.server_random
        if context is not None:
            seed += len(context).to_bytes(2, "big") + context
        return prf(self.master_secret, label, seed, length)
