"""The API as one function from request to response."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from urllib.parse import unquote

import structlog

from signaling.auth.account import Account
from signaling.auth.basic import authenticate
from signaling.errors import ApiError, ErrorCode, StorageError
from signaling.ids import ApiKeySid, new_request_sid
from signaling.rest.call import Call
from signaling.rest.handlers import Handlers, not_found
from signaling.rest.message import (
    BodyTooLarge,
    BodyTooSlow,
    Request,
    Response,
    error_response,
    retry_after,
    unavailable_response,
)
from signaling.rest.parameters import Parameters
from signaling.rest.room_parameters import RoomLimits
from signaling.rest.route import FORM, LEGACY_VERSION, Route
from signaling.rest.service import RestService
from signaling.storage.records import RoomRecord
from signaling.storage.store import Store

CHALLENGE = 'Basic realm="Twilio API"'

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestConfig:
    """What the API needs to know of the server."""

    account: Account
    public_url: str | None = None
    """What links begin with; None takes the address that the request came to."""
    limits: RoomLimits = field(default_factory=RoomLimits)
    keys: Mapping[ApiKeySid, str] | None = None
    """The secret of each API key in force; None knows the account's own only."""
    admit_key: Callable[[str], float] = lambda _key: 0.0
    """
    Counts a request of an API key, or of the account's SID; returns 0.0, or in how many seconds
    the caller may ask again.
    """


class RestApi:
    """
    Answers requests below ``/v1`` and ``/2010-04-01``.

    Nothing is told or done before the caller is known.

    :param rng: Draws request SIDs.
    :param routes: Further resources.
    :param room_created: Called with each room that was made over REST, and what was asked for.
    """

    def __init__(
        self,
        *,
        config: RestConfig,
        service: RestService,
        store: Store,
        rng: random.Random,
        routes: Sequence[Route] = (),
        room_created: Callable[[RoomRecord, Parameters], Awaitable[None]] | None = None,
    ) -> None:
        self._config = config
        self._rng = rng
        do = Handlers(service=service, store=store, limits=config.limits, room_created=room_created)
        rooms = ("Rooms",)
        room = (*rooms, None)
        people = (*room, "Participants")
        person = (*people, None)
        tracks = (*person, "PublishedTracks")
        self._routes = (
            Route(rooms, {"GET": do.list_rooms, "POST": do.create_room}),
            Route(room, {"GET": do.fetch_room, "POST": do.update_room}),
            Route(people, {"GET": do.list_participants}),
            Route(person, {"GET": do.fetch_participant, "POST": do.update_participant}),
            Route(tracks, {"GET": do.list_published_tracks}),
            Route((*tracks, None), {"GET": do.fetch_published_track}),
            *routes,
        )

    @property
    def routes(self) -> Sequence[Route]:
        """Return all routes."""
        return self._routes

    async def handle(self, request: Request) -> Response:
        """Answer a request; never raises."""
        request_sid = new_request_sid(self._rng)
        began = monotonic()
        with structlog.contextvars.bound_contextvars(request_sid=request_sid):
            response = await self._answer(request)
            _log.info(
                "request",
                method=request.method,
                path=request.path,
                status=response.status,
                seconds=round(monotonic() - began, 4),
                user_agent=request.headers.get("user-agent"),
                twilio_client=request.headers.get("x-twilio-client"),
            )
        headers = {**response.headers, "Twilio-Request-Id": request_sid}
        return Response(status=response.status, body=response.body, headers=headers)

    async def _answer(self, request: Request) -> Response:
        try:
            authorization = request.headers.get("authorization")
            caller = authenticate(authorization, self._config.account, self._config.keys)
            if caller is None:
                challenge = {"WWW-Authenticate": CHALLENGE}
                return error_response(ApiError.of(ErrorCode.UNAUTHENTICATED), challenge)
            if wait := self._config.admit_key(caller):
                headers = {"Retry-After": retry_after(wait)}
                return error_response(ApiError.of(ErrorCode.TOO_MANY_REQUESTS), headers)
            return await self._route(request)
        except ApiError as error:
            return error_response(error)
        except BodyTooLarge:
            message = "The request body is too large"
            return error_response(ApiError(413, ErrorCode.INVALID_PARAMETER, message))
        except BodyTooSlow:
            message = "The request body did not come in time"
            return error_response(ApiError(408, ErrorCode.INVALID_PARAMETER, message))
        except StorageError as error:
            _log.error("the store failed", error=str(error))
            return unavailable_response()
        except Exception:
            _log.exception("a request failed")
            return error_response(ApiError.of(ErrorCode.INTERNAL_ERROR))

    async def _route(self, request: Request) -> Response:
        # Split first, decode then: a slash within a name is part of the name. An escape that is
        # none stays as it is.
        segments = [unquote(segment) for segment in request.path.split("/")[1:]]
        while segments and not segments[-1]:
            segments.pop()
        version, path = "".join(segments[:1]), tuple(segments[1:])
        # Only version 1 leaves itself out of its messages.
        resource = "/" + "/".join(segments if version == LEGACY_VERSION else path)
        for route in self._routes:
            if route.matches(version, path):
                break
        else:
            raise not_found(resource)
        handler = route.methods.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            allow = {"Allow": ", ".join(sorted(route.methods))}
            return error_response(ApiError.of(ErrorCode.METHOD_NOT_ALLOWED), allow)
        body = await _read_body(request, route.media_type)
        call = Call(
            request=request,
            base_url=self._config.public_url or request.base_url,
            names=tuple(
                name for name, fixed in zip(path, route.segments, strict=True) if fixed is None
            ),
            resource=resource,
            given=_parameters(request, body if route.media_type == FORM else b""),
            body=b"" if route.media_type == FORM else body,
        )
        return await handler(call)


async def _read_body(request: Request, wanted: str) -> bytes:
    # A GET may name a content type though it has no body.
    if request.method in ("GET", "HEAD"):
        return b""
    body = await request.read_body()
    media_type = request.headers.get("content-type", wanted).partition(";")[0].strip().lower()
    if body and media_type != wanted:
        raise ApiError(415, ErrorCode.INVALID_PARAMETER, f"The request body must be {wanted}")
    return body


def _parameters(request: Request, form: bytes) -> Parameters:
    if request.method in ("GET", "HEAD"):
        return Parameters(request.query)
    return Parameters(form.decode("utf-8", "surrogateescape"))
