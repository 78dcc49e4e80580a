"""Transcriptions of a room."""

from signaling.errors import ApiError, ErrorCode
from signaling.rest.call import Call
from signaling.rest.handlers import not_found
from signaling.rest.message import Response, json_response
from signaling.rest.paging import PageView, read_page
from signaling.rest.parameters import Parameters
from signaling.rest.resources import date_text, duration_seconds
from signaling.rest.room_lookup import find_room
from signaling.rest.route import JSON, Route
from signaling.rest.service import RestService
from signaling.rest.transcription_messages import parse_message
from signaling.service.transcriptions import TranscriptionService
from signaling.storage.media_queries import MediaQueries
from signaling.storage.media_records import TranscriptionRecord
from signaling.storage.records import RoomRecord
from signaling.storage.store import Slice, Store

STATUSES = frozenset({"started", "stopped"})


class TranscriptionHandlers:
    """One method per operation. Each answers or raises ``ApiError``."""

    def __init__(
        self,
        *,
        service: RestService,
        transcriptions: TranscriptionService,
        store: Store,
        media: MediaQueries,
    ) -> None:
        self._service = service
        self._transcriptions = transcriptions
        self._store = store
        self._media = media

    def routes(self) -> list[Route]:
        """Return the resources."""
        room = ("Rooms", None, "Transcriptions")
        return [
            Route(room, {"GET": self.list_all, "POST": self.create}),
            Route((*room, None), {"GET": self.fetch, "POST": self.update}),
            Route((*room, None, "Messages"), {"POST": self.add_message}, media_type=JSON),
        ]

    async def room_created(self, room: RoomRecord, given: Parameters) -> None:
        """Start the transcription of a new room if that was asked for; it is on the disk then."""
        if given.boolean("TranscribeParticipantsOnConnect", False):
            configuration = given.json_object("TranscriptionsConfiguration")
            self._transcriptions.start(room, configuration or {})
            await self._service.persist()

    async def create(self, call: Call) -> Response:
        configuration = call.given.json_object("Configuration")
        room = await find_room(call, self._service, self._store)
        transcription = await self._media.transcription_of_room(room.sid)
        if transcription is None:
            transcription = self._transcriptions.start(room, configuration or {})
            await self._service.flush()
        return json_response(202, transcription_resource(transcription, call.base_url))

    async def list_all(self, call: Call) -> Response:
        wanted = read_page(call.given)
        room = await find_room(call, self._service, self._store)
        transcription = await self._media.transcription_of_room(room.sid)
        shown = () if transcription is None or wanted.number else (transcription,)
        return PageView(
            key="transcriptions",
            url=f"{call.base_url}/v1/Rooms/{room.sid}/Transcriptions",
            filters={},
            request=wanted,
            found=Slice(records=shown, has_more=False),
            render=lambda transcription: transcription_resource(transcription, call.base_url),
        ).response()

    async def fetch(self, call: Call) -> Response:
        return json_response(
            200, transcription_resource(await self._transcription(call), call.base_url)
        )

    async def update(self, call: Call) -> Response:
        given = call.given
        status = given.choice("Status", STATUSES, ErrorCode.INVALID_PARAMETER)
        configuration = given.json_object("Configuration")
        if status is None and configuration is None:
            raise ApiError.of(ErrorCode.INVALID_PARAMETER, "Status or Configuration must be given")
        transcription = self._transcriptions.update(
            await self._transcription(call), status=status, configuration=configuration or {}
        )
        await self._service.flush()
        return json_response(202, transcription_resource(transcription, call.base_url))

    async def add_message(self, call: Call) -> Response:
        text = parse_message(call.body)
        reached = self._transcriptions.deliver(await self._transcription(call), text)
        return json_response(202, {"participants": reached})

    async def _transcription(self, call: Call) -> TranscriptionRecord:
        room = await find_room(call, self._service, self._store)
        transcription = await self._media.transcription_of_room(room.sid)
        if transcription is None or transcription.sid != call.names[1]:
            raise not_found(call.resource)
        return transcription


def transcription_resource(transcription: TranscriptionRecord, base_url: str) -> dict[str, object]:
    """Return a transcription as the API shows it."""
    started_at, ended_at = transcription.started_at, transcription.ended_at
    rooms = f"{base_url}/v1/Rooms/{transcription.room_sid}"
    return {
        "ttid": transcription.sid,
        "account_sid": transcription.account_sid,
        "room_sid": transcription.room_sid,
        # A telephone call; there are none.
        "source_sid": None,
        "status": transcription.status,
        "configuration": transcription.configuration,
        "date_created": date_text(transcription.created_at),
        "date_updated": date_text(transcription.updated_at),
        "start_time": date_text(started_at),
        "end_time": date_text(ended_at),
        "duration": None if started_at is None else duration_seconds(started_at, ended_at),
        "url": f"{rooms}/Transcriptions/{transcription.sid}",
    }
