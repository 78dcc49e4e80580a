"""
The payload formats and header extensions of an m-section.

Sections of one kind print the same lines for them, over and over: those of one client, and those of
all clients of one release. So what was read is kept by its text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from router.errors import WireFormatError

from .attributes import (
    ExtMap,
    PayloadFormat,
    parse_extmap,
    parse_number,
    parse_rtpmap,
    parse_token,
)

MAX_EXTENSIONS = 256
"""Most header extensions of one section."""

MAX_FEEDBACK = 16
"""Most rtcp-fb lines for one payload type."""

SHARED_ATTRIBUTES = ("a=rtpmap:", "a=fmtp:", "a=rtcp-fb:", "a=extmap:")
"""What the lines begin with that describe payload types and header extensions."""

_KEPT = 64
"""Texts that are kept: two kinds for each release of a client."""

_KEPT_LENGTH = 8192
"""Longest text that is kept, in characters; browsers print half as many."""

_STATIC_FORMATS = {
    0: ("PCMU", 8000),
    3: ("GSM", 8000),
    8: ("PCMA", 8000),
    9: ("G722", 8000),
    13: ("CN", 8000),
}
"""Payload types of RFC 3551 that need no rtpmap line."""


@dataclass(frozen=True, slots=True)
class Formats:
    """What an m-section says of payload types and header extensions; equal ones are one object."""

    tokens: tuple[str, ...]
    """Format tokens of the m-line, without duplicates."""
    payload_formats: tuple[PayloadFormat, ...]
    """Those that have an rtpmap or a static meaning, in m-line order."""
    extmaps: tuple[ExtMap, ...]
    """Header extensions."""


def read_formats(tokens: list[str], lines: list[str]) -> Formats:
    """
    Return what a section says.

    :param tokens: The format tokens of the m-line.
    :param lines: The section's lines that begin with :data:`SHARED_ATTRIBUTES`.
    :raises WireFormatError: if something is malformed, or there is too much of it.
    """
    text = "\n".join((" ".join(tokens), *lines))
    return _read(text) if len(text) <= _KEPT_LENGTH else _read.__wrapped__(text)


@lru_cache(maxsize=_KEPT)
def _read(text: str) -> Formats:
    first, *lines = text.split("\n")
    tokens = tuple(dict.fromkeys(parse_token(word, "format") for word in first.split(" ")))
    mapped: dict[int, PayloadFormat] = {}
    parameters: dict[int, str] = {}
    feedback: dict[str, list[str]] = {}
    extmaps: list[ExtMap] = []
    for line in lines:
        name, _, value = line.partition(":")
        if name == "a=rtpmap":
            payload_format = parse_rtpmap(value)
            mapped.setdefault(payload_format.payload_type, payload_format)
        elif name == "a=fmtp":
            _read_fmtp(value, parameters)
        elif name == "a=rtcp-fb":
            _read_rtcp_fb(value, feedback)
        else:
            extmaps.append(parse_extmap(value))
    if len(extmaps) > MAX_EXTENSIONS:
        raise WireFormatError(f"a section has more than {MAX_EXTENSIONS} header extensions")
    return Formats(tokens, _build(tokens, mapped, parameters, feedback), tuple(extmaps))


def _build(
    tokens: tuple[str, ...],
    mapped: dict[int, PayloadFormat],
    parameters: dict[int, str],
    feedback: dict[str, list[str]],
) -> tuple[PayloadFormat, ...]:
    for_all = feedback.get("*", [])
    built: list[PayloadFormat] = []
    for token in tokens:
        number = int(token) if token.isdecimal() and len(token) <= 3 else -1
        found = mapped.get(number)
        if found is None:
            if number not in _STATIC_FORMATS:
                continue
            encoding, clock_rate = _STATIC_FORMATS[number]
            found = PayloadFormat(payload_type=number, name=encoding, clock_rate=clock_rate)
        values = dict.fromkeys((*feedback.get(str(number), []), *for_all))
        built.append(
            replace(
                found,
                parameters=parameters.get(number, ""),
                feedback=tuple(values)[:MAX_FEEDBACK],
            )
        )
    return tuple(built)


def _read_fmtp(value: str, parameters: dict[int, str]) -> None:
    number, _, text = value.partition(" ")
    # Formats of sections that are not RTP are tokens; nothing of ours reads their parameters.
    if number.isdecimal():
        key = parse_number(number, 127, "payload type")
        parameters.setdefault(key, text.strip())


def _read_rtcp_fb(value: str, feedback: dict[str, list[str]]) -> None:
    number, _, text = value.partition(" ")
    if number != "*":
        number = str(parse_number(number, 127, "payload type"))
    if text := text.strip():
        entries = feedback.setdefault(number, [])
        if len(entries) >= MAX_FEEDBACK:
            raise WireFormatError(
                f"a section has more than {MAX_FEEDBACK} rtcp-fb lines for a payload type"
            )
        entries.append(text)
