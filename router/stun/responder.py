"""
Answering binding requests with short-term credentials.

RFC 8489 section 9.1.3 and RFC 8445 section 7.3. :func:`respond_to_binding_request` is a whole
responder for an ICE-lite agent, without state. The compiled data plane answers in service; this one
is what it is tested against, byte for byte:

- A datagram that is not a well-formed STUN binding request gets no answer.
- USERNAME or MESSAGE-INTEGRITY missing: 400. Wrong: 401. An unknown comprehension-required
  attribute: 420 with UNKNOWN-ATTRIBUTES. ICE-CONTROLLED (the lite side is always the controlled
  one): 487. These are checked in this order; 420 and 487 carry MESSAGE-INTEGRITY, 400 and 401 do
  not, as the RFC says.
- Reason phrases are empty, and FINGERPRINT is in the answer if it was in the request. An answer
  that would still be longer than its request is not sent, so that a forged source address never
  receives more bytes than its forger sent.
"""

import hmac
from dataclasses import dataclass

from ..errors import AuthenticationFailed, WireFormatError
from ..net import Address
from .attributes import (
    ERROR_CODE,
    FINGERPRINT,
    ICE_CONTROLLED,
    MESSAGE_INTEGRITY,
    UNKNOWN_ATTRIBUTES,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    ErrorCode,
)
from .message import Message, MessageClass, Method, parse_message

BAD_REQUEST = 400
UNAUTHENTICATED = 401
UNKNOWN_ATTRIBUTE = 420
ROLE_CONFLICT = 487


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingResult:
    """What became of a datagram that may be a binding request."""

    request: Message | None
    """The request when it is authentic and accepted, else None."""
    response: bytes | None
    """What to send back to where the datagram came from, if anything."""
    error_code: int | None = None
    """The error that the request was refused with, also when no answer is sent."""


_DROPPED = BindingResult(request=None, response=None)


def respond_to_binding_request(
    data: bytes, *, source: Address, username_fragment: str, password: str
) -> BindingResult:
    """
    Return what an ICE-lite agent makes of a datagram.

    :param source: Where the datagram came from.
    :param username_fragment: The agent's own; the first part of USERNAME must be equal to it.
    :param password: The agent's own.
    """
    try:
        message = parse_message(data)
    except WireFormatError:
        return _DROPPED
    if message.message_class is not MessageClass.REQUEST or message.method != Method.BINDING:
        return _DROPPED
    error_code = check_binding_request(
        message, username_fragment=username_fragment, password=password
    )
    if error_code is None and message.has(ICE_CONTROLLED):
        error_code = ROLE_CONFLICT
    if error_code is None:
        response = serialize_binding_success(message, source=source, password=password)
    else:
        response = serialize_binding_error(message, error_code, password=password)
    return BindingResult(
        request=message if error_code is None else None,
        response=response if len(response) <= len(data) else None,
        error_code=error_code,
    )


def check_binding_request(message: Message, *, username_fragment: str, password: str) -> int | None:
    """
    Return the error code to refuse a parsed request with, or None if it is authentic.

    Takes the same time whichever byte of USERNAME or MESSAGE-INTEGRITY is wrong.
    """
    username = message.get(USERNAME)
    if username is None or not message.has(MESSAGE_INTEGRITY):
        return BAD_REQUEST
    own_part = username.partition(":")[0].encode("utf-8", "surrogateescape")
    is_ours = ":" in username and hmac.compare_digest(own_part, username_fragment.encode())
    try:
        message.check_integrity(password.encode())
    except AuthenticationFailed:
        return UNAUTHENTICATED
    if not is_ours:
        return UNAUTHENTICATED
    return UNKNOWN_ATTRIBUTE if message.unknown_required_types() else None


def serialize_binding_success(request: Message, *, source: Address, password: str) -> bytes:
    """Return the success response to an authentic request that came from ``source``."""
    response = Message(
        message_class=MessageClass.SUCCESS_RESPONSE, transaction_id=request.transaction_id
    ).with_attribute(XOR_MAPPED_ADDRESS, source)
    return response.serialize(key=password.encode(), fingerprint=request.has(FINGERPRINT))


def serialize_binding_error(request: Message, error_code: int, *, password: str) -> bytes:
    """Return the error response to a request; it is signed only for an authentic request."""
    response = Message(
        message_class=MessageClass.ERROR_RESPONSE, transaction_id=request.transaction_id
    ).with_attribute(ERROR_CODE, ErrorCode(error_code))
    if error_code == UNKNOWN_ATTRIBUTE:
        response = response.with_attribute(UNKNOWN_ATTRIBUTES, request.unknown_required_types())
    is_authentic = error_code not in (BAD_REQUEST, UNAUTHENTICATED)
    return response.serialize(
        key=password.encode() if is_authentic else None, fingerprint=request.has(FINGERPRINT)
    )
