"""The journal: what was appended is read again in order, whatever a crash left."""

from dataclasses import replace
from pathlib import Path

import pytest

from signaling.ids import new_event_sid
from signaling.rooms.settings import RoomSettings
from signaling.storage import journal as journal_module
from signaling.storage.event_records import EventRecord
from signaling.storage.journal import Journal, JournalFull
from signaling.storage.media_records import TranscriptionRecord
from signaling.storage.store import Record

from .conftest import ACCOUNT
from .test_rules_schema import make_subscription, rng
from .test_sql_store import START, completed, make_participant, make_room, make_track


def one_of_each() -> list[Record]:
    room = make_room(settings=RoomSettings(unique_name="é", video_codecs=("H264", "VP8")))
    alice, bob = make_participant(room), make_participant(room, "bob 🙂")
    track = make_track(alice)
    event = EventRecord(
        sid=new_event_sid(rng),
        account_sid=ACCOUNT,
        room_sid=room.sid,
        sequence=3,
        name="track-added",
        created_at=START,
        parameters={"B": "ä", "A": "1"},
        delivery="pending",
        url="https://example.com/",
    )
    transcription = TranscriptionRecord(
        sid="video_extension_1",
        account_sid=ACCOUNT,
        room_sid=room.sid,
        status="started",
        configuration={"a": [1, {"b": None}]},
        created_at=START,
        updated_at=START,
    )
    subscription = make_subscription(bob, track)
    return [room, alice, bob, track, subscription, event, transcription, completed(room)]


def append_often(journal: Journal, record: Record) -> None:
    for _ in range(1000):
        journal.append([record])


def drain(journal: Journal, most: int = 3) -> list[Record]:
    """Read and forget everything."""
    seen: list[Record] = []
    while records := journal.read(most):
        seen += records
        journal.forget()
    return seen


def test_every_kind_of_record_reads_back_after_a_crash(tmp_path: Path) -> None:
    records = one_of_each()
    Journal(tmp_path / "journal").append(records)
    # Nothing was closed: this is another process.
    journal = Journal.open(tmp_path / "journal")
    assert drain(journal) == records
    assert journal.is_empty
    assert journal.size_bytes == 0
    assert list((tmp_path / "journal").iterdir()) == []


def test_what_was_read_but_not_forgotten_comes_again(tmp_path: Path) -> None:
    records = one_of_each()
    journal = Journal(tmp_path)
    journal.append(records)
    assert journal.read(3) == records[:3]
    assert journal.read(3) == records[:3]
    journal.forget()
    assert journal.read(2) == records[3:5]
    # Which part of a segment was forgotten is not remembered: rows are overwritten with the same.
    assert drain(Journal.open(tmp_path)) == records


def test_order_holds_over_segments_and_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 1000)
    rooms = [make_room(f"r{n}") for n in range(60)]
    journal = Journal(tmp_path)
    for room in rooms[:30]:
        journal.append([room])
    assert len(list(tmp_path.iterdir())) > 5
    assert journal.read(20) == rooms[: len(journal.read(20))]
    again = Journal.open(tmp_path)
    for room in rooms[30:]:
        again.append([room])
    assert again.size_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert drain(again) == rooms
    again.append(rooms[:1])
    assert drain(again) == rooms[:1]


@pytest.mark.parametrize("cut", [1, 7, 8, 100])
def test_a_record_that_a_crash_cut_short_is_left_out(tmp_path: Path, cut: int) -> None:
    records = one_of_each()
    journal = Journal(tmp_path)
    journal.append(records)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-cut])
    again = Journal.open(tmp_path)
    assert not again.is_empty
    again.append(records[-1:])
    assert drain(again) == records
    # What was left out is kept aside.
    assert [p.suffix for p in tmp_path.iterdir()] == [".damaged"]


def test_a_damaged_byte_ends_a_segment(tmp_path: Path) -> None:
    records = one_of_each()
    journal = Journal(tmp_path)
    for record in records:
        journal.append([record])
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    assert drain(Journal.open(tmp_path)) == records[:-1]


def test_the_journal_is_bounded(tmp_path: Path) -> None:
    journal = Journal(tmp_path, limit_bytes=10_000)
    room = make_room()
    journal.append([room])
    size = journal.size_bytes
    while journal.size_bytes + size <= 9000 - size:
        journal.append([room])
    before = journal.is_nearly_full
    with pytest.raises(JournalFull):
        append_often(journal, room)
    assert (before, journal.is_nearly_full) == (False, True)
    assert journal.size_bytes <= 10_000
    assert len(drain(journal)) == 10_000 // size
    assert journal.is_empty


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.append(one_of_each())
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o700
    (path,) = (tmp_path / "journal").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_record_that_cannot_be_written_spoils_no_other(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    room = make_room()
    journal.append([replace(room, name="\ud800"), room])
    assert drain(journal) == [room]
