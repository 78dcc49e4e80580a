"""The account's settings for recordings and for compositions."""

from urllib.parse import urlsplit

from signaling.errors import ApiError, ErrorCode
from signaling.ids import AccountSid, is_sid
from signaling.rest.call import Call
from signaling.rest.message import Response, json_response
from signaling.rest.parameters import Parameters
from signaling.rest.route import Handler, Route
from signaling.storage.media_queries import MediaQueries
from signaling.storage.media_records import MediaSettingsRecord

_RESOURCES = {"RecordingSettings": "recordings", "CompositionSettings": "compositions"}


class MediaSettingsHandlers:
    """
    Keeps what is posted. Each handler answers or raises ``ApiError``.

    Neither storage elsewhere nor encryption exists, so that asking for them is refused rather than
    remembered.
    """

    def __init__(self, *, account_sid: AccountSid, media: MediaQueries) -> None:
        self._account_sid = account_sid
        self._media = media

    def routes(self) -> list[Route]:
        """Return the resources."""
        return [
            Route((name, "Default"), {"GET": self._fetch(name), "POST": self._replace(name)})
            for name in _RESOURCES
        ]

    def _fetch(self, resource: str) -> Handler:
        async def fetch(call: Call) -> Response:
            settings = await self._media.get_media_settings(_RESOURCES[resource])
            return json_response(200, self._resource(settings, resource, call.base_url))

        return fetch

    def _replace(self, resource: str) -> Handler:
        async def replace(call: Call) -> Response:
            settings = _read(call.given, self._account_sid, _RESOURCES[resource])
            await self._media.put_media_settings(settings)
            return json_response(200, self._resource(settings, resource, call.base_url))

        return replace

    def _resource(
        self, settings: MediaSettingsRecord | None, resource: str, base_url: str
    ) -> dict[str, object]:
        return {
            "account_sid": self._account_sid,
            "friendly_name": settings.friendly_name if settings else None,
            "aws_credentials_sid": settings.aws_credentials_sid if settings else None,
            "aws_s3_url": settings.aws_s3_url if settings else None,
            "aws_storage_enabled": False,
            "encryption_key_sid": settings.encryption_key_sid if settings else None,
            "encryption_enabled": False,
            "url": f"{base_url}/v1/{resource}/Default",
        }


def _read(given: Parameters, account_sid: AccountSid, subject: str) -> MediaSettingsRecord:
    name = given.text("FriendlyName")
    if name is None:
        raise ApiError.of(ErrorCode.INVALID_PARAMETER, "FriendlyName must be given")
    for switch in ("AwsStorageEnabled", "EncryptionEnabled"):
        if given.boolean(switch, False):
            raise ApiError.of(
                ErrorCode.INVALID_PARAMETER, f"{switch} is not supported by this server"
            )
    return MediaSettingsRecord(
        account_sid=account_sid,
        subject=subject,
        friendly_name=name,
        aws_credentials_sid=_credential(given, "AwsCredentialsSid"),
        aws_s3_url=_bucket(given),
        encryption_key_sid=_credential(given, "EncryptionKeySid"),
    )


def _credential(given: Parameters, name: str) -> str | None:
    sid = given.text(name)
    if sid is not None and not is_sid(sid, "CR"):
        raise ApiError.of(ErrorCode.INVALID_PARAMETER, f"{name} must be the SID of a credential")
    return sid


def _bucket(given: Parameters) -> str | None:
    url = given.text("AwsS3Url")
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        fits = parts.scheme == "https" and bool(parts.hostname)
    except ValueError:
        fits = False
    if not fits or any(c <= " " or c == "\x7f" for c in url):
        raise ApiError.of(ErrorCode.INVALID_PARAMETER, "AwsS3Url must be an https URL")
    return url
