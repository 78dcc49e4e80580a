"""What one DTLS connection is told before it begins."""

from dataclasses import dataclass

from ..srtp import AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80, SrtpProfile
from .certificate import Certificate, Fingerprint
from .cipher import CIPHER_SUITES, CipherSuite
from .key_exchange import NamedGroup, PrivateKeyGenerator, generate_private_key

MINIMUM_MTU = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class DtlsConfig:
    """Settings of one connection; times in seconds, lengths in bytes."""

    certificate: Certificate
    """Ours; one serves any number of connections."""
    remote_fingerprints: tuple[Fingerprint, ...] | None = None
    """What the peer's certificate must match; None while the SDP that says it has not come."""
    srtp_profiles: tuple[SrtpProfile, ...] = (AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80)
    """Offered or accepted, the preferred one first; empty to do without SRTP."""
    cipher_suites: tuple[CipherSuite, ...] = CIPHER_SUITES
    """Offered or accepted, the preferred one first."""
    groups: tuple[NamedGroup, ...] = (NamedGroup.X25519, NamedGroup.SECP256R1)
    """
    Offered or accepted, the preferred one first. P-256 belongs among them: our certificate is of
    that curve, and RFC 8422 section 5.1.1 has the list speak for certificates too.
    """
    mtu: int = 1200
    """Longest handshake datagram that we send, at least MINIMUM_MTU. Nothing else is cut to it."""
    initial_retransmission_interval: float = 0.4
    """How long a flight waits for its answer the first time; doubled at each repetition."""
    maximum_retransmission_interval: float = 60.0
    handshake_timeout: float = 30.0
    """From the first message until keys are exported, the wait for fingerprints included."""
    cookie_exchange: bool = False
    """
    As a server, prove with a HelloVerifyRequest that the client receives at its address. Not
    needed where ICE has validated the address. A client answers such a request in any case.
    """
    max_handshake_message_length: int = 16384
    """Longest message that is taken from the peer."""
    max_buffered_messages: int = 16
    """How many messages of the peer may be incomplete or out of order at a time."""
    generate_private_key: PrivateKeyGenerator = generate_private_key
    """Makes ephemeral keys."""

    def __post_init__(self) -> None:
        if self.mtu < MINIMUM_MTU:
            raise ValueError(f"mtu {self.mtu} is below {MINIMUM_MTU}")
        if not 0 < self.initial_retransmission_interval <= self.maximum_retransmission_interval:
            raise ValueError("retransmission intervals must be positive and in order")
        if self.handshake_timeout <= 0:
            raise ValueError("handshake_timeout must be positive")
        if not self.cipher_suites or not self.groups:
            raise ValueError("at least one cipher suite and one group are needed")
        if self.remote_fingerprints is not None and not self.remote_fingerprints:
            raise ValueError("remote_fingerprints is empty; None means not known yet")
