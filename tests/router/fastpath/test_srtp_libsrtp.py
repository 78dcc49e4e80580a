"""
Do the kernels agree with libsrtp?

Both directions on random packets, with CSRCs, extensions, padding, rollover and forgeries: 10^4
packets per profile and kernel here, 10^5 with ``-m acceptance``.
"""

import contextlib
import random
from collections.abc import Iterator
from itertools import islice

import pylibsrtp
import pytest

from router._fastpath import srtp
from router._fastpath.srtp import SrtpSession
from tests.support.libsrtp import (
    PROFILE_CM,
    PROFILE_GCM,
    libsrtp_session,
    random_keys,
    random_rtp_packets,
)

AVAILABLE = srtp.available_kernels()
BATCH = 40
KERNELS = [
    *((PROFILE_GCM, {"gcm": name}) for name in AVAILABLE["gcm"]),
    *((PROFILE_CM, {"ctr": name}) for name in AVAILABLE["ctr"]),
    *((PROFILE_CM, {"sha1": name}) for name in AVAILABLE["sha1"]),
]
IDS = [f"{profile}-{'-'.join(f'{k}-{v}' for k, v in names.items())}" for profile, names in KERNELS]


@pytest.fixture
def profile(request: pytest.FixtureRequest) -> Iterator[int]:
    number, names = request.param
    srtp.set_kernels(**names)
    yield number
    srtp.set_kernels()


def forge(sealed: bytes, rng: random.Random) -> bytes:
    """Change one bit behind the first byte, which says where the header ends."""
    forged = bytearray(sealed)
    forged[rng.randrange(1, len(forged))] ^= 1 << rng.randrange(8)
    return bytes(forged)


def check_rtp(profile: int, count: int) -> None:
    rng = random.Random(profile * 1000 + count)
    key, salt = random_keys(profile, rng)
    ours = SrtpSession(profile, key, salt)
    sender = libsrtp_session(profile, key, salt, inbound=False)
    receiver = libsrtp_session(profile, key, salt, inbound=True)
    packets = random_rtp_packets(rng, ssrc=0x1234ABCD)
    rollovers = set()
    for _ in range(0, count, BATCH):
        batch = list(islice(packets, BATCH))
        sealed = srtp.seal_batch([(ours, packet, roc) for packet, roc in batch])
        for (packet, roc), protected in zip(batch, sealed, strict=True):
            assert sender.protect(packet) == protected
            assert receiver.unprotect(protected) == packet
            assert ours.open(protected, roc) == packet
            forged = forge(protected, rng)
            # An extension's length may be what was changed.
            try:
                assert ours.open(forged, roc) is None
            except ValueError:
                assert packet[0] & 0x10
            rollovers.add(roc)
        with pytest.raises(pylibsrtp.Error):
            receiver.unprotect(forged)
    assert len(rollovers) > 2


def check_rtcp(profile: int, count: int) -> None:
    rng = random.Random(profile)
    key, salt = random_keys(profile, rng)
    ours = SrtpSession(profile, key, salt)
    sender = libsrtp_session(profile, key, salt, inbound=False)
    receiver = libsrtp_session(profile, key, salt, inbound=True)
    # libsrtp numbers its packets from 1, and a receiver takes any index ahead.
    index = 1 << 20
    for number in range(1, count + 1):
        words = rng.choice((1, 6, 7, 12, rng.randrange(1, 300)))
        packet = b"\x81\xc8" + words.to_bytes(2, "big") + rng.randbytes(4 * words)
        protected = sender.protect_rtcp(packet)
        # Each random SSRC is a stream of its own to libsrtp.
        assert ours.seal_rtcp(packet, 1) == protected
        assert ours.open_rtcp(protected) == (packet, 1)
        index += rng.randrange(1, 500)
        protected = ours.seal_rtcp(packet, index)
        assert receiver.unprotect_rtcp(protected) == packet
        assert ours.open_rtcp(protected) == (packet, index)
        with contextlib.suppress(ValueError):  # the E flag was cleared
            assert ours.open_rtcp(forge(protected, rng)) is None
        if number % 100 == 0:  # its list of streams is linear
            sender = libsrtp_session(profile, key, salt, inbound=False)
            receiver = libsrtp_session(profile, key, salt, inbound=True)


@pytest.mark.parametrize("profile", KERNELS, ids=IDS, indirect=True)
def test_rtp_agrees_with_libsrtp(profile: int) -> None:
    check_rtp(profile, 10_000)


@pytest.mark.acceptance
@pytest.mark.parametrize("profile", KERNELS, ids=IDS, indirect=True)
def test_rtp_agrees_with_libsrtp_at_length(profile: int) -> None:
    check_rtp(profile, 100_000)


@pytest.mark.parametrize("profile", KERNELS, ids=IDS, indirect=True)
def test_rtcp_agrees_with_libsrtp(profile: int) -> None:
    check_rtcp(profile, 2_000)
