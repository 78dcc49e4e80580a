"""Pairs of DTLS connections, and what drives them without loss."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec, x25519

from router.dtls import (
    ApplicationData,
    Certificate,
    Closed,
    DtlsConfig,
    DtlsConnection,
    DtlsEvent,
    HandshakeCompleted,
    NamedGroup,
)
from router.dtls.key_exchange import EphemeralPrivateKey, PrivateKeyGenerator

EventT = TypeVar("EventT", HandshakeCompleted, ApplicationData, Closed)


@cache
def certificate(seed: int) -> Certificate:
    """Return the same certificate for the same seed; its signatures are deterministic."""
    return Certificate.generate(
        serial_number=seed + 1,
        not_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_after=datetime(2050, 1, 1, tzinfo=UTC),
        private_key=ec.derive_private_key(seed + 1000, ec.SECP256R1()),
        deterministic_signatures=True,
    )


SERVER_CERTIFICATE = certificate(1)
CLIENT_CERTIFICATE = certificate(2)


def seeded_generator(seed: int) -> PrivateKeyGenerator:
    """Return a generator of ephemeral keys whose keys follow from the seed."""
    rng = random.Random(seed)

    def generate(group: NamedGroup) -> EphemeralPrivateKey:
        if group is NamedGroup.X25519:
            return x25519.X25519PrivateKey.from_private_bytes(rng.randbytes(32))
        return ec.derive_private_key(rng.getrandbits(255) + 1, ec.SECP256R1())

    return generate


def make_server(*, now: float = 0.0, seed: int = 1, **settings: Any) -> DtlsConnection:
    """Return a server that expects CLIENT_CERTIFICATE unless told otherwise."""
    settings.setdefault("certificate", SERVER_CERTIFICATE)
    settings.setdefault("remote_fingerprints", (CLIENT_CERTIFICATE.fingerprint(),))
    settings.setdefault("generate_private_key", seeded_generator(seed))
    config = DtlsConfig(**settings)
    return DtlsConnection(config, is_client=False, rng=random.Random(seed), now=now)


def make_client(*, now: float = 0.0, seed: int = 2, **settings: Any) -> DtlsConnection:
    """Return a client that expects SERVER_CERTIFICATE unless told otherwise."""
    settings.setdefault("certificate", CLIENT_CERTIFICATE)
    settings.setdefault("remote_fingerprints", (SERVER_CERTIFICATE.fingerprint(),))
    settings.setdefault("generate_private_key", seeded_generator(seed))
    config = DtlsConfig(**settings)
    return DtlsConnection(config, is_client=True, rng=random.Random(seed), now=now)


def exchange(
    a: DtlsConnection,
    b: DtlsConnection,
    *,
    now: float = 0.0,
    tap: Callable[[DtlsConnection, bytes], bytes | None] = lambda sender, data: data,
) -> list[tuple[DtlsConnection, bytes]]:
    """
    Carry datagrams until neither has any; return them with their senders.

    :param tap: Sees each datagram and returns what is delivered in its place, None for nothing.
    """
    carried: list[tuple[DtlsConnection, bytes]] = []
    while True:
        sent = [(a, data) for data in a.datagrams_to_send()]
        sent += [(b, data) for data in b.datagrams_to_send()]
        if not sent:
            return carried
        for sender, data in sent:
            delivered = tap(sender, data)
            if delivered is not None:
                carried.append((sender, delivered))
                (b if sender is a else a).receive_datagram(delivered, now)


def events(connection: DtlsConnection) -> list[DtlsEvent]:
    """Return all events and forget them."""
    drained: list[DtlsEvent] = []
    while (event := connection.next_event()) is not None:
        drained.append(event)
    return drained


def only_event(connection: DtlsConnection, kind: type[EventT]) -> EventT:
    """Return the one event that is there, which must be of this kind."""
    (event,) = events(connection)
    assert isinstance(event, kind), event
    return event


def connected_pair(**settings: Any) -> tuple[DtlsConnection, DtlsConnection]:
    """Return a server and a client that are connected and have told so."""
    server, client = make_server(**settings), make_client(**settings)
    exchange(server, client)
    only_event(server, HandshakeCompleted)
    only_event(client, HandshakeCompleted)
    return server, client
