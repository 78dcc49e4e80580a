"""Handshake messages and hello extensions: round trips, and any bytes."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.dtls.alert import AlertMessage, parse_alert
from router.dtls.extensions import (
    ExtensionType,
    HelloExtensions,
    UseSrtp,
    parse_extensions,
    serialize_extensions,
)
from router.dtls.handshake import (
    MAX_CERTIFICATES,
    CertificateMessage,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    ClientKeyExchange,
    HandshakeMessage,
    HelloVerifyRequest,
    ServerHello,
    ServerKeyExchange,
    parse_certificate_message,
    parse_certificate_request,
    parse_certificate_verify,
    parse_client_hello,
    parse_client_key_exchange,
    parse_hello_verify_request,
    parse_server_hello,
    parse_server_hello_done,
    parse_server_key_exchange,
)
from router.errors import WireFormatError

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u8_list = st.lists(u8, min_size=1, max_size=5).map(tuple)
u16_list = st.lists(u16, min_size=1, max_size=5).map(tuple)
random_bytes = st.binary(min_size=32, max_size=32)
unknown_types = u16.filter(lambda number: number not in set(ExtensionType))

extensions = st.builds(
    HelloExtensions,
    supported_groups=st.none() | u16_list,
    ec_point_formats=st.none() | u8_list,
    signature_algorithms=st.none() | u16_list,
    use_srtp=st.none() | st.builds(UseSrtp, u16_list, st.binary(max_size=5)),
    extended_master_secret=st.booleans(),
    renegotiation_info=st.none() | st.binary(max_size=24),
    other=st.lists(
        st.tuples(unknown_types, st.binary(max_size=5)),
        max_size=3,
        unique_by=lambda entry: entry[0],
    ).map(tuple),
)

MESSAGES: list[tuple[Callable[[bytes], Any], st.SearchStrategy[Any]]] = [
    (
        parse_client_hello,
        st.builds(
            ClientHello,
            version=u16,
            random=random_bytes,
            session_id=st.binary(max_size=32),
            cookie=st.binary(max_size=255),
            cipher_suites=u16_list,
            compression_methods=u8_list,
            extensions=extensions,
        ),
    ),
    (
        parse_hello_verify_request,
        st.builds(HelloVerifyRequest, version=u16, cookie=st.binary(max_size=255)),
    ),
    (
        parse_server_hello,
        st.builds(
            ServerHello,
            version=u16,
            random=random_bytes,
            session_id=st.binary(max_size=32),
            cipher_suite=u16,
            compression_method=u8,
            extensions=extensions,
        ),
    ),
    (
        parse_certificate_message,
        st.builds(
            CertificateMessage,
            st.lists(st.binary(min_size=1, max_size=20), max_size=MAX_CERTIFICATES).map(tuple),
        ),
    ),
    (
        parse_server_key_exchange,
        st.builds(
            ServerKeyExchange,
            group=u16,
            public_key=st.binary(min_size=1, max_size=255),
            signature_scheme=u16,
            signature=st.binary(max_size=80),
        ),
    ),
    (
        parse_certificate_request,
        st.builds(
            CertificateRequest,
            certificate_types=u8_list,
            signature_algorithms=u16_list,
            certificate_authorities=st.binary(max_size=20),
        ),
    ),
    (parse_certificate_verify, st.builds(CertificateVerify, u16, st.binary(max_size=80))),
    (
        parse_client_key_exchange,
        st.builds(ClientKeyExchange, st.binary(min_size=1, max_size=255)),
    ),
    (parse_alert, st.builds(AlertMessage, st.sampled_from([1, 2]), u8)),
]


@given(st.data())
def test_messages_round_trip(data: st.DataObject) -> None:
    parse, messages = data.draw(st.sampled_from(MESSAGES))
    message = data.draw(messages)
    assert parse(message.serialize()) == message


@given(st.data())
def test_messages_with_a_byte_too_many_or_too_few_are_refused(data: st.DataObject) -> None:
    parse, messages = data.draw(st.sampled_from(MESSAGES))
    body = data.draw(messages).serialize()
    with pytest.raises(WireFormatError):
        parse(body + b"\0")
    with pytest.raises(WireFormatError):
        parse(body[:-1])


@given(st.sampled_from([parse for parse, _ in MESSAGES]), st.binary(max_size=100))
def test_any_bytes_parse_or_raise_wire_format_error(
    parse: Callable[[bytes], Any], data: bytes
) -> None:
    try:
        message = parse(data)
    except WireFormatError:
        return
    assert message is not None


@given(extensions)
def test_extensions_round_trip(value: HelloExtensions) -> None:
    assert parse_extensions(serialize_extensions(value)) == value


@given(st.binary(max_size=60))
def test_any_extension_block_parses_or_raises_wire_format_error(data: bytes) -> None:
    try:
        parse_extensions(data)
    except WireFormatError:
        return


@given(st.lists(st.tuples(st.sampled_from(ExtensionType), st.binary(max_size=12)), max_size=4))
def test_any_body_of_a_known_extension_parses_or_raises(
    blocks: list[tuple[ExtensionType, bytes]],
) -> None:
    data = serialize_extensions(
        HelloExtensions(other=tuple((int(number), body) for number, body in blocks))
    )
    try:
        value = parse_extensions(data)
    except WireFormatError:
        return
    assert value.types() == {int(number) for number, _ in blocks}


def test_extension_that_comes_twice_is_refused() -> None:
    with pytest.raises(WireFormatError):
        parse_extensions(2 * bytes.fromhex("00170000"))


def test_hello_without_extensions_parses() -> None:
    body = ClientHello(
        version=0xFEFD, random=bytes(32), cipher_suites=(0xC02B,), extensions=HelloExtensions()
    ).serialize()
    assert parse_client_hello(body[:-2]) == parse_client_hello(body)


def test_too_many_certificates_are_refused() -> None:
    body = CertificateMessage((b"x",) * (MAX_CERTIFICATES + 1)).serialize()
    with pytest.raises(WireFormatError):
        parse_certificate_message(body)


def test_server_hello_done_is_empty() -> None:
    parse_server_hello_done(b"")
    with pytest.raises(WireFormatError):
        parse_server_hello_done(b"\0")


def test_transcript_form_is_that_of_one_fragment() -> None:
    message = HandshakeMessage(1, 2, 0, b"abc")
    assert message.serialize() == bytes.fromhex("01 000003 0002 000000 000003") + b"abc"
