"""One connection against another, without loss: what is agreed, checked, refused and closed."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from router.dtls import (
    Alert,
    ApplicationData,
    Closed,
    DtlsConfig,
    DtlsConnection,
    DtlsState,
    HandshakeCompleted,
    NamedGroup,
)
from router.dtls.cipher import CIPHER_SUITES, Authentication, CipherSuite
from router.dtls.connection import MAX_EARLY_RECORDS
from router.dtls.extensions import HelloExtensions, UseSrtp
from router.dtls.handshake import (
    EMPTY_RENEGOTIATION_INFO_SCSV,
    ClientHello,
    HandshakeMessage,
    HandshakeType,
    ServerHello,
    parse_client_hello,
    parse_server_hello,
)
from router.dtls.key_exchange import EphemeralPrivateKey, generate_private_key
from router.dtls.record import DTLS_1_0, DTLS_1_2, ContentType, Record, parse_record
from router.errors import LocalProtocolError, RemoteProtocolError
from router.srtp import (
    AEAD_AES_128_GCM,
    AES128_CM_HMAC_SHA1_80,
    SrtpProfile,
)

from .peers import (
    CLIENT_CERTIFICATE,
    SERVER_CERTIFICATE,
    certificate,
    connected_pair,
    events,
    exchange,
    make_client,
    make_server,
    only_event,
)

ECDSA_SUITES = [suite for suite in CIPHER_SUITES if suite.authentication is Authentication.ECDSA]
OTHER_FINGERPRINTS = (certificate(99).fingerprint(),)

OFFER = ClientHello(
    version=DTLS_1_2,
    random=bytes(32),
    cipher_suites=(0xC02B,),
    extensions=HelloExtensions(
        supported_groups=(29, 23),
        ec_point_formats=(0,),
        signature_algorithms=(0x0403,),
        use_srtp=UseSrtp((7,)),
        extended_master_secret=True,
        renegotiation_info=b"",
    ),
)


def handshake_datagram(
    message_type: int, body: bytes, *, message_seq: int = 0, sequence_number: int = 0
) -> bytes:
    """Return a message in one record of epoch 0, as anybody could send it."""
    message = HandshakeMessage(message_type, message_seq, 0, body)
    return Record(
        ContentType.HANDSHAKE, DTLS_1_2, 0, sequence_number, message.serialize()
    ).serialize()


def hello_datagram(hello: ClientHello, **settings: int) -> bytes:
    return handshake_datagram(HandshakeType.CLIENT_HELLO, hello.serialize(), **settings)


def offer(**extensions: Any) -> ClientHello:
    """Return OFFER with some extensions changed."""
    return replace(OFFER, extensions=replace(OFFER.extensions, **extensions))


def records_of(datagram: bytes) -> list[Record]:
    records = []
    offset = 0
    while offset < len(datagram):
        record, offset = parse_record(datagram, offset)
        records.append(record)
    return records


def alert_of(connection: DtlsConnection) -> Alert:
    """Return the fatal alert that a connection sent in the clear, as the last thing."""
    record = records_of(connection.datagrams_to_send()[-1])[-1]
    assert (record.content_type, record.epoch, len(record.fragment)) == (ContentType.ALERT, 0, 2)
    assert record.fragment[0] == 2
    return Alert(record.fragment[1])


def closing_cause(connection: DtlsConnection) -> int | None:
    error = only_event(connection, Closed).error
    assert isinstance(error, RemoteProtocolError)
    return error.cause


# Agreement.


@pytest.mark.parametrize("suite", ECDSA_SUITES, ids=lambda suite: suite.name)
@pytest.mark.parametrize("group", list(NamedGroup), ids=lambda group: group.name)
@pytest.mark.parametrize("profile", [AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80])
def test_pair_agrees_on_every_combination(
    suite: CipherSuite, group: NamedGroup, profile: SrtpProfile
) -> None:
    server = make_server()
    client = make_client(cipher_suites=(suite,), groups=(group,), srtp_profiles=(profile,))
    exchange(server, client)
    on_server = only_event(server, HandshakeCompleted)
    on_client = only_event(client, HandshakeCompleted)
    for event in (on_server, on_client):
        assert (event.cipher_suite, event.group, event.srtp_profile) == (suite, group, profile)
    assert on_server.local_key == on_client.remote_key
    assert on_server.local_salt == on_client.remote_salt
    assert on_server.remote_key == on_client.local_key
    assert on_server.remote_salt == on_client.local_salt
    assert on_server.local_key != on_server.remote_key
    assert len(on_server.local_key) == profile.key_length
    assert len(on_server.local_salt) == profile.salt_length
    assert on_server.peer_certificate == CLIENT_CERTIFICATE.der
    assert on_client.peer_certificate == SERVER_CERTIFICATE.der
    client.send_application_data(b"to the server")
    server.send_application_data(b"to the client")
    exchange(server, client)
    assert events(server) == [ApplicationData(b"to the server")]
    assert events(client) == [ApplicationData(b"to the client")]
    assert server.next_timer() is None
    assert client.next_timer() is None


def test_server_prefers_its_own_order() -> None:
    server = make_server()
    client = make_client(
        cipher_suites=CIPHER_SUITES[::-1],
        groups=(NamedGroup.SECP256R1, NamedGroup.X25519),
        srtp_profiles=(AES128_CM_HMAC_SHA1_80, AEAD_AES_128_GCM),
    )
    exchange(server, client)
    event = only_event(client, HandshakeCompleted)
    assert event.cipher_suite == CIPHER_SUITES[0]
    assert event.group is NamedGroup.X25519
    assert event.srtp_profile == AEAD_AES_128_GCM


@pytest.mark.parametrize(
    ("of_server", "of_client"),
    [
        ((), (AEAD_AES_128_GCM,)),
        ((AEAD_AES_128_GCM,), ()),
        ((AEAD_AES_128_GCM,), (AES128_CM_HMAC_SHA1_80,)),
    ],
)
def test_pair_without_common_profile_connects_without_srtp(
    of_server: tuple[SrtpProfile, ...], of_client: tuple[SrtpProfile, ...]
) -> None:
    server, client = make_server(srtp_profiles=of_server), make_client(srtp_profiles=of_client)
    exchange(server, client)
    for connection in (server, client):
        event = only_event(connection, HandshakeCompleted)
        assert event.srtp_profile is None
        assert event.local_key == event.remote_key == event.local_salt == b""


def test_small_mtu_is_kept() -> None:
    server, client = make_server(mtu=128), make_client(mtu=128)
    carried = exchange(server, client)
    only_event(server, HandshakeCompleted)
    only_event(client, HandshakeCompleted)
    assert len(carried) >= 15
    assert max(len(datagram) for _, datagram in carried) <= 128


def test_handshake_takes_four_datagrams() -> None:
    server, client = make_server(), make_client()
    assert len(exchange(server, client)) == 4


@pytest.mark.parametrize("group", list(NamedGroup), ids=lambda group: group.name)
def test_same_seeds_give_the_same_datagrams(group: NamedGroup) -> None:
    runs = []
    for _ in range(2):
        server, client = make_server(groups=(group,)), make_client(groups=(group,))
        runs.append([datagram for _, datagram in exchange(server, client)])
    assert runs[0] == runs[1]


def test_exporter_agrees_and_depends_on_label_and_context() -> None:
    server, client = connected_pair()
    exports = set()
    for label, context in itertools.product(
        (b"EXPERIMENTAL-a", b"EXPERIMENTAL-b"), (None, b"", b"c")
    ):
        exported = server.export_keying_material(label, 40, context)
        assert exported == client.export_keying_material(label, 40, context)
        exports.add(exported)
    assert len(exports) == 6


def test_keys_do_not_show_in_events() -> None:
    server, client = make_server(), make_client()
    exchange(server, client)
    event = only_event(server, HandshakeCompleted)
    assert event.local_key.hex() not in repr(event)
    assert repr(event.local_key) not in repr(event)


# Cookies.


def test_client_answers_a_cookie_request() -> None:
    server, client = make_server(cookie_exchange=True), make_client()
    carried = exchange(server, client)
    only_event(server, HandshakeCompleted)
    only_event(client, HandshakeCompleted)
    assert len(carried) == 6


def test_server_keeps_no_secret_and_sends_little_before_the_cookie_came() -> None:
    generated = []

    def generator(group: NamedGroup) -> EphemeralPrivateKey:
        generated.append(group)
        return generate_private_key(group)

    server = make_server(cookie_exchange=True, generate_private_key=generator)
    hello = hello_datagram(OFFER)
    server.receive_datagram(hello, 0.0)
    (request,) = server.datagrams_to_send()
    assert len(request) < len(hello)
    assert not generated
    server.handle_timer(1.0)
    assert server.datagrams_to_send() == []


def test_wrong_cookie_is_answered_by_another_request() -> None:
    server = make_server(cookie_exchange=True)
    server.receive_datagram(hello_datagram(OFFER), 0.0)
    server.datagrams_to_send()
    forged = replace(OFFER, cookie=bytes(20))
    server.receive_datagram(hello_datagram(forged, message_seq=1, sequence_number=1), 0.0)
    (datagram,) = server.datagrams_to_send()
    assert records_of(datagram)[0].fragment[0] == HandshakeType.HELLO_VERIFY_REQUEST


def test_client_gives_up_on_endless_cookie_requests() -> None:
    client = make_client()
    body = DTLS_1_0.to_bytes(2, "big") + b"\x01c"
    for number in range(4):
        client.receive_datagram(
            handshake_datagram(
                HandshakeType.HELLO_VERIFY_REQUEST, body, message_seq=number, sequence_number=number
            ),
            0.0,
        )
    assert closing_cause(client) == Alert.UNEXPECTED_MESSAGE


# Fingerprints.


def test_server_refuses_another_certificate() -> None:
    server = make_server(remote_fingerprints=OTHER_FINGERPRINTS)
    client = make_client()
    exchange(server, client)
    assert closing_cause(server) == Alert.BAD_CERTIFICATE
    # The alert came in the clear, where anybody could have sent it.
    assert events(client) == []
    assert client.counters.unauthenticated_alerts == 1


def test_client_refuses_another_certificate() -> None:
    server, client = make_server(), make_client(remote_fingerprints=OTHER_FINGERPRINTS)
    exchange(server, client)
    assert closing_cause(client) == Alert.BAD_CERTIFICATE
    assert events(server) == []


@pytest.mark.parametrize("late", ["server", "client"])
def test_no_key_and_no_data_before_the_fingerprint_is_known(late: str) -> None:
    unknown: dict[str, Any] = {"remote_fingerprints": None}
    server = make_server(**(unknown if late == "server" else {}))
    client = make_client(**(unknown if late == "client" else {}))
    exchange(server, client)
    waiting, other = (server, client) if late == "server" else (client, server)
    assert waiting.state is DtlsState.WAITING_FOR_FINGERPRINTS
    only_event(other, HandshakeCompleted)
    for number in range(MAX_EARLY_RECORDS + 3):
        other.send_application_data(bytes([number]))
    exchange(server, client)
    assert events(waiting) == []
    with pytest.raises(LocalProtocolError):
        waiting.send_application_data(b"data")
    with pytest.raises(LocalProtocolError):
        waiting.export_keying_material(b"EXTRACTOR-dtls_srtp", 60)

    right = CLIENT_CERTIFICATE if late == "server" else SERVER_CERTIFICATE
    waiting.set_remote_fingerprints([right.fingerprint()])
    completed, *data = events(waiting)
    assert isinstance(completed, HandshakeCompleted)
    assert data == [ApplicationData(bytes([number])) for number in range(MAX_EARLY_RECORDS)]
    assert waiting.counters.unexpected_records == 3
    assert waiting.next_timer() is None


def test_late_fingerprint_that_does_not_match_closes() -> None:
    server, client = make_server(remote_fingerprints=None), make_client()
    exchange(server, client)
    only_event(client, HandshakeCompleted)
    server.set_remote_fingerprints(OTHER_FINGERPRINTS)
    assert closing_cause(server) == Alert.BAD_CERTIFICATE
    exchange(server, client)
    assert closing_cause(client) == Alert.BAD_CERTIFICATE


def test_fingerprint_that_comes_during_the_handshake_counts() -> None:
    server, client = make_server(remote_fingerprints=None), make_client()
    server.receive_datagram(client.datagrams_to_send()[0], 0.0)
    server.set_remote_fingerprints(OTHER_FINGERPRINTS)
    exchange(server, client)
    assert closing_cause(server) == Alert.BAD_CERTIFICATE


def test_new_fingerprint_that_does_not_match_closes_a_connection_in_use() -> None:
    server, _ = connected_pair()
    server.set_remote_fingerprints([CLIENT_CERTIFICATE.fingerprint(), *OTHER_FINGERPRINTS])
    assert server.state is DtlsState.CONNECTED
    server.set_remote_fingerprints(OTHER_FINGERPRINTS)
    assert closing_cause(server) == Alert.BAD_CERTIFICATE


def test_fingerprints_that_never_come_end_in_a_timeout() -> None:
    server, client = make_server(remote_fingerprints=None), make_client()
    exchange(server, client)
    assert server.next_timer() == 30.0
    server.handle_timer(29.9)
    assert events(server) == []
    server.handle_timer(30.0)
    assert only_event(server, Closed).error is not None
    assert server.next_timer() is None


def test_at_least_one_fingerprint_is_needed() -> None:
    with pytest.raises(LocalProtocolError):
        make_server().set_remote_fingerprints([])
    with pytest.raises(ValueError, match="remote_fingerprints"):
        DtlsConfig(certificate=SERVER_CERTIFICATE, remote_fingerprints=())


# What a server refuses.


@pytest.mark.parametrize(
    ("hello", "alert"),
    [
        (replace(OFFER, version=DTLS_1_0), Alert.PROTOCOL_VERSION),
        (replace(OFFER, version=0x0303), Alert.PROTOCOL_VERSION),
        (replace(OFFER, cipher_suites=(0xC02F, 0xC009)), Alert.HANDSHAKE_FAILURE),
        (replace(OFFER, compression_methods=(1,)), Alert.ILLEGAL_PARAMETER),
        (replace(OFFER, extensions=HelloExtensions()), Alert.HANDSHAKE_FAILURE),
        (offer(extended_master_secret=False), Alert.HANDSHAKE_FAILURE),
        (offer(renegotiation_info=b"x"), Alert.HANDSHAKE_FAILURE),
        (offer(ec_point_formats=(1,)), Alert.ILLEGAL_PARAMETER),
        (offer(supported_groups=(24,)), Alert.HANDSHAKE_FAILURE),
        (offer(supported_groups=None), Alert.HANDSHAKE_FAILURE),
        (offer(signature_algorithms=(0x0203, 0x0401)), Alert.HANDSHAKE_FAILURE),
        (offer(signature_algorithms=None), Alert.HANDSHAKE_FAILURE),
    ],
)
def test_server_refuses_a_hello(hello: ClientHello, alert: Alert) -> None:
    server = make_server()
    server.receive_datagram(hello_datagram(hello), 0.0)
    assert alert_of(server) == alert
    assert closing_cause(server) == alert


def test_server_answers_a_hello_that_does_not_parse_with_decode_error() -> None:
    server = make_server()
    server.receive_datagram(handshake_datagram(1, b"\xfe\xfd"), 0.0)
    assert alert_of(server) == Alert.DECODE_ERROR
    assert closing_cause(server) == Alert.DECODE_ERROR


def server_hello_to(hello: ClientHello) -> ServerHello:
    server = make_server()
    server.receive_datagram(hello_datagram(hello), 0.0)
    record = records_of(server.datagrams_to_send()[0])[0]
    return parse_server_hello(record.fragment[12:])


def test_server_answers_only_what_was_offered() -> None:
    answer = server_hello_to(OFFER)
    assert answer.extensions == HelloExtensions(
        ec_point_formats=(0,),
        use_srtp=UseSrtp((7,)),
        extended_master_secret=True,
        renegotiation_info=b"",
    )
    bare = offer(use_srtp=None, renegotiation_info=None, ec_point_formats=None)
    assert server_hello_to(bare).extensions == HelloExtensions(extended_master_secret=True)


def test_server_takes_the_signaling_suite_for_renegotiation_info() -> None:
    bare = offer(renegotiation_info=None)
    suites = (*bare.cipher_suites, EMPTY_RENEGOTIATION_INFO_SCSV)
    assert server_hello_to(replace(bare, cipher_suites=suites)).extensions.renegotiation_info == b""


def test_server_ignores_what_it_does_not_know_and_newer_versions() -> None:
    hello = replace(
        offer(other=((0x1A1A, b""), (43, b"\x04\xfe\xfc\xfe\xfd"))),
        version=0xFEFC,
        cipher_suites=(0x1301, 0x2A2A, 0xCCA9),
        session_id=bytes(32),
    )
    answer = server_hello_to(hello)
    assert (answer.version, answer.cipher_suite, answer.session_id) == (DTLS_1_2, 0xCCA9, b"")
    assert answer.extensions.other == ()


def test_server_refuses_a_client_without_certificate() -> None:
    server = make_server()
    server.receive_datagram(hello_datagram(OFFER), 0.0)
    server.datagrams_to_send()
    server.receive_datagram(
        handshake_datagram(HandshakeType.CERTIFICATE, bytes(3), message_seq=1, sequence_number=1),
        0.0,
    )
    assert alert_of(server) == Alert.HANDSHAKE_FAILURE


@pytest.mark.parametrize("message_type", [0, 2, 3, 4, 12, 14, 15, 16, 20, 99])
def test_message_out_of_turn_is_refused(message_type: int) -> None:
    server = make_server()
    server.receive_datagram(handshake_datagram(message_type, b""), 0.0)
    assert alert_of(server) == Alert.UNEXPECTED_MESSAGE


def test_finished_in_the_clear_is_refused() -> None:
    server, client = make_server(), make_client()

    def strip(sender: DtlsConnection, datagram: bytes) -> bytes:
        if sender is server:
            return datagram
        return b"".join(
            record.serialize()
            for record in records_of(datagram)
            if record.content_type == ContentType.HANDSHAKE and record.epoch == 0
        )

    exchange(server, client, tap=strip)
    server.receive_datagram(
        handshake_datagram(HandshakeType.FINISHED, bytes(12), message_seq=4, sequence_number=1000),
        0.0,
    )
    assert closing_cause(server) == Alert.UNEXPECTED_MESSAGE


# What a client refuses.


def rewrite_server_hello(hello: ServerHello) -> bytes | None:
    """Return the alert with which a client refuses this answer to its hello."""
    client = make_client()
    client.datagrams_to_send()
    client.receive_datagram(handshake_datagram(HandshakeType.SERVER_HELLO, hello.serialize()), 0.0)
    if client.state is not DtlsState.CLOSED:
        return None
    return bytes([alert_of(client)])


ANSWER = ServerHello(
    version=DTLS_1_2,
    random=bytes(32),
    cipher_suite=0xC02B,
    extensions=HelloExtensions(
        use_srtp=UseSrtp((7,)), extended_master_secret=True, renegotiation_info=b""
    ),
)


def answer(**extensions: Any) -> ServerHello:
    return replace(ANSWER, extensions=replace(ANSWER.extensions, **extensions))


@pytest.mark.parametrize(
    ("hello", "alert"),
    [
        (ANSWER, None),
        (replace(ANSWER, cipher_suite=0xC02F), None),
        (answer(renegotiation_info=None, use_srtp=None), None),
        (replace(ANSWER, version=DTLS_1_0), Alert.PROTOCOL_VERSION),
        (replace(ANSWER, version=0xFEFC), Alert.PROTOCOL_VERSION),
        (replace(ANSWER, cipher_suite=0xC009), Alert.ILLEGAL_PARAMETER),
        (replace(ANSWER, compression_method=1), Alert.ILLEGAL_PARAMETER),
        (answer(extended_master_secret=False), Alert.HANDSHAKE_FAILURE),
        (answer(renegotiation_info=b"x"), Alert.HANDSHAKE_FAILURE),
        (answer(ec_point_formats=(1,)), Alert.ILLEGAL_PARAMETER),
        (answer(use_srtp=UseSrtp((8,))), Alert.ILLEGAL_PARAMETER),
        (answer(use_srtp=UseSrtp((7, 1))), Alert.ILLEGAL_PARAMETER),
        (answer(use_srtp=UseSrtp((7,), b"mki")), Alert.ILLEGAL_PARAMETER),
        (answer(other=((35, b""),)), Alert.UNSUPPORTED_EXTENSION),
    ],
)
def test_client_judges_a_server_hello(hello: ServerHello, alert: Alert | None) -> None:
    assert rewrite_server_hello(hello) == (None if alert is None else bytes([alert]))


def test_client_refuses_a_certificate_that_does_not_fit_the_suite() -> None:
    server, client = make_server(), make_client()

    def as_rsa(sender: DtlsConnection, datagram: bytes) -> bytes:
        return (
            datagram.replace(b"\x00\xc0\x2b\x00", b"\x00\xc0\x2f\x00")
            if sender is server
            else datagram
        )

    exchange(server, client, tap=as_rsa)
    assert closing_cause(client) == Alert.UNSUPPORTED_CERTIFICATE


def test_meddling_with_an_offer_is_found_out() -> None:
    server, client = make_server(), make_client()

    def weaken(sender: DtlsConnection, datagram: bytes) -> bytes:
        # The SRTP profiles 7 and 1 become 1 and 1.
        return datagram.replace(b"\x00\x04\x00\x07\x00\x01", b"\x00\x04\x00\x01\x00\x01")

    exchange(server, client, tap=weaken)
    assert closing_cause(server) == Alert.DECRYPT_ERROR
    assert events(client) == []


# After the handshake.


def test_close_is_told_to_the_peer() -> None:
    server, client = connected_pair()
    client.close()
    client.close()
    assert events(client) == [Closed(None)]
    exchange(server, client)
    assert events(server) == [Closed(None)]
    with pytest.raises(LocalProtocolError):
        server.send_application_data(b"late")


def test_closed_connection_is_silent() -> None:
    server, client = connected_pair()
    client.send_application_data(b"late")
    datagrams = client.datagrams_to_send()
    server.close()
    server.datagrams_to_send()
    events(server)
    for datagram in datagrams:
        server.receive_datagram(datagram, 1.0)
    server.handle_timer(100.0)
    server.set_remote_fingerprints(OTHER_FINGERPRINTS)
    assert server.datagrams_to_send() == []
    assert events(server) == []
    assert server.next_timer() is None


def test_connection_can_be_closed_before_it_is_up() -> None:
    client = make_client()
    client.close()
    assert events(client) == [Closed(None)]
    assert client.next_timer() is None


def test_application_data_is_bounded() -> None:
    server, client = connected_pair()
    client.send_application_data(bytes(16384))
    with pytest.raises(LocalProtocolError):
        client.send_application_data(bytes(16385))
    exchange(server, client)
    assert only_event(server, ApplicationData).data == bytes(16384)


def test_data_that_fits_makes_a_datagram_of_the_mtu() -> None:
    _, client = connected_pair(mtu=1000)
    client.send_application_data(bytes(client.max_application_data_length))
    assert [len(datagram) for datagram in client.datagrams_to_send()] == [1000]


def test_empty_application_data_is_not_reported() -> None:
    server, client = connected_pair()
    client.send_application_data(b"")
    exchange(server, client)
    assert events(server) == []


def test_application_data_before_the_handshake_raises() -> None:
    with pytest.raises(LocalProtocolError):
        make_client().send_application_data(b"early")


def test_replayed_record_is_dropped() -> None:
    server, client = connected_pair()
    client.send_application_data(b"once")
    (datagram,) = client.datagrams_to_send()
    for _ in range(3):
        server.receive_datagram(datagram, 0.0)
    assert events(server) == [ApplicationData(b"once")]
    assert server.counters.replayed_records == 2


def test_forged_records_are_dropped_and_counted() -> None:
    server, client = connected_pair()
    client.send_application_data(b"data")
    (datagram,) = client.datagrams_to_send()
    for position in range(13, len(datagram)):
        forged = bytearray(datagram)
        forged[position] ^= 1
        server.receive_datagram(bytes(forged), 0.0)
    assert server.counters.invalid_records == len(datagram) - 13
    server.receive_datagram(datagram, 0.0)
    assert events(server) == [ApplicationData(b"data")]
    assert server.datagrams_to_send() == []


@pytest.mark.parametrize("description", [0, 40, 42, 90])
@pytest.mark.parametrize("level", [1, 2])
def test_alert_in_the_clear_is_ignored(level: int, description: int) -> None:
    datagram = Record(ContentType.ALERT, DTLS_1_2, 0, 500, bytes([level, description])).serialize()
    server, client = connected_pair()
    fresh = make_client()
    for connection in (server, client, fresh):
        connection.receive_datagram(datagram, 0.0)
        assert events(connection) == []
        assert connection.counters.unauthenticated_alerts == 1
    assert fresh.state is DtlsState.HANDSHAKING


def test_new_hello_on_a_connection_in_use_is_ignored() -> None:
    server, client = connected_pair()
    server.receive_datagram(make_client(seed=77).datagrams_to_send()[0], 1.0)
    server.receive_datagram(hello_datagram(OFFER, sequence_number=600), 1.0)
    assert server.datagrams_to_send() == []
    client.send_application_data(b"still here")
    exchange(server, client)
    assert events(server) == [ApplicationData(b"still here")]


@pytest.mark.parametrize("asks", ["server", "client"])
def test_renegotiation_is_declined(asks: str) -> None:
    server, client = connected_pair()
    asking, asked = (server, client) if asks == "server" else (client, server)
    kind = HandshakeType.HELLO_REQUEST if asks == "server" else HandshakeType.CLIENT_HELLO
    body = b"" if asks == "server" else OFFER.serialize()
    message = HandshakeMessage(kind, 0, 1, body).serialize()
    # No surface of ours would ask, so the record is sealed by hand.
    asked.receive_datagram(asking._records.seal(ContentType.HANDSHAKE, message, 1), 1.0)
    (datagram,) = asked.datagrams_to_send()
    record = records_of(datagram)[0]
    assert asking._records.open(record) == bytes([1, Alert.NO_RENEGOTIATION])
    assert asked.state is DtlsState.CONNECTED
    asking.receive_datagram(datagram, 1.0)
    assert events(asking) == []


def test_protected_fatal_alert_closes() -> None:
    server, client = connected_pair()
    datagram = client._records.seal(ContentType.ALERT, bytes([2, Alert.INTERNAL_ERROR]), 1)
    server.receive_datagram(datagram, 1.0)
    assert closing_cause(server) == Alert.INTERNAL_ERROR
    assert server.datagrams_to_send() == []


@pytest.mark.parametrize("body", [b"", b"\x02", b"\x02\x28\x00", b"\x07\x28"])
def test_malformed_alert_is_dropped(body: bytes) -> None:
    server, client = connected_pair()
    server.receive_datagram(client._records.seal(ContentType.ALERT, body, 1), 1.0)
    assert server.state is DtlsState.CONNECTED
    assert server.counters.invalid_records == 1


def test_peer_keeps_what_it_offered_in_its_hello() -> None:
    client = make_client()
    record = records_of(client.datagrams_to_send()[0])[0]
    hello = parse_client_hello(record.fragment[12:])
    assert hello.cipher_suites == (0xC02B, 0xCCA9, 0xC02F, 0xCCA8)
    assert hello.extensions.use_srtp == UseSrtp((7, 1))
    assert hello.extensions.supported_groups == (29, 23)
    assert hello.extensions.renegotiation_info == b""
    assert hello.extensions.extended_master_secret


@pytest.mark.parametrize(
    "settings",
    [
        {"mtu": 100},
        {"initial_retransmission_interval": 0.0},
        {"initial_retransmission_interval": 61.0},
        {"handshake_timeout": 0.0},
        {"cipher_suites": ()},
        {"groups": ()},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        DtlsConfig(certificate=SERVER_CERTIFICATE, **settings)
