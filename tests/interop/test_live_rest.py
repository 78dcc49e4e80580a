"""A call of clients of the protocol, as the helper libraries see it."""

from collections.abc import AsyncIterator

import pytest_asyncio

from benchmarks.load.rsp import LocalTrack
from tests.support.clients import Clients, Participant
from tests.support.server import Server

from .library import NodeLibraries, node_libraries
from .live_call import PublishedTrack, View, hold_call


@pytest_asyncio.fixture(loop_scope="session")
async def libraries(server: Server) -> AsyncIterator[NodeLibraries]:
    async with node_libraries(server) as running:
        yield running


class ProtocolPerson:
    """A client of the protocol as a :class:`~tests.interop.live_call.Person`."""

    def __init__(self, name: str, participant: Participant) -> None:
        self.name = name
        self._client = participant

    async def join(self) -> None:
        await self._client.join()

    async def until_received(self, count: int) -> None:
        await self._client.wait_until(lambda: len(self._client.receiver_ids()) == count)

    async def mute_video(self) -> None:
        self._client.set_enabled(self._camera, enabled=False)

    async def unpublish_video(self) -> None:
        self._client.unpublish(self._camera)

    async def publish_video(self, name: str) -> None:
        await self._until_published(self._client.publish(self._client.camera, name=name))

    async def publish_data(self, name: str) -> None:
        note = self._client.publish_data(name=name)
        await self._until_published(note)
        await self._client.peer.wait_until(lambda: self._client.peer.core.channels is not None)
        self._client.peer.open_channel(note.track_id)

    async def leave(self) -> None:
        await self._client.leave()

    async def view(self) -> View:
        published = tuple(
            PublishedTrack(
                sid=self._client.published[track.track_id]["sid"],
                name=track.name,
                kind=track.kind,
                enabled=track.enabled,
            )
            for track in self._client.tracks.values()
        )
        return View(
            sid=self._client.participant_sid,
            published=published,
            receives=frozenset(self._client.subscribed),
        )

    @property
    def _camera(self) -> LocalTrack:
        [camera] = (track for track in self._client.tracks.values() if track.kind == "video")
        return camera

    async def _until_published(self, track: LocalTrack) -> None:
        client = self._client
        await client.wait_until(lambda: "sid" in client.published.get(track.track_id, {}))


async def test_libraries_are_told_of_every_change_of_a_call(
    server: Server, clients: Clients, libraries: NodeLibraries, room: str
) -> None:
    alice, bob = (
        ProtocolPerson(name, clients.participant(name, room)) for name in ("alice", "bob")
    )
    await hold_call(server, libraries, room, alice, bob)
