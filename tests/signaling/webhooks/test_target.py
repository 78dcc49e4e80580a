import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.webhooks.target import Overrides, Target, TargetInvalid, parse_target, receiver_of


@pytest.mark.parametrize(
    ("given_url", "called"),
    [
        ("https://example.com/a?b=%20c&d=1#x", "https://example.com/a?b=%20c&d=1"),
        ("http://Example.com:8080", "http://Example.com:8080/"),
        ("http://example.com?x=1", "http://example.com/?x=1"),
        ("http://u:p@example.com/", "http://example.com/"),
        ("http://u:p@x:y@example.com/", "http://example.com/"),
        ("http://example.com/ä?ö=%41", "http://example.com/%C3%A4?%C3%B6=%41"),
        ("http://bücher.example:81/", "http://xn--bcher-kva.example:81/"),
        ("http://[::1]:5000/x", "http://[::1]:5000/x"),
    ],
)
def test_url_is_called_as_given_but_for_what_cannot_go_out(given_url: str, called: str) -> None:
    assert parse_target(given_url).url == called


@pytest.mark.parametrize(
    "url", ["", "example.com", "ftp://example.com/", "http:///x", "http://[::1", "http://x:99999/"]
)
def test_what_is_no_url_of_http_is_refused(url: str) -> None:
    with pytest.raises(TargetInvalid):
        parse_target(url)
    assert receiver_of(url) == url


def test_user_info_becomes_basic_authentication() -> None:
    header = parse_target("https://al%40ice:s%3Ae@example.com/").authorization
    assert header == "Basic " + base64.b64encode(b"al@ice:s:e").decode()
    assert parse_target("https://example.com/").authorization is None


def test_a_receiver_is_scheme_host_and_port() -> None:
    same = ["https://a.example/x", "https://A.example:443/y?z", "https://u@a.example#rc=1"]
    assert {receiver_of(url) for url in same} == {"https://a.example:443"}
    assert receiver_of("http://a.example/") == "http://a.example:80"


@pytest.mark.parametrize(
    ("fragment", "overrides"),
    [
        ("", Overrides()),
        ("top", Overrides()),
        ("rc=0", Overrides(retries=0)),
        ("rc=5&rp=all", Overrides(retries=5, policies=frozenset({"4xx", "5xx", "ct", "rt"}))),
        ("rp=4xx,ct,else", Overrides(policies=frozenset({"4xx", "ct"}))),
        (
            "ct=2000&rt=5000&tt=9000",
            Overrides(connect_timeout=2.0, read_timeout=5.0, total_timeout=9.0),
        ),
        ("rc=6&ct=99&rt=15001&tt=-1", Overrides()),
        ("rc=x&ct=&rp=", Overrides()),
        ("rc=٣", Overrides()),
    ],
)
def test_fragment_holds_overrides(fragment: str, overrides: Overrides) -> None:
    assert parse_target(f"https://example.com/#{fragment}").overrides == overrides


@given(st.text(), st.sampled_from(["", "http://", "https://h/", "http://h:1/?", "http://h/#"]))
def test_any_text_is_a_target_or_refused(text: str, start: str) -> None:
    try:
        target = parse_target(start + text)
    except TargetInvalid:
        return
    assert isinstance(target, Target)
    assert target.url.isascii()
    assert "#" not in target.url
