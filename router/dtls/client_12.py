"""
The client's side of a DTLS 1.2 handshake; ``server_12.py`` has the drawing.

Our certificate is ECDSA, the server's may be RSA as well.
"""

import random
from enum import Enum, auto
from typing import ClassVar

from ..errors import RemoteProtocolError
from .alert import Alert
from .config import DtlsConfig
from .effects import Effect
from .extensions import UNCOMPRESSED_POINT, HelloExtensions, UseSrtp
from .handshake import (
    NULL_COMPRESSION,
    RANDOM_LENGTH,
    CertificateMessage,
    CertificateVerify,
    ClientHello,
    ClientKeyExchange,
    HandshakeMessage,
    HandshakeType,
    ServerHello,
    parse_certificate_request,
    parse_hello_verify_request,
    parse_server_hello,
    parse_server_hello_done,
    parse_server_key_exchange,
)
from .handshake_12 import Handshake12, handshake_failure
from .key_exchange import public_bytes
from .key_schedule import CLIENT_FINISHED, SERVER_FINISHED
from .record import DTLS_1_2
from .signature import OFFERED_SCHEMES, SignatureScheme, authentication_of, verify_signature

MAX_HELLO_VERIFY_REQUESTS = 3
"""A server whose cookies expire may ask again; one that goes on asking is broken."""


class ClientState(Enum):
    """Which message comes next."""

    START = auto()
    WAIT_SERVER_HELLO = auto()
    WAIT_CERTIFICATE = auto()
    WAIT_SERVER_KEY_EXCHANGE = auto()
    WAIT_CERTIFICATE_REQUEST = auto()
    """Or ServerHelloDone: a server need not ask who we are."""
    WAIT_SERVER_HELLO_DONE = auto()
    WAIT_FINISHED = auto()
    FINISHED = auto()


