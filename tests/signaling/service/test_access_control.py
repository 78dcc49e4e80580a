import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.auth.account import Account
from signaling.auth.revocations import Revocation, Revocations, Subject
from signaling.errors import ApiError, StorageError
from signaling.ids import ApiKeySid
from signaling.service.access_control import AccessControl
from signaling.storage.key_records import RevocationRecord
from signaling.storage.sql_store import SqlStore
from tests.signaling.support import ACCOUNT_SID, KEY_SECRET, KEY_SID, ManualClock, open_store

ACCOUNT = Account(
    account_sid=ACCOUNT_SID, api_key_sid=KEY_SID, auth_token="", api_key_secret=KEY_SECRET
)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    made = await open_store(tmp_path)
    yield made
    await made.close()


async def loaded(store: SqlStore, account: Account = ACCOUNT) -> AccessControl:
    control = AccessControl(
        account=account,
        store=store,
        clock=ManualClock(),
        rng=random.Random(1),
        end_tokens=lambda revoked: None,
    )
    await control.load()
    return control


async def test_own_key_has_a_row_without_its_secret(store: SqlStore) -> None:
    control = await loaded(store)
    assert control.secrets == {KEY_SID: KEY_SECRET}
    [row] = await store.all_keys()
    assert (row.sid, row.secret) == (KEY_SID, None)
    assert (await loaded(store)).secrets == {KEY_SID: KEY_SECRET}
    assert len(await store.all_keys()) == 1


async def test_last_credential_cannot_be_deleted(store: SqlStore) -> None:
    control = await loaded(store)
    [own] = await store.all_keys()
    with pytest.raises(ApiError):
        await control.delete_key(own)
    assert control.secrets == {KEY_SID: KEY_SECRET}
    made, secret = await control.create_key("another")
    await control.delete_key(own)
    assert control.secrets == {made.sid: secret}
    assert (await loaded(store)).secrets == {made.sid: secret}


async def test_key_that_the_settings_no_longer_name_is_gone(store: SqlStore) -> None:
    await loaded(store)
    other = replace(ACCOUNT, api_key_sid=ApiKeySid("SK" + "c" * 32), api_key_secret="other")
    assert (await loaded(store, other)).secrets == {other.api_key_sid: "other"}
    # And comes back with them.
    assert (await loaded(store)).secrets == {KEY_SID: KEY_SECRET}


class FailingStore:
    """A store that takes no revocation."""

    async def add_revocation(self, revocation: RevocationRecord) -> None:
        raise StorageError("no space left")


async def test_revocation_counts_even_if_the_store_fails(store: SqlStore) -> None:
    ended: list[object] = []
    control = AccessControl(
        account=ACCOUNT,
        store=FailingStore(),  # type: ignore[arg-type]
        clock=ManualClock(),
        rng=random.Random(1),
        end_tokens=ended.append,
    )
    with pytest.raises(StorageError):
        await control.revoke(Subject.IDENTITY, "alice")
    assert len(ended) == 1
    assert control.revocations.include(Facts(identity="alice"))


class Facts:
    """What is known of a token."""

    def __init__(
        self,
        *,
        jti: str | None = None,
        identity: str = "",
        key_sid: str = "",
        issued_at: datetime | None = None,
    ) -> None:
        self.jti = jti
        self.identity = identity
        self.key_sid = key_sid
        self.issued_at = issued_at


START = datetime(2026, 5, 1, tzinfo=UTC)
values = st.sampled_from(["a", "b"])
times = st.integers(0, 3).map(lambda seconds: START + timedelta(seconds=seconds))
revocations = st.builds(
    Revocation,
    sid=st.sampled_from(["RV1", "RV2", "RV3", "RV4"]),
    subject=st.sampled_from(Subject),
    value=values,
    revoked_at=times,
)
tokens = st.builds(
    Facts,
    jti=st.none() | values,
    identity=values,
    key_sid=values,
    issued_at=st.none() | times,
)


def model(revocation: Revocation, token: Facts) -> bool:
    if getattr(token, revocation.subject.value) != revocation.value:
        return False
    if revocation.subject is Subject.JTI or token.issued_at is None:
        return True
    return token.issued_at <= revocation.revoked_at


@given(
    st.lists(revocations, unique_by=lambda revocation: revocation.sid),
    st.sets(st.sampled_from(["RV1", "RV2", "RV3", "RV5"])),
    tokens,
)
def test_revocations_are_those_added_and_not_removed(
    added: list[Revocation], removed: set[str], token: Facts
) -> None:
    kept = Revocations()
    for revocation in added:
        kept.add(revocation)
    for sid in removed:
        kept.remove(sid)
    left = [revocation for revocation in added if revocation.sid not in removed]
    assert kept.include(token) == any(model(revocation, token) for revocation in left)
