"""Recordings, of the account (``/v1/Recordings``) and of a room."""

from signaling.errors import ApiError, ErrorCode
from signaling.ids import is_sid
from signaling.rest.call import Call
from signaling.rest.handlers import not_found
from signaling.rest.media_download import refuse_media
from signaling.rest.message import Response, json_response
from signaling.rest.paging import PageView, read_page
from signaling.rest.resources import date_text
from signaling.rest.room_lookup import find_room
from signaling.rest.route import Route
from signaling.rest.service import RestService
from signaling.storage.media_queries import MediaQueries, RecordingFilter
from signaling.storage.media_records import RecordingRecord
from signaling.storage.store import Store

PAGE_SIZE_MAX = 100
STATUSES = frozenset({"processing", "completed", "failed", "deleted"})
KINDS = frozenset({"audio", "video", "data"})
_DATES = ("DateCreatedAfter", "DateCreatedBefore")


class RecordingHandlers:
    """One method per operation. Each answers or raises ``ApiError``."""

    def __init__(self, *, service: RestService, store: Store, media: MediaQueries) -> None:
        self._service = service
        self._store = store
        self._media = media

    def routes(self) -> list[Route]:
        """Return the resources."""
        room = ("Rooms", None, "Recordings")
        return [
            Route(("Recordings",), {"GET": self.list_all}),
            Route(("Recordings", None), {"GET": self.fetch, "DELETE": self.delete}),
            Route(("Recordings", None, "Media"), {"GET": self.fetch_media}),
            Route(room, {"GET": self.list_of_room}),
            Route((*room, None), {"GET": self.fetch_of_room, "DELETE": self.delete_of_room}),
            Route((*room, None, "Media"), {"GET": self.fetch_media_of_room}),
        ]

    # Of the account.

    async def list_all(self, call: Call) -> Response:
        given = call.given
        wanted = read_page(given, most=PAGE_SIZE_MAX)
        where = RecordingFilter(
            status=given.choice("Status", STATUSES, ErrorCode.INVALID_PARAMETER),
            source_sid=given.text("SourceSid"),
            grouping_sids=given.names("GroupingSid"),
            kind=given.choice("MediaType", KINDS, ErrorCode.INVALID_PARAMETER),
            created_from=given.date("DateCreatedAfter"),
            created_before=given.date("DateCreatedBefore"),
        )
        await self._service.flush()
        return PageView(
            key="recordings",
            url=f"{call.base_url}/v1/Recordings",
            filters={
                **call.filters("Status", "SourceSid", "MediaType", *_DATES),
                "GroupingSid": where.grouping_sids or None,
            },
            request=wanted,
            found=await self._media.list_recordings(where, wanted.page),
            render=lambda recording: recording_resource(recording, call.base_url),
        ).response()

    async def fetch(self, call: Call) -> Response:
        recording = await self._recording(call, call.names[0])
        return json_response(200, recording_resource(recording, call.base_url))

    async def delete(self, call: Call) -> Response:
        return await self._delete(await self._recording(call, call.names[0]))

    async def fetch_media(self, call: Call) -> Response:
        await self._recording(call, call.names[0])
        raise refuse_media(call)

    # Of a room.

    async def list_of_room(self, call: Call) -> Response:
        given = call.given
        wanted = read_page(given)
        status = given.choice("Status", STATUSES, ErrorCode.INVALID_PARAMETER)
        source_sid = given.text("SourceSid")
        created_from, created_before = (given.date(name) for name in _DATES)
        room = await find_room(call, self._service, self._store)
        where = RecordingFilter(
            room_sid=room.sid,
            status=status,
            source_sid=source_sid,
            created_from=created_from,
            created_before=created_before,
        )
        return PageView(
            key="recordings",
            url=f"{call.base_url}/v1/Rooms/{room.sid}/Recordings",
            filters=call.filters("Status", "SourceSid", *_DATES),
            request=wanted,
            found=await self._media.list_recordings(where, wanted.page),
            render=lambda recording: room_recording_resource(recording, call.base_url),
        ).response()

    async def fetch_of_room(self, call: Call) -> Response:
        recording = await self._recording_of_room(call)
        return json_response(200, room_recording_resource(recording, call.base_url))

    async def delete_of_room(self, call: Call) -> Response:
        return await self._delete(await self._recording_of_room(call))

    async def fetch_media_of_room(self, call: Call) -> Response:
        await self._recording_of_room(call)
        raise refuse_media(call)

    async def _recording_of_room(self, call: Call) -> RecordingRecord:
        room = await find_room(call, self._service, self._store)
        recording = await self._recording(call, call.names[1])
        if recording.room_sid != room.sid:
            raise not_found(call.resource)
        return recording

    async def _recording(self, call: Call, name: str) -> RecordingRecord:
        await self._service.flush()
        recording = await self._media.get_recording(name) if is_sid(name, "RT") else None
        if recording is None:
            raise not_found(call.resource)
        return recording

    async def _delete(self, recording: RecordingRecord) -> Response:
        done = await self._media.set_recording_status(
            recording.sid, "deleted", unless=("processing",)
        )
        if not done:
            raise ApiError.of(
                ErrorCode.INVALID_PARAMETER, "A recording in progress cannot be deleted"
            )
        return Response(status=204)


def recording_resource(recording: RecordingRecord, base_url: str) -> dict[str, object]:
    """Return a recording as the API shows it."""
    return {
        **_common(recording, f"{base_url}/v1/Recordings/{recording.sid}"),
        "status_callback": recording.status_callback,
        "status_callback_method": recording.status_callback_method,
    }


def room_recording_resource(recording: RecordingRecord, base_url: str) -> dict[str, object]:
    """Return a recording as the API shows it below its room."""
    url = f"{base_url}/v1/Rooms/{recording.room_sid}/Recordings/{recording.sid}"
    return {**_common(recording, url), "room_sid": recording.room_sid}


def _common(recording: RecordingRecord, url: str) -> dict[str, object]:
    return {
        "sid": recording.sid,
        "account_sid": recording.account_sid,
        "source_sid": recording.source_sid,
        "status": recording.status,
        "type": recording.kind,
        "container_format": recording.container,
        "codec": recording.codec,
        "track_name": recording.track_name,
        "size": recording.size_bytes,
        "duration": recording.duration,
        "offset": recording.offset_ms,
        "grouping_sids": {
            "room_sid": recording.room_sid,
            "participant_sid": recording.participant_sid,
        },
        "media_external_location": None,
        "date_created": date_text(recording.created_at),
        "url": url,
        "links": {"media": f"{url}/Media"},
    }
