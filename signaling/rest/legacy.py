"""The older API's forms, ``/2010-04-01``: its dates, its lists, its paths."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Generic
from urllib.parse import urlencode

from signaling.ids import AccountSid
from signaling.rest.call import Call
from signaling.rest.handlers import not_found
from signaling.rest.message import Response, json_response
from signaling.rest.paging import AFTER, BEFORE, PageRequest, token_of
from signaling.rest.route import LEGACY_VERSION, Handler, Route
from signaling.storage.store import RecordT, Slice

SUFFIX = ".json"


def legacy_date(moment: datetime) -> str:
    """Return an aware UTC time as RFC 2822 has it, whole seconds: ``+0000`` at the end."""
    return format_datetime(moment)


def account_routes(
    account_sid: AccountSid, resource: str, methods: Mapping[str, Handler], *, listed: bool = False
) -> list[Route]:
    """
    Return the routes of a resource below the account, with ``.json`` and without.

    Below another account there is nothing.

    :param listed: Whether these are the methods of single members, named by a further segment.
        Members' names reach the handlers with the suffix on; :func:`member_name` takes it off.
    """

    def guarded(handler: Handler) -> Handler:
        async def handle(call: Call) -> Response:
            if call.names[0] != account_sid:
                raise not_found(call.resource)
            return await handler(call)

        return handle

    checked = {method: guarded(handler) for method, handler in methods.items()}
    if listed:
        return [Route(("Accounts", None, resource, None), checked, LEGACY_VERSION)]
    return [
        Route(("Accounts", None, resource + suffix), checked, LEGACY_VERSION)
        for suffix in ("", SUFFIX)
    ]


def member_name(call: Call) -> str:
    """Return the name of the member that a call is for."""
    return call.names[1].removesuffix(SUFFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyPageView(Generic[RecordT]):
    """One page of a list; its links have neither scheme nor host."""

    key: str
    """The member that holds the records."""
    path: str
    """The list's path, with the version."""
    request: PageRequest
    found: Slice[RecordT]
    render: Callable[[RecordT], Mapping[str, object]]

    def response(self) -> Response:
        """Return the answer to the list request."""
        number, records = self.request.number, self.found.records
        start = number * self.request.size
        following = token_of(AFTER, records[-1]) if self.found.has_more and records else None
        preceding = token_of(BEFORE, records[0]) if number > 1 and records else None
        return json_response(
            200,
            {
                self.key: [self.render(record) for record in records],
                "page": number,
                "page_size": self.request.size,
                "start": start,
                "end": start + max(0, len(records) - 1),
                "uri": self._link(number, self.request.token),
                "first_page_uri": self._link(0, None),
                "previous_page_uri": self._link(number - 1, preceding) if number > 0 else None,
                "next_page_uri": self._link(number + 1, following) if following else None,
            },
        )

    def _link(self, number: int, token: str | None) -> str:
        query = {"PageSize": str(self.request.size), "Page": str(number)}
        if token is not None:
            query["PageToken"] = token
        return f"{self.path}?{urlencode(query)}"
