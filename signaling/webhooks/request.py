"""The HTTP request of a callback, and its signature."""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from .target import Target

FORM = "application/x-www-form-urlencoded"
USER_AGENT = "TwilioProxy/1.1"
SIGNATURE = "X-Twilio-Signature"
IDEMPOTENCY_TOKEN = "I-Twilio-Idempotency-Token"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackRequest:
    """What goes out, the same at each attempt."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    """Empty for GET."""


def make_request(
    target: Target, *, method: str, parameters: Mapping[str, str], event_sid: str, auth_token: str
) -> CallbackRequest:
    """
    Return the request that tells an event.

    :param event_sid: Gives the idempotency token.
    :param auth_token: Key of the signature; an empty one would let anybody sign, so none is made.
    """
    form = urlencode(parameters, quote_via=quote)
    headers = {
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        IDEMPOTENCY_TOKEN: str(uuid.UUID(hex=event_sid[2:])),
    }
    if target.authorization is not None:
        headers["Authorization"] = target.authorization
    url, body, signed = target.url, b"", dict(parameters)
    if method == "GET":
        url += ("&" if "?" in url else "?") + form
        signed = {}
    else:
        headers["Content-Type"] = FORM
        body = form.encode()
    if auth_token:
        headers[SIGNATURE] = sign(url, signed, auth_token)
    return CallbackRequest(method=method, url=url, headers=headers, body=body)


def sign(url: str, parameters: Mapping[str, str], auth_token: str) -> str:
    """Return Base64 of HMAC-SHA1 over the URL, then name and value of each parameter by name."""
    text = url + "".join(name + parameters[name] for name in sorted(parameters))
    digest = hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()
