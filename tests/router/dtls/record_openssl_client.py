"""Records what an OpenSSL client says in a handshake with a server that can be built again."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from router.dtls import Certificate, DtlsConfig, DtlsConnection, Fingerprint, NamedGroup
from router.dtls.key_exchange import EphemeralPrivateKey

SEED = 4711
EPHEMERAL_KEY = 4712
CERTIFICATE_KEY = 4713


def generate_private_key(group: NamedGroup) -> EphemeralPrivateKey:
    """Return always the same key."""
    assert group is NamedGroup.SECP256R1
    return ec.derive_private_key(EPHEMERAL_KEY, ec.SECP256R1())


def make_replayable_server(certificate_der: bytes, fingerprint: Fingerprint) -> DtlsConnection:
    """Return a server all of whose datagrams follow from the client's."""
    config = DtlsConfig(
        certificate=Certificate(
            certificate_der,
            ec.derive_private_key(CERTIFICATE_KEY, ec.SECP256R1()),
            deterministic_signatures=True,
        ),
        remote_fingerprints=(fingerprint,),
        groups=(NamedGroup.SECP256R1,),
        generate_private_key=generate_private_key,
    )
    return DtlsConnection(config, is_client=False, rng=random.Random(SEED), now=0.0)


def record() -> dict[str, object]:
    """Run the handshake and return the recording."""
    from .test_openssl import OpenSsl, check_connected, run

    openssl = OpenSsl(is_client=True, mtu=300)
    certificate = Certificate.generate(
        serial_number=SEED,
        not_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_after=datetime(2050, 1, 1, tzinfo=UTC),
        private_key=ec.derive_private_key(CERTIFICATE_KEY, ec.SECP256R1()),
    )
    server = make_replayable_server(certificate.der, openssl.fingerprint)
    received: list[str] = []
    receive = server.receive_datagram

    def listen(data: bytes, now: float) -> None:
        received.append(data.hex())
        receive(data, now)

    server.receive_datagram = listen  # type: ignore[method-assign]
    run(openssl, server)
    handshake = list(received)
    profile = next(iter(server._config.srtp_profiles))
    check_connected(openssl, server, profile)
    return {
        "seed": SEED,
        "ephemeral_key": EPHEMERAL_KEY,
        "server_certificate_key": CERTIFICATE_KEY,
        "server_certificate": certificate.der.hex(),
        "fingerprint": str(openssl.fingerprint),
        "client_datagrams": handshake,
        "srtp_profile": profile.id,
        "exported": openssl.connection.export_keying_material(
            b"EXTRACTOR-dtls_srtp", profile.keying_material_length
        ).hex(),
        "application_datagram": received[-1],
        "application_data": b"from OpenSSL".hex(),
    }


if __name__ == "__main__":
    path = Path(__file__).parents[2] / "vectors" / "dtls" / "openssl_client.json"
    path.write_text(json.dumps(record(), indent=2) + "\n")
