"""
The server's side of a DTLS 1.2 handshake.

    ClientHello                 ->
                                <-  HelloVerifyRequest (only with cookie_exchange)
    ClientHello                 ->
                                <-  ServerHello, Certificate, ServerKeyExchange,
                                    CertificateRequest, ServerHelloDone
    Certificate, ClientKeyExchange, CertificateVerify, ChangeCipherSpec, Finished
                                ->
                                <-  ChangeCipherSpec, Finished
"""

import hmac
import random
from enum import Enum, auto
from typing import TYPE_CHECKING, ClassVar

from ..errors import RemoteProtocolError
from .alert import Alert
from .config import DtlsConfig
from .effects import Effect
from .extensions import UNCOMPRESSED_POINT, HelloExtensions, UseSrtp
from .handshake import (
    EMPTY_RENEGOTIATION_INFO_SCSV,
    NULL_COMPRESSION,
    RANDOM_LENGTH,
    CertificateRequest,
    ClientHello,
    HandshakeMessage,
    HandshakeType,
    HelloVerifyRequest,
    ServerHello,
    ServerKeyExchange,
    parse_client_hello,
    parse_client_key_exchange,
    serialize_ecdh_params,
)
from .handshake_12 import Handshake12, handshake_failure
from .key_exchange import public_bytes
from .key_schedule import CLIENT_FINISHED, SERVER_FINISHED
from .record import DTLS_1_0, DTLS_1_2
from .signature import OFFERED_SCHEMES, SignatureScheme

if TYPE_CHECKING:
    from .cipher import RecordProtection

_CERTIFICATE_REQUEST = CertificateRequest(
    certificate_types=(64, 1),  # ecdsa_sign, rsa_sign
    signature_algorithms=OFFERED_SCHEMES,
).serialize()
_COOKIE_LENGTH = 20


class ServerState(Enum):
    """Which message comes next."""

    WAIT_CLIENT_HELLO = auto()
    WAIT_CERTIFICATE = auto()
    WAIT_CLIENT_KEY_EXCHANGE = auto()
    WAIT_CERTIFICATE_VERIFY = auto()
    WAIT_FINISHED = auto()
    FINISHED = auto()


