"""Network traversal tokens, as the helper library asks for them."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from signaling.config import load_settings

from .conftest import RunningServer

URLS = ("stun:turn.example.com:3478", "turn:turn.example.com:3478?transport=udp")


@pytest.fixture(scope="module")
def relayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(
        load_settings(
            {
                "http_port": 0,
                "media_host": "127.0.0.1",
                "media_port": 0,
                "media_threads": 1,
                "metrics_bind": "off",
                "data_dir": tmp_path_factory.mktemp("turn"),
                "turn_urls": URLS,
                "turn_secret": "north",
            }
        )
    )
    yield running
    running.close()


def client_of(server: RunningServer) -> Any:
    account = server.account
    made = Client(account.api_key_sid, account.api_key_secret, account.account_sid)
    made.api.base_url = server.url
    return made


def test_token_has_every_member(relayed: RunningServer) -> None:
    made = client_of(relayed).tokens.create(ttl=60)
    assert (made.ttl, made.account_sid) == ("60", relayed.account.account_sid)
    expires = int(made.username.partition(":")[0])
    assert abs(expires - 60 - datetime.now(UTC).timestamp()) < 10
    stun, turn = made.ice_servers
    assert stun == {"url": URLS[0], "urls": URLS[0]}
    assert turn == {
        "url": URLS[1],
        "urls": URLS[1],
        "username": made.username,
        "credential": made.password,
    }
    assert made.date_created == made.date_updated


def test_token_lives_a_day_unless_told_otherwise(relayed: RunningServer) -> None:
    account = relayed.account
    for name in ("Tokens.json", "Tokens"):
        answer = requests.post(
            f"{relayed.url}/2010-04-01/Accounts/{account.account_sid}/{name}",
            auth=(account.api_key_sid, account.api_key_secret),
            timeout=20,
        )
        assert (answer.status_code, answer.json()["ttl"]) == (201, "86400")
        pattern = r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000"
        assert re.fullmatch(pattern, answer.json()["date_created"])


def test_without_servers_the_list_is_empty(server: RunningServer) -> None:
    made = client_of(server).tokens.create()
    assert (made.ice_servers, made.username, made.password) == ([], "", "")


@pytest.mark.parametrize("ttl", [0, -5, 86401, "soon"])
def test_bad_lifetime_is_refused(server: RunningServer, ttl: object) -> None:
    with pytest.raises(TwilioRestException) as caught:
        client_of(server).tokens.create(ttl=ttl)
    assert (caught.value.status, caught.value.code) == (400, 20001)


def test_other_account_is_not_known(server: RunningServer) -> None:
    with pytest.raises(TwilioRestException) as caught:
        client_of(server).api.v2010.accounts("AC" + "0" * 32).tokens.create()
    assert (caught.value.status, caught.value.code) == (404, 20404)
