"""API keys and revocations: the helper library, real sockets, a restart."""

import asyncio
import json
import re
import socket
import stat
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import VideoGrant
from twilio.rest import Client

from signaling.config import load_settings

from .conftest import RunningServer

NOWHERE = "SK" + "0" * 32


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Client:
    account = server.account
    made = Client(account.account_sid, account.auth_token)
    made.api.base_url = made.video.base_url = server.url
    return made


def minted(server: RunningServer, key: Any, identity: str, room: str) -> str:
    token = AccessToken(
        server.account.account_sid, key.sid, key.secret, identity=identity, ttl=3600
    )
    token.add_grant(VideoGrant(room=room))
    return str(token.to_jwt())


class Guest:
    """A page without media."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self._websocket = websocket

    def vanish(self) -> None:
        """Break the connection, without a word on it."""
        self._websocket.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    async def body(self) -> dict[str, Any]:
        async with asyncio.timeout(5):
            while True:
                frame = json.loads((await self._websocket.receive()).data)
                if frame["type"] == "msg":
                    body: dict[str, Any] = frame["body"]
                    return body


def with_guest(server: RunningServer, token: str, talk: Callable[[Guest], Awaitable[Any]]) -> Any:
    """Open a socket, ask to join, and let ``talk`` go on; return what that returns."""

    async def work() -> Any:
        connect = {
            "type": "connect",
            "version": 2,
            "token": token,
            "participant": {"revision": 1, "tracks": []},
            "peer_connections": [],
        }
        hello = {"type": "hello", "id": "1", "timeout": 5000, "version": 2, "body": connect}
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{server.url}/signaling") as websocket,
        ):
            await websocket.send_str(json.dumps(hello))
            return await talk(Guest(websocket))

    return asyncio.run(work())


def joining(server: RunningServer, token: str) -> dict[str, Any]:
    """Return the first answer to a join."""
    answer: dict[str, Any] = with_guest(server, token, lambda guest: guest.body())
    return answer


def code_of(call: Callable[[], Any]) -> tuple[int, int]:
    with pytest.raises(TwilioRestException) as caught:
        call()
    return caught.value.status, caught.value.code


# API keys.


def test_key_is_made_shown_renamed_and_deleted(api: Client) -> None:
    made = api.new_keys.create(friendly_name="phones")
    assert re.fullmatch("SK[0-9a-f]{32}", made.sid)
    assert made.friendly_name == "phones"
    assert len(made.secret) >= 32
    assert made.date_created is not None
    assert made.date_created.tzinfo is not None
    assert abs((datetime.now(UTC) - made.date_created).total_seconds()) < 60
    fetched = api.keys(made.sid).fetch()
    assert (fetched.sid, fetched.friendly_name) == (made.sid, "phones")
    assert not hasattr(fetched, "secret")
    assert api.keys(made.sid).update(friendly_name="tablets").friendly_name == "tablets"
    assert api.keys(made.sid).fetch().friendly_name == "tablets"
    assert api.keys(made.sid).delete()
    assert code_of(api.keys(made.sid).fetch) == (404, 20404)
    assert code_of(api.keys(made.sid).delete) == (404, 20404)


def test_secret_is_told_once(server: RunningServer, api: Client) -> None:
    made = api.new_keys.create(friendly_name="once")
    account = server.account
    url = f"{server.url}/2010-04-01/Accounts/{account.account_sid}/Keys"
    auth = (account.account_sid, account.auth_token)
    for path in (f"/{made.sid}.json", f"/{made.sid}", ".json?PageSize=1000", "?PageSize=1000"):
        answer = requests.get(url + path, auth=auth, timeout=20)
        assert answer.status_code == 200
        assert made.secret not in answer.text
    assert "secret" not in requests.get(f"{url}/{made.sid}.json", auth=auth, timeout=20).json()


def test_dates_are_those_of_the_older_api(server: RunningServer, api: Client) -> None:
    account = server.account
    answer = requests.post(
        f"{server.url}/2010-04-01/Accounts/{account.account_sid}/Keys.json",
        auth=(account.account_sid, account.auth_token),
        timeout=20,
    )
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"sid", "friendly_name", "date_created", "date_updated", "secret"}
    assert body["friendly_name"] is None
    pattern = r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000"
    assert re.fullmatch(pattern, body["date_created"])


def test_list_is_paged_as_in_the_older_api(server: RunningServer, api: Client) -> None:
    sids = [api.new_keys.create(friendly_name=f"p{number}").sid for number in range(5)]
    listed = [key.sid for key in api.keys.list(page_size=2)]
    assert listed[:5] == sids[::-1]
    # The key that the server was started with is one of them.
    assert listed[-1] == server.account.api_key_sid
    assert len(listed) == len(set(listed))
    assert len(api.keys.list(limit=3)) == 3
    first = api.keys.page(page_size=2)
    shown = [key.sid for key in first]
    second = first.next_page()
    assert second is not None
    assert [key.sid for key in second] == sids[::-1][2:4]
    back = second.previous_page()
    assert back is not None
    assert [key.sid for key in back] == shown


def test_page_has_uris_without_a_host(server: RunningServer, api: Client) -> None:
    for number in range(3):
        api.new_keys.create(friendly_name=f"u{number}")
    account = server.account
    path = f"/2010-04-01/Accounts/{account.account_sid}/Keys.json"
    auth = (account.account_sid, account.auth_token)
    body = requests.get(f"{server.url}{path}?PageSize=2&Page=1", auth=auth, timeout=20).json()
    assert set(body) == {
        "keys",
        "page",
        "page_size",
        "start",
        "end",
        "uri",
        "first_page_uri",
        "previous_page_uri",
        "next_page_uri",
    }
    assert (body["page"], body["page_size"], body["start"]) == (1, 2, 2)
    assert body["first_page_uri"] == f"{path}?PageSize=2&Page=0"
    for member in ("uri", "first_page_uri", "previous_page_uri", "next_page_uri"):
        assert body[member] is None or body[member].startswith(path)


def test_bad_keys_are_refused(server: RunningServer, api: Client) -> None:
    assert code_of(lambda: api.new_keys.create(friendly_name="x" * 65)) == (400, 20001)
    assert code_of(lambda: api.new_keys.create(friendly_name="\0")) == (400, 20001)
    assert code_of(api.keys("nonsense").fetch) == (404, 20404)
    other = api.api.v2010.accounts("AC" + "0" * 32)
    assert code_of(lambda: other.new_keys.create()) == (404, 20404)
    account = server.account
    answer = requests.put(
        f"{server.url}/2010-04-01/Accounts/{account.account_sid}/Keys.json",
        auth=(account.account_sid, account.auth_token),
        timeout=20,
    )
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")


def test_nothing_is_told_without_credentials(server: RunningServer) -> None:
    for path in ("/2010-04-01", "/2010-04-01/Accounts/x/Keys.json", "/v1/Revocations"):
        assert requests.get(server.url + path, timeout=20).status_code == 401


def test_key_counts_at_once_and_not_after_its_deletion(server: RunningServer, api: Client) -> None:
    made = api.new_keys.create(friendly_name="short-lived")
    rooms = f"{server.url}/v1/Rooms"
    auth = (made.sid, made.secret)
    assert requests.get(rooms, auth=auth, timeout=20).status_code == 200
    assert requests.get(rooms, auth=(made.sid, "wrong"), timeout=20).status_code == 401
    token = minted(server, made, "kay", "keys-1")

    async def stays(guest: Guest) -> tuple[dict[str, Any], bool]:
        connected = await guest.body()
        await asyncio.to_thread(api.keys(made.sid).delete)
        live = server.service.live_room(connected["sid"])
        assert live is not None
        return connected, live.room.participant(connected["participant"]["sid"]) is not None

    connected, inside = with_guest(server, token, stays)
    assert connected["type"] == "connected"
    assert inside, "live sessions outlast the key"
    assert requests.get(rooms, auth=auth, timeout=20).status_code == 401
    refused = joining(server, minted(server, made, "lee", "keys-1"))
    assert (refused["type"], refused["code"]) == ("error", 20103)


# Revocations.


@pytest.mark.parametrize("by", ["Jti", "Identity", "KeySid"])
def test_revocation_ends_live_sessions_and_refuses_their_tokens(
    server: RunningServer, api: Client, http: requests.Session, by: str
) -> None:
    key = api.new_keys.create(friendly_name=f"revoked by {by}")
    identity = f"rita-{by}"
    token = minted(server, key, identity, f"revoked-{by}")
    jti = jwt.decode(token, options={"verify_signature": False})["jti"]
    value = {"Jti": jti, "Identity": identity, "KeySid": key.sid}[by]

    async def revoked(guest: Guest) -> tuple[dict[str, Any], dict[str, Any], float]:
        assert (await guest.body())["type"] == "connected"
        asked = time.monotonic()
        answer = await asyncio.to_thread(
            http.post, f"{server.url}/v1/Revocations", data={by: value}
        )
        assert answer.status_code == 201
        ended = await guest.body()
        return ended, answer.json(), time.monotonic() - asked

    ended, revocation, seconds = with_guest(server, token, revoked)
    assert (ended["type"], ended["code"]) == ("error", 20101)
    assert seconds < 1
    assert joining(server, token)["code"] == 20101
    url = revocation["url"]
    assert http.get(url).json() == revocation
    named = {member: revocation[member] for member in ("jti", "identity", "key_sid")}
    assert [text for text in named.values() if text is not None] == [value]
    assert revocation in http.get(f"{server.url}/v1/Revocations").json()["revocations"]
    # Others with the same key are as they were.
    if by == "Identity":
        other = minted(server, key, "somebody else", f"revoked-{by}")
        assert joining(server, other)["type"] == "connected"
    assert http.delete(url).status_code == 204
    assert http.get(url).status_code == 404
    assert joining(server, token)["type"] == "connected"


def test_token_issued_after_a_revocation_counts(
    server: RunningServer, api: Client, http: requests.Session
) -> None:
    key = api.new_keys.create()
    data = {"Identity": "early bird"}
    revocation = http.post(f"{server.url}/v1/Revocations", data=data).json()
    token = AccessToken(
        server.account.account_sid,
        key.sid,
        key.secret,
        identity="early bird",
        # Tokens tell whole seconds.
        nbf=int(time.time()) + 1,
    )
    token.add_grant(VideoGrant(room="later"))
    assert joining(server, str(token.to_jwt()))["type"] == "connected"
    http.delete(revocation["url"])


@pytest.mark.parametrize(
    "data", [{}, {"Jti": "x", "Identity": "y"}, {"KeySid": "nonsense"}, {"Jti": ""}]
)
def test_bad_revocations_are_refused(
    server: RunningServer, http: requests.Session, data: dict[str, str]
) -> None:
    answer = http.post(f"{server.url}/v1/Revocations", data=data)
    assert (answer.status_code, answer.json()["code"]) == (400, 20001)


# Over a restart.


def settings_of(directory: Path) -> Any:
    return load_settings(
        {
            "http_port": 0,
            "media_host": "127.0.0.1",
            "media_port": 0,
            "media_threads": 1,
            "metrics_bind": "off",
            "data_dir": directory,
        }
    )


def test_keys_and_revocations_outlive_a_restart(tmp_path: Path) -> None:
    first = RunningServer(settings_of(tmp_path))
    try:
        account = first.account
        api = Client(account.account_sid, account.auth_token)
        api.api.base_url = first.url
        kept, deleted = api.new_keys.create(), api.new_keys.create()
        api.keys(deleted.sid).delete()
        # The key that the settings gave can be taken back as well, and stays away.
        api.keys(account.api_key_sid).delete()
        token = minted(first, kept, "ruth", "again")
        requests.post(
            f"{first.url}/v1/Revocations",
            data={"Identity": "ruth"},
            auth=(kept.sid, kept.secret),
            timeout=20,
        ).raise_for_status()
    finally:
        first.close()
    for path in tmp_path.glob("parlour.db*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    second = RunningServer(settings_of(tmp_path))
    try:
        for auth, status in (
            ((kept.sid, kept.secret), 200),
            ((deleted.sid, deleted.secret), 401),
            ((account.api_key_sid, account.api_key_secret), 401),
            ((account.account_sid, account.auth_token), 200),
        ):
            answer = requests.get(f"{second.url}/v1/Rooms", auth=auth, timeout=20)
            assert answer.status_code == status
        assert joining(second, token)["code"] == 20101
        assert joining(second, minted(second, kept, "sue", "again"))["type"] == "connected"
    finally:
        second.close()
