"""A server with one of everything in it, and its own description."""

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests

from signaling.auth.access_token import mint_access_token
from signaling.config import load_settings
from signaling.ids import new_participant_sid, new_recording_sid, new_track_sid
from signaling.storage.media_records import RecordingRecord
from tests.signaling.rest.conftest import RunningServer

ROOM = "r1"
OFFER = (Path(__file__).parents[2] / "vectors/sdp/chromium-sendrecv.sdp").read_text()


class Populated:
    """The server, how to be let in, and the names of what there is."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.url = server.url
        self.document: dict[str, Any] = requests.get(f"{self.url}/openapi.json", timeout=20).json()
        self.http = requests.Session()
        self.http.auth = (server.account.api_key_sid, server.account.api_key_secret)
        self.names: dict[str, list[str]] = {}
        self.bearer = {"Authorization": f"Bearer {self._token('alice')}"}
        self.other_bearer = {"Authorization": f"Bearer {self._token('bob')}"}
        self._client: aiohttp.ClientSession | None = None

    def _token(self, identity: str) -> str:
        account, now = self.server.account, self.server.service.clock.utc_now()
        return mint_access_token(
            account_sid=account.account_sid,
            key_sid=account.api_key_sid,
            secret=account.api_key_secret,
            identity=identity,
            room=None,
            now=now,
        )

    def post(self, path: str, **data: str) -> dict[str, Any]:
        """Make something."""
        answer = self.http.post(f"{self.url}{path}", data=data, timeout=20)
        assert answer.ok, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def close(self) -> None:
        """Let all connections go."""
        self.http.close()
        if self._client is not None:
            self.server.run(self._client.close())

    async def _join(self) -> None:
        """Let somebody in who publishes a data track."""
        self._client = aiohttp.ClientSession()
        socket = await self._client.ws_connect(f"{self.url}/signaling")
        track = {
            "id": "t1",
            "kind": "data",
            "name": "chat",
            "enabled": True,
            "priority": "standard",
        }
        connect = {
            "type": "connect",
            "version": 2,
            "name": ROOM,
            "participant": {"revision": 1, "tracks": [track]},
            "peer_connections": [],
            "ice_servers": "overrode",
            "publisher": {"name": "test", "sdk_version": "0", "user_agent": "test"},
            "format": "unified",
            "token": self.bearer["Authorization"].removeprefix("Bearer "),
            "subscribe": {"rules": [{"type": "include", "all": True}], "revision": 1},
            "media_signaling": {},
        }
        hello = {"type": "hello", "id": "h1", "timeout": 120_000, "version": 2, "body": connect}
        await socket.send_str(json.dumps(hello))
        async with asyncio.timeout(10):
            while True:
                body = (await socket.receive_json()).get("body") or {}
                assert body.get("type") != "error", body
                if body.get("type") == "connected":
                    return

    def fill(self) -> None:
        """Make one of everything."""
        room, ended = self.post("/v1/Rooms", UniqueName=ROOM), self.post("/v1/Rooms")
        self.post(f"/v1/Rooms/{ended['sid']}", Status="completed")
        self.server.run(self._join())
        people = self.http.get(f"{room['links']['participants']}", timeout=20).json()
        person = people["participants"][0]
        tracks = self.http.get(person["links"]["published_tracks"], timeout=20).json()
        rng = random.Random(7)
        recording = RecordingRecord(
            sid=new_recording_sid(rng),
            account_sid=self.server.account.account_sid,
            room_sid=room["sid"],
            participant_sid=new_participant_sid(rng),
            source_sid=new_track_sid(rng),
            track_name="mic",
            kind="audio",
            codec="opus",
            status="completed",
            offset_ms=1,
            created_at=self.server.service.clock.utc_now(),
            size_bytes=12,
            duration=3,
        )
        self.server.run(self.server.store.add_recording(recording))
        transcription = self.post(f"/v1/Rooms/{room['sid']}/Transcriptions")
        keys = f"/2010-04-01/Accounts/{self.server.account.account_sid}/Keys.json"
        composition = self.post("/v1/Compositions", RoomSid=room["sid"], AudioSources="*")
        whip = requests.post(
            f"{self.url}/whip/w1",
            data=OFFER,
            headers={"Content-Type": "application/sdp", **self.bearer},
            timeout=20,
        )
        assert whip.status_code == 201, whip.text
        self.names = {
            "AccountSid": [self.server.account.account_sid],
            "RoomSid": [room["sid"], ROOM, ended["sid"]],
            "ParticipantSid": [person["sid"], "alice"],
            "TrackSid": [tracks["published_tracks"][0]["sid"], "chat"],
            "RecordingSid": [recording.sid],
            "CompositionSid": [composition["sid"]],
            "HookSid": [
                self.post("/v1/CompositionHooks", FriendlyName="h", AudioSources="*")["sid"]
            ],
            "Ttid": [transcription["ttid"]],
            "KeySid": [self.post(keys)["sid"] + suffix for suffix in ("", ".json")],
            "RevocationSid": [self.post("/v1/Revocations", Identity="nobody")["sid"]],
            "Room": ["w1"],
            "Session": [whip.headers["Location"].rpartition("/")[2]],
        }


@pytest.fixture(scope="module")
def populated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Populated]:
    settings = {
        "http_port": 0,
        "media_host": "127.0.0.1",
        "media_port": 0,
        "media_threads": 1,
        "metrics_bind": "off",
        "data_dir": tmp_path_factory.mktemp("openapi"),
        # What asks without credentials is to be told so, however often.
        "refused_logins_per_address": 0.0,
        "turn_urls": "stun:turn.example.com:3478,turn:turn.example.com:3478",
        "turn_secret": "hush",
        "whip_connect_timeout": 600.0,
    }
    server = RunningServer(load_settings(settings))
    made = Populated(server)
    made.fill()
    yield made
    made.close()
    server.close()
