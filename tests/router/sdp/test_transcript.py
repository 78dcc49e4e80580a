"""The exchange that was captured between the SDK and a server: publish, recycle, glare."""

import random

from router.sdp import NegotiationConfig, Negotiator
from router.sdp.attributes import Direction
from router.sdp.description import MediaDescription, parse_session_description

from .client import TRANSPORT, Client


def sections(sdp: str) -> dict[str, MediaDescription]:
    return {media.mid: media for media in parse_session_description(sdp).media}


def directions(sdp: str) -> list[str]:
    return [media.direction.value for media in sections(sdp).values() if media.is_rtp]


def client_offers(client: Client, server: Negotiator) -> tuple[str, str]:
    offer = client.offer()
    server.receive_offer(offer)
    answer = server.create_answer()
    client.receive_answer(answer)
    return offer, answer


def server_offers(client: Client, server: Negotiator) -> tuple[str, str]:
    offer = server.create_offer()
    client.receive_offer(offer)
    answer = client.answer()
    server.receive_answer(answer)
    return offer, answer


def wants_to_offer(server: Negotiator) -> bool:
    """Read the property anew, past what mypy remembers of it."""
    return server.needs_offer


def tracks(server: Negotiator) -> dict[str, str]:
    return {media.mid: media.track_id for media in server.inbound}


def test_publish_unpublish_republish_recycle_and_glare() -> None:
    client = Client()
    server = Negotiator(config=NegotiationConfig(transport=TRANSPORT), rng=random.Random(1))
    client.add("audio", "d4a6")
    camera = client.add("video", "39c9")

    # Revision 1: connect. The first audio and video section carry the downlink at once.
    _, answer = client_offers(client, server)
    assert directions(answer) == ["sendrecv", "sendrecv"]
    assert tracks(server) == {"0": "d4a6", "1": "39c9"}
    receiver_ids = {slot.mid: slot.receiver_id for slot in server.slots}
    assert set(receiver_ids) == {"0", "1"}
    assert not wants_to_offer(server)

    # Revision 3: the first data channel.
    server.set_wanted(audio_slots=1, video_slots=1, data_channel=True)
    assert wants_to_offer(server)
    offer, _ = server_offers(client, server)
    assert sections(offer)["2"].kind == "application"
    assert server.sctp is not None
    assert server.sctp.mid == "2"

    # Revision 4: video unpublished; its old msid is still printed, the direction counts.
    client.unpublish(camera)
    offer, answer = client_offers(client, server)
    assert sections(offer)["1"].msids[0].track_id == "39c9"
    assert sections(answer)["1"].direction is Direction.SENDONLY
    assert tracks(server) == {"0": "d4a6"}
    assert {slot.mid: slot.receiver_id for slot in server.slots} == receiver_ids

    # Revision 5: another camera on the same section.
    client.publish(camera, "327d")
    _, answer = client_offers(client, server)
    assert sections(answer)["1"].direction is Direction.SENDRECV
    assert tracks(server) == {"0": "d4a6", "1": "327d"}

    # Revision 6: a third participant; the server adds slots.
    server.set_wanted(audio_slots=2, video_slots=2, data_channel=True)
    offer, answer = server_offers(client, server)
    assert sections(offer)["3"].direction is Direction.SENDONLY
    assert sections(answer)["4"].direction is Direction.RECVONLY
    slots = {slot.mid: slot for slot in server.slots}
    assert [(slots[mid].kind, slots[mid].index) for mid in "34"] == [("audio", 1), ("video", 1)]
    assert slots["3"].stream_id == slots["4"].stream_id != slots["0"].stream_id

    # Revision 7, crossing: the client recycles mid 4, the server offers and wins.
    client.publish(client.by_mid("4"), "54a0")
    lost = client.offer()
    assert sections(lost)["4"].direction is Direction.SENDRECV
    server.set_wanted(audio_slots=3, video_slots=3, data_channel=True)
    winning = server.create_offer()
    client.rollback()
    client.receive_offer(winning)
    server.receive_answer(client.answer())
    assert tracks(server) == {"0": "d4a6", "1": "327d"}

    # Revision 8: the client's offer again.
    _, answer = client_offers(client, server)
    assert sections(answer)["4"].direction is Direction.SENDRECV
    assert sections(answer)["4"].msids[0].track_id == slots["4"].receiver_id
    assert tracks(server) == {"0": "d4a6", "1": "327d", "4": "54a0"}
    assert {slot.mid for slot in server.slots} == {"0", "1", "3", "4", "5", "6"}

    # Revision 10: create-offer brings an offer that changes nothing.
    before = (server.inbound, server.slots, server.payload_types, server.extensions)
    client_offers(client, server)
    assert (server.inbound, server.slots, server.payload_types, server.extensions) == before
    assert not wants_to_offer(server)
