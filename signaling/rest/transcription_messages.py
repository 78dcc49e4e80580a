"""
What a speech engine says of a room: the messages that the pages' ``transcription`` events bring.

Beyond the original, whose engine is its own. A message is checked, and passed on as it is.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from signaling.errors import ApiError, ErrorCode

MESSAGE_MAX_BYTES = 16 << 10
"""Far below what any client takes in one message of a data channel."""
_FAULT_MAX_CHARACTERS = 160


class TranscriptionMessage(Struct):
    """The members that every message has; it may have others."""

    participant: Annotated[str, Meta(pattern="^PA[0-9a-f]{32}$")]
    """Who speaks."""
    track: Annotated[str, Meta(pattern="^MT[0-9a-f]{32}$")]
    """The audio track that was heard."""
    transcription: str
    language_code: str
    """Such as ``en-US``."""
    timestamp: str
    """When it was said, RFC 3339."""
    partial_results: bool
    """Whether a later message may replace this one."""
    sequence_number: int | float
    type: Literal["extension_transcriptions"] = "extension_transcriptions"


def parse_message(body: bytes) -> str:
    """
    Return the text to send to clients.

    :raises ApiError: 20001 when the body is not such a message.
    """
    if len(body) > MESSAGE_MAX_BYTES:
        raise _invalid(f"has more than {MESSAGE_MAX_BYTES} bytes")
    try:
        members: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
        checked = msgspec.convert(members, TranscriptionMessage)
        return msgspec.json.encode({**members, "type": checked.type}).decode()
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _invalid(f"is not valid: {error}"[:_FAULT_MAX_CHARACTERS]) from None


def _invalid(why: str) -> ApiError:
    return ApiError.of(ErrorCode.INVALID_PARAMETER, f"The message {why}")
