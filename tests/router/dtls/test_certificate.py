"""Certificates, fingerprints, signatures and key exchange."""

import hashlib
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from router.dtls import Alert, Certificate, Fingerprint, NamedGroup, parse_fingerprint
from router.dtls.certificate import fingerprint_of, load_peer_public_key, matches_fingerprints
from router.dtls.handshake import parse_certificate_message
from router.dtls.key_exchange import generate_private_key, public_bytes, shared_secret
from router.dtls.signature import SignatureScheme, verify_signature
from router.errors import RemoteProtocolError, WireFormatError

from .peers import SERVER_CERTIFICATE

NOT_BEFORE = datetime(2024, 5, 1, tzinfo=UTC)
NOT_AFTER = datetime(2024, 6, 1, tzinfo=UTC)


def certify(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey,
) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "peer")])
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
        .sign(key, algorithm)
        .public_bytes(serialization.Encoding.DER)
    )


def test_certificate_is_what_was_asked_for() -> None:
    certificate = Certificate.generate(
        serial_number=4711, not_before=NOT_BEFORE, not_after=NOT_AFTER, common_name="name"
    )
    parsed = x509.load_der_x509_certificate(certificate.der)
    assert parsed.serial_number == 4711
    assert parsed.not_valid_before_utc == NOT_BEFORE
    assert parsed.not_valid_after_utc == NOT_AFTER
    assert parsed.subject == parsed.issuer
    parsed.verify_directly_issued_by(parsed)
    assert parse_certificate_message(certificate.message_body).certificates == (certificate.der,)


def test_two_certificates_differ() -> None:
    first, second = (
        Certificate.generate(serial_number=1, not_before=NOT_BEFORE, not_after=NOT_AFTER)
        for _ in range(2)
    )
    assert first.fingerprint() != second.fingerprint()


def test_fingerprint_is_written_as_sdp_has_it() -> None:
    certificate = SERVER_CERTIFICATE
    text = str(certificate.fingerprint())
    digest = hashlib.sha256(certificate.der).hexdigest().upper()
    assert text == "sha-256 " + ":".join(digest[i : i + 2] for i in range(0, 64, 2))
    assert parse_fingerprint(text) == certificate.fingerprint()
    assert parse_fingerprint(text.lower()) == certificate.fingerprint()
    assert parse_fingerprint(text.replace("sha", "SHA")) == certificate.fingerprint()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha-256",
        "sha-256 ",
        "sha-256 " + ":".join(["AB"] * 31),
        "sha-256 " + ":".join(["AB"] * 33),
        "sha-256 " + ":".join(["+A"] * 32),
        "sha-256 " + ":".join(["GG"] * 32),
        "sha-256 " + "AB" * 32,
        "sha-1 " + ":".join(["AB"] * 20),
        "md5 " + ":".join(["AB"] * 16),
    ],
)
def test_fingerprint_that_cannot_be_used_is_refused(text: str) -> None:
    with pytest.raises(WireFormatError):
        parse_fingerprint(text)


@given(st.text())
def test_any_text_parses_or_raises_wire_format_error(text: str) -> None:
    try:
        parse_fingerprint("sha-256 " + text)
    except WireFormatError:
        return


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-384", "sha-512"])
def test_certificate_matches_its_fingerprint(algorithm: str) -> None:
    der = SERVER_CERTIFICATE.der
    right, wrong = fingerprint_of(der, algorithm), fingerprint_of(b"another", algorithm)
    assert matches_fingerprints(der, [right])
    assert matches_fingerprints(der, [wrong, right])
    assert not matches_fingerprints(der, [wrong])
    assert not matches_fingerprints(der, [])


def test_only_the_strongest_hash_counts() -> None:
    der = SERVER_CERTIFICATE.der
    weak = fingerprint_of(der, "sha-256")
    assert not matches_fingerprints(der, [weak, fingerprint_of(b"another", "sha-512")])
    assert matches_fingerprints(
        der, [Fingerprint("sha-256", bytes(32)), fingerprint_of(der, "sha-512")]
    )


