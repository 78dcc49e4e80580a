"""The compiled STUN responder: RFC 5769, a Python model, and bytes that mean harm."""

import contextlib
import ipaddress
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router._fastpath.stun import StunMessage
from tests.support import stun_model as model

REQUEST, SUCCESS, ERROR = 0x0001, 0x0101, 0x0111
TRANSACTION = bytes(range(1, 13))
PASSWORD = b"a password of some length"
USERNAME = (model.USERNAME, b"local:remote")

# RFC 5769 2.1 to 2.3.
RFC5769_PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"
RFC5769_REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74"
    "002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020"
    "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)
RFC5769_RESPONSE_V4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"
    "002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004c07d4c96"
)
RFC5769_RESPONSE_V6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c"
    "8292c275bfe3ed4180280004c8fb0b4c"
)


def request(*attributes: model.Attribute, password: bytes | None = PASSWORD) -> bytes:
    return model.build(REQUEST, TRANSACTION, [USERNAME, *attributes], password)


def full_request() -> bytes:
    return request(
        (model.PRIORITY, struct.pack(">I", 0x6E0001FF)),
        (model.CONTROLLING, struct.pack(">Q", 0x932FF9B151263B36)),
        (model.USE_CANDIDATE, b""),
    )


class TestRfc5769:
    def test_request(self) -> None:
        message = StunMessage(RFC5769_REQUEST)
        assert message.message_type == REQUEST
        assert message.username == b"evtj:h6vY"
        assert message.local_username_fragment == b"evtj"
        assert message.priority == 0x6E0001FF
        assert (message.role, message.tie_breaker) == (2, 0x932FF9B151263B36)
        assert message.fingerprint == 1
        assert message.verify(RFC5769_PASSWORD)
        assert not message.verify(RFC5769_PASSWORD[:-1])

    @pytest.mark.parametrize("response", [RFC5769_RESPONSE_V4, RFC5769_RESPONSE_V6])
    def test_responses(self, response: bytes) -> None:
        message = StunMessage(response)
        assert (message.message_type, message.fingerprint) == (SUCCESS, 1)
        assert message.verify(RFC5769_PASSWORD)

    @pytest.mark.parametrize(
        ("address", "expected"),
        [("192.0.2.1", RFC5769_RESPONSE_V4), ("2001:db8:1234:5678:11:2233:4455:6677", None)],
    )
    def test_mapped_address_is_that_of_the_vector(
        self, address: str, expected: bytes | None
    ) -> None:
        answer = StunMessage(RFC5769_REQUEST).success((address, 32853), RFC5769_PASSWORD)
        vector = RFC5769_RESPONSE_V4 if expected else RFC5769_RESPONSE_V6
        assert (
            model.parse(answer).attributes[model.XOR_MAPPED]
            == model.parse(vector).attributes[model.XOR_MAPPED]
        )


