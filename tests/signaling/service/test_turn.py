"""Time-limited TURN credentials, and who is given them."""

import base64
import hashlib
import hmac
import random
from datetime import UTC, datetime, timedelta

import pytest

from signaling.config import load_settings
from signaling.errors import ConfigError
from signaling.service import IceServer, ServiceConfig
from signaling.service.turn import TurnServers
from tests.signaling.rsp.support import world
from tests.signaling.support import ACCOUNT_SID, STARTED_AT, running_service, token

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SERVERS = TurnServers(
    urls=(
        "stun:turn.example.com:3478",
        "turn:turn.example.com:3478?transport=udp",
        "turns:turn.example.com:443?transport=tcp",
    ),
    secret="north",
)


def password(username: str) -> str:
    # What coturn computes with use-auth-secret and static-auth-secret=north.
    return base64.b64encode(hmac.digest(b"north", username.encode(), hashlib.sha1)).decode()


def test_credential_is_one_that_turn_servers_can_check() -> None:
    issued = SERVERS.issue(now=NOW, lifetime=timedelta(seconds=60), rng=random.Random(1))
    expires, _, nonce = issued.username.partition(":")
    assert int(expires) == int(NOW.timestamp()) + 60
    assert nonce
    assert issued.password == password(issued.username)


def test_known_value() -> None:
    # printf 1777593660:x | openssl dgst -sha1 -hmac north -binary | base64
    assert password("1777593660:x") == "Vly2DQhCOtWQqZxOLqMJqslUXOY="


def test_credentials_differ() -> None:
    rng = random.Random(1)
    issued = {
        SERVERS.issue(now=NOW, lifetime=timedelta(hours=1), rng=rng).password for _ in range(20)
    }
    assert len(issued) == 20


async def test_clients_are_given_credentials_of_their_own() -> None:
    fixed = IceServer(urls=("stun:stun.example.com",))
    config = ServiceConfig(account_sid=ACCOUNT_SID, turn=SERVERS, ice_servers=(fixed,))
    async with world(config) as w:
        seen = set()
        for identity in ("alice", "bob"):
            client = w.client(identity)
            await client.hello({"type": "ice", "version": 1, "token": token(identity)})
            [iced] = client.take()
            plain, stun, turn = iced["ice_servers"]
            assert plain["urls"] == ["stun:stun.example.com"]
            assert stun["urls"] == ["stun:turn.example.com:3478"]
            assert "credential" not in stun
            assert turn["urls"] == list(SERVERS.turn_urls)
            assert turn["credential"] == password(turn["username"])
            expires = int(turn["username"].partition(":")[0])
            assert expires == int((STARTED_AT + timedelta(days=1)).timestamp())
            seen.add(turn["username"])
        assert len(seen) == 2


async def test_without_settings_clients_get_what_the_operator_listed() -> None:
    fixed = IceServer(urls=("stun:stun.example.com",))
    config = ServiceConfig(account_sid=ACCOUNT_SID, ice_servers=(fixed,))
    async with running_service(config) as harness:
        assert harness.service.ice_servers() == (fixed,)


@pytest.mark.parametrize("url", ["http://x", "turn:", "turn:a b", "turn://x", "stun:x?transport=y"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="turn_urls"):
        load_settings({"turn_urls": (url,), "turn_secret": "x"})


def test_turn_needs_a_secret() -> None:
    with pytest.raises(ConfigError, match="turn_secret"):
        load_settings({"turn_urls": ("turn:x:3478",)})
    assert load_settings({"turn_urls": ("stun:x:3478",)}).turn_urls == ("stun:x:3478",)
