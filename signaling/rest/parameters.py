"""Form parameters, with the checks that most of them share."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl

from signaling.errors import ApiError, ErrorCode

FIELDS_MAX = 1000
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(?:Z|([+ -])(\d\d):?(\d\d)))?", re.ASCII)


class Parameters:
    """
    The parameters of one request.

    Names are case-sensitive; an empty value counts as none; of a repeated one the last counts,
    unless it is read as a list. Bytes that are not UTF-8 stay visible as lone surrogates.

    :param text: ``application/x-www-form-urlencoded``, a query or a body.
    :raises ApiError: 20001 when there are too many.
    """

    def __init__(self, text: str) -> None:
        self._values: dict[str, list[str]] = {}
        try:
            pairs = parse_qsl(text, errors="surrogateescape", max_num_fields=FIELDS_MAX)
        except ValueError as error:
            raise ApiError.of(ErrorCode.INVALID_PARAMETER, "Too many parameters") from error
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def raw(self, name: str) -> str | None:
        """Return the value as it came, possibly with lone surrogates."""
        values = self._values.get(name)
        return values[-1] if values else None

    def text(self, name: str, code: ErrorCode = ErrorCode.INVALID_PARAMETER) -> str | None:
        """Return a text. :raises ApiError: with ``code`` when it is not UTF-8 or has a NUL."""
        return None if (value := self.raw(name)) is None else _checked(name, value, code)

    def texts(self, name: str) -> list[str]:
        """Return all values of a repeated parameter; each may hold several, with commas between."""
        values = ",".join(self._values.get(name, ())).split(",")
        return [_checked(name, value.strip()) for value in values if value.strip()]

    def names(self, name: str) -> tuple[str, ...]:
        """Return all values of a repeated parameter as they are, for names may have commas."""
        return tuple(_checked(name, value) for value in self._values.get(name, ()))

    def json_object(self, name: str) -> dict[str, Any] | None:
        """
        Return a JSON object; in none of its objects a member may be given twice.

        What JSON can say and not every store or client can hold is refused: numbers that no float
        has room for, texts with NUL or half a surrogate pair.
        """
        text = self.text(name)
        if text is None:
            return None
        try:
            value = json.loads(text, object_pairs_hook=_members)
            canonical = json.dumps(value, allow_nan=False, ensure_ascii=False)
            canonical.encode()
        except (ValueError, RecursionError):
            raise _invalid(name, "is not JSON") from None
        if "\\u0000" in canonical.replace("\\\\", ""):
            raise _invalid(name, "has invalid characters")
        if not isinstance(value, dict):
            raise _invalid(name, "must be a JSON object")
        return value

    def boolean(self, name: str, default: bool) -> bool:
        """Return ``true`` or ``false``, in any letter case."""
        value = self.text(name)
        if value is None:
            return default
        if value.lower() not in ("true", "false"):
            raise _invalid(name, "must be true or false")
        return value.lower() == "true"

    def integer(
        self,
        name: str,
        default: int,
        *,
        least: int,
        most: int,
        code: ErrorCode = ErrorCode.INVALID_PARAMETER,
    ) -> int:
        """Return an integer between ``least`` and ``most``. :raises ApiError: with ``code``."""
        value = self.raw(name)
        if value is None:
            return default
        if not _INTEGER.fullmatch(value) or not least <= int(value) <= most:
            message = None if code != ErrorCode.INVALID_PARAMETER else f"{name} is out of range"
            raise ApiError.of(code, message)
        return int(value)

    def choice(self, name: str, choices: frozenset[str], code: ErrorCode) -> str | None:
        """Return one of some words. :raises ApiError: with ``code`` for another."""
        value = self.raw(name)
        if value is not None and value not in choices:
            raise ApiError.of(code)
        return value

    def date(self, name: str) -> datetime | None:
        """Return an instant: ``YYYY-MM-DDThh:mm:ss`` with ``Z`` or an offset, or a day's start."""
        value = self.raw(name)
        if value is None:
            return None
        match = _DATE.fullmatch(value)
        if match is None:
            raise _invalid(name, "is not a date")
        day, time, sign, hours, minutes = match.groups()
        try:
            moment = datetime.fromisoformat(f"{day}T{time or '00:00:00'}")
            if sign is None:
                return moment.replace(tzinfo=UTC)
            # An unescaped plus sign arrives as a space.
            offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
            return moment.replace(tzinfo=timezone(offset)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise _invalid(name, "is not a date") from None


def _checked(name: str, value: str, code: ErrorCode = ErrorCode.INVALID_PARAMETER) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        value = "\0"
    if "\0" in value:
        message = None if code != ErrorCode.INVALID_PARAMETER else f"{name} has invalid characters"
        raise ApiError.of(code, message)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member is given twice")
    return members


def _invalid(name: str, why: str) -> ApiError:
    return ApiError.of(ErrorCode.INVALID_PARAMETER, f"{name} {why}")
