"""OpenSSL as the peer, through pyOpenSSL and memory BIOs."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import SSL

from router.dtls import (
    Alert,
    ApplicationData,
    Closed,
    DtlsConnection,
    DtlsState,
    Fingerprint,
    HandshakeCompleted,
    NamedGroup,
    fingerprint_of,
)
from router.dtls.cipher import CIPHER_SUITES, Authentication, CipherSuite
from router.dtls.record import parse_record
from router.errors import RemoteProtocolError
from router.srtp import (
    AEAD_AES_128_GCM,
    AES128_CM_HMAC_SHA1_80,
    PROFILES,
    SrtpProfile,
    split_keying_material,
)

from .peers import CLIENT_CERTIFICATE, events, make_client, make_server, only_event

pytestmark = pytest.mark.interop

OPENSSL_SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": 0xC02B,
    "ECDHE-ECDSA-CHACHA20-POLY1305": 0xCCA9,
    "ECDHE-RSA-AES128-GCM-SHA256": 0xC02F,
    "ECDHE-RSA-CHACHA20-POLY1305": 0xCCA8,
}
OPENSSL_PROFILES = {
    # OpenSSL prefers in this order, also as the server.
    "SRTP_AEAD_AES_128_GCM": 0x0007,
    "SRTP_AES128_CM_SHA1_80": 0x0001,
    "SRTP_AES128_CM_SHA1_32": 0x0002,
}
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certify(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "openssl")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2050, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )


class OpenSsl:
    """An OpenSSL connection between memory BIOs."""

    def __init__(
        self,
        *,
        is_client: bool,
        rsa_certificate: bool = False,
        ciphers: str = "DEFAULT",
        profiles: str = ":".join(OPENSSL_PROFILES),
        mtu: int = 1200,
        options: int = 0,
        present_certificate: bool = True,
    ) -> None:
        context = SSL.Context(SSL.DTLS_CLIENT_METHOD if is_client else SSL.DTLS_SERVER_METHOD)
        context.set_verify(
            SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *arguments: True
        )
        key = RSA_KEY if rsa_certificate else EC_KEY
        certificate = certify(key)
        if present_certificate:
            context.use_certificate(certificate)
            context.use_privatekey(key)
        context.set_cipher_list(ciphers.encode())
        context.set_tlsext_use_srtp(profiles.encode())
        context.set_options(options)
        self.fingerprint: Fingerprint = fingerprint_of(
            certificate.public_bytes(serialization.Encoding.DER)
        )
        self.connection = SSL.Connection(context, None)
        if is_client:
            self.connection.set_connect_state()
        else:
            self.connection.set_accept_state()
        self.connection.set_ciphertext_mtu(mtu)
        self.error: SSL.Error | None = None

    def step(self, connection: DtlsConnection, *, reverse: bool = False) -> bool:
        """Carry what there is in both directions; return whether there was anything."""
        received = connection.datagrams_to_send()
        if reverse:
            received.reverse()
        for datagram in received:
            self.connection.bio_write(datagram)
            # OpenSSL takes one datagram at a time from a BIO without boundaries.
            self._advance()
        if not received:
            self._advance()
        sent = list(self._drain())
        if reverse:
            sent.reverse()
        for datagram in sent:
            connection.receive_datagram(datagram, 0.0)
        return bool(received or sent)

    def _advance(self) -> None:
        if self.error is not None:
            return
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.error = error

    def _drain(self) -> list[bytes]:
        """Return what OpenSSL sent, each record by itself: a memory BIO joins its datagrams."""
        drained: list[bytes] = []
        while True:
            try:
                data = self.connection.bio_read(1 << 16)
            except SSL.WantReadError:
                return drained
            offset = 0
            while offset < len(data):
                record, offset = parse_record(data, offset)
                drained.append(record.serialize())

    def send(self, connection: DtlsConnection, data: bytes) -> None:
        self.connection.send(data)
        for datagram in self._drain():
            connection.receive_datagram(datagram, 0.0)


def run(openssl: OpenSsl, connection: DtlsConnection, *, reverse: bool = False) -> None:
    while openssl.step(connection, reverse=reverse):
        pass


def make(*, is_client: bool, fingerprint: Fingerprint, **settings: object) -> DtlsConnection:
    factory: Callable[..., DtlsConnection] = make_client if is_client else make_server
    return factory(certificate=CLIENT_CERTIFICATE, remote_fingerprints=(fingerprint,), **settings)


def check_connected(
    openssl: OpenSsl, connection: DtlsConnection, profile: SrtpProfile
) -> HandshakeCompleted:
    """Check that both have the same keys, and that data goes both ways."""
    event = only_event(connection, HandshakeCompleted)
    assert event.srtp_profile == profile
    name = openssl.connection.get_selected_srtp_profile().decode()
    assert PROFILES[OPENSSL_PROFILES[name]] == profile
    assert OPENSSL_SUITES[openssl.connection.get_cipher_name() or ""] == event.cipher_suite.id
    exported = openssl.connection.export_keying_material(
        b"EXTRACTOR-dtls_srtp", profile.keying_material_length
    )
    material = split_keying_material(profile, exported)
    ours = (material.client_key, material.client_salt)
    theirs = (material.server_key, material.server_salt)
    if not connection.is_client:
        ours, theirs = theirs, ours
    assert (event.local_key, event.local_salt) == ours
    assert (event.remote_key, event.remote_salt) == theirs
    assert connection.export_keying_material(
        b"EXPERIMENTAL", 20, b"context"
    ) == openssl.connection.export_keying_material(b"EXPERIMENTAL", 20, b"context")

    openssl.send(connection, b"from OpenSSL")
    assert events(connection) == [ApplicationData(b"from OpenSSL")]
    connection.send_application_data(b"to OpenSSL")
    for datagram in connection.datagrams_to_send():
        openssl.connection.bio_write(datagram)
    assert openssl.connection.recv(100) == b"to OpenSSL"
    return event


@pytest.mark.parametrize(
    ("is_client", "suite"),
    [
        (is_client, suite)
        for suite in CIPHER_SUITES
        for is_client in (False, True)
        # Our certificate is ECDSA, so as a server we have no RSA suite.
        if is_client or suite.authentication is Authentication.ECDSA
    ],
    ids=lambda value: value.name if isinstance(value, CipherSuite) else None,
)
@pytest.mark.parametrize("group", list(NamedGroup), ids=lambda group: group.name)
@pytest.mark.parametrize("profile", [AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80])
def test_openssl_agrees_on_every_combination(
    is_client: bool, group: NamedGroup, suite: CipherSuite, profile: SrtpProfile
) -> None:
    with_rsa = suite.authentication is Authentication.RSA
    openssl = OpenSsl(is_client=not is_client, rsa_certificate=with_rsa)
    connection = make(
        is_client=is_client,
        fingerprint=openssl.fingerprint,
        cipher_suites=(suite,),
        # RFC 8422 section 5.1.1: the groups also say which curves certificates may have.
        groups=(group, NamedGroup.SECP256R1),
        srtp_profiles=(profile,),
    )
    run(openssl, connection)
    event = check_connected(openssl, connection, profile)
    assert (event.cipher_suite, event.group) == (suite, group)


def test_server_accepts_an_rsa_client() -> None:
    openssl = OpenSsl(is_client=True, rsa_certificate=True)
    server = make(is_client=False, fingerprint=openssl.fingerprint)
    run(openssl, server)
    check_connected(openssl, server, AEAD_AES_128_GCM)


@pytest.mark.parametrize("is_client", [False, True], ids=["server", "client"])
@pytest.mark.parametrize("mtu", [256, 500])
def test_fragments_are_understood_both_ways(is_client: bool, mtu: int) -> None:
    openssl = OpenSsl(is_client=not is_client, mtu=mtu)
    connection = make(is_client=is_client, fingerprint=openssl.fingerprint, mtu=mtu)
    run(openssl, connection)
    check_connected(openssl, connection, AEAD_AES_128_GCM)


@pytest.mark.parametrize("is_client", [False, True], ids=["server", "client"])
def test_reordered_fragments_are_understood_both_ways(is_client: bool) -> None:
    openssl = OpenSsl(is_client=not is_client, mtu=300)
    connection = make(is_client=is_client, fingerprint=openssl.fingerprint, mtu=300)
    run(openssl, connection, reverse=True)
    # OpenSSL drops a Finished that overtakes its ChangeCipherSpec; ours is sent again by time.
    for now in (0.4, 1.2):
        connection.handle_timer(now)
        run(openssl, connection)
    check_connected(openssl, connection, AEAD_AES_128_GCM)


@pytest.mark.parametrize("cookie_exchange", [False, True])
def test_cookie_is_shown_by_openssl(cookie_exchange: bool) -> None:
    openssl = OpenSsl(is_client=True)
    server = make(is_client=False, fingerprint=openssl.fingerprint, cookie_exchange=cookie_exchange)
    run(openssl, server)
    check_connected(openssl, server, AEAD_AES_128_GCM)


def test_openssl_is_told_that_its_certificate_is_wrong() -> None:
    openssl = OpenSsl(is_client=True)
    server = make(is_client=False, fingerprint=CLIENT_CERTIFICATE.fingerprint())
    run(openssl, server)
    error = only_event(server, Closed).error
    assert isinstance(error, RemoteProtocolError)
    assert error.cause == Alert.BAD_CERTIFICATE
    assert "bad certificate" in str(openssl.error)


def test_openssl_without_certificate_is_refused() -> None:
    openssl = OpenSsl(is_client=True, present_certificate=False)
    server = make(is_client=False, fingerprint=openssl.fingerprint)
    run(openssl, server)
    assert server.state is DtlsState.CLOSED
    assert "handshake failure" in str(openssl.error)


def test_refusal_by_openssl_in_the_clear_is_named_when_time_is_up() -> None:
    openssl = OpenSsl(is_client=False)
    client = make(is_client=True, fingerprint=openssl.fingerprint, groups=(NamedGroup.X25519,))
    run(openssl, client)
    assert client.state is DtlsState.HANDSHAKING
    client.handle_timer(30.0)
    assert "handshake_failure" in str(only_event(client, Closed).error)


@pytest.mark.parametrize("is_client", [False, True], ids=["server", "client"])
def test_close_is_understood_both_ways(is_client: bool) -> None:
    for closes_first in ("ours", "theirs"):
        openssl = OpenSsl(is_client=not is_client)
        connection = make(is_client=is_client, fingerprint=openssl.fingerprint)
        run(openssl, connection)
        only_event(connection, HandshakeCompleted)
        if closes_first == "ours":
            connection.close()
            for datagram in connection.datagrams_to_send():
                openssl.connection.bio_write(datagram)
            with pytest.raises(SSL.ZeroReturnError):
                openssl.connection.recv(10)
        else:
            openssl.connection.shutdown()
            openssl.step(connection)
        assert events(connection) == [Closed(None)]


def test_renegotiation_by_openssl_is_declined() -> None:
    openssl = OpenSsl(is_client=True)
    server = make(is_client=False, fingerprint=openssl.fingerprint)
    run(openssl, server)
    only_event(server, HandshakeCompleted)
    openssl.connection.renegotiate()
    run(openssl, server)
    assert "no renegotiation" in str(openssl.error)
    assert server.state in (DtlsState.CONNECTED, DtlsState.CLOSED)
    assert not any(isinstance(event, HandshakeCompleted) for event in events(server))
