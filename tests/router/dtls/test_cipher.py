"""Protection of records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.dtls.cipher import CIPHER_SUITES, CipherSuite, RecordProtection
from router.errors import AuthenticationFailed

suites = pytest.mark.parametrize("suite", CIPHER_SUITES, ids=lambda suite: suite.name)


def protection_of(suite: CipherSuite) -> RecordProtection:
    return suite.make_protection(
        bytes(range(suite.key_length)), bytes(range(100, 100 + suite.fixed_iv_length))
    )


@suites
@given(number=st.integers(0, (1 << 64) - 1), data=st.binary(max_size=50))
def test_protection_opens_what_it_sealed(suite: CipherSuite, number: int, data: bytes) -> None:
    protection = protection_of(suite)
    sealed = protection.seal(number, 23, 0xFEFD, data)
    assert len(sealed) == len(data) + protection.expansion
    assert protection.open(number, 23, 0xFEFD, sealed) == data


@suites
@given(data=st.data())
def test_protection_refuses_a_flipped_bit(suite: CipherSuite, data: st.DataObject) -> None:
    protection = protection_of(suite)
    sealed = bytearray(protection.seal(7, 23, 0xFEFD, b"data"))
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(AuthenticationFailed):
        protection.open(7, 23, 0xFEFD, bytes(sealed))


@suites
@pytest.mark.parametrize(
    "header", [(8, 23, 0xFEFD), (7 | 1 << 48, 23, 0xFEFD), (7, 22, 0xFEFD), (7, 23, 0xFEFF)]
)
def test_protection_refuses_another_header(
    suite: CipherSuite, header: tuple[int, int, int]
) -> None:
    protection = protection_of(suite)
    sealed = protection.seal(7, 23, 0xFEFD, b"data")
    with pytest.raises(AuthenticationFailed):
        protection.open(*header, sealed)


@suites
@given(st.binary(max_size=40))
def test_any_fragment_is_refused(suite: CipherSuite, fragment: bytes) -> None:
    with pytest.raises(AuthenticationFailed):
        protection_of(suite).open(0, 23, 0xFEFD, fragment)
