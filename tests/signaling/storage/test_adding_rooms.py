"""Rooms that are added at the same time share transactions, and each has an outcome of its own."""

import asyncio

import pytest

from signaling.errors import NameTaken
from signaling.storage.sql_store import ROOMS_TOGETHER, SqlStore
from signaling.storage.store import Page, RoomFilter

from .test_sql_store import make_room


async def names_in(store: SqlStore) -> list[str]:
    found = await store.list_rooms(RoomFilter(), Page(size=1000))
    return sorted(record.name for record in found.records)


async def test_only_rooms_whose_names_are_taken_are_refused(store: SqlStore) -> None:
    await store.add_room(make_room("old"))
    wanted = ["a", "old", "b", "c", "a", "old"]
    results = await asyncio.gather(
        *(store.add_room(make_room(name)) for name in wanted), return_exceptions=True
    )
    refused = [isinstance(result, NameTaken) for result in results]
    assert refused == [False, True, False, False, True, True]
    assert await names_in(store) == ["a", "b", "c", "old"]


async def test_200_creates_of_one_name_give_one_room(store: SqlStore) -> None:
    results = await asyncio.gather(
        *(store.add_room(make_room("same")) for _ in range(200)), return_exceptions=True
    )
    assert [result for result in results if result is None] == [None]
    assert await names_in(store) == ["same"]


async def test_more_rooms_than_one_transaction_takes_are_all_added(store: SqlStore) -> None:
    wanted = [f"r{number:04}" for number in range(3 * ROOMS_TOGETHER)]
    await asyncio.gather(*(store.add_room(make_room(name)) for name in wanted))
    assert await names_in(store) == wanted


@pytest.mark.parametrize("steps", range(8))
async def test_whoever_gives_up_takes_nobody_along(store: SqlStore, steps: int) -> None:
    first = asyncio.create_task(store.add_room(make_room("first")))
    others = [asyncio.create_task(store.add_room(make_room(f"other {n}"))) for n in range(3)]
    for _ in range(steps):
        await asyncio.sleep(0)
    first.cancel()
    others[1].cancel()
    await asyncio.gather(first, others[1], return_exceptions=True)
    await asyncio.gather(others[0], others[2])
    # Those who gave up late may be in it or not.
    assert {"other 0", "other 2"} <= set(await names_in(store))
    await store.add_room(make_room("later"))
