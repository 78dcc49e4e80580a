"""API keys and revocations: what is in force, in memory, over what is kept in the store."""

import random
from collections.abc import Callable
from dataclasses import replace

import structlog

from signaling.auth.access_token import AccessToken
from signaling.auth.account import Account
from signaling.auth.revocations import Revocation, Revocations, Subject
from signaling.errors import ApiError, ErrorCode
from signaling.ids import ApiKeySid, new_api_key_sid, new_revocation_sid
from signaling.storage.key_queries import KeyQueries
from signaling.storage.key_records import ApiKeyRecord, RevocationRecord

from .clock import Clock

_log = structlog.get_logger(__name__)


class AccessControl:
    """
    Makes and takes back what lets callers in.

    What is taken back counts before the store knows of it: when the store fails meanwhile, the
    caller is told so, and a restart would bring it back.

    :param end_tokens: Ends the live sessions whose tokens a predicate names.
    :param rng: ``random.SystemRandom()`` in service: it draws secrets.
    """

    def __init__(
        self,
        *,
        account: Account,
        store: KeyQueries,
        clock: Clock,
        rng: random.Random,
        end_tokens: Callable[[Callable[[AccessToken], bool]], None],
    ) -> None:
        self._account = account
        self._store = store
        self._clock = clock
        self._rng = rng
        self._end_tokens = end_tokens
        self.secrets: dict[ApiKeySid, str] = {}
        """The secret of each key in force; always the same object."""
        self.revocations = Revocations()

    async def load(self) -> None:
        """
        Read what the store has; call once, before anybody is let in.

        The account's own key, whose secret the settings or the account file hold, gets a row too.
        """
        own = self._account.api_key_sid
        known = False
        for key in await self._store.all_keys():
            if key.sid == own:
                known = True
                if key.deleted_at is not None:
                    _log.warning("the account's own API key was deleted over REST", key_sid=own)
                else:
                    self.secrets[own] = self._account.api_key_secret
            elif key.deleted_at is None and key.secret is not None:
                self.secrets[ApiKeySid(key.sid)] = key.secret
            elif key.deleted_at is None:
                # The settings named it once, and name another now.
                await self._store.forget_key(key.sid)
        if not known:
            now = self._clock.utc_now()
            await self._store.add_key(
                ApiKeyRecord(
                    sid=own,
                    account_sid=self._account.account_sid,
                    friendly_name=None,
                    secret=None,
                    created_at=now,
                    updated_at=now,
                )
            )
            self.secrets[own] = self._account.api_key_secret
        for record in await self._store.all_revocations():
            self.revocations.add(_revocation_of(record))

    # API keys.

    async def create_key(self, friendly_name: str | None) -> tuple[ApiKeyRecord, str]:
        """Make a key; return it with its secret, which is never shown again."""
        now = self._clock.utc_now()
        secret = f"{self._rng.getrandbits(192):048x}"
        key = ApiKeyRecord(
            sid=new_api_key_sid(self._rng),
            account_sid=self._account.account_sid,
            friendly_name=friendly_name,
            secret=secret,
            created_at=now,
            updated_at=now,
        )
        await self._store.add_key(key)
        self.secrets[ApiKeySid(key.sid)] = secret
        _log.info("API key made", key_sid=key.sid)
        return key, secret

    async def rename_key(self, key: ApiKeyRecord, friendly_name: str | None) -> ApiKeyRecord:
        """Give a key another name."""
        renamed = replace(key, friendly_name=friendly_name, updated_at=self._clock.utc_now())
        await self._store.update_key(renamed)
        return renamed

    async def delete_key(self, key: ApiKeyRecord) -> None:
        """
        Take a key back: no request and no join with it any more. Live sessions go on.

        :raises ApiError: 20001 when nobody could call the API afterwards.
        """
        sid = ApiKeySid(key.sid)
        if not self._account.auth_token and self.secrets.keys() == {sid}:
            raise ApiError.of(
                ErrorCode.INVALID_PARAMETER,
                "The last API key of an account without an auth token cannot be deleted",
            )
        self.secrets.pop(sid, None)
        now = self._clock.utc_now()
        await self._store.update_key(replace(key, secret=None, updated_at=now, deleted_at=now))
        _log.info("API key deleted", key_sid=key.sid)

    # Revocations.

    async def revoke(self, subject: Subject, value: str) -> RevocationRecord:
        """Take tokens back: live sessions end at once, and such tokens are refused."""
        record = RevocationRecord(
            sid=new_revocation_sid(self._rng),
            account_sid=self._account.account_sid,
            jti=value if subject is Subject.JTI else None,
            identity=value if subject is Subject.IDENTITY else None,
            key_sid=value if subject is Subject.KEY_SID else None,
            created_at=self._clock.utc_now(),
        )
        self.revocations.add(_revocation_of(record))
        self._end_tokens(self.revocations.include)
        await self._store.add_revocation(record)
        _log.info("access tokens revoked", revocation_sid=record.sid, by=subject.value)
        return record

    async def lift_revocation(self, sid: str) -> None:
        """Let tokens count again that a revocation took back."""
        await self._store.delete_revocation(sid)
        self.revocations.remove(sid)


def _revocation_of(record: RevocationRecord) -> Revocation:
    for subject in Subject:
        value = getattr(record, subject.value)
        if value is not None:
            return Revocation(
                sid=record.sid, subject=subject, value=value, revoked_at=record.created_at
            )
    raise AssertionError(f"revocation {record.sid} names nothing")
