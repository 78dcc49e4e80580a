"""The operations on rooms, participants and published tracks: parse, call, serialise."""

from collections.abc import Awaitable, Callable

from signaling.errors import ApiError, ErrorCode
from signaling.ids import is_sid
from signaling.rest.call import Call
from signaling.rest.message import Response, json_response
from signaling.rest.paging import PageView, read_page
from signaling.rest.parameters import Parameters
from signaling.rest.resources import (
    participant_resource,
    published_track_resource,
    room_resource,
)
from signaling.rest.room_parameters import RoomLimits, read_room_settings
from signaling.rest.rule_parameters import read_first_recording_rules
from signaling.rest.service import RestService
from signaling.storage.records import ParticipantRecord, RoomRecord
from signaling.storage.store import ParticipantFilter, RoomFilter, Store

ROOM_STATUSES = frozenset({"in-progress", "completed", "failed"})
PARTICIPANT_STATUSES = frozenset({"connected", "reconnecting", "disconnected"})
# Somebody in the grace period still counts as inside.
_MATCHING = {
    "connected": frozenset({"connected", "reconnecting"}),
    "reconnecting": frozenset({"reconnecting"}),
    "disconnected": frozenset({"disconnected"}),
}


class Handlers:
    """One method per operation. Each answers or raises ``ApiError``."""

    def __init__(
        self,
        *,
        service: RestService,
        store: Store,
        limits: RoomLimits,
        room_created: Callable[[RoomRecord, Parameters], Awaitable[None]] | None = None,
    ) -> None:
        self._room_created = room_created
        self._service = service
        self._store = store
        self._limits = limits

    async def create_room(self, call: Call) -> Response:
        settings = read_room_settings(call.given, self._limits)
        rules = read_first_recording_rules(call.given, settings.type)
        room = await self._service.create_room(settings, recording_rules=rules)
        if self._room_created is not None:
            await self._room_created(room, call.given)
        return json_response(201, room_resource(room, call.base_url))

    async def list_rooms(self, call: Call) -> Response:
        given = call.given
        # All parameters are checked before the store is asked.
        wanted = read_page(given)
        status = given.choice("Status", ROOM_STATUSES, ErrorCode.INVALID_PARAMETER)
        where = RoomFilter(
            status=status or "in-progress",
            unique_name=given.text("UniqueName"),
            created_from=given.date("DateCreatedAfter"),
            created_before=given.date("DateCreatedBefore"),
        )
        await self._service.flush()
        return PageView(
            key="rooms",
            url=f"{call.base_url}/v1/Rooms",
            filters=_filters(call, "Status", "UniqueName", "DateCreatedAfter", "DateCreatedBefore"),
            request=wanted,
            found=await self._store.list_rooms(where, wanted.page),
            render=lambda room: room_resource(room, call.base_url),
        ).response()

    async def fetch_room(self, call: Call) -> Response:
        return json_response(200, room_resource(await self._room(call), call.base_url))

    async def update_room(self, call: Call) -> Response:
        # A room in progress can be ended although the store is down.
        room = self._service.room_in_progress(call.names[0]) or await self._room(call)
        if call.given.raw("Status") != "completed":
            raise ApiError.of(ErrorCode.STATUS_INVALID)
        room = await self._service.complete_room(room.sid)
        return json_response(202, room_resource(room, call.base_url))

    async def list_participants(self, call: Call) -> Response:
        given = call.given
        wanted = read_page(given)
        status = given.choice("Status", PARTICIPANT_STATUSES, ErrorCode.INVALID_PARAMETER)
        identity = given.text("Identity")
        created_from = given.date("DateCreatedAfter")
        created_before = given.date("DateCreatedBefore")
        room = await self._room(call)
        if status is None:
            status = "connected" if room.status == "in-progress" else "disconnected"
        where = ParticipantFilter(
            room_sid=room.sid,
            statuses=_MATCHING[status],
            identity=identity,
            created_from=created_from,
            created_before=created_before,
        )
        return PageView(
            key="participants",
            url=f"{call.base_url}/v1/Rooms/{room.sid}/Participants",
            filters=_filters(call, "Status", "Identity", "DateCreatedAfter", "DateCreatedBefore"),
            request=wanted,
            found=await self._store.list_participants(where, wanted.page),
            render=lambda participant: participant_resource(participant, call.base_url),
        ).response()

    async def fetch_participant(self, call: Call) -> Response:
        participant = await self._participant(call)
        return json_response(200, participant_resource(participant, call.base_url))

    async def update_participant(self, call: Call) -> Response:
        participant = self._inside(call) or await self._participant(call)
        if call.given.raw("Status") != "disconnected":
            raise ApiError.of(ErrorCode.PARTICIPANT_STATUS_INVALID)
        participant = await self._service.disconnect_participant(
            participant.room_sid, participant.sid
        )
        return json_response(202, participant_resource(participant, call.base_url))

    async def list_published_tracks(self, call: Call) -> Response:
        wanted = read_page(call.given)
        participant = await self._participant(call)
        at = f"/v1/Rooms/{participant.room_sid}/Participants/{participant.sid}/PublishedTracks"
        return PageView(
            key="published_tracks",
            url=f"{call.base_url}{at}",
            filters={},
            request=wanted,
            found=await self._store.list_published_tracks(participant.sid, wanted.page),
            render=lambda track: published_track_resource(track, call.base_url),
        ).response()

    async def fetch_published_track(self, call: Call) -> Response:
        participant = await self._participant(call)
        name = call.names[2]
        track = None
        if is_sid(name, "MT"):
            track = await self._store.get_published_track(participant.sid, name)
        if track is None:
            track = await self._store.find_published_track(participant.sid, name)
        if track is None:
            raise not_found(call.resource)
        return json_response(200, published_track_resource(track, call.base_url))

    async def _room(self, call: Call) -> RoomRecord:
        """Return the room of any status with this SID, else the one in progress with this name."""
        await self._service.flush()
        name = call.names[0]
        room = await self._store.get_room(name) if is_sid(name, "RM") else None
        if room is None:
            room = await self._store.find_in_progress(name)
        if room is None:
            raise not_found(call.resource)
        return room

    def _inside(self, call: Call) -> ParticipantRecord | None:
        """Return the participant if it is inside, without asking the store: for what is urgent."""
        room = self._service.room_in_progress(call.names[0])
        name = call.names[1]
        found = self._service.find_inside(room.sid, name) if room is not None else None
        if found is None or (is_sid(name, "PA") and found.sid != name):
            return None
        return found

    async def _participant(self, call: Call) -> ParticipantRecord:
        """Return the participant with this SID, else the one inside with this identity."""
        room = await self._room(call)
        name = call.names[1]
        participant = None
        if is_sid(name, "PA"):
            participant = await self._store.get_participant(room.sid, name)
        if participant is None:
            participant = await self._store.find_participant(room.sid, name)
        if participant is None:
            raise not_found(call.resource)
        return participant


def not_found(resource: str) -> ApiError:
    """Return the error for a path, which is named without the API's version."""
    return ApiError.of(ErrorCode.NOT_FOUND, f"The requested resource {resource} was not found")


def _filters(call: Call, *names: str) -> dict[str, str | None]:
    return {name: call.given.raw(name) for name in names}
