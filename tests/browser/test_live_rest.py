"""A call of two pages with the unmodified SDK, as the helper libraries see it."""

import asyncio
from typing import Any

from tests.interop.library import node_libraries
from tests.interop.live_call import PublishedTrack, View, hold_call

from .browsers import Browser
from .guests import BackEnd, Guest, Guests, new_room

POLL = 0.1


class PagePerson:
    """A page as a :class:`~tests.interop.live_call.Person`."""

    def __init__(self, guest: Guest, back_end: BackEnd, room: str) -> None:
        self.name = guest.identity
        self._guest = guest
        self._back_end = back_end
        self._room = room
        self._camera = "camera"

    async def join(self) -> None:
        await self._guest.join(self._back_end, self._room)

    async def until_received(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len((await self.view()).receives) != count:  # noqa: ASYNC110 - pages are asked
                await asyncio.sleep(POLL)

    async def mute_video(self) -> None:
        await self._guest.call("setEnabled", {"name": self._camera, "enabled": False})

    async def unpublish_video(self) -> None:
        await self._guest.call("unpublish", self._camera)

    async def publish_video(self, name: str) -> None:
        self._camera = name
        await self._publish(name, "video")

    async def publish_data(self, name: str) -> None:
        await self._publish(name, "data")

    async def leave(self) -> None:
        await self._guest.call("leave")

    async def view(self) -> View:
        state = await self._guest.state()
        return View(
            sid=state["me"]["sid"],
            published=tuple(
                PublishedTrack(**{name: track[name] for name in ("sid", "name", "kind", "enabled")})
                for track in state["me"]["tracks"]
            ),
            receives=frozenset(
                track["sid"]
                for other in state["participants"]
                for track in other["tracks"]
                if track["subscribed"]
            ),
        )

    async def _publish(self, name: str, kind: str) -> None:
        track: dict[str, Any] = {"name": name, "kind": kind}
        if kind == "video":
            track["number"] = self._guest.number
        published = await self._guest.call("publish", track)
        assert published.get("error") is None, published


async def test_libraries_are_told_of_every_change_of_two_pages(
    chromium: Browser, back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice, bob = [
        PagePerson(await guests(chromium, name), back_end, room) for name in ("alice", "bob")
    ]
    async with node_libraries(back_end.server) as libraries:
        await hold_call(back_end.server, libraries, room, alice, bob)
