"""Subscribed tracks in the SQL store."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, select

from signaling.storage.queries import SqlQueries
from signaling.storage.records import TrackRecord
from signaling.storage.rows import track_of
from signaling.storage.store import Page, Slice
from signaling.storage.subscription_records import SubscribedTrack
from signaling.storage.subscription_tables import subscriptions
from signaling.storage.tables import tracks


class SubscriptionQueries(SqlQueries):
    """What a participant is given now, or was given when it left."""

    async def list_subscribed_tracks(
        self, participant_sid: str, page: Page
    ) -> Slice[SubscribedTrack]:
        """Return one page of them, the newest subscription first."""
        return await self._page(_given(participant_sid), subscriptions, page, _subscribed_of)

    async def get_subscribed_track(
        self, participant_sid: str, track_sid: str
    ) -> SubscribedTrack | None:
        """Return one by the track's SID."""
        query = _given(participant_sid).where(subscriptions.c.track_sid == track_sid)
        return await self._one(query, _subscribed_of)

    async def last_subscribed_track(
        self, participant_sid: str, track_sid: str
    ) -> SubscribedTrack | None:
        """Return the same, or the stretch that ended last when it is not given now."""
        stretches = (
            _stretches(participant_sid)
            .where(subscriptions.c.track_sid == track_sid)
            .order_by(subscriptions.c.created_at.desc(), subscriptions.c.ended_at.is_not(None))
            .limit(1)
        )
        return await self._one(stretches, _subscribed_of)

    async def get_track(self, room_sid: str, sid: str) -> TrackRecord | None:
        """Return a track of a room, published now or not."""
        query = select(tracks).where(tracks.c.room_sid == room_sid, tracks.c.sid == sid)
        return await self._one(query, track_of)


def _given(participant_sid: str) -> Select[Any]:
    return _stretches(participant_sid).where(subscriptions.c.ended_at.is_(None))


def _stretches(participant_sid: str) -> Select[Any]:
    return (
        select(
            subscriptions.c.sid,
            subscriptions.c.participant_sid,
            subscriptions.c.publisher_sid,
            subscriptions.c.track_sid,
            subscriptions.c.created_at,
            tracks.c.room_sid,
            tracks.c.name,
            tracks.c.kind,
            tracks.c.enabled,
            tracks.c.updated_at,
        )
        .join(tracks, tracks.c.sid == subscriptions.c.track_sid)
        .where(subscriptions.c.participant_sid == participant_sid)
    )


def _subscribed_of(row: Mapping[str, Any]) -> SubscribedTrack:
    updated_at = row["updated_at"]
    if updated_at is not None and updated_at < row["created_at"]:
        updated_at = None
    return SubscribedTrack(**{**row, "updated_at": updated_at})
