"""The HTTP of WHIP and WHEP, with real descriptions and a real media node."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientResponse
from aiortc import RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from router.errors import DataPlaneError
from router.sdp.description import parse_fragment, parse_session_description
from signaling.service import IceServer
from signaling.storage.store import Page
from signaling.whip import resource

from .support import FRAGMENT, SDP, bearer, fresh, site


@pytest.fixture
async def offer() -> AsyncIterator[str]:
    """An offer that sends audio and video."""
    pc = RTCPeerConnection()
    pc.addTrack(AudioStreamTrack())
    pc.addTrack(VideoStreamTrack())
    await pc.setLocalDescription(await pc.createOffer())
    yield pc.localDescription.sdp
    await pc.close()


@pytest.fixture
async def viewing_offer() -> AsyncIterator[str]:
    """An offer that receives audio and video."""
    pc = RTCPeerConnection()
    pc.addTransceiver("audio", direction="recvonly")
    pc.addTransceiver("video", direction="recvonly")
    await pc.setLocalDescription(await pc.createOffer())
    yield pc.localDescription.sdp
    await pc.close()


def restarted(sdp: str, ufrag: str = "newu", pwd: str = "p" * 24) -> str:
    """Return a fragment that restarts ICE."""
    return (
        f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n"
        "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
        "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\r\n"
    )


async def test_a_publisher_is_an_ordinary_participant(tmp_path: Path, offer: str) -> None:
    async with site(tmp_path) as s:
        response = await s.post("/whip/my%20room", offer)
        assert response.status == 201
        assert response.headers["Content-Type"] == "application/sdp"
        assert response.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
        location = response.headers["Location"]
        assert location.startswith("/whip/my%20room/")
        assert len(location.rpartition("/")[2]) == 32
        answer = parse_session_description(await response.text())
        assert response.headers["ETag"] == f'"{answer.media[0].transport.ice_ufrag}"'
        (live,) = s.service._live.values()
        assert live.record.name == "my room"
        await s.service.flush()
        (participant,) = live.room.participants
        assert participant.identity == "alice"
        stored = await s.store.get_participant(live.sid, participant.sid)
        assert stored is not None
        assert stored.status == "connected"
        tracks = (await s.store.list_published_tracks(participant.sid, Page())).records
        assert {(t.name, t.kind) for t in tracks} == {("audio", "audio"), ("video", "video")}
        assert (await s.http.delete(location, headers=bearer("bob"))).status == 403
        assert (await s.http.delete(location)).status == 401


async def test_deleting_a_session_frees_everything(tmp_path: Path, offer: str) -> None:
    async with site(tmp_path) as s:
        headers = bearer("alice")
        response = await s.post("/whip/r1", offer, headers)
        location = response.headers["Location"]
        assert s.endpoint.resource_count == 1
        assert (await s.http.delete(location, headers=headers)).status == 200
        assert s.endpoint.resource_count == s.service.participant_count == 0
        assert s.node.occupancy()["peers"] == 0
        assert len(s.service._timers) == 0
        assert (await s.http.delete(location, headers=headers)).status == 404


async def test_completing_the_room_ends_the_session(
    tmp_path: Path, offer: str, viewing_offer: str
) -> None:
    async with site(tmp_path) as s:
        await s.post("/whip/r1", offer)
        await s.post("/whep/r1", viewing_offer, identity="bob")
        (live,) = s.service._live.values()
        publisher, viewer = live.room.participants
        assert [p.kind.value for p in publisher.ready_publications()] == ["audio", "video"]
        assert viewer.ready_publications() == []
        assert len(viewer.subscriptions) == 2
        await s.service.complete_room(live.sid)
        assert s.endpoint.resource_count == 0
        assert s.node.occupancy()["peers"] == 0


async def test_media_that_never_connects_ends_the_session(tmp_path: Path, offer: str) -> None:
    async with site(tmp_path, whip_connect_timeout=0.05) as s:
        await s.post("/whip/r1", offer)
        async with asyncio.timeout(5.0):
            while s.endpoint.resource_count:  # noqa: ASYNC110 - nothing else tells its end
                await asyncio.sleep(0.01)
        assert s.node.occupancy()["peers"] == 0
        assert s.service.room_count == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": ""}, 401),
        ({"Authorization": "Basic eDp5"}, 401),
        ({"Authorization": "Bearer nonsense"}, 401),
        ({"Authorization": "Bearer " + "x" * 5000}, 401),
        ({"Content-Type": "application/json"}, 415),
        ({"Accept": "text/html"}, 406),
        ({"Accept": "text/html, application/sdp;q=0.5"}, 201),
        ({"Content-Type": "Application/SDP; charset=utf-8"}, 201),
    ],
)
async def test_requests_are_judged_by_their_headers(
    tmp_path: Path, offer: str, headers: dict[str, str], status: int
) -> None:
    async with site(tmp_path) as s:
        response = await s.post("/whip/r1", offer, headers)
        assert response.status == status
        if status != 201:
            assert response.headers["Content-Type"] == "application/problem+json"
            problem = await response.json()
            assert problem["status"] == status
            assert problem["detail"]
            assert s.service.room_count == 0
        if status == 401:
            assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("path", "sdp", "token_room", "status", "code"),
    [
        ("/whip/r1", None, "r2", 403, 20106),
        ("/whip/r1", "", None, 400, None),
        ("/whip/r1", "v=0", None, 406, 53403),
        ("/whip/r1", "no description", None, 406, 53403),
        ("/whip/" + "x" * 129, None, None, 400, 53101),
        ("/whip/RM" + "0" * 32, None, None, 404, 53106),
        ("/whip/", None, None, 404, None),
        ("/whip/a%0Ab%00", None, None, 400, 53102),
        ("/whep/r1/x/y", None, None, 404, None),
    ],
)
async def test_what_cannot_be_done_is_told(
    tmp_path: Path,
    offer: str,
    path: str,
    sdp: str | None,
    token_room: str | None,
    status: int,
    code: int | None,
) -> None:
    async with site(tmp_path) as s:
        response = await s.post(path, offer if sdp is None else sdp, bearer("alice", token_room))
        assert response.status == status
        assert (await response.json()).get("code") == code
        assert s.service.refused_joins == ({} if code is None else {code: 1})
        assert s.node.occupancy()["peers"] == s.service.room_count == 0


async def test_an_offer_that_sends_nothing_publishes_nothing(
    tmp_path: Path, viewing_offer: str
) -> None:
    async with site(tmp_path) as s:
        assert (await s.post("/whip/r1", viewing_offer)).status == 406
        assert s.node.occupancy()["peers"] == s.service.room_count == 0


@pytest.mark.parametrize("call", ["create_peer", "handle_offer"])
async def test_a_plane_without_room_is_told_as_busy(
    tmp_path: Path, offer: str, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refuse(*_arguments: object, **_named: object) -> None:
        raise DataPlaneError("the data plane's command ring is full")

    async with site(tmp_path) as s:
        with monkeypatch.context() as patched:
            patched.setattr(s.node, call, refuse)
            response = await s.post("/whip/r1", offer)
            assert (response.status, (await response.json())["code"]) == (503, 53006)
            assert "Retry-After" in response.headers
        assert s.node.occupancy()["peers"] == s.service.room_count == 0
        headers = bearer("alice")
        made = await s.post("/whip/r1", offer, headers)
        assert made.status == 201
        with monkeypatch.context() as patched:
            patched.setattr(s.node, "handle_offer", refuse)
            refused = await s.http.patch(
                made.headers["Location"],
                data=restarted(offer).encode(),
                headers={**FRAGMENT, **headers, "If-Match": "*"},
            )
            assert refused.status == 503


async def test_bodies_are_bounded(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        response = await s.post("/whip/r1", "v=0\r\n" + "a=x\r\n" * 60_000)
        assert response.status == 413


async def test_unknown_rooms_and_full_rooms_and_draining(tmp_path: Path, offer: str) -> None:
    from signaling.rooms import RoomSettings

    async with site(tmp_path, ad_hoc_rooms=False) as s:
        assert (await s.post("/whip/r1", offer)).status == 404
        await s.service.create_room(RoomSettings(unique_name="r1", max_participants=1))
        assert (await s.post("/whip/r1", offer)).status == 201
        assert (await s.post("/whip/r1", offer, identity="bob")).status == 409
        s.service.draining = True
        response = await s.post("/whip/r1", offer, identity="bob")
        assert response.status == 503
        assert "Retry-After" in response.headers
        s.service.draining = False


async def test_an_identity_that_is_inside_is_refused_where_the_operator_wants_it(
    tmp_path: Path, offer: str
) -> None:
    async with site(tmp_path, duplicate_identity="reject") as s:
        assert (await s.post("/whip/r1", offer, bearer("alice"))).status == 201
        refused = await s.post("/whip/r1", offer, bearer("alice"))
        assert (refused.status, (await refused.json())["code"]) == (409, 53205)
        assert s.service.participant_count == 1


async def test_quotas_hold_for_publishers_too(tmp_path: Path, offer: str) -> None:
    async with site(tmp_path, room_quota=1, participant_quota=1) as s:
        assert (await s.post("/whip/r1", offer, bearer("alice"))).status == 201
        for path, code in (("/whip/r1", 53206), ("/whip/r2", 53206)):
            refused = await s.post(path, offer, bearer("bob"), identity="bob")
            assert (refused.status, (await refused.json())["code"]) == (503, code)
            assert refused.headers["Retry-After"]
        assert s.service.room_count == 1


async def test_a_server_that_is_behind_puts_publishers_off(tmp_path: Path, offer: str) -> None:
    async with site(tmp_path) as s:
        s.service.load.close()
        for _ in range(2):
            s.service.load.probe(now=9.0, due_at=8.0)
        response = await s.post("/whip/r1", offer)
        assert response.status == 503
        assert "Retry-After" in response.headers
        assert s.service.joins_put_off == 1
        s.service.load.probe(now=9.0, due_at=9.0)
        assert (await s.post("/whip/r1", offer)).status == 201


async def test_methods_without_a_meaning_are_refused(tmp_path: Path, offer: str) -> None:
    async with site(tmp_path) as s:
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            response = await s.http.request(method, "/whip/r1", headers=bearer("alice"))
            assert (response.status, response.headers["Allow"]) == (405, "OPTIONS, POST")
        location = (await s.post("/whip/r1", offer)).headers["Location"]
        for method in ("GET", "PUT", "POST"):
            response = await s.http.request(method, location, headers=bearer("alice"))
            assert (response.status, response.headers["Allow"]) == (405, "DELETE, OPTIONS, PATCH")


async def test_what_can_be_sent_is_told(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        response = await s.http.options("/whip/r1")
        assert response.status == 204
        assert response.headers["Accept-Post"] == "application/sdp"
        assert response.headers["Allow"] == "OPTIONS, POST"
        response = await s.http.options("/whip/r1/anything")
        assert response.headers["Allow"] == "DELETE, OPTIONS, PATCH"
        assert response.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"


async def test_ice_servers_are_linked(tmp_path: Path, offer: str) -> None:
    servers = (
        IceServer(urls=("stun:stun.example.org",)),
        IceServer(urls=("turn:t.example.org",), username='a"b', credential="c\\d"),
    )
    async with site(tmp_path, ice_servers=servers) as s:
        link = (await s.post("/whip/r1", offer)).headers["Link"]
        assert link == (
            '<stun:stun.example.org>; rel="ice-server", '
            '<turn:t.example.org>; rel="ice-server"; username="a\\"b"; credential="c\\\\d"; '
            'credential-type="password"'
        )


async def test_trickled_candidates_change_nothing(tmp_path: Path, offer: str) -> None:
    async with site(tmp_path) as s:
        headers = bearer("alice")
        response = await s.post("/whip/r1", offer, headers)
        location, tag = response.headers["Location"], response.headers["ETag"]
        media = parse_session_description(offer).media[0]
        fragment = restarted(offer, media.transport.ice_ufrag, media.transport.ice_pwd)
        for condition in ({}, {"If-Match": tag}, {"If-Match": "*"}):
            response = await s.http.patch(
                location, data=fragment.encode(), headers={**FRAGMENT, **headers, **condition}
            )
            assert response.status == 204, condition
        stale = await s.http.patch(
            location,
            data=fragment.encode(),
            headers={**FRAGMENT, **headers, "If-Match": '"other"'},
        )
        assert stale.status == 412


async def test_ice_is_restarted_with_new_credentials_and_a_new_tag(
    tmp_path: Path, offer: str
) -> None:
    async with site(tmp_path) as s:
        headers = bearer("alice")
        response = await s.post("/whip/r1", offer, headers)
        location, tag = response.headers["Location"], response.headers["ETag"]
        answer = parse_session_description(await response.text())
        fragment = restarted(offer).encode()
        missing = await s.http.patch(location, data=fragment, headers={**FRAGMENT, **headers})
        assert missing.status == 428
        wrong = await s.http.patch(
            location, data=fragment, headers={**FRAGMENT, **headers, "If-Match": tag}
        )
        assert wrong.status == 409
        response = await s.http.patch(
            location, data=fragment, headers={**FRAGMENT, **headers, "If-Match": "*"}
        )
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/trickle-ice-sdpfrag"
        ours = parse_fragment(await response.text())
        transport = ours.media[0].transport.over(ours.transport)
        assert transport.ice_ufrag != answer.media[0].transport.ice_ufrag
        assert response.headers["ETag"] == f'"{transport.ice_ufrag}"' != tag
        assert ours.media[0].candidates == answer.media[0].candidates
        # The tracks are the same as before.
        (live,) = s.service._live.values()
        assert live.room.ready_track_count == 2
        assert all(p.source_id for p in live.room.participants[0].publications.values())


async def test_ice_is_not_restarted_without_end(
    tmp_path: Path, offer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "RESTART_INTERVAL", 5.0)
    async with site(tmp_path) as s:
        headers = {**FRAGMENT, **bearer("alice"), "If-Match": "*"}
        location = (await s.post("/whip/r1", offer, bearer("alice"))).headers["Location"]

        async def restart(number: int) -> ClientResponse:
            fragment = restarted(offer, f"{number:04}", "p" * 24).encode()
            return await s.http.patch(location, data=fragment, headers=headers)

        for number in range(resource.RESTARTS_TOGETHER):
            assert (await restart(number)).status == 200
        refused = await restart(98)
        assert refused.status == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 5
        assert (await refused.json())["code"] == 20429
        # Candidates of the session as it is now are still taken, and nobody was thrown out.
        last = restarted(offer, f"{resource.RESTARTS_TOGETHER - 1:04}", "p" * 24).encode()
        assert (await s.http.patch(location, data=last, headers=headers)).status == 204
        assert s.service.participant_count == 1
        # As if a minute had passed.
        (publisher,) = s.endpoint._resources.values()
        publisher._rested_at -= 60.0
        assert (await restart(99)).status == 200


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (SDP, "a=x", 415),
        (FRAGMENT, "", 400),
        (FRAGMENT, "m=nonsense\r\n", 400),
    ],
)
async def test_patches_that_cannot_be_read_are_refused(
    tmp_path: Path, offer: str, headers: dict[str, str], body: str, status: int
) -> None:
    async with site(tmp_path) as s:
        authorization = {"Authorization": f"Bearer {fresh('alice')}"}
        location = (await s.post("/whip/r1", offer, authorization)).headers["Location"]
        response = await s.http.patch(
            location, data=body.encode(), headers={**headers, **authorization}
        )
        assert response.status == status
