"""Routes of the page, its files and the SDK's bundle."""

import re
from pathlib import Path

from aiohttp import web

from . import bundle

STATIC = Path(__file__).parent / "static"
_FILES = frozenset(entry.name for entry in STATIC.iterdir())
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")

MISSING_BUNDLE = (
    "The twilio-video package is not installed on this server. "
    "Fetch it with: parlour page install\n"
)


def routes(*, signaling_path: str, dev: bool) -> list[web.RouteDef]:
    """
    Return the routes of the page.

    :param signaling_path: Path of the signaling WebSocket, for the page.
    :param dev: Whether the server hands out development tokens; else the page asks for a token.
    """

    async def page(request: web.Request) -> web.StreamResponse:
        """Answer ``GET /``: the page, or how to get the bundle that it needs."""
        if bundle.path() is None:
            return web.Response(status=503, text=MISSING_BUNDLE, headers=_headers(request))
        return web.FileResponse(STATIC / "index.html", headers=_headers(request))

    async def static(request: web.Request) -> web.StreamResponse:
        """Answer ``GET /page/{name}`` for the page's own files."""
        name = request.match_info["name"]
        if name not in _FILES:
            raise web.HTTPNotFound(text="there is no such file\n")
        return web.FileResponse(STATIC / name, headers=_headers(request))

    async def sdk(request: web.Request) -> web.StreamResponse:
        """Answer ``GET /page/twilio-video.min.js``."""
        found = bundle.path()
        if found is None:
            raise web.HTTPNotFound(text=MISSING_BUNDLE)
        return web.FileResponse(found, headers=_headers(request))

    async def settings(request: web.Request) -> web.StreamResponse:
        """Answer ``GET /page/settings.json``: what the page has to know of the server."""
        members = {"dev": dev, "signalingPath": signaling_path}
        return web.json_response(members, headers=_headers(request))

    return [
        web.get("/", page),
        web.get(f"/page/{bundle.FILE_NAME}", sdk),
        web.get("/page/settings.json", settings),
        web.get("/page/{name}", static),
    ]


def _headers(request: web.Request) -> dict[str, str]:
    return {
        "Content-Security-Policy": content_security_policy(request.host),
        "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self)",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }


def content_security_policy(host: str) -> str:
    """
    Return the policy for the page: its own files, and signaling to where it came from.

    The SDK makes a function of a string when it loads (for ``import``), so that has to be
    allowed; scripts still come from here only, and none stands in the page.

    :param host: Host header of the request. Not every browser counts a WebSocket as 'self'.
    """
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return (
        "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self'; "
        "img-src 'self'; "
        f"connect-src 'self'{sockets}; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
