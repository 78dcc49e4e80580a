"""Pages of lists: which one a request asks for, and the links to its neighbours."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic
from urllib.parse import urlencode

from signaling.errors import ApiError, ErrorCode
from signaling.ids import is_sid
from signaling.rest.message import Response, json_response
from signaling.rest.parameters import Parameters
from signaling.storage.store import Listed, Page, PageKey, RecordT, Slice

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 1000
# A larger number would only cost the database time.
PAGE_MAX = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AFTER, BEFORE = "A", "B"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """The page that a request asks for."""

    number: int
    size: int
    token: str | None
    page: Page


def read_page(given: Parameters, *, most: int = PAGE_SIZE_MAX) -> PageRequest:
    """
    Return the page that a request asks for; too large a size is cut.

    :param most: The largest size.
    :raises ApiError: 20001 for a size, number or token that cannot be.
    """
    asked = given.integer("PageSize", PAGE_SIZE_DEFAULT, least=1, most=10**18)
    size = min(asked, most)
    number = given.integer("Page", 0, least=0, most=PAGE_MAX)
    token = given.text("PageToken")
    if token is None:
        page = Page(size=size, offset=number * size)
    else:
        direction, key = _parse_token(token)
        page = Page(size=size, after=key) if direction == AFTER else Page(size=size, before=key)
    return PageRequest(number=number, size=size, token=token, page=page)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageView(Generic[RecordT]):
    """One page, ready to be shown."""

    key: str
    """The member that holds the records."""
    url: str
    """The list's URL, without a query."""
    filters: Mapping[str, str | None] | Mapping[str, str | tuple[str, ...] | None]
    """The filters as they were given, which every link repeats."""
    request: PageRequest
    found: Slice[RecordT]
    render: Callable[[RecordT], Mapping[str, object]]

    def response(self) -> Response:
        """Return the answer to the list request."""
        number, token = self.request.number, self.request.token
        meta = {
            "page": number,
            "page_size": self.request.size,
            "first_page_url": self._link(0, None),
            "previous_page_url": self._previous(),
            "url": self._link(number, token),
            "next_page_url": self._next(),
            "key": self.key,
        }
        records = [self.render(record) for record in self.found.records]
        return json_response(200, {self.key: records, "meta": meta})

    def _next(self) -> str | None:
        if not self.found.has_more or not self.found.records:
            return None
        return self._link(self.request.number + 1, token_of(AFTER, self.found.records[-1]))

    def _previous(self) -> str | None:
        number = self.request.number
        if number == 0:
            return None
        if number == 1 or not self.found.records:
            return self._link(number - 1, None)
        return self._link(number - 1, token_of(BEFORE, self.found.records[0]))

    def _link(self, number: int, token: str | None) -> str:
        query: dict[str, str | tuple[str, ...]]
        query = {name: value for name, value in self.filters.items() if value is not None}
        query |= {"PageSize": str(self.request.size), "Page": str(number)}
        if token is not None:
            query["PageToken"] = token
        return f"{self.url}?{urlencode(query, doseq=True)}"


def token_of(direction: str, record: Listed) -> str:
    """Return the token of the page ``AFTER`` or ``BEFORE`` a record."""
    microseconds = (record.created_at - _EPOCH) // timedelta(microseconds=1)
    text = f"{direction}{microseconds}.{record.sid}"
    return "PT" + base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _parse_token(token: str) -> tuple[str, PageKey]:
    try:
        padded = token.removeprefix("PT") + "=" * (-(len(token) - 2) % 4)
        text = base64.urlsafe_b64decode(padded).decode("ascii")
        microseconds, _, sid = text[1:].partition(".")
        created_at = _EPOCH + timedelta(microseconds=int(microseconds))
    except (binascii.Error, ValueError, OverflowError):
        raise ApiError.of(ErrorCode.INVALID_PARAMETER, "PageToken is invalid") from None
    known = text[:1] in (AFTER, BEFORE) and is_sid(sid, sid[:2])
    if not known or not token.startswith("PT"):
        raise ApiError.of(ErrorCode.INVALID_PARAMETER, "PageToken is invalid")
    return text[0], PageKey(created_at=created_at, sid=sid)