class ClientHandshake12(Handshake12[ClientState]):
    """Sends a ClientHello and follows the server's choices."""

    _local_finished = CLIENT_FINISHED
    _remote_finished = SERVER_FINISHED

    def __init__(self, config: DtlsConfig, rng: random.Random) -> None:
        super().__init__(config, rng, ClientState.START)
        self._hello_verify_requests = 0
        self._offered_extensions: set[int] = set()
        self._peer_public = b""
        self._certificate_requested = False
        self._signature_scheme: SignatureScheme | None = None

    def start(self) -> list[Effect]:
        """Say hello."""
        self._client_random = self._rng.randbytes(RANDOM_LENGTH)
        self._send_client_hello(cookie=b"")
        return self._take_effects()

    def _send_client_hello(self, *, cookie: bytes) -> None:
        config = self._config
        profiles = tuple(profile.id for profile in config.srtp_profiles)
        hello = ClientHello(
            version=DTLS_1_2,
            random=self._client_random,
            cookie=cookie,
            cipher_suites=tuple(suite.id for suite in config.cipher_suites),
            extensions=HelloExtensions(
                supported_groups=tuple(int(group) for group in config.groups),
                ec_point_formats=(UNCOMPRESSED_POINT,),
                signature_algorithms=OFFERED_SCHEMES,
                use_srtp=UseSrtp(profiles) if profiles else None,
                extended_master_secret=True,
                renegotiation_info=b"",
            ),
        )
        self._offered_extensions = hello.extensions.types()
        self._add_message(HandshakeType.CLIENT_HELLO, hello.serialize())
        self._send_flight()
        self._state = ClientState.WAIT_SERVER_HELLO

    def _handle_hello_verify_request(self, message: HandshakeMessage) -> None:
        request = parse_hello_verify_request(message.body)
        self._hello_verify_requests += 1
        if self._hello_verify_requests > MAX_HELLO_VERIFY_REQUESTS:
            raise RemoteProtocolError(
                f"more than {MAX_HELLO_VERIFY_REQUESTS} HelloVerifyRequests",
                cause=Alert.UNEXPECTED_MESSAGE,
            )
        # RFC 6347 section 4.2.1: neither the first hello nor the request is in the transcript.
        self._transcript.clear()
        self._send_client_hello(cookie=request.cookie)

    def _handle_server_hello(self, message: HandshakeMessage) -> None:
        hello = parse_server_hello(message.body)
        if hello.version != DTLS_1_2:
            raise RemoteProtocolError(
                f"server chose version 0x{hello.version:04x}", cause=Alert.PROTOCOL_VERSION
            )
        self._cipher_suite = next(
            (suite for suite in self._config.cipher_suites if suite.id == hello.cipher_suite), None
        )
        if self._cipher_suite is None or hello.compression_method != NULL_COMPRESSION:
            raise _illegal(f"server chose suite 0x{hello.cipher_suite:04x}, which was not offered")
        self._server_random = hello.random
        self._accept_extensions(hello)
        self._state = ClientState.WAIT_CERTIFICATE

    def _accept_extensions(self, hello: ServerHello) -> None:
        chosen = hello.extensions
        if unknown := chosen.types() - self._offered_extensions:
            raise RemoteProtocolError(
                f"server answers extension {min(unknown)}, which was not offered",
                cause=Alert.UNSUPPORTED_EXTENSION,
            )
        # RFC 7627 section 5.2 lets us refuse a server without it.
        if not chosen.extended_master_secret:
            raise handshake_failure("server does not support extended_master_secret")
        # RFC 5746 section 3.4: in a first handshake it must be empty. A server that leaves it out
        # may still be safe: we never renegotiate.
        if chosen.renegotiation_info:
            raise handshake_failure("renegotiation_info is not empty")
        if chosen.ec_point_formats is not None and (
            UNCOMPRESSED_POINT not in chosen.ec_point_formats
        ):
            raise _illegal("server does not accept uncompressed points")
        if chosen.use_srtp is not None:
            self._accept_srtp_profile(chosen.use_srtp)

    def _accept_srtp_profile(self, chosen: UseSrtp) -> None:
        self._srtp_profile = next(
            (profile for profile in self._config.srtp_profiles if chosen.profiles == (profile.id,)),
            None,
        )
        # RFC 5764 section 4.1.3: exactly one of those offered, with our MKI, and we have none.
        if self._srtp_profile is None or chosen.mki:
            raise _illegal("server's use_srtp does not fit the offer")

    def _handle_certificate(self, message: HandshakeMessage) -> None:
        assert self._cipher_suite is not None
        key = self._accept_certificate(message)
        if authentication_of(key) is not self._cipher_suite.authentication:
            raise RemoteProtocolError(
                f"certificate's key does not fit {self._cipher_suite.name}",
                cause=Alert.UNSUPPORTED_CERTIFICATE,
            )
        self._state = ClientState.WAIT_SERVER_KEY_EXCHANGE

    def _handle_server_key_exchange(self, message: HandshakeMessage) -> None:
        assert self._peer_public_key is not None
        exchange = parse_server_key_exchange(message.body)
        self._group = next(
            (group for group in self._config.groups if group == exchange.group), None
        )
        if self._group is None:
            raise _illegal(f"server chose group {exchange.group}, which was not offered")
        verify_signature(
            self._peer_public_key,
            exchange.signature_scheme,
            exchange.signature,
            self._client_random + self._server_random + exchange.params,
        )
        self._peer_public = exchange.public_key
        self._state = ClientState.WAIT_CERTIFICATE_REQUEST

    def _handle_certificate_request(self, message: HandshakeMessage) -> None:
        request = parse_certificate_request(message.body)
        self._certificate_requested = True
        self._signature_scheme = self._config.certificate.choose_signature_scheme(
            request.signature_algorithms
        )
        self._state = ClientState.WAIT_SERVER_HELLO_DONE

    def _handle_server_hello_done(self, message: HandshakeMessage) -> None:
        parse_server_hello_done(message.body)
        assert self._group is not None
        if self._certificate_requested:
            # RFC 5246 section 7.4.6: an empty list says that we have none which would do.
            fits = self._signature_scheme is not None
            self._add_message(
                HandshakeType.CERTIFICATE,
                self._config.certificate.message_body
                if fits
                else CertificateMessage(()).serialize(),
            )
        self._private_key = self._config.generate_private_key(self._group)
        exchange = ClientKeyExchange(public_bytes(self._private_key))
        self._add_message(HandshakeType.CLIENT_KEY_EXCHANGE, exchange.serialize())
        self._agree_keys(self._peer_public)
        assert self._session is not None
        if self._signature_scheme is not None:
            verify = CertificateVerify(
                self._signature_scheme,
                self._config.certificate.sign(self._signature_scheme, bytes(self._transcript)),
            )
            self._add_message(HandshakeType.CERTIFICATE_VERIFY, verify.serialize())
        client, server = self._session.record_protections()
        self._install_write(client)
        self._install_read(server)
        self._add_finished()
        self._send_flight()
        self._state = ClientState.WAIT_FINISHED

    def _handle_finished(self, message: HandshakeMessage) -> None:
        self._check_finished(message)
        self._state = ClientState.FINISHED
        self._finish()

    _handlers: ClassVar = {
        (
            ClientState.WAIT_SERVER_HELLO,
            HandshakeType.HELLO_VERIFY_REQUEST,
        ): _handle_hello_verify_request,
        (ClientState.WAIT_SERVER_HELLO, HandshakeType.SERVER_HELLO): _handle_server_hello,
        (ClientState.WAIT_CERTIFICATE, HandshakeType.CERTIFICATE): _handle_certificate,
        (
            ClientState.WAIT_SERVER_KEY_EXCHANGE,
            HandshakeType.SERVER_KEY_EXCHANGE,
        ): _handle_server_key_exchange,
        (
            ClientState.WAIT_CERTIFICATE_REQUEST,
            HandshakeType.CERTIFICATE_REQUEST,
        ): _handle_certificate_request,
        (
            ClientState.WAIT_CERTIFICATE_REQUEST,
            HandshakeType.SERVER_HELLO_DONE,
        ): _handle_server_hello_done,
        (
            ClientState.WAIT_SERVER_HELLO_DONE,
            HandshakeType.SERVER_HELLO_DONE,
        ): _handle_server_hello_done,
        (ClientState.WAIT_FINISHED, HandshakeType.FINISHED): _handle_finished,
    }


def _illegal(reason: str) -> RemoteProtocolError:
    return RemoteProtocolError(reason, cause=Alert.ILLEGAL_PARAMETER)
