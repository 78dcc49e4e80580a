"""``GET /v1/Rooms/{Room}/Events``, beyond the original: a room's events, replayed in order."""

from typing import Protocol
from urllib.parse import urlencode

from signaling.ids import is_sid
from signaling.rest.call import Call
from signaling.rest.handlers import not_found
from signaling.rest.message import Response, json_response
from signaling.rest.paging import PAGE_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX
from signaling.rest.resources import date_text
from signaling.rest.route import Route
from signaling.rest.service import RestService
from signaling.storage.event_records import EventRecord
from signaling.storage.records import RoomRecord

SEQUENCE_MAX = 10**9


class EventStore(Protocol):
    """The part of the store's face that the resource needs."""

    async def get_room(self, sid: str) -> RoomRecord | None:
        """Return a room of any status."""

    async def find_in_progress(self, name: str) -> RoomRecord | None:
        """Return the in-progress room that has a name."""

    async def list_events(
        self, room_sid: str, *, after: int, size: int
    ) -> tuple[tuple[EventRecord, ...], bool]:
        """Return a room's events in order, and whether more follow."""


def event_routes(service: RestService, store: EventStore) -> list[Route]:
    """Return the routes of the resource."""

    async def list_events(call: Call) -> Response:
        after = call.given.integer("After", -1, least=-1, most=SEQUENCE_MAX)
        asked = call.given.integer("PageSize", PAGE_SIZE_DEFAULT, least=1, most=10**18)
        number = call.given.integer("Page", 0, least=0, most=PAGE_MAX)
        size = min(asked, PAGE_SIZE_MAX)
        await service.flush()
        name = call.names[0]
        room = await store.get_room(name) if is_sid(name, "RM") else None
        room = room or await store.find_in_progress(name)
        if room is None:
            raise not_found(call.resource)
        found, more = await store.list_events(room.sid, after=after, size=size)
        url = f"{call.base_url}/v1/Rooms/{room.sid}/Events"

        def link(page: int, last: int) -> str:
            return f"{url}?{urlencode({'After': last, 'PageSize': size, 'Page': page})}"

        meta = {
            "page": number,
            "page_size": size,
            "first_page_url": link(0, -1),
            # The list is a log that is read forward.
            "previous_page_url": None,
            "url": link(number, after),
            "next_page_url": link(number + 1, found[-1].sequence) if more else None,
            "key": "events",
        }
        return json_response(200, {"events": [event_resource(e) for e in found], "meta": meta})

    return [Route(("Rooms", None, "Events"), {"GET": list_events})]


def event_resource(event: EventRecord) -> dict[str, object]:
    """Return an event as the API shows it."""
    return {
        "sid": event.sid,
        "account_sid": event.account_sid,
        "room_sid": event.room_sid,
        "sequence_number": event.sequence,
        "event": event.name,
        "date_created": date_text(event.created_at),
        "parameters": dict(event.parameters),
        "delivery": {
            "status": event.delivery,
            "attempts": event.attempts,
            "next_attempt": date_text(event.next_attempt_at),
            "date_settled": date_text(event.settled_at),
            "error": event.error,
        },
    }
