"""
What a handshake asks its connection to do.

A handshake state machine reads whole messages and returns these. It knows no records, datagrams or
timers, so machines of several protocol versions can share one connection.
"""

from dataclasses import dataclass
from typing import Protocol

from ..srtp import SrtpProfile
from .cipher import CipherSuite, RecordProtection
from .handshake import HandshakeMessage
from .key_exchange import NamedGroup


@dataclass(frozen=True, slots=True)
class ChangeCipherSpec:
    """Stands in a flight where the record of that name is sent, in the given epoch."""

    epoch: int


FlightItem = HandshakeMessage | ChangeCipherSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class SendFlight:
    """Send these, in place of the flight before; then wait as RFC 6347 section 4.2.4 draws it."""

    items: tuple[FlightItem, ...]
    retransmit: bool
    """
    True if the peer must answer, so that silence means loss. False for a flight that is only
    repeated when the peer repeats its own: HelloVerifyRequest, and the last flight.
    """


@dataclass(frozen=True, slots=True)
class InstallWriteProtection:
    """What we send in ``epoch`` is sealed with this; alerts and data go into it from now on."""

    epoch: int
    protection: RecordProtection


@dataclass(frozen=True, slots=True)
class InstallReadProtection:
    """What comes in ``epoch`` is opened with this."""

    epoch: int
    protection: RecordProtection
    after_change_cipher_spec: bool
    """True if records of the epoch count only once a ChangeCipherSpec has come (DTLS 1.2)."""


@dataclass(frozen=True, slots=True)
class CheckPeerCertificate:
    """The peer presented this certificate, DER; the fingerprints decide about it."""

    der: bytes


class Session(Protocol):
    """The secrets of a finished handshake."""

    @property
    def cipher_suite(self) -> CipherSuite:
        """The suite that was agreed."""

    def export(self, label: bytes, length: int, context: bytes | None = None) -> bytes:
        """Return keying material for another protocol (RFC 5705)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishHandshake:
    """Both Finished messages are right."""

    session: Session
    group: NamedGroup
    srtp_profile: SrtpProfile | None


Effect = (
    SendFlight
    | InstallWriteProtection
    | InstallReadProtection
    | CheckPeerCertificate
    | FinishHandshake
)


class Handshake(Protocol):
    """The state machine of one protocol version and role."""

    def start(self) -> list[Effect]:
        """Begin; called once, before any message."""

    def handle_message(self, message: HandshakeMessage) -> list[Effect]:
        """
        Act on the next message from the peer.

        :raises WireFormatError: if it does not parse.
        :raises RemoteProtocolError: if it may not come now or cannot be agreed to; its cause is the
            :class:`Alert` to send.
        """
