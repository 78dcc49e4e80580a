"""Serves the room page and the SDK's bundle."""

from pathlib import Path

from aiohttp import web

from . import bundle

STATIC = Path(__file__).parent / "static"
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; media-src 'self' blob:; "
        "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
MISSING_BUNDLE = (
    "The twilio-video package is not installed on this server. "
    "Fetch it with: parlour page install\n"
)


async def page(request: web.Request) -> web.StreamResponse:
    """Answer ``GET /``: the page, or how to get the bundle that it needs."""
    if bundle.path() is None:
        return web.Response(status=503, text=MISSING_BUNDLE, headers=SECURITY_HEADERS)
    return web.FileResponse(STATIC / "index.html", headers=_fresh())


async def static(request: web.Request) -> web.StreamResponse:
    """Answer ``GET /page/{name}`` for the page's own files."""
    name = request.match_info["name"]
    file = STATIC / name
    if name not in {entry.name for entry in STATIC.iterdir()}:
        raise web.HTTPNotFound(text="there is no such file\n")
    return web.FileResponse(file, headers=_fresh())


async def sdk(request: web.Request) -> web.StreamResponse:
    """Answer ``GET /page/twilio-video.min.js``."""
    found = bundle.path()
    if found is None:
        raise web.HTTPNotFound(text=MISSING_BUNDLE)
    return web.FileResponse(found, headers=_fresh())


def routes() -> list[web.RouteDef]:
    """Return the routes of the page."""
    return [
        web.get("/", page),
        web.get(f"/page/{bundle.FILE_NAME}", sdk),
        web.get("/page/{name}", static),
    ]


def _fresh() -> dict[str, str]:
    return {**SECURITY_HEADERS, "Cache-Control": "no-cache"}
