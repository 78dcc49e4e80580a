"""``POST /dev/token``: access tokens for the page, in development mode only."""

import json
from datetime import UTC, datetime

from aiohttp import web

from signaling.auth.access_token import mint_access_token
from signaling.auth.account import Account
from signaling.errors import ApiError, ErrorCode, TokenError
from signaling.rest.body import read_body
from signaling.rest.message import BodyTooLarge, BodyTooSlow

BODY_MAX_BYTES = 16 * 1024
_FRESH = {"Cache-Control": "no-store"}


def routes(account: Account) -> list[web.RouteDef]:
    """Return the route, which takes ``{"identity", "room"}`` and answers ``{"token"}``."""

    async def token(request: web.Request) -> web.Response:
        try:
            identity, room = await _read(request)
            minted = mint_access_token(
                account_sid=account.account_sid,
                key_sid=account.api_key_sid,
                secret=account.api_key_secret,
                identity=identity,
                room=room,
                now=datetime.now(UTC),
            )
        except (ApiError, TokenError) as error:
            members = {"code": error.code, "message": error.message}
            return web.json_response(members, status=400, headers=_FRESH)
        return web.json_response({"token": minted}, headers=_FRESH)

    return [web.post("/dev/token", token)]


async def _read(request: web.Request) -> tuple[str, str | None]:
    if request.content_type != "application/json":
        # A foreign page can post a form without being asked for leave, but not JSON.
        raise ApiError.of(ErrorCode.INVALID_PARAMETER, "the content type must be application/json")
    try:
        members = json.loads(await read_body(request, most=BODY_MAX_BYTES))
    except (BodyTooLarge, BodyTooSlow):
        message = "the body is too large, or did not come"
        raise ApiError.of(ErrorCode.INVALID_PARAMETER, message) from None
    except (ValueError, RecursionError):
        raise ApiError.of(ErrorCode.INVALID_PARAMETER, "the body is not JSON") from None
    if not isinstance(members, dict):
        raise ApiError.of(ErrorCode.INVALID_PARAMETER, "the body must be a JSON object")
    room = members.get("room")
    if room is not None and not isinstance(room, str):
        raise ApiError.of(ErrorCode.INVALID_PARAMETER, "room must be a text")
    identity = members.get("identity")
    return identity if isinstance(identity, str) else "", room or None
