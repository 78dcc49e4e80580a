"""What a DTLS connection reports."""

from dataclasses import dataclass, field

from ..errors import ProtocolError
from ..srtp import SrtpProfile
from .cipher import CipherSuite
from .key_exchange import NamedGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeCompleted:
    """
    The handshake is done and the peer's certificate matched a fingerprint.

    Comes once. The keys and salts are empty when no SRTP profile was agreed.
    """

    srtp_profile: SrtpProfile | None
    local_key: bytes = field(repr=False)
    """SRTP master key for what we send."""
    local_salt: bytes = field(repr=False)
    remote_key: bytes = field(repr=False)
    """SRTP master key for what the peer sends."""
    remote_salt: bytes = field(repr=False)
    cipher_suite: CipherSuite
    group: NamedGroup
    peer_certificate: bytes = field(repr=False)
    """DER."""


@dataclass(frozen=True, slots=True)
class ApplicationData:
    """The peer sent data; never before HandshakeCompleted."""

    data: bytes
    """At most 16384 bytes."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is over; the last event."""

    error: ProtocolError | None
    """
    None when either side closed in good order. A RemoteProtocolError carries in ``cause`` the
    :class:`Alert` that we sent, or the one that the peer sent.
    """


DtlsEvent = HandshakeCompleted | ApplicationData | Closed
