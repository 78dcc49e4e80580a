"""What an external speech engine hears, as the unmodified SDK's ``transcription`` events."""

import asyncio
from typing import Any

import pytest
import requests

from .browsers import Browser
from .guests import BackEnd, Guest, Guests, new_room


def said(text: str, number: int) -> dict[str, Any]:
    """Return what an engine posts."""
    return {
        "participant": "PA" + "1" * 32,
        "track": "MT" + "2" * 32,
        "transcription": text,
        "language_code": "en-US",
        "timestamp": "2026-11-26T12:00:00.000Z",
        "partial_results": number % 2 == 0,
        "sequence_number": number,
    }


async def hears(back_end: BackEnd, url: str, guest: Guest, message: dict[str, Any]) -> None:
    """Post a message until the page's channel is open, and see it arrive as it is."""
    since = await guest.event_count()
    account = back_end.server.account
    key = (account.api_key_sid, account.api_key_secret)
    async with asyncio.timeout(20):
        while True:
            answer = await asyncio.to_thread(
                requests.post, f"{url}/Messages", json=message, auth=key, timeout=10
            )
            assert answer.status_code == 202, answer.text
            if answer.json()["participants"]:
                break
            await asyncio.sleep(0.05)
    event = await guest.wait("transcription", since=since)
    assert event["transcription"] == message | {"type": "extension_transcriptions"}


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
async def test_pages_that_asked_for_transcriptions_get_them(
    browser: str, installed: dict[str, Browser], back_end: BackEnd, guests: Guests
) -> None:
    room = new_room()
    alice = await guests(installed[browser], "alice")
    bob = await guests(installed["chromium"], "bob")
    await alice.join(back_end, room, tracks=[], receiveTranscriptions=True)
    await bob.join(back_end, room)
    transcriptions = back_end.client.video.v1.rooms(room).transcriptions
    made = await asyncio.to_thread(transcriptions.create)
    await hears(back_end, made.url, alice, said("Hello, world ✓", 1))
    await hears(back_end, made.url, alice, said("Hello again", 2))
    # The channel outlives the signaling connection.
    await alice.lose_signaling()
    await alice.wait("reconnecting")
    await hears(back_end, made.url, alice, said("while away", 3))
    await alice.find_signaling()
    await alice.wait("reconnected")
    await hears(back_end, made.url, alice, said("back", 4))
    await alice.sees(bob, seconds=1)
    assert "transcription" not in await bob.event_names(0)
