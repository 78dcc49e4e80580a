"""The endpoint over the real media node, and offers of aiortc."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from aiortc import RTCPeerConnection, RTCSessionDescription

from router.node import MediaNode, MediaNodeConfig
from router.plane.shard import PlaneCapacity
from signaling.service import RoomService, ServiceConfig, SystemClock
from signaling.storage.sql_store import SqlStore
from signaling.whip import WhipEndpoint
from signaling.whip.http1 import routes
from tests.signaling.support import ACCOUNT_SID, TOKENS, open_store, token

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


def fresh(identity: str, room: str | None = None) -> str:
    """Return a token that is valid now."""
    return token(identity, room, now=SystemClock().utc_now())


@cache
def bearer(identity: str, room: str | None = None) -> dict[str, str]:
    """
    Return the header with such a token, always the same one.

    A resource answers only to the token that it was made with, and tokens tell the second.
    """
    return {"Authorization": f"Bearer {fresh(identity, room)}"}


class Site:
    """A server with nothing but WHIP and WHEP."""

    def __init__(
        self,
        http: TestClient[Any, Any],
        service: RoomService,
        endpoint: WhipEndpoint,
        node: MediaNode,
        store: SqlStore,
    ) -> None:
        self.http = http
        self.service = service
        self.endpoint = endpoint
        self.node = node
        self.store = store

    async def post(
        self, path: str, sdp: str, headers: dict[str, str] | None = None, identity: str = "alice"
    ) -> ClientResponse:
        return await self.http.post(
            path, data=sdp.encode(), headers={**SDP, **bearer(identity), **(headers or {})}
        )

    async def connect(
        self, pc: RTCPeerConnection, path: str, headers: dict[str, str]
    ) -> ClientResponse:
        """Let a peer connection of aiortc publish or view."""
        await pc.setLocalDescription(await pc.createOffer())
        response = await self.http.post(
            path, data=pc.localDescription.sdp.encode(), headers={**SDP, **headers}
        )
        assert response.status == 201, await response.text()
        await pc.setRemoteDescription(
            RTCSessionDescription(sdp=await response.text(), type="answer")
        )
        return response


@asynccontextmanager
async def site(tmp_path: Path, **settings: Any) -> AsyncIterator[Site]:
    """Start it on loopback, with media on a port of the kernel's choice."""
    node = MediaNode(
        MediaNodeConfig(
            bind_address="127.0.0.1",
            port=0,
            addresses=("127.0.0.1",),
            capacity=PlaneCapacity(),
        ),
        rng=random.SystemRandom(),
    )
    await node.start()
    store = await open_store(tmp_path)
    service = RoomService(
        node=node,
        store=store,
        config=ServiceConfig(account_sid=ACCOUNT_SID, **settings),
        rng=random.SystemRandom(),
    )
    await service.start()
    endpoint = WhipEndpoint(service=service, tokens=TOKENS, rng=random.SystemRandom())
    app = web.Application()
    app.add_routes(routes(endpoint))
    try:
        async with TestClient(TestServer(app)) as http:
            yield Site(http, service, endpoint, node, store)
            await service.close()
            occupancy = node.occupancy()
            assert (occupancy["peers"], occupancy["sources"]) == (0, 0)
    finally:
        await node.close()
        await store.close()
