"""``GET /openapi.json``."""

import json
from collections.abc import Mapping

from aiohttp import web

PATH = "/openapi.json"


def route(document: Mapping[str, object]) -> web.RouteDef:
    """Return the route that answers a description; it holds no secret, and asks for none."""
    body = json.dumps(document, separators=(",", ":")).encode()

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    return web.get(PATH, answer)
