"""Compositions and composition hooks: the operations, and the resources."""

import random

from signaling.compositions import CompositionPlan
from signaling.errors import ApiError, ErrorCode, NameTaken
from signaling.ids import AccountSid, is_sid, new_composition_hook_sid, new_composition_sid
from signaling.rest.call import Call
from signaling.rest.composition_parameters import read_plan
from signaling.rest.handlers import not_found
from signaling.rest.media_download import refuse_media
from signaling.rest.message import Response, json_response
from signaling.rest.paging import PageView, read_page
from signaling.rest.parameters import Parameters
from signaling.rest.resources import date_text
from signaling.rest.route import Route
from signaling.rest.service import RestService
from signaling.service.clock import Clock
from signaling.service.compositions import CompositionService
from signaling.storage.media_queries import CompositionFilter, HookFilter, MediaQueries
from signaling.storage.media_records import CompositionHookRecord, CompositionRecord
from signaling.storage.store import Store

PAGE_SIZE_MAX = 100
NAME_MAX_CHARACTERS = 100
STATUSES = frozenset({"enqueued", "processing", "completed", "failed", "deleted"})
_DATES = ("DateCreatedAfter", "DateCreatedBefore")


class CompositionHandlers:
    """
    One method per operation. Each answers or raises ``ApiError``.

    :param rng: Draws SIDs.
    """

    def __init__(
        self,
        *,
        account_sid: AccountSid,
        service: RestService,
        compositions: CompositionService,
        store: Store,
        media: MediaQueries,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._account_sid = account_sid
        self._service = service
        self._compositions = compositions
        self._store = store
        self._media = media
        self._clock = clock
        self._rng = rng

    def routes(self) -> list[Route]:
        """Return the resources."""
        one, hook = ("Compositions", None), ("CompositionHooks", None)
        return [
            Route(("Compositions",), {"GET": self.list_all, "POST": self.create}),
            Route(one, {"GET": self.fetch, "DELETE": self.delete}),
            Route((*one, "Media"), {"GET": self.fetch_media}),
            Route(("CompositionHooks",), {"GET": self.list_hooks, "POST": self.create_hook}),
            Route(
                hook,
                {"GET": self.fetch_hook, "POST": self.replace_hook, "DELETE": self.delete_hook},
            ),
        ]

    # Compositions.

    async def create(self, call: Call) -> Response:
        room_sid = call.given.text("RoomSid")
        if room_sid is None or not is_sid(room_sid, "RM"):
            raise ApiError.of(ErrorCode.INVALID_PARAMETER, "RoomSid must be the SID of a room")
        plan = read_plan(call.given)
        await self._service.flush()
        if await self._store.get_room(room_sid) is None:
            raise ApiError.of(ErrorCode.INVALID_PARAMETER, "RoomSid is not known")
        composition = CompositionRecord(
            sid=new_composition_sid(self._rng),
            account_sid=self._account_sid,
            room_sid=room_sid,
            hook_sid=None,
            plan=plan,
            status="enqueued",
            created_at=self._clock.utc_now(),
        )
        await self._media.add_composition(composition)
        self._compositions.room_may_have_ended(room_sid)
        return json_response(201, composition_resource(composition, call.base_url))

    async def list_all(self, call: Call) -> Response:
        given = call.given
        wanted = read_page(given, most=PAGE_SIZE_MAX)
        where = CompositionFilter(
            room_sid=given.text("RoomSid"),
            status=given.choice("Status", STATUSES, ErrorCode.INVALID_PARAMETER),
            created_from=given.date("DateCreatedAfter"),
            created_before=given.date("DateCreatedBefore"),
        )
        return PageView(
            key="compositions",
            url=f"{call.base_url}/v1/Compositions",
            filters=call.filters("RoomSid", "Status", *_DATES),
            request=wanted,
            found=await self._media.list_compositions(where, wanted.page),
            render=lambda composition: composition_resource(composition, call.base_url),
        ).response()

    async def fetch(self, call: Call) -> Response:
        return json_response(
            200, composition_resource(await self._composition(call), call.base_url)
        )

    async def delete(self, call: Call) -> Response:
        composition = await self._composition(call)
        await self._media.delete_composition(composition.sid, self._clock.utc_now())
        composition = await self._composition(call)
        if composition.status == "failed":
            raise ApiError.of(ErrorCode.INVALID_PARAMETER, "A failed composition cannot be deleted")
        return Response(status=204)

    async def fetch_media(self, call: Call) -> Response:
        await self._composition(call)
        raise refuse_media(call)

    async def _composition(self, call: Call) -> CompositionRecord:
        name = call.names[0]
        composition = await self._media.get_composition(name) if is_sid(name, "CJ") else None
        if composition is None:
            raise not_found(call.resource)
        return composition

    # Hooks.

    async def create_hook(self, call: Call) -> Response:
        name, enabled, plan = _read_hook(call.given)
        hook = CompositionHookRecord(
            sid=new_composition_hook_sid(self._rng),
            account_sid=self._account_sid,
            friendly_name=name,
            enabled=enabled,
            plan=plan,
            created_at=self._clock.utc_now(),
        )
        try:
            await self._media.add_hook(hook)
        except NameTaken:
            raise _name_taken() from None
        return json_response(201, hook_resource(hook, call.base_url))

    async def list_hooks(self, call: Call) -> Response:
        given = call.given
        wanted = read_page(given)
        where = HookFilter(
            enabled=None if given.raw("Enabled") is None else given.boolean("Enabled", True),
            friendly_name=given.text("FriendlyName"),
            created_from=given.date("DateCreatedAfter"),
            created_before=given.date("DateCreatedBefore"),
        )
        return PageView(
            key="composition_hooks",
            url=f"{call.base_url}/v1/CompositionHooks",
            filters=call.filters("Enabled", "FriendlyName", *_DATES),
            request=wanted,
            found=await self._media.list_hooks(where, wanted.page),
            render=lambda hook: hook_resource(hook, call.base_url),
        ).response()

    async def fetch_hook(self, call: Call) -> Response:
        return json_response(200, hook_resource(await self._hook(call), call.base_url))

    async def replace_hook(self, call: Call) -> Response:
        known = await self._hook(call)
        name, enabled, plan = _read_hook(call.given)
        hook = CompositionHookRecord(
            sid=known.sid,
            account_sid=known.account_sid,
            friendly_name=name,
            enabled=enabled,
            plan=plan,
            created_at=known.created_at,
            updated_at=self._clock.utc_now(),
        )
        try:
            await self._media.replace_hook(hook)
        except NameTaken:
            raise _name_taken() from None
        return json_response(200, hook_resource(hook, call.base_url))

    async def delete_hook(self, call: Call) -> Response:
        await self._media.delete_hook((await self._hook(call)).sid)
        return Response(status=204)

    async def _hook(self, call: Call) -> CompositionHookRecord:
        name = call.names[0]
        hook = await self._media.get_hook(name) if is_sid(name, "HK") else None
        if hook is None:
            raise not_found(call.resource)
        return hook


def _read_hook(given: Parameters) -> tuple[str, bool, CompositionPlan]:
    name = given.text("FriendlyName")
    if name is None or len(name) > NAME_MAX_CHARACTERS:
        raise ApiError.of(
            ErrorCode.INVALID_PARAMETER,
            f"FriendlyName must have 1 to {NAME_MAX_CHARACTERS} characters",
        )
    return name, given.boolean("Enabled", True), read_plan(given)


def _name_taken() -> ApiError:
    return ApiError.of(ErrorCode.INVALID_PARAMETER, "FriendlyName is taken")


def composition_resource(composition: CompositionRecord, base_url: str) -> dict[str, object]:
    """Return a composition as the API shows it."""
    url = f"{base_url}/v1/Compositions/{composition.sid}"
    return {
        "sid": composition.sid,
        "account_sid": composition.account_sid,
        "room_sid": composition.room_sid,
        "status": composition.status,
        **_plan_members(composition.plan),
        "bitrate": composition.bitrate,
        "size": composition.size_bytes,
        "duration": composition.duration,
        "media_external_location": None,
        "date_created": date_text(composition.created_at),
        "date_completed": date_text(composition.completed_at),
        "date_deleted": date_text(composition.deleted_at),
        "url": url,
        "links": {"media": f"{url}/Media"},
    }


def hook_resource(hook: CompositionHookRecord, base_url: str) -> dict[str, object]:
    """Return a composition hook as the API shows it."""
    return {
        "sid": hook.sid,
        "account_sid": hook.account_sid,
        "friendly_name": hook.friendly_name,
        "enabled": hook.enabled,
        **_plan_members(hook.plan),
        "date_created": date_text(hook.created_at),
        "date_updated": date_text(hook.updated_at),
        "url": f"{base_url}/v1/CompositionHooks/{hook.sid}",
    }


def _plan_members(plan: CompositionPlan) -> dict[str, object]:
    return {
        "audio_sources": list(plan.audio_sources),
        "audio_sources_excluded": list(plan.audio_sources_excluded),
        "video_layout": {name: region.serialize() for name, region in plan.video_layout.items()},
        "resolution": plan.resolution,
        "format": plan.format,
        "trim": plan.trim,
        "status_callback": plan.status_callback,
        "status_callback_method": plan.status_callback_method,
    }
