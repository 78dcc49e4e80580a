"""API keys and revocations in the SQL store."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, delete, insert, select, update

from signaling.storage.key_records import ApiKeyRecord, RevocationRecord
from signaling.storage.key_tables import api_keys, revocations
from signaling.storage.queries import SqlQueries
from signaling.storage.rows import row_of
from signaling.storage.store import Page, Slice

_KEY_CHANGING = ("friendly_name", "secret", "updated_at", "deleted_at")


class KeyQueries(SqlQueries):
    """One method per question; each write is durable when it returns."""

    async def add_key(self, key: ApiKeyRecord) -> None:
        """Add an API key."""
        async with self._transaction() as connection:
            await connection.execute(insert(api_keys).values(**row_of(key)))

    async def update_key(self, key: ApiKeyRecord) -> None:
        """Write what changes in an API key: its name, and that it was deleted."""
        row = row_of(key)
        async with self._transaction() as connection:
            await connection.execute(
                update(api_keys)
                .where(api_keys.c.sid == key.sid, api_keys.c.account_sid == self._account_sid)
                .values({name: row[name] for name in _KEY_CHANGING})
            )

    async def forget_key(self, sid: str) -> None:
        """Remove a key's row, as if it had never been."""
        async with self._transaction() as connection:
            await connection.execute(
                delete(api_keys).where(
                    api_keys.c.sid == sid, api_keys.c.account_sid == self._account_sid
                )
            )

    async def all_keys(self) -> tuple[ApiKeyRecord, ...]:
        """Return all keys, those that were deleted included."""
        query = select(api_keys).where(api_keys.c.account_sid == self._account_sid)
        return tuple(_key_of(row) for row in await self._all(query))

    async def list_keys(self, page: Page) -> Slice[ApiKeyRecord]:
        """Return one page of the keys in force."""
        return await self._page(self._keys(), api_keys, page, _key_of)

    async def get_key(self, sid: str) -> ApiKeyRecord | None:
        """Return a key in force."""
        return await self._one(self._keys().where(api_keys.c.sid == sid), _key_of)

    async def add_revocation(self, revocation: RevocationRecord) -> None:
        """Add a revocation."""
        async with self._transaction() as connection:
            await connection.execute(insert(revocations).values(**row_of(revocation)))

    async def delete_revocation(self, sid: str) -> None:
        """Take a revocation back."""
        async with self._transaction() as connection:
            await connection.execute(
                delete(revocations).where(
                    revocations.c.sid == sid, revocations.c.account_sid == self._account_sid
                )
            )

    async def all_revocations(self) -> tuple[RevocationRecord, ...]:
        """Return all revocations, for the restart."""
        return tuple(_revocation_of(row) for row in await self._all(self._revocations()))

    async def list_revocations(self, page: Page) -> Slice[RevocationRecord]:
        """Return one page of revocations."""
        return await self._page(self._revocations(), revocations, page, _revocation_of)

    async def get_revocation(self, sid: str) -> RevocationRecord | None:
        """Return a revocation."""
        query = self._revocations().where(revocations.c.sid == sid)
        return await self._one(query, _revocation_of)

    def _keys(self) -> Select[Any]:
        return select(api_keys).where(
            api_keys.c.account_sid == self._account_sid, api_keys.c.deleted_at.is_(None)
        )

    def _revocations(self) -> Select[Any]:
        return select(revocations).where(revocations.c.account_sid == self._account_sid)


def _key_of(row: Mapping[str, Any]) -> ApiKeyRecord:
    return ApiKeyRecord(**row)


def _revocation_of(row: Mapping[str, Any]) -> RevocationRecord:
    return RevocationRecord(**row)
