"""Databases of earlier releases, with rows in them, are brought to the newest schema."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from signaling.ids import new_event_sid
from signaling.storage import Page, RoomFilter
from signaling.storage.event_records import EventRecord
from signaling.storage.schema import HEAD, MIGRATIONS
from signaling.storage.sql_store import SqlStore

from .conftest import ACCOUNT
from .support import look
from .test_rules_schema import make_subscription, rng
from .test_sql_store import make_participant, make_room, make_track

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
PREVIOUS = f"{int(HEAD) - 1:04}"
RECORDED = "0005"
"""The first revision that has recordings."""


@pytest.mark.parametrize("revision", ["0001", "0003", PREVIOUS])
async def test_a_database_of_an_earlier_schema_is_upgraded(empty_url: str, revision: str) -> None:
    room = make_room()
    alice = make_participant(room)
    at = int(START.timestamp() * 1_000_000)

    def fill(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.execute(
            text(
                "INSERT INTO rooms (sid, account_sid, name, status, ad_hoc, settings, created_at,"
                " updated_at) VALUES (:sid, :account, 'r1', 'in-progress', false, '{}', :at, :at)"
            ),
            {"sid": room.sid, "account": ACCOUNT, "at": at},
        )
        connection.execute(
            text(
                "INSERT INTO participants (sid, room_sid, account_sid, identity, status,"
                " created_at, updated_at)"
                " VALUES (:sid, :room, :account, 'alice', 'connected', :at, :at)"
            ),
            {"sid": alice.sid, "room": room.sid, "account": ACCOUNT, "at": at},
        )

        if revision >= RECORDED:
            connection.execute(
                text(
                    "INSERT INTO recordings (sid, account_sid, room_sid, participant_sid,"
                    " source_sid, track_name, kind, codec, status, offset_ms, created_at,"
                    " size_bytes, duration, status_callback_method) VALUES (:sid, :account, :room,"
                    " :person, :sid, 'a', 'audio', 'opus', 'processing', 0, :at, 0, 0, 'POST')"
                ),
                {
                    "sid": "RT" + "0" * 32,
                    "account": ACCOUNT,
                    "room": room.sid,
                    "person": alice.sid,
                    "at": at,
                },
            )

    await look(empty_url, fill)
    store = await SqlStore.open(empty_url, ACCOUNT)
    old = await store.get_room(room.sid)
    person = await store.get_participant(room.sid, alice.sid)
    assert old is not None
    assert person is not None
    assert (old.created_at, old.recording_rules, person.subscribe_rules) == (START, None, None)
    track = make_track(alice)
    told = EventRecord(
        sid=new_event_sid(rng),
        account_sid=ACCOUNT,
        room_sid=room.sid,
        sequence=0,
        name="room-created",
        created_at=START,
        parameters={"RoomSid": room.sid},
    )
    await store.put_all([track, make_subscription(person, track), told])
    assert await store.get_subscribed_track(alice.sid, track.sid) is not None
    assert await store.list_events(room.sid, after=-1, size=5) == ((told,), False)
    listed = await store.list_rooms(RoomFilter(unique_name="r1", status="in-progress"), Page())
    assert listed.records == (old,)
    await store.put_all([replace(old, status="completed", ended_at=START)])
    due = [record.sid for record in await store.rooms_with_hooks_due()]
    assert due == ([room.sid] if revision >= RECORDED else [])
    await store.close()
    revised = text("SELECT version_num FROM alembic_version")
    assert await look(empty_url, lambda connection: connection.scalar(revised)) == HEAD
