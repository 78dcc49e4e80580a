"""The room that the first segment of a path names."""

from signaling.ids import is_sid
from signaling.rest.call import Call
from signaling.rest.handlers import not_found
from signaling.rest.service import RestService
from signaling.storage.records import RoomRecord
from signaling.storage.store import Store


async def find_room(call: Call, service: RestService, store: Store) -> RoomRecord:
    """
    Return the room of any status with this SID, else the one in progress with this name.

    :raises ApiError: 20404 when there is none.
    """
    await service.flush()
    name = call.names[0]
    room = await store.get_room(name) if is_sid(name, "RM") else None
    if room is None:
        room = await store.find_in_progress(name)
    if room is None:
        raise not_found(call.resource)
    return room
