"""The endpoint behind aiohttp: HTTP/1.1."""

from aiohttp import web

from signaling.rest.body import read_body, with_rest_unread
from signaling.rest.message import Request

from .endpoint import WhipEndpoint

BODY_MAX_BYTES = 256 << 10
"""Real offers have well under 32 KiB."""


def routes(endpoint: WhipEndpoint) -> list[web.RouteDef]:
    """Return the routes of WHIP and WHEP."""

    async def handle(request: web.Request) -> web.Response:
        response = await endpoint.handle(
            Request(
                method=request.method,
                path=request.rel_url.raw_path,
                query=request.rel_url.raw_query_string,
                headers={name.lower(): value for name, value in request.headers.items()},
                base_url="",
                read_body=lambda: read_body(request, most=BODY_MAX_BYTES),
            )
        )
        return with_rest_unread(
            web.Response(status=response.status, body=response.body, headers=dict(response.headers))
        )

    return [
        web.route("*", "/whip/{path:(?s:.*)}", handle),
        web.route("*", "/whep/{path:(?s:.*)}", handle),
    ]
