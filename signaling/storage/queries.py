"""What the groups of queries of the SQL store are built on."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy import Select, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from signaling.storage.store import Page, RecordT, Slice


class SqlQueries(ABC):
    """Reading and writing as the store does it; failures are ``StorageError``."""

    _account_sid: str

    @abstractmethod
    def _transaction(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Write: one transaction at a time, durable at the end of the block."""

    @abstractmethod
    async def _all(self, query: Select[Any]) -> Sequence[Mapping[str, Any]]:
        """Return all rows."""

    @abstractmethod
    async def _one(
        self, query: Select[Any], read: Callable[[Mapping[str, Any]], RecordT]
    ) -> RecordT | None:
        """Return the only row as a record, or None."""

    @abstractmethod
    async def _page(
        self,
        query: Select[Any],
        table: Table,
        page: Page,
        read: Callable[[Mapping[str, Any]], RecordT],
    ) -> Slice[RecordT]:
        """Return one page of a list."""
