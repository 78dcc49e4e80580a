"""One name makes one room, however many ask for it at once: a whole server on each database."""

import asyncio
from collections import Counter
from pathlib import Path

import aiohttp

from tests.signaling.cli.process import served

REQUESTS = 200


async def test_parallel_creates_of_one_name_make_one_room(tmp_path: Path, url: str) -> None:
    async with (
        served(tmp_path / "data", "--dev", DATABASE_URL=url) as server,
        aiohttp.ClientSession(
            headers={
                "Authorization": aiohttp.encode_basic_auth(
                    server.account.api_key_sid, server.account.api_key_secret
                )
            },
            connector=aiohttp.TCPConnector(limit=0),
        ) as http,
    ):

        async def create() -> tuple[int, object]:
            async with http.post(f"{server.url}/v1/Rooms", data={"UniqueName": "daily"}) as answer:
                body = await answer.json()
                return answer.status, body.get("code")

        for _ in range(2):
            outcomes = Counter(await asyncio.gather(*(create() for _ in range(REQUESTS))))
            assert outcomes == {(201, None): 1, (400, 53113): REQUESTS - 1}
            async with http.get(f"{server.url}/v1/Rooms", params={"Status": "in-progress"}) as got:
                rooms = (await got.json())["rooms"]
            assert [room["unique_name"] for room in rooms] == ["daily"]
            # Once it has ended, the name is free again, once.
            target = f"{server.url}/v1/Rooms/{rooms[0]['sid']}"
            async with http.post(target, data={"Status": "completed"}) as ended:
                assert ended.status < 300
