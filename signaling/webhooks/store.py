"""The part of the store's face that the webhooks use."""

from collections.abc import Sequence
from typing import Protocol

from signaling.storage.event_records import CallbackQueue, EventRecord, LeftBehind, PendingQueue
from signaling.storage.records import RoomRecord
from signaling.storage.store import Record


class WebhookStore(Protocol):
    """All raise ``StorageError`` when the store fails."""

    async def in_progress_rooms(self) -> tuple[RoomRecord, ...]:
        """Return all rooms in progress."""

    async def put_all(self, records: Sequence[Record]) -> None:
        """Write several records in one transaction, in order."""

    async def last_sequences(self) -> dict[str, int]:
        """Return the last sequence number of each room in progress that has events."""

    async def left_behind(self) -> tuple[LeftBehind, ...]:
        """Return whom a former run of the server left inside a room."""

    async def pending_queues(self) -> tuple[PendingQueue, ...]:
        """Return all queues with events to deliver."""

    async def pending_events(self, queue: CallbackQueue, *, size: int) -> tuple[EventRecord, ...]:
        """Return the next events of a queue that are to be delivered, in order."""

    async def update_delivery(self, event: EventRecord) -> None:
        """Write what became of an event's delivery."""
