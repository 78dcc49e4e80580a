import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from signaling.webhooks.request import SIGNATURE, make_request, sign
from signaling.webhooks.target import parse_target

EVENT = "EV" + "0123456789abcdef" * 2
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def request(
    url: str, parameters: dict[str, str], method: str = "POST", token: str = "12345"
) -> Any:
    return make_request(
        parse_target(url), method=method, parameters=parameters, event_sid=EVENT, auth_token=token
    )


def test_the_published_example_is_signed_as_published() -> None:
    parameters = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    signature = sign("https://mycompany.com/myapp.php?foo=1&bar=2", parameters, "12345")
    assert signature == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


@given(st.dictionaries(texts.filter(bool), texts, min_size=1, max_size=6))
def test_the_library_validates_what_is_posted(parameters: dict[str, str]) -> None:
    made = request("http://example.com:8080/a?x=%20y#rc=2", parameters)
    received = dict(parse_qsl(made.body.decode(), keep_blank_values=True))
    assert received == parameters
    assert made.url == "http://example.com:8080/a?x=%20y"
    signature = made.headers[SIGNATURE]
    assert RequestValidator("12345").validate(made.url, received, signature)
    assert not RequestValidator("wrong").validate(made.url, received, signature)


@given(st.dictionaries(texts.filter(bool), texts, min_size=1, max_size=6))
def test_the_library_validates_what_is_got(parameters: dict[str, str]) -> None:
    made = request("https://example.com/a?tenant=7", parameters, "GET")
    query = dict(parse_qsl(urlsplit(made.url).query, keep_blank_values=True))
    assert query == {"tenant": "7"} | parameters
    assert made.body == b""
    assert RequestValidator("12345").validate(made.url, {}, made.headers[SIGNATURE])


def test_get_makes_a_query_where_there_is_none() -> None:
    assert request("http://example.com", {"A": "b c"}, "GET").url == "http://example.com/?A=b%20c"


def test_credentials_are_sent_but_not_signed() -> None:
    made = request("http://u:p@example.com/", {"A": "1"})
    assert made.headers["Authorization"] == "Basic " + base64.b64encode(b"u:p").decode()
    expected = hmac.new(b"12345", b"http://example.com/A1", hashlib.sha1).digest()
    assert made.headers[SIGNATURE] == base64.b64encode(expected).decode()


def test_without_an_auth_token_nothing_is_signed() -> None:
    assert SIGNATURE not in request("http://example.com/", {"A": "1"}, token="").headers


def test_each_event_has_its_idempotency_token() -> None:
    one, two = request("http://e.example/", {"A": "1"}), request("http://e.example/", {"B": "2"})
    name = "I-Twilio-Idempotency-Token"
    assert one.headers[name] == two.headers[name] == "01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_headers_are_those_of_the_original(method: str) -> None:
    headers = request("http://e.example/", {"A": "1"}, method).headers
    assert headers["User-Agent"] == "TwilioProxy/1.1"
    assert ("Content-Type" in headers) is (method == "POST")
