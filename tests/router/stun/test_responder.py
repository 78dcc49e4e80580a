"""The stateless responder of the ICE-lite side."""

import aioice.stun
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.net import Address
from router.stun import (
    ERROR_CODE,
    FINGERPRINT,
    ICE_CONTROLLED,
    ICE_CONTROLLING,
    MESSAGE_INTEGRITY,
    PRIORITY,
    UNKNOWN_ATTRIBUTES,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    Attribute,
    BindingResult,
    Message,
    MessageClass,
    parse_message,
    respond_to_binding_request,
)

from .strategies import messages

UFRAG, PASSWORD = "srvr", "the server's password!"
IPV4, IPV6 = Address("192.0.2.7", 50000), Address("2001:db8::7", 50000)
TRANSACTION_ID = bytes(range(12))


def check(username: str = f"{UFRAG}:clnt") -> Message:
    """Return a connectivity check as a controlling agent sends it."""
    return (
        Message(message_class=MessageClass.REQUEST, transaction_id=TRANSACTION_ID)
        .with_attribute(USERNAME, username)
        .with_attribute(PRIORITY, 0x6E7F00FF)
        .with_attribute(ICE_CONTROLLING, 1)
    )


def respond(data: bytes, source: Address = IPV4) -> BindingResult:
    return respond_to_binding_request(
        data, source=source, username_fragment=UFRAG, password=PASSWORD
    )


def parse_error(result: BindingResult) -> Message:
    assert result.request is None
    assert result.response is not None
    response = parse_message(result.response)
    assert response.message_class is MessageClass.ERROR_RESPONSE
    assert response.transaction_id == TRANSACTION_ID
    error = response.get(ERROR_CODE)
    assert error is not None
    assert error.code == result.error_code
    return response


@pytest.mark.parametrize("source", [IPV4, IPV6])
def test_responder_answers_an_authentic_check_with_its_source(source: Address) -> None:
    data = check().with_attribute(USE_CANDIDATE, True).serialize(key=PASSWORD.encode())
    result = respond(data, source)
    assert result.error_code is None
    assert result.request is not None
    assert result.request.has(USE_CANDIDATE)
    assert result.response is not None
    assert len(result.response) <= len(data)
    response = parse_message(result.response)
    assert response.message_class is MessageClass.SUCCESS_RESPONSE
    assert response.transaction_id == TRANSACTION_ID
    assert response.get(XOR_MAPPED_ADDRESS) == source
    assert response.has(FINGERPRINT)
    response.check_integrity(PASSWORD.encode())
    theirs = aioice.stun.parse_message(result.response)
    assert theirs.check_message_integrity(PASSWORD.encode())
    assert theirs.attributes["XOR-MAPPED-ADDRESS"] == tuple(source)


def test_answer_has_a_fingerprint_only_when_the_request_has_one() -> None:
    result = respond(check().serialize(key=PASSWORD.encode(), fingerprint=False))
    assert result.response is not None
    assert not parse_message(result.response).has(FINGERPRINT)


def test_responder_refuses_a_wrong_password_with_401() -> None:
    response = parse_error(respond(check().serialize(key=b"not the server's password")))
    assert response.get(ERROR_CODE).code == 401  # type: ignore[union-attr]
    assert not response.has(MESSAGE_INTEGRITY)


@pytest.mark.parametrize("username", ["abcd:clnt", "srv:clnt", "srvr", "", ":srvr", "\udcff:x"])
def test_responder_refuses_another_username_with_401(username: str) -> None:
    result = respond(check(username).serialize(key=PASSWORD.encode()))
    parse_error(result)
    assert result.error_code == 401


def test_responder_refuses_missing_credentials_with_400() -> None:
    without_integrity = respond(check().serialize())
    parse_error(without_integrity)
    assert without_integrity.error_code == 400
    without_username = Message(
        message_class=MessageClass.REQUEST, transaction_id=TRANSACTION_ID
    ).serialize(key=PASSWORD.encode())
    assert respond(without_username).error_code == 400


def test_responder_names_unknown_required_attributes_in_420() -> None:
    request = check()
    attributes = (*request.attributes, Attribute(0x7ABC, b"?"), Attribute(0xFABC, b"fine"))
    data = Message(
        message_class=MessageClass.REQUEST, transaction_id=TRANSACTION_ID, attributes=attributes
    ).serialize(key=PASSWORD.encode())
    result = respond(data)
    response = parse_error(result)
    assert result.error_code == 420
    assert response.get(UNKNOWN_ATTRIBUTES) == (0x7ABC,)
    response.check_integrity(PASSWORD.encode())


def test_responder_refuses_a_controlled_peer_with_487() -> None:
    request = (
        Message(message_class=MessageClass.REQUEST, transaction_id=TRANSACTION_ID)
        .with_attribute(USERNAME, f"{UFRAG}:clnt")
        .with_attribute(ICE_CONTROLLED, 2**64 - 1)
    )
    result = respond(request.serialize(key=PASSWORD.encode()))
    parse_error(result).check_integrity(PASSWORD.encode())
    assert result.error_code == 487


def test_responder_drops_a_wrong_fingerprint() -> None:
    data = bytearray(check().serialize(key=PASSWORD.encode()))
    data[-1] ^= 1
    assert respond(bytes(data)) == BindingResult(request=None, response=None)


@pytest.mark.parametrize(
    "message_class",
    [MessageClass.INDICATION, MessageClass.SUCCESS_RESPONSE, MessageClass.ERROR_RESPONSE],
)
def test_responder_drops_what_is_no_request(message_class: MessageClass) -> None:
    message = Message(
        message_class=message_class,
        transaction_id=TRANSACTION_ID,
        attributes=check().attributes,
    )
    assert respond(message.serialize(key=PASSWORD.encode())).response is None


def test_responder_drops_other_methods() -> None:
    message = Message(
        message_class=MessageClass.REQUEST,
        method=3,
        transaction_id=TRANSACTION_ID,
        attributes=check().attributes,
    )
    assert respond(message.serialize(key=PASSWORD.encode())).response is None


@given(messages(), st.booleans(), st.booleans(), st.sampled_from([IPV4, IPV6]))
def test_answer_is_never_longer_than_its_request(
    message: Message, has_username: bool, is_signed: bool, source: Address
) -> None:
    request = Message(
        message_class=MessageClass.REQUEST,
        transaction_id=message.transaction_id,
        attributes=(
            *(check().attributes[:1] if has_username else ()),
            *message.attributes,
        ),
    )
    data = request.serialize(key=PASSWORD.encode() if is_signed else None, fingerprint=is_signed)
    response = respond(data, source).response
    assert response is None or len(response) <= len(data)


@given(st.binary(max_size=120))
def test_responder_survives_any_bytes(data: bytes) -> None:
    assert respond(data).request is None


def test_bare_request_is_not_answered_with_more_bytes() -> None:
    data = Message(message_class=MessageClass.REQUEST, transaction_id=TRANSACTION_ID).serialize(
        fingerprint=False
    )
    result = respond(data)
    assert result.error_code == 400
    assert result.response is None
