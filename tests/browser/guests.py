"""Guests of a room: pages with the unmodified SDK, and the back end that admits them."""

import asyncio
from time import monotonic
from typing import Any
from uuid import uuid4

from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import VideoGrant
from twilio.rest import Client

from tests.support.server import Server

from .browsers import Browser, Page, PageError


def new_room() -> str:
    """Return a room name that no other test uses."""
    return f"room-{uuid4()}"


class BackEnd:
    """A back end as a customer writes it: the unmodified ``twilio`` library."""

    def __init__(self, server: Server) -> None:
        self.server = server
        account = self._account = server.account
        self.client = Client(account.api_key_sid, account.api_key_secret, account.account_sid)
        self.client.video.base_url = server.url

    def token(self, identity: str, room: str | None = None, **claims: Any) -> str:
        """Mint an access token."""
        token = AccessToken(
            self._account.account_sid,
            self._account.api_key_sid,
            self._account.api_key_secret,
            identity=identity,
            **claims,
        )
        token.add_grant(VideoGrant(room=room) if room else VideoGrant())
        return str(token.to_jwt())


PICTURE_RATE = 15
"""Different pictures in a second that are seen at least; 30 are drawn."""


class Guest:
    """One page in one room."""

    def __init__(self, page: Page, identity: str, number: int, frequency: int) -> None:
        self.page = page
        self.identity = identity
        self.expects_errors = False
        """Whether the browser may report errors; an uncaught exception is never expected."""
        self.number = number
        self.frequency = frequency

    @property
    def tracks(self) -> list[dict[str, Any]]:
        """The microphone and camera that this guest publishes, recognisable by others."""
        return [
            {"name": "microphone", "kind": "audio", "frequency": self.frequency},
            {"name": "camera", "kind": "video", "number": self.number},
        ]

    def request(
        self,
        back_end: BackEnd,
        room: str,
        *,
        tracks: list[dict[str, Any]] | None = None,
        token: str | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Return what the lab's ``connect`` is told."""
        return {
            "token": token or back_end.token(self.identity, room),
            "url": back_end.server.signaling_url,
            "tracks": self.tracks if tracks is None else tracks,
            "options": {"name": room, **options},
        }

    async def connect(self, back_end: BackEnd, room: str, **arguments: Any) -> dict[str, Any]:
        """Connect; return the lab's state or ``{"error": ...}``."""
        result: dict[str, Any] = await self.call(
            "connect", self.request(back_end, room, **arguments)
        )
        return result

    async def begin_to_connect(self, back_end: BackEnd, room: str, **arguments: Any) -> None:
        """Connect and wait for nothing; the lab's ``connecting`` gives the result."""
        await self.call("beginToConnect", self.request(back_end, room, **arguments))

    async def join(self, back_end: BackEnd, room: str, **arguments: Any) -> dict[str, Any]:
        """Connect a guest who must get in; return the lab's state."""
        joined = await self.connect(back_end, room, **arguments)
        assert joined.get("error") is None, joined
        return joined

    async def call(self, method: str, argument: Any = None) -> Any:
        """Call a method of the page's lab."""
        return await self.page.run(f"(argument) => window.lab.{method}(argument)", argument)

    async def lose_signaling(self) -> None:
        """Abort the socket; the server cannot be reached until :meth:`find_signaling`."""
        self.expects_errors = True
        await self.page.run("() => { hooks.blocked = true; hooks.sockets.at(-1).close(4001); }")

    async def find_signaling(self) -> None:
        """Let new sockets reach the server again."""
        await self.page.run("() => { hooks.blocked = false; }")

    async def state(self) -> dict[str, Any]:
        """Return the page's view of the room."""
        found: dict[str, Any] = await self.call("state")
        return found

    async def wait(self, name: str, *, within: float = 20, since: int = 0, **match: Any) -> Any:
        """Wait for an event of the SDK."""
        return await self.call(
            "waitFor",
            {"name": name, "match": match, "timeout": within * 1000, "since": since},
        )

    async def event_count(self) -> int:
        """Return how many events there were, to wait only for later ones."""
        count: int = await self.page.run("() => window.lab.events.length")
        return count

    async def event_names(self, since: int) -> list[str]:
        """Return the names of the events after the first ``since``."""
        names: list[str] = await self.page.run(
            "(since) => lab.events.slice(since).map((event) => event.name)", since
        )
        return names

    async def sees(
        self,
        other: "Guest",
        *,
        seconds: float = 5,
        freeze: float | None = None,
        video: bool = True,
        audio: bool = True,
        number: int | None = None,
        track: str | None = None,
    ) -> dict[str, Any]:
        """
        Assert that media flows from ``other`` to this page: its number, a counter that advances,
        and its tone, on the track objects that the SDK attributes to it.

        :param freeze: Longest time without a new picture, seconds.
        :param number: Number in the picture, when it is not the guest's own.
        """
        number = number or other.number
        seen: dict[str, Any] = await self.call(
            "watch",
            {
                "identity": other.identity,
                "ms": seconds * 1000,
                "video": video,
                "audio": audio,
                "name": track,
                "number": number,
            },
        )
        assert_seen(
            seen,
            number=number if video else None,
            frequency=other.frequency if audio else None,
            freeze=freeze,
        )
        return seen


def assert_seen(
    seen: dict[str, Any],
    *,
    number: int | None,
    frequency: int | None,
    freeze: float | None = None,
) -> None:
    """
    Assert that a page has seen and heard one publisher and nobody else.

    :param seen: What the page's ``watch`` returned.
    :param number: Number in the picture; None when that was not watched.
    :param frequency: Of the tone, Hz; None when that was not watched.
    :param freeze: Longest time without a new picture, seconds.
    """
    if number is not None:
        assert list(seen["numbers"]) == [str(number)], seen
        # Different pictures, which is more than a counter that advances in leaps.
        assert seen["pictures"] >= PICTURE_RATE * seen["seconds"], seen
        if freeze is not None:
            assert seen["longestFreeze"] <= freeze * 1000, seen
    if frequency is not None:
        assert seen["tones"], seen
        assert max(seen["tones"], key=seen["tones"].__getitem__) == str(round(frequency / 50) * 50)


class Guests:
    """Makes pages and closes them after the test."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._made: list[Guest] = []

    async def __call__(self, browser: Browser, identity: str, *, url: str | None = None) -> Guest:
        """Open a page for a guest with a number and a tone of its own."""
        page = await browser.open(url or self._url)
        index = len(self._made)
        guest = Guest(page, identity, number=37 + 29 * index, frequency=600 + 350 * index)
        self._made.append(guest)
        return guest

    async def close(self) -> None:
        """Close all pages; the test fails when one had an error that it did not expect."""
        for guest in self._made:
            await guest.page.close()
        for guest in self._made:
            unexpected = guest.page.exceptions if guest.expects_errors else guest.page.errors
            assert not unexpected, (guest.identity, unexpected)


async def see_each_other(*guests: Guest, **options: Any) -> None:
    """Assert that media flows from each guest to each other one, all at the same time."""
    await asyncio.gather(
        *(
            guest.sees(other, **options)
            for guest in guests
            for other in guests
            if other is not guest
        )
    )


async def media_flows(*guests: Guest, within: float = 20) -> None:
    """Wait until media flows at full speed from each guest to each other: senders begin slowly."""
    deadline = monotonic() + within
    while True:
        try:
            await see_each_other(*guests, seconds=1)
            return
        except AssertionError:
            if monotonic() > deadline:
                raise


async def messages_arrive(
    sender: Guest,
    receiver: Guest,
    track: str,
    prefix: str,
    *,
    texts: int = 50,
    bytes_each: tuple[int, ...] = (3,),
) -> None:
    """Assert that texts and then binary messages arrive whole, in order and once."""
    await receiver.wait("trackSubscribed", identity=sender.identity, track=track)
    since = await receiver.event_count()
    # Messages are lost until the receiver's channel is open. One that is repeated tells when it is.
    ready = f"{prefix}-ready"
    async with asyncio.timeout(20):
        while True:
            await sender.call("send", {"name": track, "messages": [ready]})
            try:
                await receiver.wait("message", within=0.2, since=since, data=ready)
                break
            except PageError:
                continue
    sent: list[Any] = [f"{prefix}-{index}" for index in range(texts)]
    sent += [[(index + size) % 256 for index in range(size)] for size in bytes_each]
    await sender.call("send", {"name": track, "messages": sent})
    received = await receiver.call(
        "messages",
        {
            "identity": sender.identity,
            "track": track,
            "since": since,
            "skip": ready,
            "count": len(sent),
        },
    )
    assert received == sent
