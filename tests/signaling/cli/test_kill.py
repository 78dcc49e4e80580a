"""What was answered holds, though the server is killed in the same moment."""

import signal
from pathlib import Path

from twilio.rest import Client

from tests.signaling.support import place_database

from .process import Served, served


def client_of(server: Served) -> Client:
    account = server.account
    client = Client(account.api_key_sid, account.api_key_secret, account.account_sid)
    client.video.base_url = server.url
    return client


async def test_completed_room_stays_completed_when_the_server_is_killed(tmp_path: Path) -> None:
    await place_database(tmp_path / "parlour.db")
    async with served(tmp_path, "--dev") as server:
        rooms = client_of(server).video.v1.rooms
        room = rooms.create(unique_name="r1")
        completed = rooms(room.sid).update(status="completed")
        server.process.kill()
        assert completed.status == "completed"
        assert (await server.ended()).code == -signal.SIGKILL
    async with served(tmp_path, "--dev") as server:
        rooms = client_of(server).video.v1.rooms
        found = rooms(room.sid).fetch()
        assert (found.status, found.end_time) == ("completed", completed.end_time)
        # The name belongs to the next one.
        assert rooms.create(unique_name="r1").sid != room.sid
