"""What lists of rooms cost in SQLite: one step along an index, however many rooms have ended."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import event

from signaling.ids import AccountSid
from signaling.storage import Page, PageKey, RoomFilter
from signaling.storage.sql_store import SqlStore
from tests.signaling.support import place_database

from .test_sql_store import START, completed, make_room

ACCOUNT = AccountSid("AC" + "1" * 32)
STATUSES = ("in-progress", "completed")
KEY = PageKey(created_at=START, sid="RM" + "0" * 32)
PAGES = (Page(), Page(after=KEY), Page(before=KEY))


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    await place_database(tmp_path / "parlour.db")
    return tmp_path / "parlour.db"


@pytest.fixture
async def filled(path: Path) -> AsyncIterator[SqlStore]:
    store = await SqlStore.open(f"sqlite:///{path}", ACCOUNT)
    rooms = [completed(make_room(f"r{n % 10}", after=n)) for n in range(500)]
    await store.put_all([*rooms, *(make_room(f"live{n}", after=n) for n in range(20))])
    yield store
    await store.close()


@pytest.mark.parametrize("analyzed", [False, True])
async def test_lists_of_rooms_touch_no_more_rows_than_they_show(
    path: Path, filled: SqlStore, analyzed: bool
) -> None:
    asked: list[tuple[str, tuple[object, ...]]] = []
    event.listen(
        filled._engine.reader.sync_engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, values, *_: asked.append((statement, values)),
    )
    later = START + timedelta(seconds=30)
    filters = [
        RoomFilter(status=status, unique_name=name, created_from=since, created_before=before)
        for status, name, since, before in product(
            STATUSES, (None, "r1"), (None, START), (None, later)
        )
    ]
    for where, page in product(filters, PAGES):
        await filled.list_rooms(where, page)
    assert len(asked) == len(filters) * len(PAGES) == 48
    with closing(sqlite3.connect(path)) as database:
        if analyzed:
            database.execute("ANALYZE")
        for (where, page), (statement, values) in zip(product(filters, PAGES), asked, strict=True):
            plan = database.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
            steps = [row[-1] for row in plan]
            # One step: neither a scan nor a sorting of all that is found.
            assert len(steps) == 1, (where, page, steps)
            by_name = where.unique_name is not None
            index = "name" if by_name else "status"
            keys = (
                "account_sid=? AND name=? AND status=?" if by_name else "account_sid=? AND status=?"
            )
            wanted = f"SEARCH rooms USING INDEX ix_rooms_account_{index}_created ({keys}"
            unique = "SEARCH rooms USING INDEX uq_rooms_in_progress_name (account_sid=? AND name=?"
            one_at_most = by_name and where.status == "in-progress"
            assert steps[0].startswith(wanted) or (one_at_most and steps[0].startswith(unique)), (
                where,
                page,
                steps,
            )


async def test_the_one_room_of_a_name_is_found_past_many_that_ended(filled: SqlStore) -> None:
    live = replace(make_room("r1"), status="in-progress")
    await filled.add_room(live)
    found = await filled.list_rooms(RoomFilter(status="in-progress", unique_name="r1"), Page())
    assert found.records == (live,)
