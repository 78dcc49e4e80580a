"""The helper libraries as a back end uses them: PyPI's, and npm's in three major versions."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from twilio.request_validator import RequestValidator
from twilio.rest import Client

from tests.support.server import Account, Server

NODE_MAJORS = (4, 5, 6)
_SCRIPT = Path(__file__).parent / "node" / "library.mjs"
_LINE_MAX = 1 << 22

Members = dict[str, Any]


class NodeLibraries:
    """One Node process with all three versions."""

    def __init__(self, process: asyncio.subprocess.Process, server: Server) -> None:
        self._process = process
        account = server.account
        self._account = {
            "sid": account.account_sid,
            "key": account.api_key_sid,
            "secret": account.api_key_secret,
            "token": account.auth_token,
            "url": server.url,
        }

    async def call(self, major: int, op: str, **arguments: Any) -> Any:
        """Call an operation of the script with one version of the library."""
        request = {"library": major, "op": op, "account": self._account, **arguments}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        async with asyncio.timeout(30):
            answer = json.loads(await self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["result"]


@asynccontextmanager
async def node_libraries(server: Server) -> AsyncIterator[NodeLibraries]:
    """Run the script for the length of a ``with`` block."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(_SCRIPT),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_MAX,
    )
    try:
        yield NodeLibraries(process, server)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def python_client(server: Server) -> Client:
    """Return the library from PyPI, told where the server is."""
    account = server.account
    client = Client(account.api_key_sid, account.api_key_secret, account.account_sid)
    client.video.base_url = server.url
    return client


def python_describe(client: Client, name: str) -> Members:
    """Return what ``describe`` of the script returns, with the names and forms of npm's library."""
    context = client.video.v1.rooms(name)
    people: Members = {}
    for inside in context.participants.list(status="connected"):
        person = context.participants(inside.sid)
        published, subscribed = person.published_tracks.list(), person.subscribed_tracks.list()
        people[inside.identity] = {
            "participant": _plain(context.participants(inside.identity).fetch()),
            "published": [_plain(track) for track in published],
            "publishedByName": [
                _plain(person.published_tracks(track.name).fetch()) for track in published
            ],
            "subscribed": [_plain(track) for track in subscribed],
            "subscribedBySid": [
                _plain(person.subscribed_tracks(track.sid).fetch()) for track in subscribed
            ],
            "rules": _plain(person.subscribe_rules.fetch()),
        }
    return {
        "room": _plain(context.fetch()),
        "recordingRules": _plain(context.recording_rules.fetch()),
        "gone": [_plain(left) for left in context.participants.list(status="disconnected")],
        "people": people,
    }


def validates(account: Account, url: str, parameters: Members, signature: str) -> bool:
    """Let the library from PyPI check a callback's signature."""
    return bool(RequestValidator(account.auth_token).validate(url, parameters, signature))


def _plain(instance: Any) -> Members:
    return {
        _camel(name): _value(value)
        for name, value in vars(instance).items()
        if not name.startswith("_")
    }


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        # As JavaScript writes a Date.
        return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
