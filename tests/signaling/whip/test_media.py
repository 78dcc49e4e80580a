"""aiortc publishes by WHIP and views by WHEP, through the data plane."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from av import VideoFrame

from .support import Site, bearer, site

pytestmark = pytest.mark.interop


class Camera(VideoStreamTrack):  # type: ignore[misc]
    """A small picture of one grey."""

    def __init__(self, grey: int) -> None:
        super().__init__()
        self.grey = grey

    async def recv(self) -> Any:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame(160, 120, "yuv420p")
        for index, plane in enumerate(frame.planes):
            value = self.grey if index == 0 else 128
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = pts, time_base
        return frame


class Viewer:
    """A peer connection that receives, and the tracks that it got."""

    def __init__(self) -> None:
        self.pc = RTCPeerConnection()
        self.tracks: dict[str, Any] = {}
        self.pc.on("track", lambda track: self.tracks.setdefault(track.kind, track))
        for kind in ("audio", "video"):
            self.pc.addTransceiver(kind, direction="recvonly")

    async def grey(self) -> int:
        """Return the grey of the next picture."""
        frame = await asyncio.wait_for(self.tracks["video"].recv(), 10.0)
        luma = bytes(frame.planes[0])
        return luma[len(luma) // 2 + 40]


async def publish(s: Site, identity: str, grey: int) -> tuple[RTCPeerConnection, str]:
    pc = RTCPeerConnection()
    pc.addTrack(AudioStreamTrack())
    pc.addTrack(Camera(grey))
    response = await s.connect(pc, "/whip/r1", bearer(identity))
    return pc, response.headers["Location"]


async def until_grey(viewer: Viewer, grey: int) -> None:
    async with asyncio.timeout(15.0):
        while abs(await viewer.grey() - grey) > 12:
            pass


async def test_a_viewer_sees_a_publisher_and_then_the_next(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        alice, location = await publish(s, "alice", 60)
        viewer = Viewer()
        await s.connect(viewer.pc, "/whep/r1", bearer("bob"))
        await until_grey(viewer, 60)
        await asyncio.wait_for(viewer.tracks["audio"].recv(), 10.0)
        carol, _ = await publish(s, "carol", 200)
        response = await s.http.delete(location, headers=bearer("alice"))
        assert response.status == 200
        # The same section of the viewer now carries the other publisher.
        await until_grey(viewer, 200)
        for pc in (alice, carol, viewer.pc):
            await pc.close()
        async with asyncio.timeout(10.0):
            while s.service.participant_count:  # noqa: ASYNC110 - nothing else tells it
                await asyncio.sleep(0.02)
        assert s.endpoint.resource_count == 0


async def test_a_viewer_may_come_first(tmp_path: Path) -> None:
    async with site(tmp_path) as s:
        viewer = Viewer()
        await s.connect(viewer.pc, "/whep/r1", bearer("bob"))
        alice, _ = await publish(s, "alice", 120)
        await until_grey(viewer, 120)
        await alice.close()
        await viewer.pc.close()
