"""What client and server of a DTLS 1.2 handshake have in common."""

import hmac
import random
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from ..errors import RemoteProtocolError
from .alert import Alert
from .certificate import load_peer_public_key
from .cipher import CipherSuite, RecordProtection
from .config import DtlsConfig
from .effects import (
    ChangeCipherSpec,
    CheckPeerCertificate,
    Effect,
    FinishHandshake,
    FlightItem,
    InstallReadProtection,
    InstallWriteProtection,
    SendFlight,
)
from .handshake import (
    HandshakeMessage,
    HandshakeType,
    parse_certificate_message,
    parse_certificate_verify,
)
from .key_exchange import EphemeralPrivateKey, NamedGroup, shared_secret
from .key_schedule import Session12, extended_master_secret, verify_data
from .signature import PublicKey, verify_signature

if TYPE_CHECKING:
    from ..srtp import SrtpProfile

StateT = TypeVar("StateT", bound=Enum)

PLAIN_EPOCH = 0
PROTECTED_EPOCH = 1


def handshake_failure(reason: str) -> RemoteProtocolError:
    """Return the error for a peer with which nothing can be agreed."""
    return RemoteProtocolError(reason, cause=Alert.HANDSHAKE_FAILURE)


class Handshake12(Generic[StateT]):
    """
    Transcript, flights and secrets of one DTLS 1.2 handshake.

    A subclass names its states, and for each the messages that may come in it.
    """

    _local_finished: ClassVar[bytes]
    _remote_finished: ClassVar[bytes]
    _handlers: ClassVar[Mapping[tuple[Enum, int], Callable[[Any, HandshakeMessage], None]]]
    """What to do with which message in which state."""

    def __init__(self, config: DtlsConfig, rng: random.Random, state: StateT) -> None:
        self._config = config
        self._rng = rng
        self._state = state
        self._transcript = bytearray()
        self._next_message_seq = 0
        self._flight: list[FlightItem] = []
        self._effects: list[Effect] = []

        self._client_random = b""
        self._server_random = b""
        self._cipher_suite: CipherSuite | None = None
        self._group: NamedGroup | None = None
        self._private_key: EphemeralPrivateKey | None = None
        self._srtp_profile: SrtpProfile | None = None
        self._peer_public_key: PublicKey | None = None
        self._session: Session12 | None = None

    def handle_message(self, message: HandshakeMessage) -> list[Effect]:
        """Act on the next message from the peer; see :class:`~.effects.Handshake`."""
        handler = self._handlers.get((self._state, message.message_type))
        if handler is None:
            raise RemoteProtocolError(
                f"handshake message {message.message_type} came in {self._state.name}",
                cause=Alert.UNEXPECTED_MESSAGE,
            )
        finished = message.message_type == HandshakeType.FINISHED
        if message.epoch != (PROTECTED_EPOCH if finished else PLAIN_EPOCH):
            raise RemoteProtocolError(
                f"handshake message {message.message_type} came in epoch {message.epoch}",
                cause=Alert.UNEXPECTED_MESSAGE,
            )
        # CertificateVerify and Finished vouch for the transcript in front of them, so it is their
        # handlers that add them; all others are part of it at once.
        if not finished and message.message_type != HandshakeType.CERTIFICATE_VERIFY:
            self._transcript += message.serialize()
        handler(self, message)
        return self._take_effects()

    def _take_effects(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects

    def _add_message(
        self, message_type: HandshakeType, body: bytes, *, epoch: int = PLAIN_EPOCH
    ) -> None:
        """Put a message into the flight that is being made, and into the transcript."""
        message = HandshakeMessage(message_type, self._next_message_seq, epoch, body)
        self._next_message_seq += 1
        self._transcript += message.serialize()
        self._flight.append(message)

    def _add_finished(self) -> None:
        """End the flight that is being made with ChangeCipherSpec and Finished."""
        assert self._session is not None
        self._flight.append(ChangeCipherSpec(PLAIN_EPOCH))
        self._add_message(
            HandshakeType.FINISHED,
            verify_data(self._session.master_secret, self._local_finished, bytes(self._transcript)),
            epoch=PROTECTED_EPOCH,
        )

    def _send_flight(self, *, retransmit: bool = True) -> None:
        self._effects.append(SendFlight(items=tuple(self._flight), retransmit=retransmit))
        self._flight = []

    def _accept_certificate(self, message: HandshakeMessage) -> PublicKey:
        """Take the peer's certificate; return its key."""
        certificates = parse_certificate_message(message.body).certificates
        if not certificates:
            # RFC 5246 section 7.4.6: what a client says that has none. RFC 8827 section 6.5 has
            # both sides authenticate.
            raise handshake_failure("peer presented no certificate")
        self._effects.append(CheckPeerCertificate(certificates[0]))
        self._peer_public_key = load_peer_public_key(certificates[0])
        return self._peer_public_key

    def _agree_keys(self, peer_public: bytes) -> None:
        """Derive the master secret; the transcript must end with ClientKeyExchange."""
        assert self._private_key is not None
        assert self._cipher_suite is not None
        pre_master_secret = shared_secret(self._private_key, peer_public)
        self._private_key = None
        self._session = Session12(
            cipher_suite=self._cipher_suite,
            master_secret=extended_master_secret(pre_master_secret, bytes(self._transcript)),
            client_random=self._client_random,
            server_random=self._server_random,
        )

    def _install_write(self, protection: RecordProtection) -> None:
        """Ask for protection of what follows; right before the flight that has ChangeCipherSpec."""
        self._effects.append(InstallWriteProtection(PROTECTED_EPOCH, protection))

    def _install_read(self, protection: RecordProtection) -> None:
        self._effects.append(
            InstallReadProtection(PROTECTED_EPOCH, protection, after_change_cipher_spec=True)
        )

    def _check_certificate_verify(self, message: HandshakeMessage) -> None:
        """Refuse a CertificateVerify that the peer's key did not sign."""
        assert self._peer_public_key is not None
        verify = parse_certificate_verify(message.body)
        verify_signature(
            self._peer_public_key,
            verify.signature_scheme,
            verify.signature,
            bytes(self._transcript),
        )
        self._transcript += message.serialize()

    def _check_finished(self, message: HandshakeMessage) -> None:
        """Refuse a Finished that does not fit the transcript."""
        assert self._session is not None
        expected = verify_data(
            self._session.master_secret, self._remote_finished, bytes(self._transcript)
        )
        if not hmac.compare_digest(message.body, expected):
            raise RemoteProtocolError(
                "Finished does not fit the transcript", cause=Alert.DECRYPT_ERROR
            )
        self._transcript += message.serialize()

    def _finish(self) -> None:
        """Report success and drop what is needed no more."""
        assert self._session is not None
        assert self._group is not None
        self._transcript.clear()
        self._effects.append(
            FinishHandshake(
                session=self._session, group=self._group, srtp_profile=self._srtp_profile
            )
        )
