"""The vectors of RFC 3711 and 7714, and the promises of the batch and of failures."""

import contextlib
import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router._fastpath import srtp
from router._fastpath.srtp import SrtpSession
from tests.support.libsrtp import PROFILE_CM, PROFILE_GCM, SALT_LENGTHS

VECTORS = Path(__file__).parents[2] / "vectors" / "srtp"
AVAILABLE = srtp.available_kernels()


@pytest.fixture(params=AVAILABLE["gcm"])
def gcm_kernel(request: pytest.FixtureRequest) -> Iterator[str]:
    srtp.set_kernels(gcm=request.param)
    yield request.param
    srtp.set_kernels()


@pytest.fixture(params=[*itertools.product(AVAILABLE["ctr"], AVAILABLE["sha1"])], ids="+".join)
def cm_kernels(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    ctr, sha1 = request.param
    srtp.set_kernels(ctr=ctr, sha1=sha1)
    yield request.param
    srtp.set_kernels()


def vectors(name: str) -> dict[str, bytes]:
    content = json.loads((VECTORS / name).read_text())
    return {k: bytes.fromhex(v) for k, v in content.items() if isinstance(v, str)}


def session(profile: int, seed: int = 1) -> SrtpSession:
    rng = random.Random(seed)
    return SrtpSession(profile, rng.randbytes(16), rng.randbytes(SALT_LENGTHS[profile]))


def rtp(sequence_number: int, payload: bytes, ssrc: int = 0xCAFE) -> bytes:
    return (
        b"\x80\x60"
        + sequence_number.to_bytes(2, "big")
        + bytes(4)
        + ssrc.to_bytes(4, "big")
        + payload
    )


@pytest.mark.usefixtures("gcm_kernel")
class TestRfc7714:
    def test_seals_and_opens_section_16_1(self) -> None:
        v = vectors("rfc7714.json")
        keys = SrtpSession.from_session_keys(PROFILE_GCM, v["key"], v["salt"])
        assert keys.seal(v["rtp"]) == v["srtp"]
        assert keys.open(v["srtp"]) == v["rtp"]

    def test_seals_and_opens_section_17_1(self) -> None:
        v = vectors("rfc7714.json")
        keys = SrtpSession.from_session_keys(PROFILE_GCM, v["key"], v["salt"])
        assert keys.seal_rtcp(v["rtcp"], 0x5D4) == v["srtcp"]
        assert keys.open_rtcp(v["srtcp"]) == (v["rtcp"], 0x5D4)


@pytest.mark.usefixtures("cm_kernels")
def test_key_derivation_gives_appendix_b_3_of_rfc_3711() -> None:
    v = vectors("rfc3711.json")
    derived = SrtpSession(PROFILE_CM, v["master_key"], v["master_salt"])
    given_keys = SrtpSession.from_session_keys(
        PROFILE_CM, v["cipher_key"], v["cipher_salt"], v["authentication_key"]
    )
    packet = rtp(7, b"payload")
    assert derived.seal(packet, 3) == given_keys.seal(packet, 3)
    assert derived.seal(packet, 3) != given_keys.seal(packet, 4)


class TestBatch:
    """One call for packets of several sessions and lengths gives what single calls give."""

    def check(self, jobs: list[tuple[SrtpSession, bytes, int]]) -> None:
        expected = [s.seal(packet, roc) for s, packet, roc in jobs]
        assert srtp.seal_batch(jobs) == expected
        assert srtp.seal_batch(jobs, in_place=True) == expected

    def all_lengths(self, sessions: list[SrtpSession]) -> None:
        rng = random.Random(5)
        lengths = [*range(1501)]
        rng.shuffle(lengths)
        for start in range(0, len(lengths), 75):
            frame = lengths[start : start + 75]
            payloads = [rng.randbytes(n) for n in frame]
            self.check(
                [
                    (s, rtp(i, payload), i % 3)
                    for s in sessions
                    for i, payload in enumerate(payloads)
                ]
            )

    @pytest.mark.usefixtures("gcm_kernel")
    def test_agrees_with_single_packets_at_all_lengths_with_gcm(self) -> None:
        self.all_lengths([session(PROFILE_GCM, i) for i in range(2)])

    @pytest.mark.usefixtures("cm_kernels")
    def test_agrees_with_single_packets_at_all_lengths_with_cm(self) -> None:
        self.all_lengths([session(PROFILE_CM, i) for i in range(2)])

    @pytest.mark.parametrize("subscribers", [1, 4, 5, 15, 16, 17, 33])
    def test_fills_lanes_over_the_packets_of_a_frame(self, subscribers: int) -> None:
        frame = [rtp(i, bytes([i]) * (1100 if i < 9 else 300)) for i in range(10)]
        sessions = [session(PROFILE_CM, i) for i in range(subscribers)]
        self.check([(s, packet, 1) for s in sessions for packet in frame])

    def test_mixes_profiles(self) -> None:
        sessions = [session(p, i) for i, p in enumerate((PROFILE_GCM, PROFILE_CM) * 4)]
        self.check([(s, rtp(i, bytes(200 + i)), 0) for i in range(5) for s in sessions])

    def test_takes_more_lengths_than_it_gathers(self) -> None:
        sessions = [session(PROFILE_CM, i) for i in range(5)]
        self.check([(s, rtp(i, bytes(10 * i)), 0) for s in sessions for i in range(40)])

    def test_of_nothing_is_nothing(self) -> None:
        assert srtp.seal_batch([]) == []


@pytest.mark.parametrize("profile", [PROFILE_CM, PROFILE_GCM])
class TestFailures:
    def test_open_can_try_another_roc_in_the_same_buffer(self, profile: int) -> None:
        s = session(profile)
        packet = rtp(1, bytes(range(256)) * 4)
        sealed = s.seal(packet, 8)
        assert s.open(sealed, 7) is None
        assert s.open(sealed, 7, 9, 8) == packet

    @given(data=st.data())
    def test_any_changed_bit_is_found(self, profile: int, data: st.DataObject) -> None:
        s = session(profile)
        payload = data.draw(st.binary(max_size=300))
        sealed = bytearray(s.seal(rtp(1, payload)))
        bit = data.draw(st.integers(min_value=0, max_value=8 * len(sealed) - 1))
        sealed[bit // 8] ^= 1 << bit % 8
        try:
            assert s.open(bytes(sealed)) is None
        except ValueError:
            assert bit < 8  # version, extension or CSRC count

    @given(data=st.binary(max_size=100))
    def test_any_bytes_open_or_raise(self, profile: int, data: bytes) -> None:
        s = session(profile)
        for opening in (s.open, s.open_rtcp):
            with contextlib.suppress(ValueError):
                assert opening(data) is None

    def test_a_packet_that_is_too_long_is_refused(self, profile: int) -> None:
        s = session(profile)
        longest = rtp(1, bytes(4048))
        assert s.open(s.seal(longest)) == longest
        with pytest.raises(ValueError, match="at most"):
            s.seal(longest + b"\0")
        with pytest.raises(ValueError, match="not a protected packet"):
            s.open(s.seal(longest) + b"\0")

    def test_unencrypted_rtcp_is_refused(self, profile: int) -> None:
        s = session(profile)
        sealed = bytearray(s.seal_rtcp(b"\x80\xc9\x00\x01\x00\x00\x00\x01", 1))
        word = len(sealed) - (4 if profile == PROFILE_GCM else 14)
        sealed[word] &= 0x7F
        with pytest.raises(ValueError, match="not a protected packet"):
            s.open_rtcp(bytes(sealed))

    def test_keys_of_another_length_are_refused(self, profile: int) -> None:
        with pytest.raises(ValueError, match="takes a key"):
            SrtpSession(profile, bytes(15), bytes(SALT_LENGTHS[profile]))
        with pytest.raises(ValueError, match="takes a key"):
            SrtpSession(profile, bytes(16), bytes(13))


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown SRTP profile 2"):
        SrtpSession(2, bytes(16), bytes(14))
