"""Channels beside the session: which are granted, under which labels, and what goes over them."""

import random
from typing import Any

import pytest

from router.node_events import PeerId
from signaling.rsp.media_signaling import GRANTS_MAX, ChannelKey, MediaSignaling
from tests.signaling.support import settle

from .support import Client, World, merged, world

KEY = "extension_transcriptions"


def label_in(body: dict[str, Any]) -> str:
    """Return the label of the granted channel, as the SDK reads it."""
    [(key, grant)] = body["media_signaling"].items()
    assert key == KEY
    assert grant["transport"]["type"] == "data-channel"
    label: str = grant["transport"]["label"]
    return label


def peer_of(w: World, label: str) -> PeerId:
    """Return the peer that a channel was opened on."""
    [peer_id] = (
        peer_id for peer_id, peer in w.harness.node.peers.items() if label in peer.channels
    )
    return peer_id


async def join(w: World, identity: str) -> tuple[Client, str, PeerId]:
    client = w.client(identity)
    label = label_in(await client.connect(channels=(KEY, "active_speaker")))
    return client, label, peer_of(w, label)


async def test_messages_reach_those_who_asked_for_the_channel_and_have_it() -> None:
    async with world() as w:
        node = w.harness.node
        alice, of_alice, alices_peer = await join(w, "alice")
        _, of_bob, bobs_peer = await join(w, "bob")
        carol = w.client("carol")
        assert (await carol.connect())["media_signaling"] == {}
        live = w.harness.service.live_room(alice.room_sid)
        assert live is not None
        assert live.signal(KEY, "too early") == 0
        node.channel_opened(alices_peer, of_alice)
        await settle()
        assert live.signal(KEY, "one") == 1
        node.channel_opened(bobs_peer, of_bob)
        await settle()
        assert live.signal(KEY, "two") == 2
        assert node.peers[alices_peer].channels == {of_alice: ["one", "two"]}
        assert node.peers[bobs_peer].channels == {of_bob: ["two"]}
        assert of_alice != of_bob


async def test_client_with_another_peer_is_granted_a_new_channel() -> None:
    async with world() as w:
        alice, label, peer_id = await join(w, "alice")
        w.harness.node.channel_opened(peer_id, label)
        w.harness.node.failed(peer_id)
        await settle()
        alice.take()
        await alice.describe("offer", 2, "sdp restart")
        new = label_in(merged(alice.take()))
        assert new != label
        peer_id = peer_of(w, new)
        live = w.harness.service.live_room(alice.room_sid)
        assert live is not None
        assert live.signal(KEY, "not open yet") == 0
        w.harness.node.channel_opened(peer_id, new)
        await settle()
        assert live.signal(KEY, "open") == 1


async def test_resumed_client_is_told_the_channel_that_it_has() -> None:
    async with world() as w:
        alice, label, _ = await join(w, "alice")
        await alice.drop()
        await alice.resume()
        assert label_in(merged(alice.take())) == label


async def test_channel_that_ended_is_replaced_a_limited_number_of_times() -> None:
    async with world() as w:
        alice, label, peer_id = await join(w, "alice")
        labels = {label}
        alice.take()
        for _ in range(GRANTS_MAX - 1):
            w.harness.node.channel_closed(peer_id, label)
            await settle()
            label = label_in(merged(alice.take()))
            labels.add(label)
        assert len(labels) == GRANTS_MAX
        w.harness.node.channel_closed(peer_id, label)
        await settle()
        assert alice.take() == []


async def test_client_whose_channel_cannot_be_opened_is_let_in() -> None:
    async with world() as w:
        w.harness.node.overloaded.add("open_channel")
        connected = await w.client("alice").connect(channels=(KEY,))
        assert connected["type"] == "connected"


@pytest.mark.parametrize(
    "requested",
    [
        None,
        {},
        {KEY: None},
        {KEY: {}},
        {KEY: {"transports": "data-channel"}},
        {KEY: {"transports": [None, 1, {"type": "pigeon"}]}},
        {"unknown": {"transports": [{"type": "data-channel"}]}},
    ],
)
def test_nothing_is_granted_for_requests_that_ask_for_nothing(
    requested: dict[str, Any] | None,
) -> None:
    channels = MediaSignaling(requested, rng=random.Random(1))
    assert channels.grant_all() == []
    assert channels.grants == {}
    assert channels.label_of(ChannelKey.TRANSCRIPTIONS) is None
    channels.opened("nobody's")
    assert channels.closed("nobody's") is None
