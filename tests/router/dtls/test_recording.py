"""A recorded OpenSSL client connects again, with the keys that OpenSSL had."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from router.dtls import (
    ApplicationData,
    DtlsConnection,
    DtlsState,
    HandshakeCompleted,
    parse_fingerprint,
)
from router.dtls.record import HEADER_LENGTH, parse_record
from router.srtp import PROFILES, split_keying_material

from .peers import events, only_event
from .record_openssl_client import make_replayable_server

PATH = Path(__file__).parents[2] / "vectors" / "dtls" / "openssl_client.json"


@pytest.fixture(scope="module")
def recording() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(PATH.read_text())
    return loaded


def make_server(recording: dict[str, Any]) -> DtlsConnection:
    return make_replayable_server(
        bytes.fromhex(recording["server_certificate"]),
        parse_fingerprint(recording["fingerprint"]),
    )


def test_recorded_client_connects(recording: dict[str, Any]) -> None:
    server = make_server(recording)
    for datagram in recording["client_datagrams"]:
        server.receive_datagram(bytes.fromhex(datagram), 0.0)
    event = only_event(server, HandshakeCompleted)
    assert event.srtp_profile is not None
    assert event.srtp_profile.id == recording["srtp_profile"]
    material = split_keying_material(
        PROFILES[recording["srtp_profile"]], bytes.fromhex(recording["exported"])
    )
    assert (event.remote_key, event.remote_salt) == (material.client_key, material.client_salt)
    assert (event.local_key, event.local_salt) == (material.server_key, material.server_salt)
    server.receive_datagram(bytes.fromhex(recording["application_datagram"]), 0.0)
    assert events(server) == [ApplicationData(bytes.fromhex(recording["application_data"]))]


@pytest.mark.parametrize("seed", range(50))
def test_recorded_client_connects_in_any_order_of_its_second_flight(
    recording: dict[str, Any], seed: int
) -> None:
    hello, *flight = [bytes.fromhex(datagram) for datagram in recording["client_datagrams"]]
    assert len(flight) >= 6
    random.Random(seed).shuffle(flight)
    server = make_server(recording)
    for datagram in (hello, *flight):
        server.receive_datagram(datagram, 0.0)
    assert server.state is DtlsState.CONNECTED


def test_every_byte_of_the_recording_counts(recording: dict[str, Any]) -> None:
    hello, *flight = [bytes.fromhex(datagram) for datagram in recording["client_datagrams"]]
    whole = b"".join(flight)
    for position in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[position] ^= 0x20
        server = make_server(recording)
        server.receive_datagram(hello, 0.0)
        start = 0
        for datagram in flight:
            server.receive_datagram(bytes(changed[start : start + len(datagram)]), 0.0)
            start += len(datagram)
        # Only record headers are not under a signature: the number of a record in epoch 0, or
        # whether it says DTLS 1.0, is nobody's concern.
        if server.state is DtlsState.CONNECTED:
            assert _in_record_header(flight, position)


def _in_record_header(flight: list[bytes], position: int) -> bool:
    base = 0
    for datagram in flight:
        offset = 0
        while offset < len(datagram):
            start = base + offset
            if start <= position < start + HEADER_LENGTH:
                return True
            _, offset = parse_record(datagram, offset)
        base += len(datagram)
    return False
