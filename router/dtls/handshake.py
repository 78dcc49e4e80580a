"""
The handshake messages of DTLS 1.2 (RFC 5246 section 7.4, RFC 6347 section 4.2, RFC 8422 section 5).

A message travels in one or more fragments (``fragments.py``); what is here is its body, and the
12-byte header in front of a body that was not fragmented, which is what the transcript hashes.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from ..errors import WireFormatError
from .codec import Reader, serialize_unsigned_vector, serialize_vector
from .extensions import HelloExtensions, parse_extensions, serialize_extensions

# msg_type and length (24 bits), message_seq, fragment_offset and fragment_length (24 bits each).
_HEADER = struct.Struct("!IH6s")

HEADER_LENGTH = _HEADER.size
RANDOM_LENGTH = 32
NULL_COMPRESSION = 0
EMPTY_RENEGOTIATION_INFO_SCSV = 0x00FF
NAMED_CURVE = 3
MAX_CERTIFICATES = 16


class HandshakeType(IntEnum):
    """Message numbers."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    HELLO_VERIFY_REQUEST = 3
    NEW_SESSION_TICKET = 4
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20


@dataclass(frozen=True, slots=True)
class HandshakeMessage:
    """One whole message."""

    message_type: int
    """See :class:`HandshakeType`; unknown numbers parse."""
    message_seq: int
    """16 bits, counted from 0 in each direction."""
    epoch: int
    """The epoch of the records that it came or goes in."""
    body: bytes

    def serialize(self) -> bytes:
        """Return header and body as if in one fragment, as the transcript has it."""
        return (
            serialize_handshake_header(
                self.message_type, len(self.body), self.message_seq, 0, len(self.body)
            )
            + self.body
        )


