"""SHA-1 and HMAC-SHA1 against hashlib, for every kernel."""

import hashlib
import hmac
import random
from collections.abc import Iterator

import pytest

from router._fastpath import sha1


@pytest.fixture(params=sha1.available())
def kernel(request: pytest.FixtureRequest) -> Iterator[str]:
    sha1.select(request.param)
    yield request.param
    sha1.select()


def test_rfc_2202_vectors_1_to_7(kernel: str) -> None:
    cases = [
        (b"\x0b" * 20, b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
        (b"Jefe", b"what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (b"\xaa" * 20, b"\xdd" * 50, "125d7342b9ac11cd91a39af48aa17b4f63f175d3"),
        (bytes(range(1, 26)), b"\xcd" * 50, "4c9007f4026250c6bc8414f9bf50c86c2d7235da"),
        (b"\x0c" * 20, b"Test With Truncation", "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"),
        (
            b"\xaa" * 80,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "aa4ae5e15272d00e95705637ce8a3b55ed402112",
        ),
        (
            b"\xaa" * 80,
            b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data",
            "e8e99d0f45237d786d6bbaa7965c7808bbff1a91",
        ),
    ]
    for key, message, expected in cases:
        assert sha1.hmac(key, message).hex() == expected


def test_digest_agrees_with_hashlib_at_all_lengths(kernel: str) -> None:
    data = random.Random(1).randbytes(1500)
    for length in range(len(data) + 1):
        assert sha1.sha1(data[:length]) == hashlib.sha1(data[:length]).digest()


def test_hmac_of_two_pieces_agrees_with_hashlib(kernel: str) -> None:
    rng = random.Random(2)
    for _ in range(2000):
        key = rng.randbytes(rng.randrange(150))
        head, rest = rng.randbytes(rng.randrange(200)), rng.randbytes(rng.randrange(200))
        assert sha1.hmac(key, head, rest) == hmac.digest(key, head + rest, "sha1")
