"""``/livez``, ``/readyz`` and ``/startupz``: whether to restart, to send traffic, to wait."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web


@dataclass(slots=True, kw_only=True)
class Health:
    """
    What the probes look at. A store that is down makes the server not ready, for it cannot answer
    REST, but alive: rooms and their media go on without it.

    :param draining: Tells whether new joins are refused.
    :param media_lost: Tells whether no data plane runs any more. Where others do, rooms move to
        them: neither a restart, which ends all sessions, nor a server without traffic is better.
    """

    draining: Callable[[], bool]
    media_lost: Callable[[], bool]
    store_up: Callable[[], bool] = lambda: True
    """Tells whether the store answers."""
    started: bool = False
    starting: str = "starting"
    """What is said until then."""

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the probes."""

        async def livez(_request: web.Request) -> web.Response:
            return _answer(None if not self.media_lost() else "no data plane is left")

        async def readyz(_request: web.Request) -> web.Response:
            return _answer(self._why_not_ready())

        async def startupz(_request: web.Request) -> web.Response:
            return _answer(None if self.started else self.starting)

        return [
            web.get("/livez", livez),
            web.get("/readyz", readyz),
            web.get("/startupz", startupz),
        ]

    def _why_not_ready(self) -> str | None:
        if not self.started:
            return self.starting
        if self.draining():
            return "draining"
        if self.media_lost():
            return "no data plane is left"
        return None if self.store_up() else "the store is down"


def _answer(fault: str | None) -> web.Response:
    return web.Response(
        status=200 if fault is None else 503,
        text=f"{fault or 'ok'}\n",
        headers={"Cache-Control": "no-store"},
    )
