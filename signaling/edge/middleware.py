"""The limits and headers that hold for every HTTP request, as one aiohttp middleware."""

from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from signaling.edge.clients import ClientFinder
from signaling.edge.cors import CorsPolicy
from signaling.edge.limits import EdgeLimits
from signaling.errors import ApiError, ErrorCode
from signaling.rest.handlers import not_found
from signaling.rest.message import Response, error_response, retry_after
from signaling.rest.route import LEGACY_VERSION, VERSION
from signaling.whip.endpoint import PROTOCOLS, too_many_requests

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_API = (VERSION, LEGACY_VERSION)
_READABLE = frozenset({*_API, *PROTOCOLS, "openapi.json"})
"""First segments of the paths that pages of other origins may be allowed to call."""
_PROBES = frozenset({"/livez", "/readyz", "/startupz"})
_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Nothing but the page is to be shown, and that one has a policy of its own.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def make_application(
    routes: Iterable[web.RouteDef],
    *,
    finder: ClientFinder,
    limits: EdgeLimits,
    cors: CorsPolicy,
    signaling_path: str,
) -> web.Application:
    """
    Return an application with the edge around its routes.

    :param signaling_path: Path whose requests count as joins.
    """
    edge = _Edge(finder=finder, limits=limits, cors=cors, signaling_path=signaling_path)
    application = web.Application(middlewares=[edge.handle])
    application.add_routes(routes)
    application.on_response_prepare.append(_add_headers)
    return application


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _EVERYWHERE.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "parlour"


class _Edge:
    def __init__(
        self, *, finder: ClientFinder, limits: EdgeLimits, cors: CorsPolicy, signaling_path: str
    ) -> None:
        self._finder = finder
        self._limits = limits
        self._cors = cors
        self._signaling_path = signaling_path

    @web.middleware
    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _PROBES:
            # Whoever restarts the server when it does not answer must get an answer.
            return await handler(request)
        request = self._behind_proxies(request)
        address = request.remote or ""
        first = request.rel_url.raw_path.split("/", 2)[1]
        if wait := self._limits.admit_request(address):
            return _refuse(first, wait)
        if first not in _READABLE or not self._cors.is_on:
            return await self._limited(request, handler, first, address)
        origin = request.headers.get("Origin")
        if origin is not None and _is_preflight(request):
            headers = self._cors.preflight_headers(origin)
            return web.Response(status=204 if headers is not None else 403, headers=headers)
        answer = await self._limited(request, handler, first, address)
        answer.headers.update(self._cors.answer_headers(origin))
        return answer

    def _behind_proxies(self, request: web.Request) -> web.Request:
        peer = request.remote or ""
        if not self._finder.trusts(peer) and not peer.startswith("::ffff:"):
            # Nearly always; and headers that nobody believes need not be read.
            return request
        names = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto")
        headers = {
            name.lower(): ",".join(request.headers.getall(name))
            for name in names
            if name in request.headers
        }
        client = self._finder.find(peer, headers)
        if client.address == peer and client.scheme is None:
            return request
        return request.clone(remote=client.address, scheme=client.scheme or request.scheme)

    async def _limited(
        self, request: web.Request, handler: Handler, first: str, address: str
    ) -> web.StreamResponse:
        limits, wait = self._limits, 0.0
        joins = request.path == self._signaling_path or (
            first in PROTOCOLS and request.method == "POST"
        )
        if joins:
            wait = limits.admit_join(address)
        logs_in = first in _API or first in PROTOCOLS
        if not wait and logs_in:
            wait = limits.admit_login(address)
        if wait:
            return _refuse(first, wait)
        if (fault := request.match_info.http_exception) is not None:
            return _nothing_there(request, fault)
        answer = await handler(request)
        if answer.status == 401 and logs_in:
            limits.login_refused(address)
        return answer


def _is_preflight(request: web.Request) -> bool:
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def _nothing_there(request: web.Request, fault: web.HTTPException) -> web.Response:
    """Return the answer where no route is: in the form of the API, which most callers want."""
    headers = {name: fault.headers[name] for name in ("Allow",) if name in fault.headers}
    if fault.status == 405:
        return _answer(error_response(ApiError.of(ErrorCode.METHOD_NOT_ALLOWED), headers))
    return _answer(error_response(not_found(request.path)))


def _refuse(first: str, wait: float) -> web.Response:
    headers = {"Retry-After": retry_after(wait)}
    if first in PROTOCOLS:
        told = too_many_requests(headers)
    else:
        told = error_response(ApiError.of(ErrorCode.TOO_MANY_REQUESTS), headers)
    return _answer(told)


def _answer(response: Response) -> web.Response:
    return web.Response(status=response.status, body=response.body, headers=dict(response.headers))
