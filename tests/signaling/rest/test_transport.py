"""What holds for every request: authentication, paths, methods, bodies, links."""

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from signaling.config import load_settings

from .conftest import RunningServer


def send(
    server: RunningServer, method: str, path: str, *, body: bytes = b"", **headers: str
) -> tuple[int, dict[str, str], Any]:
    """Send a request byte for byte, where a library would tidy it up."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)
    try:
        connection.request(
            method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, dict(answer.headers), json.loads(text) if text else None
    finally:
        connection.close()


@pytest.mark.parametrize(
    "path",
    ["/v1/Rooms", "/v1/Nothing", "/v1", "/v1/Rooms/x/Participants/y", "/v1/Rooms/a%0A%0Db"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_nothing_is_told_without_credentials(server: RunningServer, method: str, path: str) -> None:
    status, headers, body = send(server, method, path)
    assert (status, body["code"]) == (401, 20003)
    assert headers["WWW-Authenticate"] == 'Basic realm="Twilio API"'


def test_account_and_key_are_let_in_with_their_own_passwords(server: RunningServer) -> None:
    account = server.account
    url = f"{server.url}/v1/Rooms"
    for user, password, status in (
        (account.account_sid, account.auth_token, 200),
        (account.api_key_sid, account.api_key_secret, 200),
        (account.account_sid, account.api_key_secret, 401),
        (account.api_key_sid, account.auth_token, 401),
        (account.api_key_sid, "", 401),
    ):
        assert requests.get(url, auth=(user, password), timeout=20).status_code == status


def test_refused_create_makes_nothing(server: RunningServer, client: Any) -> None:
    data = {"UniqueName": "stolen"}
    url = f"{server.url}/v1/Rooms"
    assert requests.post(url, data=data, auth=("SK1", "x"), timeout=20).status_code == 401
    assert client.rooms.list(unique_name="stolen") == []


def test_body_of_a_stranger_is_not_read(server: RunningServer) -> None:
    status, _, body = send(server, "POST", "/v1/Rooms", body=b"x" * (3 << 20))
    assert (status, body["code"]) == (401, 20003)


def test_too_large_a_body_is_refused(server: RunningServer, http: requests.Session) -> None:
    for chunked in (False, True):
        data = iter([b"UniqueName=", b"x" * (2 << 20)]) if chunked else b"x" * (2 << 20)
        answer = http.post(
            f"{server.url}/v1/Rooms",
            data=data,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert (answer.status_code, answer.json()["code"]) == (413, 20001)
        assert answer.json()["status"] == 413


@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data; boundary=x"])
def test_other_bodies_are_refused(
    server: RunningServer, http: requests.Session, media_type: str
) -> None:
    answer = http.post(f"{server.url}/v1/Rooms", data=b"{}", headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (415, 20001)


def test_get_may_name_a_content_type(server: RunningServer, http: requests.Session) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert http.get(f"{server.url}/v1/Rooms", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/v1/Rooms", "GET, POST"),
        ("DELETE", "/v1/Rooms/RM1", "GET, POST"),
        ("POST", "/v1/Rooms/x/Participants", "GET"),
        ("DELETE", "/v1/Rooms/x/Participants/y/PublishedTracks/z/", "GET"),
    ],
)
def test_unsupported_method_names_the_others(
    server: RunningServer, http: requests.Session, method: str, path: str, allow: str
) -> None:
    answer = http.request(method, server.url + path)
    assert (answer.status_code, answer.json()["code"]) == (405, 20004)
    assert answer.headers["Allow"] == allow


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v1/Nothing", "/Nothing"),
        ("/v1/rooms", "/rooms"),
        ("/v1/Rooms/RM" + "f" * 32, "/Rooms/RM" + "f" * 32),
        ("/v1/Rooms/no%20such", "/Rooms/no such"),
        ("/v1/Rooms/%ff%00", "/Rooms/\ufffd\0"),
        ("/v1/Rooms//Participants", "/Rooms//Participants"),
        ("/v1/Rooms/x/Recordings", "/Rooms/x/Recordings"),
        ("/v1", "/"),
    ],
)
def test_unknown_path_is_named_without_the_version(
    server: RunningServer, http: requests.Session, path: str, named: str
) -> None:
    answer = http.get(server.url + path)
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)
    assert answer.json()["message"] == f"The requested resource {named} was not found"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, 20404),
        ("GET", "/v2/Rooms", 404, 20404),
        ("POST", "/", 405, 20004),
        ("PUT", "/openapi.json", 405, 20004),
    ],
)
def test_what_is_not_there_is_told_in_json_everywhere(
    server: RunningServer, method: str, path: str, status: int, code: int
) -> None:
    found, headers, body = send(server, method, path)
    assert (found, body["status"], body["code"]) == (status, status, code)
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    if status == 404:
        assert body["message"] == f"The requested resource {path} was not found"
    else:
        assert "GET" in headers["Allow"]


def test_links_begin_with_the_public_url(tmp_path: Path) -> None:
    public = "https://video.example.com/twilio"
    settings = {"http_port": 0, "media_host": "127.0.0.1", "media_port": 0, "media_threads": 1}
    given = {"metrics_bind": "off", "data_dir": tmp_path, "public_url": public}
    server = RunningServer(load_settings(settings | given))
    auth = (server.account.api_key_sid, server.account.api_key_secret)
    try:
        for _ in range(2):
            room = requests.post(f"{server.url}/v1/Rooms", auth=auth, timeout=20).json()
        assert room["url"] == f"{public}/v1/Rooms/{room['sid']}"
        assert all(link.startswith(f"{room['url']}/") for link in room["links"].values())
        listed = requests.get(f"{server.url}/v1/Rooms?PageSize=1", auth=auth, timeout=20).json()
        for member in ("url", "first_page_url", "next_page_url"):
            assert listed["meta"][member].startswith(f"{public}/v1/Rooms?")
    finally:
        server.close()


def test_trailing_slashes_are_allowed(
    server: RunningServer, client: Any, http: requests.Session
) -> None:
    room = client.rooms.create()
    for path in ("", f"/{room.sid}", f"/{room.sid}/Participants"):
        assert http.get(f"{server.url}/v1/Rooms{path}/").status_code == 200


def test_head_answers_like_get_without_a_body(
    server: RunningServer, http: requests.Session
) -> None:
    answer = http.head(f"{server.url}/v1/Rooms")
    assert (answer.status_code, answer.content) == (200, b"")


def test_connection_close_is_honoured(server: RunningServer, http: requests.Session) -> None:
    answer = http.get(f"{server.url}/v1/Rooms", headers={"Connection": "close"})
    assert answer.headers["Connection"] == "close"


def test_links_follow_the_host_header(server: RunningServer, http: requests.Session) -> None:
    headers = {"Host": "video.example.com:8443"}
    room = http.post(f"{server.url}/v1/Rooms", headers=headers).json()
    assert room["url"] == f"http://video.example.com:8443/v1/Rooms/{room['sid']}"
    meta = http.get(f"{server.url}/v1/Rooms?PageSize=1", headers=headers).json()["meta"]
    assert meta["next_page_url"].startswith("http://video.example.com:8443/v1/Rooms?")


def test_odd_host_header_does_not_get_into_links(
    server: RunningServer, http: requests.Session
) -> None:
    room = http.post(f"{server.url}/v1/Rooms", headers={"Host": 'x"/<y>'}).json()
    assert room["url"] == f"{server.url}/v1/Rooms/{room['sid']}"
