from pathlib import Path

import aiohttp
import pytest

from signaling.config import load_settings
from signaling.edge import CorsPolicy
from signaling.errors import ConfigError

from .site import KEY, basic, running

APP, OTHER = "https://app.example.com", "https://evil.example.com"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}
PATHS = ["/v1/Rooms", "/2010-04-01/Accounts/x/Keys.json", "/whip/r", "/whep/r/x"]


def cors_headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {n: v for n, v in answer.headers.items() if n.startswith("Access-Control-")}


@pytest.mark.parametrize("path", PATHS)
async def test_pages_of_listed_origins_may_call(tmp_path: Path, path: str) -> None:
    async with (
        running(tmp_path, cors_origins=[APP, "http://localhost:3000"]) as (_, url),
        aiohttp.ClientSession() as http,
    ):
        async with http.options(url + path, headers={"Origin": APP, **PREFLIGHT}) as answer:
            assert answer.status == 204
            allowed = cors_headers(answer)
            assert allowed["Access-Control-Allow-Origin"] == APP
            assert "POST" in allowed["Access-Control-Allow-Methods"]
            assert "Authorization" in allowed["Access-Control-Allow-Headers"]
            assert answer.headers["Vary"] == "Origin"
        async with http.options(url + path, headers={"Origin": OTHER, **PREFLIGHT}) as answer:
            assert answer.status == 403
            assert not cors_headers(answer)
        for origin in (APP, OTHER, None):
            headers = {} if origin is None else {"Origin": origin}
            # Refusals have to be readable, too.
            async with http.post(url + path, headers=headers) as answer:
                assert answer.status in (401, 405)
                found = cors_headers(answer)
                assert found.get("Access-Control-Allow-Origin") == (APP if origin == APP else None)
                assert "Access-Control-Allow-Credentials" not in found
                # Caches must not give one origin's answer to another.
                assert answer.headers["Vary"] == "Origin"
                if origin == APP:
                    exposed = found["Access-Control-Expose-Headers"].split(", ")
                    assert {"Location", "ETag", "Link", "Retry-After"} <= set(exposed)


@pytest.mark.parametrize("path", [*PATHS, "/page/settings.json"])
async def test_cors_is_off_unless_origins_are_listed(tmp_path: Path, path: str) -> None:
    async with running(tmp_path) as (_, url), aiohttp.ClientSession() as http:
        for method, headers in (("OPTIONS", PREFLIGHT), ("GET", {}), ("POST", {})):
            sent = {"Origin": APP, **headers}
            async with http.request(method, url + path, headers=sent) as answer:
                assert not cors_headers(answer)


async def test_what_hands_out_tokens_is_never_readable(tmp_path: Path) -> None:
    async with (
        running(tmp_path, dev=True, cors_origins=["*"]) as (_, url),
        aiohttp.ClientSession() as http,
    ):
        for method, headers in (("OPTIONS", PREFLIGHT), ("POST", {})):
            sent = {"Origin": OTHER, **headers}
            async with http.request(method, f"{url}/dev/token", headers=sent) as answer:
                assert not cors_headers(answer)
        sent = {"Origin": OTHER, **basic(KEY)}
        async with http.get(f"{url}/v1/Rooms", headers=sent) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert "Access-Control-Allow-Credentials" not in answer.headers


def test_null_and_unlisted_ports_are_other_origins() -> None:
    policy = CorsPolicy([APP])
    for origin in ("null", f"{APP}:8443", "http://app.example.com", f"{APP}.evil.com", APP + "/"):
        assert policy.preflight_headers(origin) is None
        assert "Access-Control-Allow-Origin" not in policy.answer_headers(origin)


@pytest.mark.parametrize(
    "origin", ["app.example.com", "https://app.example.com/", "https://App.example.com", "null"]
)
def test_what_no_browser_sends_is_refused(origin: str) -> None:
    with pytest.raises(ConfigError, match="cors_origins"):
        load_settings({"cors_origins": origin})


async def test_every_answer_has_the_headers_that_bind_browsers(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, url), aiohttp.ClientSession() as http:
        for path in ("/", "/v1/Rooms", "/nothing", "/livez", "/whip/r"):
            async with http.get(url + path) as answer:
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert answer.headers["Server"] == "parlour"