def serialize_handshake_header(
    message_type: int, length: int, message_seq: int, fragment_offset: int, fragment_length: int
) -> bytes:
    """Return the 12 bytes in front of a fragment (RFC 6347 section 4.2.2)."""
    return _HEADER.pack(
        message_type << 24 | length,
        message_seq,
        (fragment_offset << 24 | fragment_length).to_bytes(6, "big"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientHello:
    """What the client can do."""

    version: int
    random: bytes
    """32 bytes."""
    session_id: bytes = b""
    """At most 32 bytes."""
    cookie: bytes = b""
    """At most 255 bytes; the one of a HelloVerifyRequest, else empty."""
    cipher_suites: tuple[int, ...]
    compression_methods: tuple[int, ...] = (NULL_COMPRESSION,)
    extensions: HelloExtensions

    def serialize(self) -> bytes:
        return b"".join(
            (
                self.version.to_bytes(2, "big"),
                self.random,
                serialize_vector(1, self.session_id),
                serialize_vector(1, self.cookie),
                serialize_unsigned_vector(2, self.cipher_suites, item_width=2),
                serialize_unsigned_vector(1, self.compression_methods, item_width=1),
                serialize_vector(2, serialize_extensions(self.extensions)),
            )
        )


def parse_client_hello(body: bytes) -> ClientHello:
    """
    Return the ClientHello in a message body.

    :raises WireFormatError: if it is malformed.
    """
    reader = Reader(body)
    hello = ClientHello(
        version=reader.unsigned(2),
        random=reader.take(RANDOM_LENGTH),
        session_id=reader.vector(1, maximum=32),
        cookie=reader.vector(1),
        cipher_suites=reader.unsigned_vector(2, item_width=2),
        compression_methods=reader.unsigned_vector(1, item_width=1),
        extensions=_parse_hello_extensions(reader),
    )
    reader.expect_end()
    return hello


def _parse_hello_extensions(reader: Reader) -> HelloExtensions:
    # RFC 5246 section 7.4.1.2: a hello that ends in front of them has none.
    return parse_extensions(reader.vector(2)) if reader.remaining else HelloExtensions()


@dataclass(frozen=True, slots=True, kw_only=True)
class HelloVerifyRequest:
    """Asks the client to say hello again and show this cookie (RFC 6347 section 4.2.1)."""

    version: int
    cookie: bytes

    def serialize(self) -> bytes:
        return self.version.to_bytes(2, "big") + serialize_vector(1, self.cookie)


def parse_hello_verify_request(body: bytes) -> HelloVerifyRequest:
    """
    Return the HelloVerifyRequest in a message body.

    :raises WireFormatError: if it is malformed.
    """
    reader = Reader(body)
    request = HelloVerifyRequest(version=reader.unsigned(2), cookie=reader.vector(1))
    reader.expect_end()
    return request


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHello:
    """What the server chose."""

    version: int
    random: bytes
    session_id: bytes = b""
    cipher_suite: int
    compression_method: int = NULL_COMPRESSION
    extensions: HelloExtensions

    def serialize(self) -> bytes:
        return b"".join(
            (
                self.version.to_bytes(2, "big"),
                self.random,
                serialize_vector(1, self.session_id),
                self.cipher_suite.to_bytes(2, "big"),
                self.compression_method.to_bytes(1, "big"),
                serialize_vector(2, serialize_extensions(self.extensions)),
            )
        )


def parse_server_hello(body: bytes) -> ServerHello:
    """
    Return the ServerHello in a message body.

    :raises WireFormatError: if it is malformed.
    """
    reader = Reader(body)
    hello = ServerHello(
        version=reader.unsigned(2),
        random=reader.take(RANDOM_LENGTH),
        session_id=reader.vector(1, maximum=32),
        cipher_suite=reader.unsigned(2),
        compression_method=reader.unsigned(1),
        extensions=_parse_hello_extensions(reader),
    )
    reader.expect_end()
    return hello


@dataclass(frozen=True, slots=True)
class CertificateMessage:
    """A certificate and those that vouch for it, DER, the sender's own first; may be empty."""

    certificates: tuple[bytes, ...]

    def serialize(self) -> bytes:
        return serialize_vector(3, b"".join(serialize_vector(3, der) for der in self.certificates))


def parse_certificate_message(body: bytes) -> CertificateMessage:
    """
    Return the Certificate message in a message body.

    :raises WireFormatError: if it is malformed or lists more than MAX_CERTIFICATES.
    """
    outer = Reader(body)
    reader = Reader(outer.vector(3))
    outer.expect_end()
    certificates: list[bytes] = []
    while reader.remaining:
        if len(certificates) == MAX_CERTIFICATES:
            raise WireFormatError(f"more than {MAX_CERTIFICATES} certificates")
        certificates.append(reader.vector(3, minimum=1))
    return CertificateMessage(tuple(certificates))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKeyExchange:
    """The server's ephemeral public key, signed (RFC 8422 section 5.4)."""

    group: int
    public_key: bytes
    """1 to 255 bytes."""
    signature_scheme: int
    signature: bytes

    @property
    def params(self) -> bytes:
        """The ServerECDHParams; what is signed is both randoms and then these."""
        return serialize_ecdh_params(self.group, self.public_key)

    def serialize(self) -> bytes:
        return (
            self.params
            + self.signature_scheme.to_bytes(2, "big")
            + serialize_vector(2, self.signature)
        )


def serialize_ecdh_params(group: int, public_key: bytes) -> bytes:
    """Return the ServerECDHParams of a named group."""
    return bytes((NAMED_CURVE,)) + group.to_bytes(2, "big") + serialize_vector(1, public_key)


def parse_server_key_exchange(body: bytes) -> ServerKeyExchange:
    """
    Return the ServerKeyExchange of an ECDHE suite in a message body.

    :raises WireFormatError: if it is malformed or its curve is not a named one.
    """
    reader = Reader(body)
    if (curve_type := reader.unsigned(1)) != NAMED_CURVE:
        raise WireFormatError(f"curve type {curve_type} is not named_curve")
    message = ServerKeyExchange(
        group=reader.unsigned(2),
        public_key=reader.vector(1, minimum=1),
        signature_scheme=reader.unsigned(2),
        signature=reader.vector(2),
    )
    reader.expect_end()
    return message


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """Asks the client to authenticate (RFC 5246 section 7.4.4)."""

    certificate_types: tuple[int, ...]
    signature_algorithms: tuple[int, ...]
    certificate_authorities: bytes = b""
    """The list of distinguished names, not taken apart: nobody issues self-signed certificates."""

    def serialize(self) -> bytes:
        return (
            serialize_unsigned_vector(1, self.certificate_types, item_width=1)
            + serialize_unsigned_vector(2, self.signature_algorithms, item_width=2)
            + serialize_vector(2, self.certificate_authorities)
        )


def parse_certificate_request(body: bytes) -> CertificateRequest:
    """
    Return the CertificateRequest in a message body.

    :raises WireFormatError: if it is malformed.
    """
    reader = Reader(body)
    request = CertificateRequest(
        certificate_types=reader.unsigned_vector(1, item_width=1),
        signature_algorithms=reader.unsigned_vector(2, item_width=2),
        certificate_authorities=reader.vector(2),
    )
    reader.expect_end()
    return request


def parse_server_hello_done(body: bytes) -> None:
    """
    Check the body of a ServerHelloDone.

    :raises WireFormatError: unless it is empty.
    """
    Reader(body).expect_end()


@dataclass(frozen=True, slots=True)
class ClientKeyExchange:
    """The client's ephemeral public key (RFC 8422 section 5.7)."""

    public_key: bytes

    def serialize(self) -> bytes:
        return serialize_vector(1, self.public_key)


def parse_client_key_exchange(body: bytes) -> ClientKeyExchange:
    """
    Return the ClientKeyExchange of an ECDHE suite in a message body.

    :raises WireFormatError: if it is malformed.
    """
    reader = Reader(body)
    message = ClientKeyExchange(reader.vector(1, minimum=1))
    reader.expect_end()
    return message


@dataclass(frozen=True, slots=True)
class CertificateVerify:
    """The client's signature over the transcript (RFC 5246 section 7.4.8)."""

    signature_scheme: int
    signature: bytes

    def serialize(self) -> bytes:
        return self.signature_scheme.to_bytes(2, "big") + serialize_vector(2, self.signature)


def parse_certificate_verify(body: bytes) -> CertificateVerify:
    """
    Return the CertificateVerify in a message body.

    :raises WireFormatError: if it is malformed.
    """
    reader = Reader(body)
    message = CertificateVerify(reader.unsigned(2), reader.vector(2))
    reader.expect_end()
    return message
