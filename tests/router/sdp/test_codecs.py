"""Which payload formats are the same codec."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.sdp.attributes import PayloadFormat
from router.sdp.codecs import (
    DEFAULT_AUDIO_CODECS,
    DEFAULT_VIDEO_CODECS,
    RTCP_CONFLICTS,
    answered_parameters,
    codec_of,
    free_payload_type,
    h264_profile,
    parse_parameters,
)


def video(name: str, parameters: str = "") -> PayloadFormat:
    return PayloadFormat(payload_type=96, name=name, clock_rate=90000, parameters=parameters)


@pytest.mark.parametrize(
    ("profile_level_id", "profile"),
    [
        # Rows of RFC 6184 table 5, with the bits that it marks x both ways.
        ("42e01f", "constrained-baseline"),
        ("42c015", "constrained-baseline"),
        ("42400a", "constrained-baseline"),
        ("42F00A", "constrained-baseline"),
        ("4d801f", "constrained-baseline"),
        ("58c01f", "constrained-baseline"),
        ("42001f", "baseline"),
        ("42a01f", "baseline"),
        ("58801f", "baseline"),
        ("4d001f", "main"),
        ("4d4028", "main"),
        ("640034", "high"),
        ("640c1f", "constrained-high"),
        ("58001f", ""),
        ("f4001f", ""),
        ("42e11f", ""),
        ("42e0", ""),
        ("0x42e0", ""),
        ("zzzzzz", ""),
        ("", ""),
    ],
)
def test_profile_level_id_names_a_profile(profile_level_id: str, profile: str) -> None:
    assert h264_profile(profile_level_id) == profile


def test_h264_level_does_not_tell_codecs_apart_but_profile_and_mode_do() -> None:
    one = codec_of("video", video("H264", "packetization-mode=1;profile-level-id=42e01f"))
    assert one == codec_of("video", video("h264", "profile-level-id=42E034; Packetization-Mode=1"))
    assert one != codec_of("video", video("H264", "packetization-mode=0;profile-level-id=42e01f"))
    assert one != codec_of("video", video("H264", "profile-level-id=42e01f"))
    assert one != codec_of("video", video("H264", "packetization-mode=1;profile-level-id=4d001f"))


def test_h264_without_profile_is_constrained_baseline() -> None:
    codec = codec_of("video", video("H264", "packetization-mode=1"))
    assert codec.variant == "packetization-mode=1;profile=constrained-baseline"


def test_vp9_without_profile_is_profile_0() -> None:
    assert codec_of("video", video("VP9", "max-fs=12288")) == codec_of(
        "video", video("VP9", "profile-id=0")
    )
    assert codec_of("video", video("VP9", "profile-id=2")) != codec_of("video", video("VP9"))


def test_answers_keep_level_and_asymmetry_of_the_offer() -> None:
    offered = video(
        "H264", "profile-level-id=42E034;level-asymmetry-allowed=1;packetization-mode=1;x=y"
    )
    assert (
        answered_parameters(offered)
        == "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e034"
    )
    plain = video("H264", "profile-level-id=42e015")
    assert answered_parameters(plain) == "packetization-mode=0;profile-level-id=42e015"


def test_opus_is_always_answered_with_the_parameters_that_the_sdk_edits() -> None:
    opus = PayloadFormat(payload_type=100, name="OPUS", clock_rate=48000, channels=2)
    assert answered_parameters(opus) == "minptime=10;useinbandfec=1"


def test_limits_of_the_offerers_decoder_are_not_repeated() -> None:
    assert answered_parameters(video("VP8", "max-fs=12288;max-fr=60")) == ""
    assert answered_parameters(video("VP9", "max-fs=12288;profile-id=0")) == "profile-id=0"


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_default_numbers_are_distinct_and_match_their_own_entries(kind: str) -> None:
    entries = DEFAULT_AUDIO_CODECS if kind == "audio" else DEFAULT_VIDEO_CODECS
    numbers = [entry.payload_type for entry in DEFAULT_AUDIO_CODECS + DEFAULT_VIDEO_CODECS]
    numbers += [e.rtx_payload_type for e in DEFAULT_VIDEO_CODECS if e.rtx_payload_type is not None]
    assert len(set(numbers)) == len(numbers)
    assert not set(numbers) & set(RTCP_CONFLICTS)
    for entry in entries:
        assert entry.matches(entry.codec(kind))


def test_free_numbers_avoid_rtcp_and_run_out() -> None:
    taken: set[int] = set()
    for _ in range(32 + 29):
        number = free_payload_type(96, taken)
        assert number is not None
        assert number not in RTCP_CONFLICTS
        assert number not in taken
        taken.add(number)
    assert free_payload_type(96, taken) is None


@given(st.text())
def test_any_parameters_can_be_read(text: str) -> None:
    parse_parameters(text)
    for name in ("H264", "VP9", "AV1", "opus", "telephone-event"):
        codec_of("video", video(name, text))
        answered_parameters(video(name, text))