class ServerHandshake12(Handshake12[ServerState]):
    """Answers a ClientHello."""

    _local_finished = SERVER_FINISHED
    _remote_finished = CLIENT_FINISHED

    def __init__(self, config: DtlsConfig, rng: random.Random) -> None:
        super().__init__(config, rng, ServerState.WAIT_CLIENT_HELLO)
        self._write_protection: RecordProtection | None = None
        self._cookie_secret = rng.randbytes(32)

    def start(self) -> list[Effect]:
        """Wait: the client speaks first."""
        return []

    def _handle_client_hello(self, message: HandshakeMessage) -> None:
        hello = parse_client_hello(message.body)
        # Versions count downwards: DTLS 1.0 is 0xFEFF. A newer client says 1.2 here, or less.
        if hello.version >> 8 != DTLS_1_2 >> 8 or hello.version > DTLS_1_2:
            raise RemoteProtocolError(
                f"client version 0x{hello.version:04x} is older than DTLS 1.2",
                cause=Alert.PROTOCOL_VERSION,
            )
        if self._config.cookie_exchange and not self._has_cookie(hello):
            self._request_cookie(hello)
            return
        if NULL_COMPRESSION not in hello.compression_methods:
            raise RemoteProtocolError(
                "client does not offer null compression", cause=Alert.ILLEGAL_PARAMETER
            )
        self._client_random = hello.random
        self._server_random = self._rng.randbytes(RANDOM_LENGTH)
        self._send_server_flight(hello, *self._negotiate(hello))
        self._state = ServerState.WAIT_CERTIFICATE

    def _cookie(self, hello: ClientHello) -> bytes:
        # RFC 6347 section 4.2.1: what the client must not change between its two hellos.
        covered = hello.random + hello.session_id + repr(hello.cipher_suites).encode()
        return hmac.digest(self._cookie_secret, covered, "sha256")[:_COOKIE_LENGTH]

    def _has_cookie(self, hello: ClientHello) -> bool:
        return hmac.compare_digest(hello.cookie, self._cookie(hello))

    def _request_cookie(self, hello: ClientHello) -> None:
        """Ask for the cookie; neither this hello nor the request is part of the transcript."""
        # RFC 6347 section 4.2.1: the version is that of DTLS 1.0, whatever is agreed later.
        request = HelloVerifyRequest(version=DTLS_1_0, cookie=self._cookie(hello))
        self._add_message(HandshakeType.HELLO_VERIFY_REQUEST, request.serialize())
        self._transcript.clear()
        self._send_flight(retransmit=False)

    def _negotiate(self, hello: ClientHello) -> tuple[SignatureScheme, HelloExtensions]:
        """Choose suite, group, scheme and profile; return the scheme and our extensions."""
        offered = hello.extensions
        certificate = self._config.certificate
        self._cipher_suite = next(
            (
                suite
                for suite in self._config.cipher_suites
                if suite.id in hello.cipher_suites
                and suite.authentication is certificate.authentication
            ),
            None,
        )
        if self._cipher_suite is None:
            raise handshake_failure("no cipher suite in common")
        # RFC 7627 section 5.2 lets us refuse a client without it; we do, since only it binds the
        # exported keys to this handshake.
        if not offered.extended_master_secret:
            raise handshake_failure("client does not offer extended_master_secret")
        # RFC 5746 section 3.6: in a first handshake it must be empty.
        if offered.renegotiation_info:
            raise handshake_failure("renegotiation_info is not empty")
        if offered.ec_point_formats is not None and (
            UNCOMPRESSED_POINT not in offered.ec_point_formats
        ):
            raise RemoteProtocolError(
                "client does not accept uncompressed points", cause=Alert.ILLEGAL_PARAMETER
            )
        self._group = next(
            (group for group in self._config.groups if group in (offered.supported_groups or ())),
            None,
        )
        if self._group is None:
            raise handshake_failure("no group in common")
        scheme = certificate.choose_signature_scheme(offered.signature_algorithms or ())
        if scheme is None:
            raise handshake_failure("no signature scheme in common")
        if offered.use_srtp is not None:
            profiles = offered.use_srtp.profiles
            self._srtp_profile = next(
                (profile for profile in self._config.srtp_profiles if profile.id in profiles), None
            )
        renegotiation = (
            offered.renegotiation_info is not None
            or EMPTY_RENEGOTIATION_INFO_SCSV in hello.cipher_suites
        )
        return scheme, HelloExtensions(
            ec_point_formats=None if offered.ec_point_formats is None else (UNCOMPRESSED_POINT,),
            use_srtp=None if self._srtp_profile is None else UseSrtp((self._srtp_profile.id,)),
            extended_master_secret=True,
            renegotiation_info=b"" if renegotiation else None,
        )

    def _send_server_flight(
        self, hello: ClientHello, scheme: SignatureScheme, extensions: HelloExtensions
    ) -> None:
        assert self._cipher_suite is not None
        assert self._group is not None
        server_hello = ServerHello(
            version=DTLS_1_2,
            random=self._server_random,
            cipher_suite=self._cipher_suite.id,
            extensions=extensions,
        )
        certificate = self._config.certificate
        self._private_key = self._config.generate_private_key(self._group)
        public_key = public_bytes(self._private_key)
        params = serialize_ecdh_params(self._group, public_key)
        key_exchange = ServerKeyExchange(
            group=self._group,
            public_key=public_key,
            signature_scheme=scheme,
            signature=certificate.sign(scheme, self._client_random + self._server_random + params),
        )
        self._add_message(HandshakeType.SERVER_HELLO, server_hello.serialize())
        self._add_message(HandshakeType.CERTIFICATE, certificate.message_body)
        self._add_message(HandshakeType.SERVER_KEY_EXCHANGE, key_exchange.serialize())
        self._add_message(HandshakeType.CERTIFICATE_REQUEST, _CERTIFICATE_REQUEST)
        self._add_message(HandshakeType.SERVER_HELLO_DONE, b"")
        self._send_flight()

    def _handle_certificate(self, message: HandshakeMessage) -> None:
        self._accept_certificate(message)
        self._state = ServerState.WAIT_CLIENT_KEY_EXCHANGE

    def _handle_client_key_exchange(self, message: HandshakeMessage) -> None:
        self._agree_keys(parse_client_key_exchange(message.body).public_key)
        assert self._session is not None
        client, self._write_protection = self._session.record_protections()
        self._install_read(client)
        self._state = ServerState.WAIT_CERTIFICATE_VERIFY

    def _handle_certificate_verify(self, message: HandshakeMessage) -> None:
        self._check_certificate_verify(message)
        self._state = ServerState.WAIT_FINISHED

    def _handle_finished(self, message: HandshakeMessage) -> None:
        self._check_finished(message)
        assert self._write_protection is not None
        self._install_write(self._write_protection)
        self._add_finished()
        self._send_flight(retransmit=False)
        self._state = ServerState.FINISHED
        self._finish()

    _handlers: ClassVar = {
        (ServerState.WAIT_CLIENT_HELLO, HandshakeType.CLIENT_HELLO): _handle_client_hello,
        (ServerState.WAIT_CERTIFICATE, HandshakeType.CERTIFICATE): _handle_certificate,
        (
            ServerState.WAIT_CLIENT_KEY_EXCHANGE,
            HandshakeType.CLIENT_KEY_EXCHANGE,
        ): _handle_client_key_exchange,
        (
            ServerState.WAIT_CERTIFICATE_VERIFY,
            HandshakeType.CERTIFICATE_VERIFY,
        ): _handle_certificate_verify,
        (ServerState.WAIT_FINISHED, HandshakeType.FINISHED): _handle_finished,
    }
