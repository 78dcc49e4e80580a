"""Rules of the negotiator, one by one."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from router.errors import LocalProtocolError, NegotiationError
from router.sdp import (
    Feedback,
    InboundStream,
    LocalTransport,
    NegotiationConfig,
    Negotiator,
    RemoteTransport,
    SignalingState,
    matching,
)
from router.sdp.attributes import Direction, Group, Setup, SsrcGroup
from router.sdp.codecs import DEFAULT_VIDEO_CODECS
from router.sdp.config import MID_EXTENSION, TRANSPORT_WIDE_CC_EXTENSION
from router.sdp.description import (
    MediaDescription,
    SessionDescription,
    parse_fragment,
    parse_session_description,
)

from .client import TRANSPORT, Client, vector
from .test_transcript import client_offers, directions, sections, server_offers, tracks

CONFIG = NegotiationConfig(transport=TRANSPORT)
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF"


def negotiator(**changes: object) -> Negotiator:
    config = replace(CONFIG, **changes)  # type: ignore[arg-type]
    return Negotiator(config=config, rng=random.Random(7))


def answer_to(offer: str, server: Negotiator | None = None) -> SessionDescription:
    server = server or negotiator()
    server.receive_offer(offer)
    return parse_session_description(server.create_answer())


def codecs(media: MediaDescription) -> list[str]:
    return [item.name for item in media.payload_formats]


# --- what an answer says ------------------------------------------------------------------------


def test_answer_has_what_the_sdk_requires() -> None:
    server = negotiator()
    server.receive_offer(vector("chromium-data"))
    text = server.create_answer()
    assert text.endswith("\r\n")
    assert text.count("\n") == text.count("\r\n")
    answer = parse_session_description(text)
    assert answer.ice_lite
    assert answer.bundle == ("2", "3", "4")
    assert answer.extmap_allow_mixed
    assert server.extmap_allow_mixed
    for media in answer.media:
        assert media.transport.setup is Setup.PASSIVE
        assert media.transport.ice_ufrag == TRANSPORT.ufrag
        assert media.transport.ice_pwd == TRANSPORT.pwd
        assert [str(f) for f in media.transport.fingerprints] == [TRANSPORT.fingerprint]
    audio, video, data = answer.media
    assert audio.candidates == TRANSPORT.candidates
    assert audio.end_of_candidates
    assert video.candidates == ()
    assert audio.rtcp_mux
    assert video.rtcp_mux
    assert data.sctp_port == 5000
    opus = audio.payload_formats[0]
    assert (opus.payload_type, opus.parameters) == (111, "minptime=10;useinbandfec=1")


def test_answer_to_chromium_orders_codecs_and_drops_redundancy_formats() -> None:
    audio, video = answer_to(vector("chromium-sendrecv")).media
    assert codecs(audio) == ["opus", "G722", "PCMU", "PCMA", "telephone-event", "telephone-event"]
    assert codecs(video)[::2] == ["VP8", *["H264"] * 6, "VP9", "VP9", "AV1"]
    assert set(codecs(video)[1::2]) == {"rtx"}
    assert [item.parameters for item in video.payload_formats[2:14:2]] == [
        f"level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile}"
        for profile in ("42e01f", "42001f", "4d001f")
        for mode in (1, 0)
    ]
    assert video.payload_formats[0].feedback == (
        "goog-remb",
        "transport-cc",
        "ccm fir",
        "nack",
        "nack pli",
    )
    assert video.payload_formats[1].feedback == ()


def test_answer_to_firefox_takes_bundle_only_sections_and_reverses_extension_directions() -> None:
    server = negotiator()
    answer = answer_to(vector("firefox-data"), server)
    assert [media.port for media in answer.media] == [9, 9, 9]
    assert codecs(answer.media[1]) == ["VP8", "rtx", "VP9", "rtx", "AV1", "rtx"]
    directions_of = {extmap.uri: extmap.direction for extmap in answer.media[1].extmaps}
    assert directions_of[MID_EXTENSION] is None
    playout_delay = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
    assert directions_of[playout_delay] is Direction.SENDONLY
    assert [media.track_id for media in server.inbound] == [
        "{892dbe8d-44bf-44c7-ba9c-6f6f4f916ba6}",
        "{daa723bd-d8f2-4d2a-8370-870f88bd0aca}",
    ]
    assert server.sctp is not None
    assert server.sctp.max_message_size == 1073741823


def test_facts_after_a_chromium_offer() -> None:
    server = negotiator()
    answer = answer_to(vector("chromium-sendrecv"), server)
    audio, video = server.inbound
    assert audio.streams == (InboundStream(ssrc=259164096),)
    assert video.streams == (InboundStream(ssrc=1555196996, rtx_ssrc=1276044118),)
    assert video.payload_types[:2] == (96, 97)
    assert server.payload_types[97].apt == 96
    assert server.payload_types[108].codec.variant == (
        "packetization-mode=1;profile=constrained-baseline"
    )
    assert server.extensions[3] == TRANSPORT_WIDE_CC_EXTENSION
    assert server.feedback[96] == Feedback(
        nack=True, pli=True, fir=True, transport_cc=True, goog_remb=True
    )
    assert server.feedback[111] == Feedback(transport_cc=True)
    assert server.sctp is None
    remote = server.remote_transport
    assert isinstance(remote, RemoteTransport)
    assert (remote.setup, remote.ice_options) == ("active", ("trickle",))
    audio_slot, video_slot = server.slots
    assert (audio_slot.index, video_slot.index) == (0, 0)
    assert audio_slot.stream_id == video_slot.stream_id
    assert audio_slot.receiver_id != video_slot.receiver_id
    assert audio_slot.rtx_ssrc is None
    printed = answer.media[1]
    assert printed.msids[0].track_id == video_slot.receiver_id
    assert printed.ssrc_groups == (
        SsrcGroup(semantics="FID", ssrcs=(video_slot.ssrc, video_slot.rtx_ssrc or 0)),
    )
    assert [source.ssrc for source in printed.ssrcs] == [video_slot.ssrc, video_slot.rtx_ssrc]
    assert {source.cname for source in printed.ssrcs} == {TRANSPORT.cname}


def test_viewer_gets_slots_and_publishes_nothing() -> None:
    server = negotiator()
    answer = answer_to(vector("chromium-recvonly"), server)
    assert [media.direction for media in answer.media] == [Direction.SENDONLY] * 2
    assert server.inbound == ()
    assert len(server.slots) == 2


def test_whip_publisher_of_gstreamer_is_received_and_gets_no_slot() -> None:
    server = negotiator()
    answer = answer_to(vector("gstreamer-whip"), server)
    assert answer.bundle == ("video0", "audio1")
    assert [media.direction for media in answer.media] == [Direction.RECVONLY] * 2
    assert [media.port for media in answer.media] == [9, 9]
    assert server.slots == ()
    video, audio = server.inbound
    assert (video.track_id, video.streams) == ("webrtctransceiver0", (InboundStream(ssrc=2),))
    assert (audio.track_id, audio.streams) == ("webrtctransceiver1", (InboundStream(ssrc=1),))
    assert answer.media[1].payload_formats[0].payload_type == 100


def test_publisher_without_ssrc_lines_is_known_by_mid_alone() -> None:
    text = "".join(
        line for line in vector("gstreamer-whip").splitlines(keepends=True) if "a=ssrc" not in line
    )
    server = negotiator()
    answer_to(text, server)
    assert [(media.mid, media.track_id, media.streams) for media in server.inbound] == [
        ("video0", "", ()),
        ("audio1", "", ()),
    ]


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
def test_rid_simulcast_is_answered_and_reported_in_order(browser: str) -> None:
    server = negotiator()
    media = answer_to(vector(f"{browser}-rid"), server).media[0]
    assert [(rid.id, rid.direction) for rid in media.rids] == [(r, "recv") for r in "qhf"]
    assert str(media.simulcast) == "recv q;h;f"
    assert [stream.rid for stream in server.inbound[0].streams] == ["q", "h", "f"]
    assert [stream.ssrc for stream in server.inbound[0].streams] == [None] * 3


def test_rids_without_their_extension_are_not_used() -> None:
    text = "".join(
        line
        for line in vector("chromium-rid").splitlines(keepends=True)
        if "rtp-stream-id" not in line
    )
    server = negotiator()
    assert answer_to(text, server).media[0].simulcast is None
    assert server.inbound[0].streams == ()


def test_ssrc_simulcast_is_one_track_and_a_phantom_offer_shrinks_it() -> None:
    server = negotiator()
    answer_to(vector("chromium-simulcast"), server)
    base = 1555196996
    assert server.inbound[1].streams == tuple(
        InboundStream(ssrc=base + 1000 * i, rtx_ssrc=1276044118 + 1000 * i) for i in range(3)
    )
    # The SDK undoes simulcast: the same content, one encoding, as one more offer.
    slots = server.slots
    answer_to(vector("chromium-sendrecv"), server)
    assert server.inbound[1].streams == (InboundStream(ssrc=base, rtx_ssrc=1276044118),)
    assert server.slots == slots


def test_number_of_reported_streams_is_bounded() -> None:
    server = negotiator(max_streams=2)
    answer_to(vector("chromium-simulcast"), server)
    assert len(server.inbound[1].streams) == 2


def test_ssrc_belongs_to_the_first_section_that_names_it() -> None:
    text = vector("chromium-sendrecv").replace("259164096", "1555196996")
    server = negotiator()
    answer_to(text, server)
    assert [len(media.streams) for media in server.inbound] == [1, 0]


def test_room_with_one_video_codec_answers_only_that() -> None:
    h264 = tuple(entry for entry in DEFAULT_VIDEO_CODECS if entry.name == "H264")
    server = negotiator(video_codecs=h264)
    assert set(codecs(answer_to(vector("chromium-sendrecv"), server).media[1])) == {"H264", "rtx"}
    # Firefox offers no H.264 here: the section is refused, the others go on.
    answer = answer_to(vector("firefox-data"), negotiator(video_codecs=h264))
    assert [media.port for media in answer.media] == [9, 0, 9]
    assert answer.bundle == ("2", "4")


@pytest.mark.parametrize("name", ["chromium-sendrecv", "chromium-data", "firefox-data"])
def test_offers_that_were_seen_before_are_answered_as_at_first(name: str) -> None:
    h264 = tuple(entry for entry in DEFAULT_VIDEO_CODECS if entry.name == "H264")
    makers: list[Callable[[], Negotiator]] = [
        negotiator,
        partial(negotiator, video_codecs=h264),
        partial(negotiator, max_extension_id=4),
        partial(negotiator, video_feedback=("nack",)),
        partial(negotiator, audio_extensions=(MID_EXTENSION,)),
    ]
    at_first = []
    for make in makers:
        matching._kept.clear()
        at_first.append(answer_to(vector(name), make()))
    assert len({str(answer) for answer in at_first}) > 1
    for _ in range(2):
        assert [answer_to(vector(name), make()) for make in makers] == at_first


def test_what_one_peer_adds_concerns_no_other() -> None:
    first, second = negotiator(), negotiator()
    offer = vector("chromium-sendrecv")
    fewer = offer.replace("AV1/90000", "AV9/90000")
    assert answer_to(fewer, first) == answer_to(fewer, second)
    before = dict(second.payload_types), dict(second.extensions)
    answer_to(offer, first)
    assert len(first.payload_types) == len(before[0]) + 2  # AV1 and its RTX
    assert (dict(second.payload_types), dict(second.extensions)) == before
    third = negotiator()
    answer_to(fewer, third)
    assert third.payload_types == second.payload_types


def test_what_is_kept_of_offers_is_bounded() -> None:
    offer = vector("chromium-sendrecv")
    for number in range(300):
        answer_to(offer.replace("minptime=10", f"minptime={number}"))
    assert len(matching._kept) == matching._KEPT
    matching._kept.clear()
    answer_to(offer.replace("minptime=10", "x" * 8000 + ";y=" + "y" * 100))
    assert len(matching._kept) == 1  # of video alone


def test_section_with_nothing_but_telephone_events_is_refused() -> None:
    text = vector("firefox-sendrecv").replace("109 9 0 8 101", "101")
    server = negotiator()
    assert answer_to(text, server).media[0].port == 0
    assert [slot.kind for slot in server.slots] == ["video"]


def test_duplicate_and_unassociated_rtx_are_dropped() -> None:
    text = vector("chromium-sendrecv").replace("apt=108", "apt=96").replace("apt=114", "apt=77")
    video = answer_to(text).media[1]
    assert [item.payload_type for item in video.payload_formats[:4]] == [96, 97, 108, 114]


def test_offer_that_lists_video_first_is_answered_in_its_order() -> None:
    client = Client()
    client.add("video", "v")
    client.add("audio", "a")
    server = negotiator()
    _, answer = client_offers(client, server)
    assert [media.kind for media in sections(answer).values()] == ["video", "audio"]


# --- which sections are used --------------------------------------------------------------------


def test_sections_of_unknown_kinds_and_protocols_are_refused_in_place() -> None:
    text = (
        vector("chromium-sendrecv").replace("BUNDLE 0 1", "BUNDLE 0 1 2 3 4")
        + "m=text 9 UDP/TLS/RTP/SAVPF 98\r\na=mid:2\r\na=rtpmap:98 t140/1000\r\n"
        + "m=audio 9 RTP/AVP 0\r\na=mid:3\r\na=rtcp-mux\r\n"
        + "m=application 9 DTLS/SCTP 5000\r\na=mid:4\r\n"
    )
    answer = answer_to(text)
    assert [media.port for media in answer.media] == [9, 9, 0, 0, 0]
    assert [media.kind for media in answer.media] == [
        "audio",
        "video",
        "text",
        "audio",
        "application",
    ]
    assert answer.bundle == ("0", "1")


def test_offer_without_bundle_gets_its_first_section_only() -> None:
    text = vector("chromium-sendrecv").replace("a=group:BUNDLE 0 1\r\n", "")
    server = negotiator()
    answer = answer_to(text, server)
    assert [media.port for media in answer.media] == [9, 0]
    assert answer.groups == ()
    assert [media.mid for media in server.inbound] == ["0"]


def test_section_outside_the_bundle_is_refused() -> None:
    text = vector("chromium-sendrecv").replace("BUNDLE 0 1", "BUNDLE 1")
    answer = answer_to(text)
    assert [media.port for media in answer.media] == [0, 9]
    assert answer.media[1].candidates == TRANSPORT.candidates


def test_second_application_section_is_refused() -> None:
    text = vector("chromium-data").replace("BUNDLE 2 3 4", "BUNDLE 2 3 4 5")
    text += "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:5\r\n"
    assert [media.port for media in answer_to(text).media] == [9, 9, 9, 0]


def test_section_that_stops_is_recycled_by_the_server_for_its_kind() -> None:
    client = Client()
    client.add("audio", "a")
    video = client.add("video", "v")
    server = negotiator()
    server.set_wanted(audio_slots=1, video_slots=1, data_channel=False)
    client_offers(client, server)
    old = next(slot for slot in server.slots if slot.kind == "video")
    video.stopped = True
    _, answer = client_offers(client, server)
    assert [media.port for media in parse_session_description(answer).media] == [9, 0]
    assert [slot.kind for slot in server.slots] == ["audio"]
    assert server.needs_offer
    offer, _ = server_offers(client, server)
    assert len(parse_session_description(offer).media) == 2
    new = next(slot for slot in server.slots if slot.kind == "video")
    assert new.mid != old.mid
    assert new.receiver_id != old.receiver_id
    assert new.ssrc != old.ssrc
    assert new.index == 0


def test_section_that_stops_is_recycled_by_the_client_for_another_kind() -> None:
    client = Client()
    client.add("audio", "a")
    client.add("video", "v").stopped = True
    server = negotiator()
    client_offers(client, server)
    client.add("audio", "b")
    _, answer = client_offers(client, server)
    assert [media.kind for media in parse_session_description(answer).media] == ["audio", "audio"]
    assert tracks(server) == {"0": "a", "2": "b"}


def test_slot_that_the_client_cannot_receive_for_a_while_keeps_its_identity() -> None:
    client = Client()
    client.add("audio", "a")
    video = client.add("video", "v")
    server = negotiator()
    client_offers(client, server)
    slots = server.slots
    video.direction = Direction.SENDONLY
    client_offers(client, server)
    assert [slot.kind for slot in server.slots] == ["audio"]
    video.direction = Direction.SENDRECV
    client_offers(client, server)
    assert server.slots == slots


def test_more_sections_become_slots_in_an_answer_only_while_wanted() -> None:
    client = Client()
    for track in ("v1", "v2", "v3"):
        client.add("video", track)
    server = negotiator()
    server.set_wanted(audio_slots=0, video_slots=2, data_channel=False)
    _, answer = client_offers(client, server)
    assert directions(answer) == ["sendrecv", "sendrecv", "recvonly"]
    # A later wish is met by the section that is there, not by a new one.
    server.set_wanted(audio_slots=0, video_slots=3, data_channel=False)
    assert server.needs_offer
    offer, _ = server_offers(client, server)
    assert directions(offer) == ["sendrecv"] * 3
    assert len(server.slots) == 3
    assert not server.needs_offer


def test_slots_above_the_wanted_number_stay() -> None:
    client = Client()
    client.add("audio", "a")
    server = negotiator()
    client_offers(client, server)
    server.set_wanted(audio_slots=3, video_slots=0, data_channel=False)
    server_offers(client, server)
    slots = server.slots
    server.set_wanted(audio_slots=1, video_slots=0, data_channel=False)
    assert not server.needs_offer
    client_offers(client, server)
    assert server.slots == slots


def test_server_offers_use_the_numbers_of_the_client() -> None:
    for browser, number in (("chromium", 111), ("firefox", 109)):
        client = Client(browser=browser)
        client.add("audio", "a")
        server = negotiator()
        client_offers(client, server)
        server.set_wanted(audio_slots=2, video_slots=0, data_channel=False)
        offer, _ = server_offers(client, server)
        added = parse_session_description(offer).media[1]
        assert added.payload_formats[0].payload_type == number
        assert {e.id: e.uri for e in added.extmaps}.items() <= dict(server.extensions).items()


def test_server_numbers_a_kind_that_the_client_never_named_around_the_known_ones() -> None:
    text = vector("firefox-sendrecv").partition("m=video")[0].replace("BUNDLE 0 1", "BUNDLE 0")
    text = text.replace("109", "96")
    server = negotiator()
    answer_to(text, server)
    server.set_wanted(audio_slots=1, video_slots=1, data_channel=False)
    video = parse_session_description(server.create_offer()).media[1]
    assert codecs(video)[:2] == ["VP8", "rtx"]
    numbers = [item.payload_type for item in video.payload_formats]
    assert len(set(numbers)) == len(numbers)
    assert 96 not in numbers
    ids = {extmap.id for extmap in video.extmaps if extmap.uri not in server.extensions.values()}
    assert not ids & set(server.extensions)


def test_numbers_that_the_answer_did_not_take_stay_free() -> None:
    client = Client(browser="firefox")
    client.add("audio", "a")
    server = negotiator()
    client_offers(client, server)
    server.set_wanted(audio_slots=1, video_slots=1, data_channel=False)
    offer = parse_session_description(server.create_offer())
    answer = replace(
        offer,
        ice_lite=False,
        media=tuple(
            replace(
                media,
                candidates=(),
                direction=media.direction.reversed,
                transport=replace(media.transport, setup=Setup.ACTIVE),
                formats=media.formats[:2],
                payload_formats=media.payload_formats[:2],
            )
            for media in offer.media
        ),
    )
    server.receive_answer(answer.serialize())
    slot = server.slots[1]
    assert slot.payload_types == (96, 97)
    assert {
        number for number, item in server.payload_types.items() if item.codec.kind == "video"
    } == {96, 97}


def test_peer_that_refuses_a_section_is_not_asked_again_until_the_wish_changes() -> None:
    client = Client()
    client.add("audio", "a")
    server = negotiator()
    client_offers(client, server)
    server.set_wanted(audio_slots=1, video_slots=1, data_channel=True)
    client.receive_offer(server.create_offer())
    server.receive_answer(client.answer(refuse=frozenset({"video", "application"})))
    assert not server.needs_offer
    assert server.sctp is None
    server.set_wanted(audio_slots=1, video_slots=1, data_channel=True)
    assert not server.needs_offer
    server.set_wanted(audio_slots=1, video_slots=2, data_channel=True)
    assert server.needs_offer


def test_wish_that_grows_while_an_offer_is_pending_is_not_taken_for_a_refusal() -> None:
    client = Client()
    client.add("audio", "a")
    server = negotiator()
    client_offers(client, server)
    server.set_wanted(audio_slots=2, video_slots=0, data_channel=False)
    client.receive_offer(server.create_offer())
    server.set_wanted(audio_slots=3, video_slots=0, data_channel=True)
    assert not server.needs_offer
    server.receive_answer(client.answer())
    assert server.needs_offer


def test_sections_are_limited() -> None:
    client = Client()
    client.add("audio", "a")
    server = negotiator(max_sections=4)
    client_offers(client, server)
    server.set_wanted(audio_slots=100, video_slots=100, data_channel=True)
    server_offers(client, server)
    assert len(client.transceivers) == 4
    assert not server.needs_offer
    for _ in range(2):
        client.add("audio", "x")
    with pytest.raises(NegotiationError, match="more than 4"):
        server.receive_offer(client.offer())


# --- transport ------------------------------------------------------------------------------------


def test_ice_restart_is_reported_and_answered_with_new_credentials() -> None:
    client = Client()
    client.add("audio", "a")
    server = negotiator()
    client_offers(client, server)
    client.ufrag = "newU"
    outcome = server.receive_offer(client.offer())
    assert outcome.ice_restart
    assert not outcome.fingerprint_changed
    with pytest.raises(LocalProtocolError, match="ICE restart"):
        server.create_answer()
    server.set_local_transport(replace(TRANSPORT, ufrag="srv2", pwd="another" * 4))
    answer = parse_session_description(server.create_answer())
    assert answer.media[0].transport.ice_ufrag == "srv2"
    assert server.remote_transport is not None
    assert server.remote_transport.ufrag == "newU"


def test_new_fingerprint_is_reported() -> None:
    client = Client()
    client.add("audio", "a")
    server = negotiator()
    assert server.receive_offer(client.offer()).fingerprint_changed is False
    client.receive_answer(server.create_answer())
    client.fingerprint = ":".join(["D2"] * 32)
    outcome = server.receive_offer(client.offer())
    assert outcome.fingerprint_changed
    assert not outcome.ice_restart
    server.rollback()
    assert server.remote_transport is not None
    assert "C1" in server.remote_transport.fingerprints[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a=setup:actpass", "a=setup:passive", "DTLS server"),
        ("a=setup:actpass", "a=setup:holdconn", "holdconn"),
        ("a=fingerprint:sha-256 ", "a=x:", "fingerprint"),
        ("a=fingerprint:sha-256 ", "a=fingerprint:md5 ", "SHA-256"),
        ("a=ice-ufrag:", "a=x:", "ice-ufrag"),
        ("a=group:", "a=ice-lite\r\na=group:", "ICE-lite"),
        ("a=mid:1", "a=mid:0", "same mid"),
        ("m=audio 9", "m=audio 0", ""),
        ("v=0", "v=2", "malformed"),
    ],
)
def test_offer_that_cannot_be_applied_changes_nothing(old: str, new: str, message: str) -> None:
    text = vector("chromium-sendrecv")
    if not message:
        text, message = text.replace("m=video 9", "m=video 0"), "no m-section"
    server = negotiator()
    with pytest.raises(NegotiationError, match=message):
        server.receive_offer(text.replace(old, new))
    assert server.signaling_state is SignalingState.STABLE
    assert server.remote_transport is None
    answer_to(vector("chromium-sendrecv"), server)


def test_peer_that_must_be_dtls_server_is_taken_where_we_can_be_the_client() -> None:
    text = vector("chromium-sendrecv").replace("a=setup:actpass", "a=setup:passive")
    server = negotiator(dtls_client=True)
    answer = answer_to(text, server)
    assert answer.media[0].transport.setup is Setup.ACTIVE
    assert server.remote_transport is not None
    assert server.remote_transport.setup == "passive"
    # An association that goes on keeps its roles whatever later offers say.
    answer = answer_to(vector("chromium-sendrecv"), server)
    assert answer.media[0].transport.setup is Setup.ACTIVE


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.partition("m=video")[0],
        lambda text: text.replace("a=mid:1", "a=mid:9").replace("BUNDLE 0 1", "BUNDLE 0 9"),
        lambda text: text.replace("m=video", "m=audio"),
        lambda text: "garbage",
    ],
)
def test_later_offer_must_keep_the_sections(change: Callable[[str], str]) -> None:
    text = vector("chromium-sendrecv")
    server = negotiator()
    answer_to(text, server)
    before = (server.slots, server.inbound, server.remote_transport)
    with pytest.raises(NegotiationError):
        server.receive_offer(change(text))
    assert (server.slots, server.inbound, server.remote_transport) == before
    answer_to(text, server)
    assert (server.slots, server.inbound, server.remote_transport) == before


def test_renumbered_formats_and_extensions_are_not_taken() -> None:
    text = vector("chromium-sendrecv")
    server = negotiator()
    answer_to(text, server)
    numbers, extensions = server.payload_types, server.extensions
    swapped = (
        text.replace("a=rtpmap:96 VP8", "a=rtpmap:96 VP9")
        .replace("a=rtpmap:98 VP9", "a=rtpmap:98 VP8")
        .replace("a=extmap:13 urn:3gpp:video-orientation", "a=extmap:12 urn:3gpp:video-orientation")
    )
    video = answer_to(swapped, server).media[1]
    assert "VP8" not in codecs(video)
    assert 12 not in [extmap.id for extmap in video.extmaps]
    assert server.payload_types == numbers
    assert server.extensions == extensions


# --- the state machine ----------------------------------------------------------------------------


def check_refused(*calls: Callable[[], object]) -> None:
    for call in calls:
        with pytest.raises(LocalProtocolError):
            call()


def test_calls_that_the_state_does_not_allow_are_refused() -> None:
    client = Client()
    client.add("audio", "a")
    server = negotiator()
    assert not server.needs_offer
    check_refused(server.create_answer, server.rollback, partial(server.receive_answer, ""))
    server.receive_offer(client.offer())
    check_refused(server.create_offer, partial(server.receive_offer, ""))
    check_refused(partial(server.receive_answer, ""), partial(server.receive_fragment, ""))
    client.receive_answer(server.create_answer())
    server.create_offer()
    check_refused(server.create_offer, server.create_answer, partial(server.receive_offer, ""))
    server.rollback()
    assert server.signaling_state is SignalingState.STABLE
    with pytest.raises(LocalProtocolError):
        server.set_wanted(audio_slots=-1, video_slots=0, data_channel=False)


def test_answer_that_does_not_fit_leaves_the_offer_pending() -> None:
    client = Client()
    client.add("audio", "a")
    server = negotiator()
    client_offers(client, server)
    server.set_wanted(audio_slots=2, video_slots=0, data_channel=False)
    client.receive_offer(server.create_offer())
    answer = client.answer()
    for wrong in (
        answer.partition("m=audio")[0],
        answer.replace("a=mid:1", "a=mid:7").replace("BUNDLE 0 1", "BUNDLE 0 7"),
        "nonsense",
    ):
        with pytest.raises(NegotiationError):
            server.receive_answer(wrong)
        assert server.signaling_state is SignalingState.HAVE_LOCAL_OFFER
    server.receive_answer(answer)
    assert len(server.slots) == 2


def test_rolled_back_offer_leaves_no_trace() -> None:
    client = Client()
    client.add("audio", "a")
    server = negotiator()
    client_offers(client, server)
    before = (server.slots, server.payload_types, server.extensions)
    server.set_wanted(audio_slots=2, video_slots=2, data_channel=True)
    server.create_offer()
    server.rollback()
    assert (server.slots, server.payload_types, server.extensions) == before
    assert server.needs_offer
    _, answer = client_offers(client, server)
    assert len(parse_session_description(answer).media) == 1


def test_server_may_begin() -> None:
    client = Client()
    server = negotiator()
    server.set_wanted(audio_slots=1, video_slots=1, data_channel=True)
    assert not server.needs_offer
    server_offers(client, server)
    assert [slot.kind for slot in server.slots] == ["audio", "video"]
    assert server.sctp is not None
    assert server.remote_transport is not None
    assert server.remote_transport.setup == "active"


def test_ids_and_ssrcs_come_from_the_generator_given() -> None:
    one, two, other = (Negotiator(config=CONFIG, rng=random.Random(seed)) for seed in (1, 1, 2))
    text = vector("chromium-sendrecv")
    assert answer_to(text, one) == answer_to(text, two)
    answer_to(text, other)
    assert {slot.receiver_id for slot in one.slots}.isdisjoint(
        slot.receiver_id for slot in other.slots
    )


def test_receiver_ids_belong_to_the_mids_of_a_peer() -> None:
    """So a browser that goes on with another transport finds its tracks where they were."""
    client = Client()
    client.add("audio", "a")
    client.add("video", "v")
    server = negotiator()
    server.set_wanted(audio_slots=2, video_slots=2, data_channel=False)
    client_offers(client, server)
    server_offers(client, server)
    before = {slot.mid: (slot.receiver_id, slot.stream_id) for slot in server.slots}
    assert len(set(before.values())) == len(before) == 4

    successor = Negotiator(config=CONFIG, rng=random.Random(8), receiver_seed=server.receiver_seed)
    successor.set_wanted(audio_slots=2, video_slots=2, data_channel=False)
    successor.receive_offer(client.offer())
    successor.create_answer()
    after = {slot.mid: (slot.receiver_id, slot.stream_id) for slot in successor.slots}
    assert after == before
    assert {slot.ssrc for slot in successor.slots}.isdisjoint(slot.ssrc for slot in server.slots)


# --- fragments ------------------------------------------------------------------------------------


def test_fragment_with_candidates_changes_nothing_and_new_credentials_restart_ice() -> None:
    server = negotiator()
    with pytest.raises(NegotiationError, match="before"):
        server.receive_fragment("a=ice-ufrag:abcd\r\n")
    answer_to(vector("gstreamer-whip"), server)
    known = server.remote_transport
    head = "a=group:BUNDLE video0 audio1\r\n" + VIDEO + " 96\r\na=mid:video0\r\n"
    outcome = server.receive_fragment(head + "a=candidate:1 1 udp 1 192.0.2.2 9 typ host\r\n")
    assert not outcome.ice_restart
    assert server.remote_transport == known
    for wrong in ("a=ice-ufrag:abcd\r\n", head + "a=ice-pwd:onlyhalf\r\n", "?"):
        with pytest.raises(NegotiationError):
            server.receive_fragment(wrong)
    outcome = server.receive_fragment(head + "a=ice-ufrag:wxyz\r\na=ice-pwd:" + "p" * 22 + "\r\n")
    assert outcome.ice_restart
    assert server.remote_transport is not None
    assert (server.remote_transport.ufrag, server.remote_transport.pwd) == ("wxyz", "p" * 22)
    server.set_local_transport(replace(TRANSPORT, ufrag="srv3"))
    answer = parse_fragment(server.create_fragment())
    assert answer.transport.ice_ufrag == "srv3"
    assert answer.ice_lite
    assert answer.media[0].mid == "video0"
    assert answer.media[0].candidates == TRANSPORT.candidates
    assert answer.media[0].end_of_candidates


@pytest.mark.parametrize(
    "changes",
    [
        {"ufrag": "a:b"},
        {"ufrag": "abc"},
        {"pwd": "short"},
        {"fingerprint": "sha-256"},
        {"candidates": ("1 1 udp",)},
        {"candidates": ("candidate:1\r\na=x",)},
        {"cname": "a b"},
    ],
)
def test_local_transport_that_could_not_be_printed_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must"):
        replace(TRANSPORT, **changes)  # type: ignore[arg-type]
    assert isinstance(TRANSPORT, LocalTransport)


def test_sections_of_one_kind_that_say_different_things_are_answered_each_for_itself() -> None:
    client = Client()
    for name in ("a", "b", "c", "d"):
        client.add("video", name)
    offer = parse_session_description(client.offer())
    full = offer.media[0]
    only_vp8 = tuple(item for item in full.payload_formats if item.payload_type in (96, 97))
    assert [item.name for item in only_vp8] == ["VP8", "rtx"]
    fewer = replace(full, formats=("96", "97"), payload_formats=only_vp8, extmaps=full.extmaps[:1])
    media = (
        full,
        replace(fewer, mid="1"),
        replace(full, mid="2"),
        replace(full, mid="3", extmaps=full.extmaps[:1]),
    )
    server = Negotiator(config=CONFIG, rng=random.Random(1))
    server.receive_offer(replace(offer, media=media).serialize())
    answered = parse_session_description(server.create_answer()).media
    alone = []
    for section in media:
        other = Negotiator(config=CONFIG, rng=random.Random(1))
        group = Group(semantics="BUNDLE", members=(section.mid,))
        other.receive_offer(replace(offer, groups=(group,), media=(section,)).serialize())
        [found] = parse_session_description(other.create_answer()).media
        alone.append((found.formats, found.payload_formats, found.extmaps))
    assert [(m.formats, m.payload_formats, m.extmaps) for m in answered] == alone
