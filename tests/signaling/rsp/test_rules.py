"""What a page is told when the rules of its participant change."""

from typing import Any

from signaling.rooms import Participant
from signaling.rules import EXCLUDE_ALL, INCLUDE_ALL, Rule, RuleType
from tests.signaling.support import settle

from .support import Client, World, merged, track, world


async def two(w: World, **options: Any) -> tuple[Client, Client]:
    """Let alice publish audio and video and bob join."""
    alice, bob = w.client("alice"), w.client("bob")
    await alice.connect("r1", track("a1"), track("v1", "video"))
    body = await bob.connect("r1", **options)
    bob.take()
    bob.frames = []
    assert body["participants"][0]["identity"] == "alice"
    return alice, bob


def participant(w: World, client: Client) -> Participant:
    live = w.harness.service.live_room(client.room_sid)
    assert live is not None
    found = live.room.participant(client.sid)
    assert found is not None
    return found


async def set_rules(w: World, client: Client, *rules: Rule) -> dict[str, Any]:
    """Change a page's rules; return what it is told."""
    live = w.harness.service.live_room(client.room_sid)
    assert live is not None
    live.set_subscribe_rules(client.sid, rules)
    await settle()
    return merged(client.take())


async def test_a_page_is_told_in_one_message_what_it_no_longer_receives() -> None:
    async with world() as w:
        _, bob = await two(w)
        received = participant(w, bob).subscriptions
        revision = participant(w, bob).subscribed_revision
        assert len([s for s in received.values() if s.receiver_id is not None]) == 2
        live = w.harness.service.live_room(bob.room_sid)
        assert live is not None
        live.set_subscribe_rules(bob.sid, EXCLUDE_ALL)
        await settle()
        [told] = bob.take()
        assert told["subscribed"]["tracks"] == []
        assert told["subscribed"]["revision"] > revision
        assert "peer_connections" not in told
        assert w.harness.node.calls["unsubscribe"] == 2


async def test_slots_that_rules_free_serve_what_they_give() -> None:
    async with world() as w:
        # There is one slot of each kind, and two cameras.
        alice, bob = await two(w)
        await set_rules(w, bob, Rule(type=RuleType.INCLUDE, publisher="alice"))
        carol = w.client("carol")
        await carol.connect("r1", track("v2", "video"))
        bob.take()
        told = await set_rules(w, bob, Rule(type=RuleType.INCLUDE, publisher="carol"))
        assert [t["sid"] for t in told["subscribed"]["tracks"]] == published(w, carol)
        assert "peer_connections" not in told
        told = await set_rules(w, bob, Rule(type=RuleType.INCLUDE, publisher=alice.sid))
        assert [t["sid"] for t in told["subscribed"]["tracks"]] == published(w, alice)
        assert w.harness.node.offers_made == 0


def published(w: World, client: Client) -> list[str]:
    return [publication.sid for publication in participant(w, client).ready_publications()]


async def test_without_automatic_subscription_rules_begin_by_excluding_all() -> None:
    async with world() as w:
        _, bob = await two(w, automatic_subscription=False)
        assert participant(w, bob).rules.rules == EXCLUDE_ALL
        assert participant(w, bob).subscriptions == {}
        told = await set_rules(w, bob, *INCLUDE_ALL)
        assert len(told["subscribed"]["tracks"]) == 2


async def test_rules_that_change_nothing_tell_nothing() -> None:
    async with world() as w:
        _, bob = await two(w)
        both = (Rule(type=RuleType.INCLUDE, publisher="alice"),)
        assert await set_rules(w, bob, *both) == {}
        assert w.harness.node.calls["unsubscribe"] == 0


async def test_rules_changed_while_a_page_reconnects_are_in_what_it_is_told() -> None:
    async with world() as w:
        _, bob = await two(w)
        await bob.drop()
        assert await set_rules(w, bob, *EXCLUDE_ALL) == {}
        await bob.resume()
        synced = next(body for body in bob.take() if body["type"] == "synced")
        assert synced["subscribed"]["tracks"] == []
