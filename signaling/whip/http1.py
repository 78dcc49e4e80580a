"""The endpoint behind aiohttp: HTTP/1.1."""

from aiohttp import web

from signaling.rest.message import BodyTooLarge, Request

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
                read_body=lambda: _read_body(request),
            )
        )
        answer = web.Response(
            status=response.status, body=response.body, headers=dict(response.headers)
        )
        if response.status == 413:
            # What is left of the body is not worth reading to keep the connection.
            answer.force_close()
        return answer

    return [
        web.route("*", "/whip/{path:(?s:.*)}", handle),
        web.route("*", "/whep/{path:(?s:.*)}", handle),
    ]


async def _read_body(request: web.Request) -> bytes:
    if (request.content_length or 0) > BODY_MAX_BYTES:
        raise BodyTooLarge
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > BODY_MAX_BYTES:
            raise BodyTooLarge
    return bytes(body)
