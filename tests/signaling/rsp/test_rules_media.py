"""RTP stops and starts when REST changes what a participant is subscribed to."""

import asyncio
import json
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiohttp import encode_basic_auth, web
from aiohttp.test_utils import TestClient, TestServer

from signaling.auth.account import make_account
from signaling.rest import RestApi, RestConfig, http1
from signaling.rest.rule_handlers import RuleHandlers
from signaling.service.rule_commands import RuleCommands
from signaling.storage.sql_store import SqlStore
from tests.signaling.support import ACCOUNT_SID

from .test_media import Participant, Site, site

pytestmark = pytest.mark.interop

IN_TIME = 0.2
"""Seconds from a request's arrival until the page's message leaves the server."""


class Rest:
    """The REST API of a site."""

    def __init__(self, http: TestClient[Any, Any], authorization: str) -> None:
        self.http = http
        self.headers = {"Authorization": authorization}
        self.arrived_at: list[float] = []
        """When the server had the head of each request."""

    @web.middleware
    async def note_arrival(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.arrived_at.append(monotonic())
        answer: web.StreamResponse = await handler(request)
        return answer

    async def post(self, path: str, **data: str) -> dict[str, Any]:
        answer = await self.http.post(f"/v1/Rooms/r1/{path}", data=data, headers=self.headers)
        assert answer.status in (200, 202), await answer.text()
        members: dict[str, Any] = await answer.json()
        return members

    async def subscribed(self, identity: str) -> set[str]:
        path = f"/v1/Rooms/r1/Participants/{identity}/SubscribedTracks"
        answer = await self.http.get(path, headers=self.headers)
        return {track["sid"] for track in (await answer.json())["subscribed_tracks"]}


@asynccontextmanager
async def rest_of(s: Site) -> AsyncIterator[Rest]:
    account = replace(make_account(random.Random(5)), account_sid=ACCOUNT_SID)
    store = s.service._store
    assert isinstance(store, SqlStore)
    rules = RuleCommands(service=s.service, store=store)
    api = RestApi(
        config=RestConfig(account=account),
        service=s.service,
        store=store,
        rng=random.Random(6),
        routes=RuleHandlers(service=s.service, store=store, rules=rules).routes(),
    )
    app = web.Application()
    app.add_routes(http1.routes(api))
    http = TestClient(TestServer(app))
    rest = Rest(http, encode_basic_auth(account.api_key_sid, account.api_key_secret))
    app.middlewares.append(rest.note_arrival)
    async with http:
        yield rest


@pytest.fixture
def told_at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list of when messages of what a page receives were handed to its socket."""
    moments: list[float] = []
    send_str = web.WebSocketResponse.send_str

    async def noted(websocket: web.WebSocketResponse, data: str, *rest: Any) -> None:
        await send_str(websocket, data, *rest)
        if '"subscribed"' in data:
            moments.append(monotonic())

    monkeypatch.setattr(web.WebSocketResponse, "send_str", noted)
    return moments


async def packets(page: Participant, kind: str) -> int:
    """Return how many RTP packets of a kind a page has received in all."""
    total = 0
    for transceiver in page.pc.getTransceivers():
        if transceiver.kind == kind:
            stats = await transceiver.receiver.getStats()
            total += sum(s.packetsReceived for s in stats.values() if s.type == "inbound-rtp")
    return total


async def flows(page: Participant, kind: str) -> None:
    """Wait until more packets come."""
    before = await packets(page, kind)
    async with asyncio.timeout(10.0):
        # Nothing tells how many came.
        while await packets(page, kind) < before + 5:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def stands_still(page: Participant, kind: str) -> None:
    """Check that no packet comes any more; what was under way at first may still."""
    await asyncio.sleep(0.1)
    before = await packets(page, kind)
    await asyncio.sleep(0.4)
    assert await packets(page, kind) == before


async def until_told(page: Participant, sid: str, *, given: bool) -> None:
    await page.until(lambda: (sid in page.subscribed) is given)


async def test_rules_stop_and_start_rtp_in_time(tmp_path: Path, told_at: list[float]) -> None:
    async with site(tmp_path) as s, rest_of(s) as rest:
        alice, bob = await s.page("alice"), await s.page("bob")
        await alice.join("audio")
        await bob.join("audio")
        await bob.hears_and_sees("alice", "audio")
        sid = bob.tracks_of("alice")["audio"]
        await flows(bob, "audio")
        offers = bob.offers_answered
        told_at.clear()
        for rule in ("exclude", "include") * 3:
            rules = json.dumps([{"type": rule, "publisher": "alice", "kind": "audio"}])
            rest.arrived_at.clear()
            posted = asyncio.create_task(rest.post("Participants/bob/SubscribeRules", Rules=rules))
            await until_told(bob, sid, given=rule == "include")
            [arrived_at], [sent_at] = rest.arrived_at, told_at
            assert sent_at - arrived_at < IN_TIME
            told_at.clear()
            await posted
            if rule == "exclude":
                await stands_still(bob, "audio")
                assert await rest.subscribed("bob") == set()
            else:
                await flows(bob, "audio")
                assert await rest.subscribed("bob") == {sid}
        # Slots are bound and unbound: no description was exchanged for it.
        assert bob.offers_answered == offers
        # The other direction was never touched.
        await flows(alice, "audio")


async def test_a_single_track_is_taken_and_given_again(tmp_path: Path) -> None:
    async with site(tmp_path) as s, rest_of(s) as rest:
        alice, bob = await s.page("alice"), await s.page("bob")
        await alice.join("audio", "video")
        await bob.join()
        await bob.hears_and_sees("alice", "audio", "video")
        sids = bob.tracks_of("alice")
        shown = await rest.post(
            "Participants/bob/SubscribedTracks", Track=sids["video"], Status="unsubscribe"
        )
        assert (shown["sid"], shown["kind"]) == (sids["video"], "video")
        await until_told(bob, sids["video"], given=False)
        await stands_still(bob, "video")
        await flows(bob, "audio")
        await rest.post(
            "Participants/bob/SubscribedTracks", Track=sids["video"], Status="subscribe"
        )
        await until_told(bob, sids["video"], given=True)
        await bob.hears_and_sees("alice", "video")


async def test_what_a_page_receives_changes_while_the_store_hangs(tmp_path: Path) -> None:
    async with site(tmp_path) as s, rest_of(s) as rest:
        alice, bob = await s.page("alice"), await s.page("bob")
        await alice.join("audio", "video")
        await bob.join()
        await bob.hears_and_sees("alice", "audio", "video")
        sids = bob.tracks_of("alice")
        await s.service.flush()
        with closing(sqlite3.connect(tmp_path / "test.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            # Something that waits to be written, before what is asked next.
            await alice.mute("audio")
            rules = json.dumps([{"type": "include", "kind": "video"}])
            posted = asyncio.create_task(rest.post("Participants/bob/SubscribeRules", Rules=rules))
            await until_told(bob, sids["audio"], given=False)
            await stands_still(bob, "audio")
            track = {"Track": sids["video"], "Status": "unsubscribe"}
            taken = asyncio.create_task(rest.post("Participants/bob/SubscribedTracks", **track))
            await until_told(bob, sids["video"], given=False)
            await stands_still(bob, "video")
            other.execute("ROLLBACK")
        # Whether the store was back in time for an answer is another matter.
        await asyncio.gather(posted, taken, return_exceptions=True)


async def test_data_stops_and_starts(tmp_path: Path) -> None:
    async with site(tmp_path) as s, rest_of(s) as rest:
        alice, bob, carol = [await s.page(name) for name in ("alice", "bob", "carol")]
        for page in (alice, bob, carol):
            await page.join("audio")
        channel = await alice.publish_data("messages")
        for page in (bob, carol):
            await page.until(lambda page=page: page.media_of("alice", "data") is not None)
        sid = bob.tracks_of("alice")["data"]
        channel.send("first")
        assert await asyncio.wait_for(bob.media_of("alice", "data").get(), 10.0) == "first"
        await rest.post(
            "Participants/bob/SubscribeRules", Rules='[{"type":"include","kind":"audio"}]'
        )
        await until_told(bob, sid, given=False)
        channel.send("unheard")
        # What somebody else has heard, the server no longer holds for bob either.
        while await asyncio.wait_for(carol.media_of("alice", "data").get(), 10.0) != "unheard":
            pass
        await rest.post("Participants/bob/SubscribeRules", Rules='[{"type":"include","all":true}]')
        await until_told(bob, sid, given=True)
        await bob.until(lambda: bob.media_of("alice", "data") is not None)
        channel.send("second")
        assert await asyncio.wait_for(bob.media_of("alice", "data").get(), 10.0) == "second"
