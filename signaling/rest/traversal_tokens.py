"""Network traversal tokens: ``POST /2010-04-01/Accounts/{sid}/Tokens.json``."""

import random
from collections.abc import Sequence
from datetime import timedelta

from signaling.ids import AccountSid
from signaling.rest.call import Call
from signaling.rest.legacy import account_routes, legacy_date
from signaling.rest.message import Response, json_response
from signaling.rest.route import Route
from signaling.service.clock import Clock
from signaling.service.config import IceServer
from signaling.service.turn import LIFETIME_MAX, TurnCredential, TurnServers, needs_credential

_TTL_MAX = int(LIFETIME_MAX.total_seconds())


class TraversalTokenHandlers:
    """
    Hands out credentials for the operator's TURN servers.

    :param turn: None when the operator has none: the user name and password are empty then, and
        the list has no more than the fixed servers.
    :param fixed: Servers that every client is given as they are.
    """

    def __init__(
        self,
        *,
        account_sid: AccountSid,
        turn: TurnServers | None,
        fixed: Sequence[IceServer],
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._account_sid = account_sid
        self._turn = turn
        self._fixed = tuple(fixed)
        self._clock = clock
        self._rng = rng

    def routes(self) -> list[Route]:
        """Return the resource."""
        return account_routes(self._account_sid, "Tokens", {"POST": self.create})

    async def create(self, call: Call) -> Response:
        ttl = call.given.integer("Ttl", _TTL_MAX, least=1, most=_TTL_MAX)
        now = self._clock.utc_now()
        credential = TurnCredential(username="", password="")
        servers = [
            _server(url, server.username, server.credential)
            for server in self._fixed
            for url in server.urls
        ]
        if self._turn is not None:
            lifetime = timedelta(seconds=ttl)
            credential = self._turn.issue(now=now, lifetime=lifetime, rng=self._rng)
            servers += [
                _server(url, credential.username, credential.password)
                if needs_credential(url)
                else _server(url, None, None)
                for url in self._turn.urls
            ]
        return json_response(
            201,
            {
                "username": credential.username,
                "password": credential.password,
                # The one number that this API writes as a text.
                "ttl": str(ttl),
                "account_sid": self._account_sid,
                "date_created": legacy_date(now),
                "date_updated": legacy_date(now),
                "ice_servers": servers,
            },
        )


def _server(url: str, username: str | None, credential: str | None) -> dict[str, str]:
    # Old browsers know ``url`` only.
    server = {"url": url, "urls": url}
    if username is not None and credential is not None:
        server |= {"username": username, "credential": credential}
    return server
