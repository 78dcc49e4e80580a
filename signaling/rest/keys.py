"""API keys (``/2010-04-01/Accounts/{sid}/Keys.json``) and revocations (``/v1/Revocations``)."""

from signaling.auth.revocations import Subject
from signaling.errors import ApiError, ErrorCode
from signaling.ids import AccountSid, is_sid
from signaling.rest.call import Call
from signaling.rest.handlers import not_found
from signaling.rest.legacy import (
    SUFFIX,
    LegacyPageView,
    account_routes,
    legacy_date,
    member_name,
)
from signaling.rest.message import Response, json_response
from signaling.rest.paging import PageView, read_page
from signaling.rest.resources import date_text
from signaling.rest.route import LEGACY_VERSION, Route
from signaling.service.access_control import AccessControl
from signaling.storage.key_queries import KeyQueries
from signaling.storage.key_records import ApiKeyRecord, RevocationRecord

NAME_MAX_CHARACTERS = 64
_PARAMETERS = {"Jti": Subject.JTI, "Identity": Subject.IDENTITY, "KeySid": Subject.KEY_SID}


class KeyHandlers:
    """One method per operation. Each answers or raises ``ApiError``."""

    def __init__(
        self, *, account_sid: AccountSid, access: AccessControl, store: KeyQueries
    ) -> None:
        self._account_sid = account_sid
        self._access = access
        self._store = store

    def routes(self) -> list[Route]:
        """Return the resources."""
        keys = {"GET": self.list_keys, "POST": self.create_key}
        key = {"GET": self.fetch_key, "POST": self.rename_key, "DELETE": self.delete_key}
        return [
            *account_routes(self._account_sid, "Keys", keys),
            *account_routes(self._account_sid, "Keys", key, listed=True),
            Route(("Revocations",), {"GET": self.list_revocations, "POST": self.revoke}),
            Route(
                ("Revocations", None),
                {"GET": self.fetch_revocation, "DELETE": self.delete_revocation},
            ),
        ]

    # API keys.

    async def create_key(self, call: Call) -> Response:
        key, secret = await self._access.create_key(_friendly_name(call))
        return json_response(201, _key_resource(key) | {"secret": secret})

    async def list_keys(self, call: Call) -> Response:
        wanted = read_page(call.given)
        return LegacyPageView(
            key="keys",
            path=f"/{LEGACY_VERSION}/Accounts/{self._account_sid}/Keys{SUFFIX}",
            request=wanted,
            found=await self._store.list_keys(wanted.page),
            render=_key_resource,
        ).response()

    async def fetch_key(self, call: Call) -> Response:
        return json_response(200, _key_resource(await self._key(call)))

    async def rename_key(self, call: Call) -> Response:
        name = _friendly_name(call)
        key = await self._key(call)
        if name is not None:
            key = await self._access.rename_key(key, name)
        return json_response(200, _key_resource(key))

    async def delete_key(self, call: Call) -> Response:
        await self._access.delete_key(await self._key(call))
        return Response(status=204)

    async def _key(self, call: Call) -> ApiKeyRecord:
        name = member_name(call)
        key = await self._store.get_key(name) if is_sid(name, "SK") else None
        if key is None:
            raise not_found(call.resource)
        return key

    # Revocations.

    async def revoke(self, call: Call) -> Response:
        given = [
            (subject, value)
            for name, subject in _PARAMETERS.items()
            if (value := call.given.text(name)) is not None
        ]
        if len(given) != 1:
            raise ApiError.of(
                ErrorCode.INVALID_PARAMETER, f"One of {', '.join(_PARAMETERS)} must be given"
            )
        [(subject, value)] = given
        if subject is Subject.KEY_SID and not is_sid(value, "SK"):
            raise ApiError.of(ErrorCode.INVALID_PARAMETER, "KeySid is not the SID of an API key")
        record = await self._access.revoke(subject, value)
        return json_response(201, _revocation_resource(record, call.base_url))

    async def list_revocations(self, call: Call) -> Response:
        wanted = read_page(call.given)
        return PageView(
            key="revocations",
            url=f"{call.base_url}/v1/Revocations",
            filters={},
            request=wanted,
            found=await self._store.list_revocations(wanted.page),
            render=lambda record: _revocation_resource(record, call.base_url),
        ).response()

    async def fetch_revocation(self, call: Call) -> Response:
        return json_response(200, _revocation_resource(await self._revocation(call), call.base_url))

    async def delete_revocation(self, call: Call) -> Response:
        await self._access.lift_revocation((await self._revocation(call)).sid)
        return Response(status=204)

    async def _revocation(self, call: Call) -> RevocationRecord:
        name = call.names[0]
        record = await self._store.get_revocation(name) if is_sid(name, "RV") else None
        if record is None:
            raise not_found(call.resource)
        return record


def _friendly_name(call: Call) -> str | None:
    name = call.given.text("FriendlyName")
    if name is not None and len(name) > NAME_MAX_CHARACTERS:
        raise ApiError.of(ErrorCode.INVALID_PARAMETER, "FriendlyName is too long")
    return name


def _key_resource(key: ApiKeyRecord) -> dict[str, object]:
    return {
        "sid": key.sid,
        "friendly_name": key.friendly_name,
        "date_created": legacy_date(key.created_at),
        "date_updated": legacy_date(key.updated_at),
    }


def _revocation_resource(record: RevocationRecord, base_url: str) -> dict[str, object]:
    return {
        "sid": record.sid,
        "account_sid": record.account_sid,
        "jti": record.jti,
        "identity": record.identity,
        "key_sid": record.key_sid,
        "date_created": date_text(record.created_at),
        "url": f"{base_url}/v1/Revocations/{record.sid}",
    }
