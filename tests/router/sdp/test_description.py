"""Parsing and printing of session descriptions."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import WireFormatError
from router.sdp.attributes import Direction, Msid, Setup, Simulcast, SsrcGroup
from router.sdp.description import (
    MAX_CANDIDATES,
    MAX_DESCRIPTION_LENGTH,
    MAX_LINE_LENGTH,
    MAX_SECTIONS,
    MAX_SSRCS,
    parse_fragment,
    parse_session_description,
)

from .client import VECTORS, vector

NAMES = sorted(path.stem for path in VECTORS.glob("*.sdp"))
SECTION = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n"


def test_vectors_are_there() -> None:
    assert len(NAMES) == 10


@pytest.mark.parametrize("name", NAMES)
def test_captured_description_survives_a_round_trip(name: str) -> None:
    description = parse_session_description(vector(name))
    assert description.media
    assert parse_session_description(description.serialize()) == description


@pytest.mark.parametrize("name", NAMES)
def test_line_ends_do_not_matter(name: str) -> None:
    text = vector(name)
    assert parse_session_description(text.replace("\r\n", "\n")) == parse_session_description(text)


def test_chromium_offer_is_understood() -> None:
    description = parse_session_description(vector("chromium-data"))
    audio, video, data = description.media
    assert description.bundle == ("2", "3", "4")
    assert description.extmap_allow_mixed
    assert not description.ice_lite
    assert [media.kind for media in description.media] == ["audio", "video", "application"]
    assert audio.direction is Direction.SENDRECV
    assert audio.msids == (Msid(stream_id="-", track_id="81d03376-3c52-4cb8-b393-aedf36fdd763"),)
    opus = audio.payload_formats[0]
    assert (opus.payload_type, opus.name, opus.clock_rate, opus.channels) == (111, "opus", 48000, 2)
    assert opus.parameters == "minptime=10;useinbandfec=1"
    assert opus.feedback == ("transport-cc",)
    assert audio.transport.setup is Setup.ACTPASS
    assert audio.transport.ice_ufrag == "KeZN"
    assert video.rtcp_mux
    assert video.rtcp_rsize
    assert video.ssrc_groups == (SsrcGroup(semantics="FID", ssrcs=(2618012980, 2523854447)),)
    assert [extmap.id for extmap in video.extmaps] == [14, 2, 13, 3, 5, 6, 7, 8, 4, 10, 11]
    assert data.formats == ("webrtc-datachannel",)
    assert (data.sctp_port, data.max_message_size) == (5000, 262144)


def test_firefox_offer_is_understood() -> None:
    description = parse_session_description(vector("firefox-sendrecv"))
    audio, video = description.media
    assert description.transport.fingerprints
    assert audio.msids[0].track_id == "{892dbe8d-44bf-44c7-ba9c-6f6f4f916ba6}"
    assert (video.port, video.bundle_only, video.is_rejected) == (0, True, False)
    assert audio.payload_formats[1].channels == 1


def test_rids_and_simulcast_are_understood() -> None:
    media = parse_session_description(vector("chromium-rid")).media[0]
    assert [rid.id for rid in media.rids] == ["q", "h", "f"]
    assert media.simulcast == Simulcast(send=(("q",), ("h",), ("f",)))


def test_session_direction_and_wildcard_feedback_apply_to_sections() -> None:
    text = (
        "v=0\na=recvonly\nm=video 9 RTP/SAVPF 96 97\na=rtpmap:96 VP8/90000\n"
        "a=rtpmap:97 VP9/90000\na=rtcp-fb:* nack\na=rtcp-fb:97 nack pli\n"
    )
    media = parse_session_description(text).media[0]
    assert media.direction is Direction.RECVONLY
    assert [item.feedback for item in media.payload_formats] == [("nack",), ("nack pli", "nack")]


def test_static_payload_types_need_no_rtpmap() -> None:
    media = parse_session_description("v=0\nm=audio 9 RTP/SAVPF 0 8 96\n").media[0]
    assert [item.name for item in media.payload_formats] == ["PCMU", "PCMA"]


def test_duplicates_are_read_once() -> None:
    text = (
        "v=0\nm=video 9 RTP/SAVPF 96 96\na=rtpmap:96 VP8/90000\na=rtpmap:96 VP9/90000\n"
        "a=mid:a\na=mid:b\na=ssrc:7 cname:x\na=ssrc:7 msid:s t\na=ssrc:7 cname:y\n"
    )
    media = parse_session_description(text).media[0]
    assert media.formats == ("96",)
    assert [item.name for item in media.payload_formats] == ["VP8"]
    assert media.mid == "a"
    assert [(item.ssrc, item.cname) for item in media.ssrcs] == [(7, "x")]


def test_unknown_attributes_are_kept() -> None:
    media = parse_session_description(SECTION + "a=x-google-flag:conference\r\n").media[0]
    assert media.other == ("x-google-flag:conference",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o=- 0 0 IN IP4 0.0.0.0\r\n",
        "v=1\r\n",
        "v=0\r\nnonsense\r\n",
        "v=0\r\nm=audio 9\r\n",
        "v=0\r\nm=audio 99999 RTP/SAVPF 0\r\n",
        "v=0\r\nm=audio x RTP/SAVPF 0\r\n",
        "v=0\r\na=ice-ufrag:a b\r\n",
        "v=0\r\na=setup:sideways\r\n",
        "v=0\r\na=fingerprint:sha-256 XX\r\n",
        "v=0\r\na=fingerprint:sha-256 " + "AB:" * 64 + "AB\r\n",
        "v=0\r\ns=a\rb\r\n",
        "v=0\r\ns=\x00\r\n",
        "v=0\r\ns=\ud800\r\n",
        SECTION + "a=mid:a b\r\n",
        SECTION + "a=rtpmap:200 VP8/90000\r\n",
        SECTION + "a=rtpmap:96 VP8\r\n",
        SECTION + "a=extmap:0 urn:x\r\n",
        SECTION + "a=extmap:1/up urn:x\r\n",
        SECTION + "a=ssrc:4294967296 cname:x\r\n",
        SECTION + "a=ssrc:-1 cname:x\r\n",
        SECTION + "a=ssrc-group:FID x\r\n",
        SECTION + "a=rid:a_ up\r\n",
        SECTION + "a=rid:ä send\r\n",
        SECTION + "a=simulcast:send a send b\r\n",
        SECTION + "a=simulcast:up a\r\n",
        SECTION + "a=msid:a b c\r\n",
        SECTION + "a=sctp-port:70000\r\n",
    ],
)
def test_malformed_text_is_refused(text: str) -> None:
    with pytest.raises(WireFormatError):
        parse_session_description(text)


@pytest.mark.parametrize(
    "text",
    [
        "v=0\n" + "s=x\n" * (MAX_DESCRIPTION_LENGTH // 4),
        "v=0\ns=" + "x" * MAX_LINE_LENGTH + "\n",
        "v=0\n" + "m=audio 9 RTP/SAVPF 0\n" * (MAX_SECTIONS + 1),
        "v=0\nm=audio 9 RTP/SAVPF " + " ".join(map(str, range(129))) + "\n",
        SECTION + "".join(f"a=ssrc:{n} cname:x\n" for n in range(MAX_SSRCS + 1)),
        SECTION + "a=ssrc-group:FID 1 2\n" * (MAX_SSRCS + 1),
        SECTION + "a=candidate:1\n" * (MAX_CANDIDATES + 1),
        SECTION + "a=rtcp-fb:96 nack\n" * 17,
        SECTION + "a=extmap:1 urn:x\n" * 257,
        SECTION + "a=unknown\n" * 257,
        SECTION + "a=msid:a b\n" * 257,
        SECTION + "a=rtpmap:96 VP8/90000\n" * 2049,
        SECTION + "a=sendrecv\n" * 2049,
        "v=0\n" + "b=AS:1\n" * 32769,
        "v=0\n" + "a=group:BUNDLE a\n" * 17,
        "v=0\na=group:BUNDLE" + " a" * 513 + "\n",
    ],
)
def test_every_list_is_bounded(text: str) -> None:
    with pytest.raises(WireFormatError, match=r"more than|has more"):
        parse_session_description(text)


def test_fragment_is_parsed_and_printed_without_session_lines() -> None:
    text = (
        "a=ice-options:trickle ice2\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
        "a=mid:0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
        "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host\r\n"
        "a=end-of-candidates\r\n"
    )
    fragment = parse_fragment(text)
    media = fragment.media[0]
    assert media.transport.ice_ufrag == "EsAw"
    assert media.end_of_candidates
    assert len(media.candidates) == 1
    printed = fragment.serialize_fragment()
    assert printed.startswith("a=group:BUNDLE 0 1\r\n")
    assert "c=IN" not in printed
    assert parse_fragment(printed) == fragment


# Lines as they occur, cut and joined at random, reach deeper than random characters.
LINES = sorted({line for name in NAMES for line in vector(name).split("\r\n") if line})
PIECES = st.one_of(
    st.sampled_from(LINES),
    st.builds(
        lambda line, cut, tail: line[:cut] + tail,
        st.sampled_from(LINES),
        st.integers(0, 60),
        st.text(max_size=12),
    ),
    st.text(max_size=30),
)


def check_parses_or_raises(text: str) -> None:
    try:
        description = parse_session_description(text)
    except WireFormatError:
        return
    printed = description.serialize()
    again = parse_session_description(printed)
    assert again == description
    assert again.serialize() == printed


@given(st.text())
def test_any_text_parses_or_raises(text: str) -> None:
    check_parses_or_raises(text)
    check_parses_or_raises("v=0\r\n" + text)


@given(st.lists(PIECES, max_size=40), st.sampled_from(["\n", "\r\n"]))
def test_any_mixture_of_lines_parses_or_raises(lines: list[str], end: str) -> None:
    check_parses_or_raises(end.join(["v=0", *lines]))
    with contextlib.suppress(WireFormatError):
        parse_fragment(end.join(lines))
