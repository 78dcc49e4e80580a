"""A copy of a server's data, made while it serves, from which another one serves."""

import asyncio
import os
from pathlib import Path

import pytest
from twilio.rest import Client

from .process import Served, run, served


def back_end(server: Served) -> Client:
    account = server.account
    client = Client(account.api_key_sid, account.api_key_secret, account.account_sid)
    client.video.base_url = server.url
    return client


async def test_a_backup_of_a_busy_server_can_be_served_from(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copies" / "monday"
    async with served(data, "--dev") as server:
        client = back_end(server)
        early = await asyncio.to_thread(client.video.v1.rooms.create, unique_name="early")
        stop = asyncio.Event()

        async def keep_writing() -> None:
            while not stop.is_set():
                await asyncio.to_thread(client.video.v1.rooms.create)

        writing = asyncio.create_task(keep_writing())
        done = await run("backup", str(copy), settings={"DATA_DIR": str(data)})
        stop.set()
        await writing
        assert (done.code, done.err) == (0, "")
        await asyncio.to_thread(client.video.v1.rooms.create, unique_name="late")
    for path in (copy, *copy.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    async with served(copy, "--dev") as server:
        client = back_end(server)
        found = await asyncio.to_thread(client.video.v1.rooms("early").fetch)
        assert found.sid == early.sid
        rooms = await asyncio.to_thread(client.video.v1.rooms.list, unique_name="late")
        assert rooms == []


async def test_rows_that_wait_in_the_journal_are_in_the_backup(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    async with served(data, "--dev"):
        pass
    (data / "journal").mkdir(exist_ok=True)
    (data / "journal" / "1.journal").write_bytes(b"rows")
    assert (await run("backup", str(copy), settings={"DATA_DIR": str(data)})).code == 0
    assert (copy / "journal" / "1.journal").read_bytes() == b"rows"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "there is no database"),
        ({"DATABASE_URL": "postgresql://u:hush@localhost/d"}, "pg_dump"),
        ({"DATABASE_URL": "mysql://u:hush@localhost/d"}, "database"),
    ],
)
async def test_what_cannot_be_backed_up_is_said_in_one_line(
    tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    copy = tmp_path / "copy"
    failed = await run("backup", str(copy), settings={"DATA_DIR": str(tmp_path), **settings})
    assert failed.code == 1
    assert said in failed.err
    assert "hush" not in failed.err
    assert failed.err.count("\n") == 1
    assert not copy.exists()


async def test_nothing_is_overwritten(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with served(data, "--dev"):
        pass
    before = sorted(os.listdir(data))
    failed = await run("backup", str(data), settings={"DATA_DIR": str(data)})
    assert failed.code == 1
    assert "exists already" in failed.err
    assert sorted(os.listdir(data)) == before
