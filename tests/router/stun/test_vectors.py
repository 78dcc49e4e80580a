"""The published messages of RFC 5769 parse, verify, and are rebuilt."""

import json
from pathlib import Path
from typing import Any

import pytest

from router.errors import AuthenticationFailed
from router.stun import (
    ICE_CONTROLLED,
    NONCE,
    PRIORITY,
    REALM,
    SOFTWARE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    Message,
    MessageClass,
    long_term_key,
    parse_message,
)

VECTORS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "stun" / "rfc5769.json").read_text("utf-8")
)
TRANSACTION_ID = bytes.fromhex("b7e7a701bc34d686fa87dfae")


def parse_vector(name: str) -> Message:
    return parse_message(bytes.fromhex(VECTORS[name]["hex"]))


def test_request_of_section_2_1() -> None:
    vector, message = VECTORS["request"], parse_vector("request")
    assert message.message_class is MessageClass.REQUEST
    assert message.transaction_id == TRANSACTION_ID
    assert message.get(SOFTWARE) == vector["software"]
    assert message.get(PRIORITY) == vector["priority"]
    assert message.get(ICE_CONTROLLED) == vector["ice_controlled"]
    assert message.get(USERNAME) == vector["username"]
    message.check_integrity(vector["password"].encode())
    with pytest.raises(AuthenticationFailed):
        message.check_integrity(b"another password than that one")


@pytest.mark.parametrize("name", ["ipv4_response", "ipv6_response"])
def test_responses_of_sections_2_2_and_2_3(name: str) -> None:
    vector, message = VECTORS[name], parse_vector(name)
    assert message.message_class is MessageClass.SUCCESS_RESPONSE
    assert message.transaction_id == TRANSACTION_ID
    assert message.get(SOFTWARE) == vector["software"]
    assert message.get(XOR_MAPPED_ADDRESS) == tuple(vector["mapped_address"])
    message.check_integrity(vector["password"].encode())


def test_long_term_request_of_section_2_4_is_rebuilt_to_the_byte() -> None:
    vector, message = VECTORS["long_term_request"], parse_vector("long_term_request")
    key = long_term_key(vector["username"], vector["realm"], vector["password"])
    message.check_integrity(key)
    rebuilt = (
        Message(message_class=MessageClass.REQUEST, transaction_id=message.transaction_id)
        .with_attribute(USERNAME, vector["username"])
        .with_attribute(NONCE, vector["nonce"].encode())
        .with_attribute(REALM, vector["realm"])
    )
    assert rebuilt.serialize(key=key, fingerprint=False).hex() == vector["hex"]


@pytest.mark.parametrize("name", ["request", "ipv4_response", "ipv6_response"])
def test_rebuilt_vectors_differ_in_padding_only(name: str) -> None:
    original = parse_vector(name)
    key = VECTORS[name]["password"].encode()
    rebuilt = parse_message(
        Message(
            message_class=original.message_class,
            transaction_id=original.transaction_id,
            attributes=original.attributes[:-2],
        ).serialize(key=key)
    )
    assert rebuilt.attributes[:-2] == original.attributes[:-2]
    assert len(rebuilt.raw) == len(original.raw)
    rebuilt.check_integrity(key)
