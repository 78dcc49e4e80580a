"""Getting into a room, and not: what a page of the unmodified SDK must show."""

from collections.abc import AsyncIterator
from pathlib import Path

import jwt
import pytest
import pytest_asyncio

from tests.support.server import running_server

from .browsers import Browser
from .guests import BackEnd, Guests, new_room


def forged(back_end: BackEnd, code: int) -> str:
    """Return a token that must be refused with ``code``."""
    good = back_end.token("mallory", "r")
    header = jwt.get_unverified_header(good)
    claims = jwt.decode(good, options={"verify_signature": False})
    secret = back_end.server.account.api_key_secret
    if code == 20101:
        return "badToken"
    if code == 20103:
        claims["iss"] = "SK" + "0" * 32
    if code == 20104:
        claims |= {"iat": 1000, "nbf": 1000, "exp": 2000}
    if code == 20106:
        claims["grants"] = {"identity": "mallory"}
    if code == 20107:
        secret = "x" * len(secret)
    return jwt.encode(claims, secret, algorithm="HS256", headers=header)


async def test_bad_token_is_refused_with_its_code_within_a_second(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    guest = await guests(chromium, "mallory")
    for code in (20101, 20103, 20104, 20106, 20107):
        refused = await guest.connect(back_end, new_room(), tracks=[], token=forged(back_end, code))
        assert refused["error"]["code"] == code
        assert refused["took"] < 1000


async def test_connect_opens_the_given_url_and_no_other_host(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    name = new_room()
    guest = await guests(chromium, "alice")
    joined = await guest.join(back_end, name, tracks=[])
    assert str(joined["sid"]).startswith("RM")
    assert joined["name"] == name
    assert joined["state"] == "connected"
    assert joined["me"]["identity"] == "alice"
    assert joined["me"]["sid"].startswith("PA")
    assert joined["mediaRegion"]
    assert joined["signalingRegion"]
    sockets = await guest.page.run("() => hooks.sockets.map((socket) => socket.url)")
    assert sockets == [back_end.server.signaling_url]
    hosts = await guest.page.run(
        """() => performance.getEntriesByType('resource')
          .map((entry) => new URL(entry.name).host).filter((host) => host !== location.host)"""
    )
    assert hosts == []


async def test_tracks_published_at_connect_get_sids(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = back_end.client.video.v1.rooms.create(unique_name=new_room())
    guest = await guests(chromium, "alice")
    joined = await guest.join(back_end, room.unique_name)
    published = {track["name"]: track["sid"] for track in joined["me"]["tracks"]}
    assert set(published) == {"microphone", "camera"}
    assert all(sid.startswith("MT") for sid in published.values())
    await guest.page.run("() => hooks.iceConnected()")

    participants = back_end.client.video.v1.rooms(room.sid).participants
    found = [(p.sid, p.identity, p.status) for p in participants.list()]
    assert found == [(joined["me"]["sid"], "alice", "connected")]
    tracks = participants("alice").published_tracks.list()
    assert {(track.kind, track.name, track.sid) for track in tracks} == {
        ("audio", "microphone", published["microphone"]),
        ("video", "camera", published["camera"]),
    }


async def test_second_participant_is_announced_and_finds_the_first(
    chromium: Browser, firefox: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob = await guests(chromium, "alice"), await guests(firefox, "bob")
    await alice.join(back_end, room, tracks=[])
    joined = await bob.join(back_end, room, tracks=[])
    assert [(p["identity"], p["state"]) for p in joined["participants"]] == [("alice", "connected")]
    await alice.wait("participantConnected", identity="bob")


async def test_limits_have_their_codes(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    rooms = back_end.client.video.v1.rooms
    small = rooms.create(unique_name=new_room(), max_participants=1)
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    await alice.join(back_end, small.unique_name, tracks=[])
    refused = await bob.connect(back_end, small.unique_name, tracks=[])
    assert refused["error"]["code"] == 53105
    refused = await bob.connect(back_end, "RM" + "0" * 32, tracks=[])
    assert refused["error"]["code"] == 53106
    done = rooms.create(unique_name=new_room())
    rooms(done.sid).update(status="completed")
    refused = await bob.connect(back_end, done.sid, tracks=[])
    assert refused["error"]["code"] == 53118


@pytest_asyncio.fixture(loop_scope="session")
async def full_house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BackEnd]:
    """Run a server for one participant; the parameter says after how many ms others come back."""
    settings = {"MAX_PARTICIPANTS": "1", "BUSY_RETRY_AFTER_MS": str(request.param)}
    async with running_server(tmp_path, settings=settings) as server:
        yield BackEnd(server)


@pytest.mark.parametrize("full_house", [300], indirect=True)
async def test_busy_server_lets_a_client_wait_until_there_is_room(
    full_house: BackEnd, chromium: Browser, guests: Guests
) -> None:
    room = new_room()
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    await alice.join(full_house, room, tracks=[])
    await bob.begin_to_connect(full_house, room)
    await bob.page.run("() => hooks.received('busy', 2)")
    await alice.call("leave")
    joined = await bob.call("connecting")
    assert joined["state"] == "connected"
    assert await bob.page.run("() => hooks.sockets.length") == 1


@pytest.mark.parametrize("full_house", [-1], indirect=True)
async def test_busy_server_can_turn_clients_away(
    full_house: BackEnd, chromium: Browser, guests: Guests
) -> None:
    room = new_room()
    alice, bob = await guests(chromium, "alice"), await guests(chromium, "bob")
    await alice.join(full_house, room, tracks=[])
    bob.expects_errors = True
    refused = await bob.connect(full_house, room)
    assert refused["error"]["code"] == 53006