class TestParsing:
    def test_sees_every_attribute_of_a_check(self) -> None:
        message = StunMessage(full_request())
        assert message.transaction_id == TRANSACTION
        assert message.local_username_fragment == b"local"
        assert message.use_candidate
        assert message.role == 1
        assert message.priority == 0x6E0001FF
        assert message.unknown_attributes == ()

    def test_ignores_attributes_behind_the_integrity(self) -> None:
        data = model.build(
            REQUEST,
            TRANSACTION,
            [],
            PASSWORD,
            behind_integrity=[USERNAME, (model.USE_CANDIDATE, b""), (0x7FFF, b"")],
        )
        message = StunMessage(data)
        assert message.username is None
        assert not message.use_candidate
        assert message.unknown_attributes == ()
        assert message.verify(PASSWORD)

    def test_takes_the_first_of_two_usernames(self) -> None:
        message = StunMessage(request((model.USERNAME, b"other:name")))
        assert message.username == b"local:remote"

    def test_lists_unknown_attributes_that_must_be_understood(self) -> None:
        data = request((0x7F01, b"x"), (0xC057, b"cost"), (0x7F02, b""))
        assert StunMessage(data).unknown_attributes == (0x7F01, 0x7F02)

    def test_a_username_without_colon_has_no_fragment(self) -> None:
        data = model.build(REQUEST, TRANSACTION, [(model.USERNAME, b"plain")])
        assert StunMessage(data).local_username_fragment == b""

    def test_tells_a_wrong_fingerprint(self) -> None:
        data = bytearray(full_request())
        data[-1] ^= 1
        assert StunMessage(bytes(data)).fingerprint == 2
        assert (
            StunMessage(model.build(REQUEST, TRANSACTION, [], fingerprint=False)).fingerprint == 0
        )

    def test_refuses_a_fingerprint_that_is_not_last(self) -> None:
        data = model.build(REQUEST, TRANSACTION, [(model.FINGERPRINT, bytes(4)), USERNAME])
        with pytest.raises(ValueError, match="not a STUN message"):
            StunMessage(data)

    @pytest.mark.parametrize(
        "attribute",
        [
            (model.PRIORITY, b"123"),
            (model.USE_CANDIDATE, b"1"),
            (model.CONTROLLING, bytes(7)),
            (model.INTEGRITY, bytes(19)),
            (model.USERNAME, bytes(514)),
        ],
    )
    def test_refuses_values_of_a_wrong_length(self, attribute: model.Attribute) -> None:
        with pytest.raises(ValueError, match="not a STUN message"):
            StunMessage(model.build(REQUEST, TRANSACTION, [attribute]))

    @pytest.mark.parametrize("cut", [*range(1, 60)])
    def test_refuses_a_truncated_message(self, cut: int) -> None:
        data = full_request()[:-cut]
        with pytest.raises(ValueError, match="not a STUN message"):
            StunMessage(data)
        if len(data) % 4 == 0:  # nor does a length that fits make it whole
            fitting = data[:2] + struct.pack(">H", len(data) - 20) + data[4:]
            with contextlib.suppress(ValueError):
                assert not StunMessage(fitting).verify(PASSWORD + b"x")

    @given(st.binary(max_size=200))
    def test_any_bytes_parse_or_raise(self, data: bytes) -> None:
        with contextlib.suppress(ValueError):
            StunMessage(data)

    @given(st.binary(max_size=200).map(lambda b: b[: len(b) & ~3]))
    def test_any_attributes_parse_or_raise(self, body: bytes) -> None:
        header = struct.pack(">HH", REQUEST, len(body)) + model.COOKIE + TRANSACTION
        with contextlib.suppress(ValueError):
            message = StunMessage(header + body)
            assert not message.verify(PASSWORD)
            for answer in (message.success(("::1", 1), PASSWORD), message.error(420, PASSWORD)):
                assert len(answer) <= len(header + body)

    @given(
        attributes=st.lists(
            st.tuples(
                st.sampled_from([0x0006, 0x0014, 0x0024, 0x7F00, 0x8022, 0xC057]),
                st.binary(max_size=20),
            ),
            max_size=6,
        ),
        password=st.binary(min_size=1, max_size=100),
    )
    def test_agrees_with_the_model(
        self, attributes: list[model.Attribute], password: bytes
    ) -> None:
        data = model.build(REQUEST, TRANSACTION, attributes, password)
        if any(kind == model.PRIORITY and len(value) != 4 for kind, value in attributes):
            with pytest.raises(ValueError, match="not a STUN message"):
                StunMessage(data)
            return
        message = StunMessage(data)
        names = [value for kind, value in attributes if kind == model.USERNAME]
        assert message.username == (names[0] if names else None)
        unknown = tuple(kind for kind, _ in attributes if kind == 0x7F00)
        assert message.unknown_attributes == unknown
        assert message.verify(password)
        assert not message.verify(password + b"x")
        assert message.fingerprint == 1


def test_any_changed_bit_before_the_integrity_is_found() -> None:
    data = full_request()
    integrity_end = len(data) - 8
    rng = random.Random(3)
    for _ in range(500):
        changed = bytearray(data)
        bit = rng.randrange(8 * integrity_end)
        changed[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(ValueError):
            assert not StunMessage(bytes(changed)).verify(PASSWORD)


class TestResponses:
    @pytest.mark.parametrize("address", ["203.0.113.9", "2001:db8::17"])
    def test_success_carries_the_mapped_address(self, address: str) -> None:
        data = full_request()
        answer = StunMessage(data).success((address, 40_000), PASSWORD)
        parsed = model.parse(answer)
        assert parsed.message_type == SUCCESS
        assert parsed.transaction_id == TRANSACTION
        assert model.xor_mapped_address(answer) == (ipaddress.ip_address(address).packed, 40_000)
        model.check_integrity(answer, PASSWORD)
        assert len(answer) <= len(data)

    @pytest.mark.parametrize("code", [400, 401, 487, 500])
    def test_error_carries_its_code(self, code: int) -> None:
        answer = StunMessage(full_request()).error(code, PASSWORD)
        parsed = model.parse(answer)
        assert parsed.message_type == ERROR
        assert parsed.attributes[model.ERROR_CODE][:4] == bytes([0, 0, code // 100, code % 100])
        model.check_integrity(answer, PASSWORD)

    def test_error_without_password_carries_no_integrity(self) -> None:
        answer = StunMessage(full_request()).error(401)
        assert model.INTEGRITY not in model.parse(answer).attributes
        model.check_fingerprint(answer)

    @pytest.mark.parametrize("count", [1, 2, 3, 8, 9])
    def test_error_420_lists_what_was_unknown(self, count: int) -> None:
        kinds = [0x7F00 + i for i in range(count)]
        answer = StunMessage(request(*((kind, b"") for kind in kinds))).error(420, PASSWORD)
        listed = model.parse(answer).attributes[model.UNKNOWN]
        assert [*struct.unpack(f">{len(listed) // 2}H", listed)] == kinds[:8]

    def test_drops_the_phrase_before_it_drops_the_answer(self) -> None:
        data = model.build(REQUEST, TRANSACTION, [USERNAME], PASSWORD, fingerprint=False)
        answer = StunMessage(data).error(487, PASSWORD)
        assert model.parse(answer).attributes[model.ERROR_CODE] == bytes([0, 0, 4, 87])

    def test_is_never_longer_than_the_request(self) -> None:
        bare = StunMessage(model.build(REQUEST, TRANSACTION, [], fingerprint=False))
        assert bare.success(("192.0.2.1", 1), PASSWORD) == b""
        assert bare.error(400) == b""
