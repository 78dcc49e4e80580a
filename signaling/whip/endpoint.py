"""
WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): media in and out of rooms over plain HTTP.

Free of any HTTP library. A publisher or viewer is an ordinary participant; an access token as
bearer says who it is and which room it may enter. The server is ICE-lite and its answers hold all
candidates, so trickled candidates of the client change nothing.
"""

import asyncio
import hashlib
import hmac
import random
from collections import Counter
from collections.abc import Mapping
from urllib.parse import quote, unquote

import structlog

from router.errors import DataPlaneError, LocalProtocolError, NegotiationError, WireFormatError
from router.node_events import MediaKind, PeerId
from signaling.auth.access_token import AccessToken, TokenVerifier
from signaling.errors import ApiError, ErrorCode, StorageError, TokenError
from signaling.rest.message import (
    BodyTooLarge,
    BodyTooSlow,
    Request,
    Response,
    json_response,
    retry_after,
)
from signaling.rooms import Participant, SubscribeRules, TrackRequest
from signaling.rules import EXCLUDE_ALL
from signaling.service.config import IceServer
from signaling.service.live_room import LiveRoom
from signaling.service.room_service import RoomService

from .ice_restart import answer_fragment, offered_credentials, parse_credentials, with_credentials
from .resource import ResourceKey, WhipResource

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
PROBLEM = "application/problem+json"
PROTOCOLS = ("whip", "whep")
STORE_TIMEOUT = 10.0
"""Seconds for which a join waits for the store, when a room has to be made or looked up."""

_ENDPOINT_METHODS = "OPTIONS, POST"
_RESOURCE_METHODS = "DELETE, OPTIONS, PATCH"
_TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    408: "Request timeout",
    409: "Conflict",
    412: "Precondition failed",
    413: "Content too large",
    415: "Unsupported media type",
    428: "Precondition required",
    429: "Too many requests",
    500: "Internal server error",
    503: "Service unavailable",
}
_STATUSES: dict[int, int] = {
    ErrorCode.TOKEN_GRANTS_INVALID: 403,
    ErrorCode.ROOM_NOT_FOUND: 404,
    ErrorCode.ROOM_COMPLETED: 404,
    ErrorCode.ROOM_FULL: 409,
    ErrorCode.DUPLICATE_IDENTITY: 409,
    ErrorCode.SERVER_BUSY: 503,
    ErrorCode.ROOM_CREATE_FAILED: 503,
    ErrorCode.ROOM_QUOTA_EXCEEDED: 503,
    ErrorCode.PARTICIPANT_QUOTA_EXCEEDED: 503,
}

_log = structlog.get_logger(__name__)