@pytest.mark.parametrize("scheme", list(SignatureScheme), ids=lambda scheme: scheme.name)
def test_every_scheme_that_is_offered_verifies(scheme: SignatureScheme) -> None:
    algorithm = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[
        scheme.name[-3:]
    ]
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if scheme.name.startswith("ECDSA"):
        key = ec.generate_private_key(ec.SECP256R1())
        signature = key.sign(b"data", ec.ECDSA(algorithm))
    else:
        key = RSA_KEY
        scheme_padding: padding.AsymmetricPadding = padding.PKCS1v15()
        if "PSS" in scheme.name:
            scheme_padding = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
        signature = key.sign(b"data", scheme_padding, algorithm)
    public_key = key.public_key()
    verify_signature(public_key, scheme, signature, b"data")
    with pytest.raises(RemoteProtocolError) as caught:
        verify_signature(public_key, scheme, signature, b"other")
    assert caught.value.cause == Alert.DECRYPT_ERROR
    with pytest.raises(RemoteProtocolError) as caught:
        verify_signature(public_key, scheme, b"", b"data")
    assert caught.value.cause == Alert.DECRYPT_ERROR


RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.mark.parametrize("scheme", [0x0203, 0x0201, 0x0401, 0x0807, 0xFFFF])
def test_scheme_that_does_not_fit_is_refused(scheme: int) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(RemoteProtocolError) as caught:
        verify_signature(key.public_key(), scheme, b"signature", b"data")
    assert caught.value.cause == Alert.ILLEGAL_PARAMETER


def test_peer_keys_are_loaded() -> None:
    for key in (
        RSA_KEY,
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
    ):
        assert load_peer_public_key(certify(key)) == key.public_key()


def test_peer_key_that_is_not_accepted_is_refused() -> None:
    for key in (
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(public_exponent=65537, key_size=1024),
    ):
        with pytest.raises(RemoteProtocolError) as caught:
            load_peer_public_key(certify(key))
        assert caught.value.cause == Alert.UNSUPPORTED_CERTIFICATE


@given(st.integers(0, len(SERVER_CERTIFICATE.der) - 1), st.integers(1, 255))
def test_mutated_certificate_loads_or_is_refused(position: int, change: int) -> None:
    der = bytearray(SERVER_CERTIFICATE.der)
    der[position] ^= change
    cause = None
    try:
        load_peer_public_key(bytes(der))
    except RemoteProtocolError as error:
        cause = error.cause
    assert cause in (None, Alert.BAD_CERTIFICATE, Alert.UNSUPPORTED_CERTIFICATE)


@pytest.mark.parametrize("group", list(NamedGroup))
def test_both_sides_get_one_secret(group: NamedGroup) -> None:
    ours, theirs = generate_private_key(group), generate_private_key(group)
    secret = shared_secret(ours, public_bytes(theirs))
    assert secret == shared_secret(theirs, public_bytes(ours))
    assert len(secret) == 32


@pytest.mark.parametrize(
    ("group", "point"),
    [
        (NamedGroup.X25519, bytes(32)),  # of small order: the secret would be zero
        (NamedGroup.X25519, bytes([1]) + bytes(31)),
        (NamedGroup.X25519, b"\x09" * 31),
        (NamedGroup.SECP256R1, b"\x04" + bytes(64)),  # not on the curve
        (NamedGroup.SECP256R1, b"\x00"),  # the point at infinity
        (NamedGroup.SECP256R1, b"\x02" + bytes(32)),
    ],
)
def test_public_key_outside_the_group_is_refused(group: NamedGroup, point: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        shared_secret(generate_private_key(group), point)
    assert caught.value.cause == Alert.ILLEGAL_PARAMETER


def test_compressed_point_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    compressed = key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
    )
    with pytest.raises(RemoteProtocolError):
        shared_secret(key, compressed)
