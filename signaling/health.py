"""``/livez``, ``/readyz`` and ``/startupz``: whether to restart, to send traffic, to wait."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web


@dataclass(slots=True, kw_only=True)
class Health:
    """
    What the probes look at. None looks at the store: rooms and their media go on without it.

    :param draining: Tells whether new joins are refused.
    :param media_failed: Tells whether a data plane stopped by itself, which only a restart mends.
    """

    draining: Callable[[], bool]
    media_failed: Callable[[], bool]
    started: bool = False

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the probes."""

        async def livez(_request: web.Request) -> web.Response:
            return _answer(None if not self.media_failed() else "a data plane stopped")

        async def readyz(_request: web.Request) -> web.Response:
            return _answer(self._why_not_ready())

        async def startupz(_request: web.Request) -> web.Response:
            return _answer(None if self.started else "starting")

        return [
            web.get("/livez", livez),
            web.get("/readyz", readyz),
            web.get("/startupz", startupz),
        ]

    def _why_not_ready(self) -> str | None:
        if not self.started:
            return "starting"
        if self.draining():
            return "draining"
        return "a data plane stopped" if self.media_failed() else None


def _answer(fault: str | None) -> web.Response:
    return web.Response(
        status=200 if fault is None else 503,
        text=f"{fault or 'ok'}\n",
        headers={"Cache-Control": "no-store"},
    )