class Problem(Exception):
    """
    A request that is refused (RFC 9457).

    :param status: HTTP status.
    :param detail: What was wrong, for whoever made the request.
    :param code: Code of the public API, if there is one.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code
        self.headers = dict(headers or {})


class WhipEndpoint:
    """
    Answers requests below ``/whip`` and ``/whep``.

    :param tokens: Checks the bearers.
    :param rng: Source of the resources' names, which must not be guessable.
    """

    def __init__(self, *, service: RoomService, tokens: TokenVerifier, rng: random.Random) -> None:
        self._service = service
        self._tokens = tokens
        self._rng = rng
        self._resources: dict[ResourceKey, WhipResource] = {}

    @property
    def resource_count(self) -> int:
        """Return how many publishers and viewers there are."""
        return len(self._resources)

    async def handle(self, request: Request) -> Response:
        """Answer a request; never raises."""
        try:
            response = await self._route(request)
        except Problem as problem:
            response = _problem_response(problem)
        except BodyTooLarge:
            response = _problem_response(Problem(413, "the description is too large"))
        except BodyTooSlow:
            response = _problem_response(Problem(408, "the description did not come in time"))
        except StorageError as error:
            _log.error("the store failed", error=str(error))
            response = _problem_response(Problem(503, "the server cannot make rooms at present"))
        except Exception:
            _log.exception("a request failed")
            response = _problem_response(Problem(500, "the server failed"))
        return response

    async def _route(self, request: Request) -> Response:
        # Split first, decode then: an escaped slash is part of a room's name.
        segments = [unquote(segment) for segment in request.path.split("/")[1:]]
        match segments:
            case [protocol, room] if protocol in PROTOCOLS and room:
                return await self._route_endpoint(request, protocol, room)
            case [protocol, room, resource_id] if protocol in PROTOCOLS and room and resource_id:
                key = ResourceKey(protocol=protocol, room=room, resource_id=resource_id)
                return await self._route_resource(request, key)
        raise Problem(404, "there is nothing at this address")

    async def _route_endpoint(self, request: Request, protocol: str, room: str) -> Response:
        match request.method:
            case "POST":
                try:
                    return await self._create(request, protocol, room)
                except Problem as problem:
                    if problem.code is not None:
                        self._service.refused_joins[problem.code] += 1
                    raise
            case "OPTIONS":
                return _options(_ENDPOINT_METHODS, {"Accept-Post": SDP})
        raise _method_not_allowed(_ENDPOINT_METHODS)

    async def _route_resource(self, request: Request, key: ResourceKey) -> Response:
        if request.method == "OPTIONS":
            return _options(_RESOURCE_METHODS, {"Accept-Patch": FRAGMENT})
        if request.method not in ("DELETE", "PATCH"):
            raise _method_not_allowed(_RESOURCE_METHODS)
        resource = self._authorized_resource(request, key)
        if request.method == "DELETE":
            resource.leave()
            return Response(status=200)
        return await self._patch(request, resource)

    # Making a participant.

    async def _create(self, request: Request, protocol: str, room: str) -> Response:
        began_at = self._service.clock.monotonic()
        bearer = _bearer(request)
        token = self._verify(bearer)
        _require_content_type(request, SDP)
        _require_accept(request, SDP)
        if self._service.puts_off():
            raise _refused(ApiError.of(ErrorCode.SERVER_BUSY))
        offer = await _read_text(request)
        live = await self._room_to_join(room, token)
        try:
            # Reading the offer and waiting for the store took a while.
            self._tokens.check_in_force(token)
            if self._service.is_overloaded:
                raise ApiError.of(ErrorCode.SERVER_BUSY)
            self._service.check_admission(live, token.identity)
            peer_id, answer = self._make_peer(live, offer)
            try:
                resource = self._join(protocol, room, token, bearer, live, peer_id, offer)
            except BaseException:
                self._service.node.close_peer(peer_id)
                raise
        except TokenError as error:
            raise _unauthorized(error) from None
        except ApiError as error:
            raise _refused(error) from None
        finally:
            self._service.abandon(live)
        self._service.join_times.observe(self._service.clock.monotonic() - began_at)
        path = (protocol, room, resource.key.resource_id)
        headers = {
            "Content-Type": SDP,
            "Location": "".join(f"/{quote(segment, safe='')}" for segment in path),
            "ETag": resource.entity_tag,
            "Accept-Patch": FRAGMENT,
        }
        links = [
            _link(server, url) for server in self._service.ice_servers() for url in server.urls
        ]
        if links:
            headers["Link"] = ", ".join(links)
        return Response(status=201, body=answer.encode(), headers=headers)

    def _verify(self, bearer: str) -> AccessToken:
        try:
            return self._tokens.verify(bearer, self._service.clock.utc_now())
        except TokenError as error:
            raise _unauthorized(error) from None

    async def _room_to_join(self, room: str, token: AccessToken) -> LiveRoom:
        try:
            async with asyncio.timeout(STORE_TIMEOUT):
                return await self._service.room_to_join(room, granted=token.room)
        except ApiError as error:
            raise _refused(error) from None
        except TimeoutError:
            raise Problem(503, "the server cannot make rooms at present") from None

    def _make_peer(self, live: LiveRoom, offer: str) -> tuple[PeerId, str]:
        node = self._service.node
        try:
            peer_id = node.create_peer(
                group=live.sid, video_codecs=live.record.settings.video_codecs
            )
            try:
                return peer_id, node.handle_offer(peer_id, offer)
            except BaseException:
                node.close_peer(peer_id)
                raise
        except DataPlaneError as error:
            _log.warning("the media node takes no more peers", error=str(error))
            raise ApiError.of(ErrorCode.SERVER_BUSY) from None
        except NegotiationError as error:
            raise Problem(
                406, f"the offer cannot be accepted: {error}", code=_REFUSED_OFFER
            ) from None

    def _join(
        self,
        protocol: str,
        room: str,
        token: AccessToken,
        bearer: str,
        live: LiveRoom,
        peer_id: PeerId,
        offer: str,
    ) -> WhipResource:
        tracks = self._tracks(peer_id) if protocol == "whip" else ()
        if protocol == "whip" and not tracks:
            raise Problem(406, "the offer sends neither audio nor video", code=_REFUSED_OFFER)
        resource_id = self._rng.randbytes(16).hex()
        key = ResourceKey(protocol=protocol, room=room, resource_id=resource_id)

        def make_link(participant: Participant) -> WhipResource:
            resource = WhipResource(
                key=key,
                participant_sid=participant.sid,
                live=live,
                service=self._service,
                peer_id=peer_id,
                bearer_digest=_digest(bearer),
                offer=offer,
                forget=self._forget,
            )
            self._resources[key] = resource
            return resource

        live.join(
            identity=token.identity,
            rules=_PUBLISHER_RULES if protocol == "whip" else _VIEWER_RULES,
            tracks=tracks,
            tracks_revision=None,
            peer_id=peer_id,
            make_link=make_link,
            token=token,
        )
        return self._resources[key]

    def _tracks(self, peer_id: PeerId) -> tuple[TrackRequest, ...]:
        """Return what the peer sends as tracks, named by their kind and counted from the second."""
        seen: Counter[MediaKind] = Counter()
        tracks = []
        for source in self._service.node.sources(peer_id):
            if source.kind is MediaKind.DATA:
                continue
            seen[source.kind] += 1
            number = seen[source.kind]
            name = source.kind.value if number == 1 else f"{source.kind.value}-{number}"
            tracks.append(TrackRequest(track_id=source.track_id, kind=source.kind, name=name))
        return tuple(tracks)

    def _forget(self, key: ResourceKey) -> None:
        self._resources.pop(key, None)

    # An existing participant.

    def _authorized_resource(self, request: Request, key: ResourceKey) -> WhipResource:
        bearer = _bearer(request)
        resource = self._resources.get(key)
        if resource is None:
            raise Problem(404, "there is no such session, or it has ended")
        # Not verified again: a session may end after its token has expired.
        if not hmac.compare_digest(_digest(bearer), resource.bearer_digest):
            raise Problem(403, "the session was made with another access token")
        return resource

    async def _patch(self, request: Request, resource: WhipResource) -> Response:
        _require_content_type(request, FRAGMENT)
        fragment = await _read_text(request)
        if resource.key not in self._resources:
            raise Problem(404, "the session has ended")
        try:
            credentials = parse_credentials(fragment)
            restart = credentials is not None and credentials != offered_credentials(resource.offer)
        except WireFormatError as error:
            raise Problem(400, f"the fragment cannot be read: {error}") from None
        condition = request.headers.get("if-match")
        if condition is None and restart:
            raise Problem(428, 'an ICE restart needs If-Match: "*"')
        if condition is not None and not _is_any(condition):
            tags = [tag.strip() for tag in condition.split(",")]
            if resource.entity_tag not in tags:
                raise Problem(412, "the ICE session has another entity tag by now")
            if restart:
                raise Problem(409, "these are not the credentials of this ICE session")
        if not restart or credentials is None:
            return Response(status=204)
        return self._restart_ice(resource, with_credentials(resource.offer, credentials))

    def _restart_ice(self, resource: WhipResource, offer: str) -> Response:
        if wait := resource.spend_restart():
            code = ErrorCode.TOO_MANY_REQUESTS
            headers = {"Retry-After": retry_after(wait)}
            raise Problem(429, "ICE is restarted too often", code=int(code), headers=headers)
        try:
            answer = self._service.node.handle_offer(resource.peer_id, offer)
        except (NegotiationError, LocalProtocolError) as error:
            raise Problem(409, f"ICE cannot be restarted: {error}") from None
        except DataPlaneError as error:
            _log.warning("no media for an ICE restart", error=str(error))
            raise _refused(ApiError.of(ErrorCode.SERVER_BUSY)) from None
        resource.offer = offer
        headers = {"Content-Type": FRAGMENT, "ETag": resource.entity_tag}
        return Response(status=200, body=answer_fragment(answer).encode(), headers=headers)


_REFUSED_OFFER = int(ErrorCode.SERVER_REMOTE_DESCRIPTION_FAILED)
# Neither has anything that could receive more, whatever rules it is given later.
_PUBLISHER_RULES = SubscribeRules(rules=EXCLUDE_ALL, kinds=frozenset())
_VIEWER_RULES = SubscribeRules(kinds=frozenset({MediaKind.AUDIO, MediaKind.VIDEO}))


def _bearer(request: Request) -> str:
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not bearer.strip():
        raise Problem(
            401, "an access token is needed as bearer", headers={"WWW-Authenticate": "Bearer"}
        )
    return bearer.strip()


def _digest(bearer: str) -> bytes:
    return hashlib.sha256(bearer.encode(errors="surrogatepass")).digest()


def _require_content_type(request: Request, wanted: str) -> None:
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found != wanted:
        name = "Accept-Post" if wanted == SDP else "Accept-Patch"
        raise Problem(415, f"the content type must be {wanted}", headers={name: wanted})


def _require_accept(request: Request, offered: str) -> None:
    accept = request.headers.get("accept", "")
    ranges = {item.partition(";")[0].strip().lower() for item in accept.split(",")} - {""}
    if ranges and not ranges & {offered, "application/*", "*/*"}:
        raise Problem(406, f"the answer is {offered}")


async def _read_text(request: Request) -> str:
    body = await request.read_body()
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Problem(400, "the body is not UTF-8") from None
    if not text.strip():
        raise Problem(400, "the body is empty")
    return text


def _is_any(condition: str) -> bool:
    # RFC 9110 writes the star bare; RFC 9725 has it in quotes in its example.
    return condition.strip() in ("*", '"*"')


def _link(server: IceServer, url: str) -> str:
    link = f'<{url}>; rel="ice-server"'
    if server.username is not None and server.credential is not None:
        username, credential = _quoted(server.username), _quoted(server.credential)
        link += f"; username={username}; credential={credential}"
        link += '; credential-type="password"'
    return link


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _options(methods: str, headers: Mapping[str, str]) -> Response:
    return Response(status=204, headers={"Allow": methods, **headers})


def _method_not_allowed(methods: str) -> Problem:
    return Problem(405, f"allowed are {methods}", headers={"Allow": methods})


def too_many_requests(headers: Mapping[str, str]) -> Response:
    """Return the answer to an address that asks too often. :param headers: ``Retry-After``."""
    code = ErrorCode.TOO_MANY_REQUESTS
    return _problem_response(Problem(code.status, code.message, code=int(code), headers=headers))


def _unauthorized(error: TokenError) -> Problem:
    status = _STATUSES.get(error.code, 401)
    challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    return Problem(
        status, error.message, code=error.code, headers=challenge if status == 401 else {}
    )


def _refused(error: ApiError) -> Problem:
    status = _STATUSES.get(error.code, error.status)
    headers = {"Retry-After": "2"} if status == 503 else {}
    return Problem(status, error.message, code=error.code, headers=headers)


def _problem_response(problem: Problem) -> Response:
    members: dict[str, object] = {
        "title": _TITLES.get(problem.status, "Error"),
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.code is not None:
        members["code"] = problem.code
    return json_response(problem.status, members, {**problem.headers, "Content-Type": PROBLEM})
