"""The client's descriptions against the server's negotiator, and what the client refuses."""

import random
from collections.abc import Callable

import pytest

from benchmarks.load.description import ClientDescriptions
from router.errors import RemoteProtocolError
from router.sdp import LocalTransport, NegotiationConfig, Negotiator

FINGERPRINT = "sha-256 " + ":".join(["5A"] * 32)
CREDENTIALS = {"ufrag": "cliU", "pwd": "clientpasswordclientpw"}


def client() -> ClientDescriptions:
    return ClientDescriptions(fingerprint=FINGERPRINT, cname="c", session_id=1)


def server() -> Negotiator:
    transport = LocalTransport(
        ufrag="srvU",
        pwd="serverpasswordserverpw",
        fingerprint=FINGERPRINT,
        candidates=("candidate:1 1 udp 2130706431 192.0.2.1 8443 typ host",),
    )
    return Negotiator(config=NegotiationConfig(transport=transport), rng=random.Random(1))


def publish(descriptions: ClientDescriptions, kind: str, track_id: str) -> None:
    section = descriptions.section_to_send(kind)
    section.track_id, section.ssrc = track_id, random.Random(track_id).getrandbits(32)
    section.rtx_ssrc = section.ssrc ^ 1 if kind == "video" else 0


def exchange(descriptions: ClientDescriptions, negotiator: Negotiator) -> None:
    negotiator.receive_offer(descriptions.create_offer(**CREDENTIALS))
    descriptions.receive_answer(negotiator.create_answer())


def test_both_sides_agree_on_what_is_sent_and_received() -> None:
    descriptions, negotiator = client(), server()
    publish(descriptions, "audio", "mic")
    publish(descriptions, "video", "cam")
    descriptions.add_section("application")
    exchange(descriptions, negotiator)
    assert [(media.kind, media.track_id) for media in negotiator.inbound] == [
        ("audio", "mic"),
        ("video", "cam"),
    ]
    video = descriptions.sections[1]
    assert negotiator.inbound[1].streams[0].ssrc == video.ssrc
    assert negotiator.inbound[1].streams[0].rtx_ssrc == video.rtx_ssrc
    assert (video.payload_type, video.rtx_payload_type) == (96, 97)
    slots = {slot.receiver_id: (slot.ssrc, slot.rtx_ssrc) for slot in negotiator.slots}
    assert video.remote_ssrcs == slots[video.receiver_id]


def test_sections_that_the_server_adds_are_answered_and_used_to_publish() -> None:
    descriptions, negotiator = client(), server()
    publish(descriptions, "video", "cam")
    exchange(descriptions, negotiator)
    negotiator.set_wanted(audio_slots=1, video_slots=3, data_channel=False)
    descriptions.receive_offer(negotiator.create_offer())
    negotiator.receive_answer(descriptions.create_answer(**CREDENTIALS))
    receiving = [s for s in descriptions.sections if s.kind == "video" and s.current.receives]
    assert len(receiving) >= 3
    publish(descriptions, "video", "screen")
    count = len(descriptions.sections)
    exchange(descriptions, negotiator)
    assert len(descriptions.sections) == count, "a section that sent nothing is used"
    assert {media.track_id for media in negotiator.inbound} == {"cam", "screen"}


def test_a_rolled_back_offer_can_be_made_again() -> None:
    descriptions, negotiator = client(), server()
    publish(descriptions, "audio", "mic")
    exchange(descriptions, negotiator)
    publish(descriptions, "video", "cam")
    descriptions.create_offer(**CREDENTIALS)
    descriptions.rollback()
    negotiator.set_wanted(audio_slots=3, video_slots=0, data_channel=False)
    descriptions.receive_offer(negotiator.create_offer())
    negotiator.receive_answer(descriptions.create_answer(**CREDENTIALS))
    exchange(descriptions, negotiator)
    assert {media.track_id for media in negotiator.inbound} == {"mic", "cam"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sdp: sdp.replace("a=mid:1", "a=mid:7").replace("BUNDLE 0 1", "BUNDLE 0 7"),
        lambda sdp: sdp.replace("rtpmap:96 VP8", "rtpmap:96 H264"),
        lambda sdp: sdp.replace("BUNDLE 0 1", "BUNDLE 0"),
        lambda sdp: sdp[: sdp.index("m=video")].replace("BUNDLE 0 1", "BUNDLE 0"),
        lambda sdp: sdp.replace("m=video", "m=text"),
        lambda sdp: "hello",
    ],
    ids=["mid", "payload-type", "bundle", "missing", "kind", "no-sdp"],
)
def test_what_a_browser_would_refuse_is_refused(spoil: Callable[[str], str]) -> None:
    descriptions, negotiator = client(), server()
    publish(descriptions, "audio", "mic")
    publish(descriptions, "video", "cam")
    exchange(descriptions, negotiator)
    with pytest.raises(RemoteProtocolError):
        descriptions.receive_offer(spoil(negotiator.create_offer()))
