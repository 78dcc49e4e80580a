"""
DTLS 1.2 for WebRTC, client and server, without I/O.

RFC 6347 with RFC 5246 beneath it, use_srtp (RFC 5764), the extended master secret (RFC 7627),
ECDHE (RFC 8422), AES-GCM (RFC 5288) and ChaCha20-Poly1305 (RFC 7905); fingerprints as in RFC 8122.

Known departures:

- RFC 5246 section 7.4.1.4.1 takes a missing signature_algorithms for SHA-1; we refuse SHA-1.
- There is no resumption, no renegotiation and no compression.
- RFC 6347 section 4.2.8 ("the server SHOULD proceed with a new handshake"): a new ClientHello on an
  association that is up is ignored. Here signaling says when an association begins anew, by another
  fingerprint (RFC 8842 section 4); the attribute tls-id, which no browser sends, is not looked at.
  A client that lost its keys comes with another peer connection.
"""

from .alert import Alert
from .certificate import Certificate, Fingerprint, fingerprint_of, parse_fingerprint
from .config import DtlsConfig
from .connection import DtlsConnection, DtlsState
from .events import ApplicationData, Closed, DtlsEvent, HandshakeCompleted
from .key_exchange import NamedGroup, generate_private_key
from .record_layer import DtlsCounters

__all__ = [
    "Alert",
    "ApplicationData",
    "Certificate",
    "Closed",
    "DtlsConfig",
    "DtlsConnection",
    "DtlsCounters",
    "DtlsEvent",
    "DtlsState",
    "Fingerprint",
    "HandshakeCompleted",
    "NamedGroup",
    "fingerprint_of",
    "generate_private_key",
    "parse_fingerprint",
]
