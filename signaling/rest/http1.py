"""The API behind aiohttp: HTTP/1.1."""

import re

from aiohttp import web

from signaling.rest.api import RestApi
from signaling.rest.body import read_body, with_rest_unread
from signaling.rest.message import Request, unavailable_response
from signaling.rest.route import LEGACY_VERSION, VERSION

BODY_MAX_BYTES = 1 << 20
_AUTHORITY = re.compile(r"[A-Za-z0-9._~:\[\]-]{1,300}", re.ASCII)


def routes(api: RestApi) -> list[web.RouteDef]:
    """Return the routes of the API."""

    async def handle(request: web.Request) -> web.Response:
        response = await api.handle(
            Request(
                method=request.method,
                path=request.rel_url.raw_path,
                query=request.rel_url.raw_query_string,
                headers={name.lower(): value for name, value in request.headers.items()},
                base_url=base_url(request),
                read_body=lambda: read_body(request, most=BODY_MAX_BYTES),
            )
        )
        return with_rest_unread(
            web.Response(status=response.status, body=response.body, headers=dict(response.headers))
        )

    return [
        web.route("*", f"/{version}{rest}", handle)
        for version in (VERSION, LEGACY_VERSION)
        for rest in ("", "/{path:(?s:.*)}")
    ]


def unavailable() -> web.RouteDef:
    """Return the route of a server that cannot serve yet, whatever it is asked."""

    async def handle(_request: web.Request) -> web.Response:
        response = unavailable_response()
        return web.Response(
            status=response.status, body=response.body, headers=dict(response.headers)
        )

    return web.route("*", "/{path:(?s:.*)}", handle)


def base_url(request: web.Request) -> str:
    """Return scheme and authority under which the client reached the server."""
    host = request.headers.get("Host", "")
    if not _AUTHORITY.fullmatch(host):
        # HTTP/1.0, or no host at all: the address that the connection came to.
        name = request.transport.get_extra_info("sockname") if request.transport else None
        address, port = (name[0], name[1]) if name else ("localhost", 80)
        host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return f"{request.scheme}://{host}"
