"""Structured logs: JSON lines, or readable ones on a terminal; never a secret in them."""

import contextlib
import ipaddress
import json
import logging
import sys
from collections.abc import MutableMapping
from functools import partial
from typing import Any, TextIO

import msgspec
import structlog
from aiohttp.http_exceptions import HttpProcessingError

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
HIDDEN = "(hidden)"
SECRET_KEYS = frozenset(
    {
        "api_key_secret",
        "auth_token",
        "authorization",
        "credential",
        "database_url",
        "password",
        "pwd",
        "secret",
        "token",
    }
)
ADDRESS_KEYS = frozenset({"address", "peer", "peer_address", "remote", "remote_address"})


def configure_logs(*, level: str, form: str, full_addresses: bool) -> None:
    """
    Send the logs of structlog and of the standard library to standard error, in one form.

    :param level: ``debug``, ``info``, ``warning`` or ``error``.
    :param form: ``json``, ``console`` or ``auto``.
    :param full_addresses: Leave the addresses of clients as they are.
    """
    if form == "auto":
        form = "console" if sys.stderr.isatty() else "json"
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    if not full_addresses:
        shared.append(shorten_addresses)
    rendering: list[structlog.typing.Processor]
    if form == "json":
        # Without the frames' variables: those hold tokens and keys.
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        rendering = [structlog.processors.ExceptionRenderer(tracebacks), render_json]
    else:
        rendering = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    # Our own lines are written as they are: the way through the standard library costs three times
    # as much, at several lines for each request and each join.
    structlog.configure(
        processors=[*shared, *rendering],
        logger_factory=partial(_Lines, sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(LEVELS[level])
    # The API logs its own requests; migrations and the loop would speak at every start.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").addFilter(_is_our_fault)
    logging.captureWarnings(True)


def _is_our_fault(record: logging.LogRecord) -> bool:
    # Requests that are no HTTP: aiohttp logs each with a traceback, and anybody can send thousands.
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


class _Lines:
    """What structlog logs to: each event is a line on a stream."""

    def __init__(self, stream: TextIO, name: str = "") -> None:
        self.name = name
        self._stream = stream

    def _write(self, line: str) -> None:
        # As with the standard library's handlers: whoever logs is not to fail with the log.
        with contextlib.suppress(OSError, ValueError):
            # In one piece, so that lines of several threads do not mix.
            self._stream.write(f"{line}\n")
            self._stream.flush()

    debug = info = warning = error = critical = _write


_encoder = msgspec.json.Encoder(enc_hook=repr)


def render_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """Return an event as one line of JSON in ASCII; what JSON does not know is shown as text."""
    try:
        line = _encoder.encode(event)
        if line.isascii():
            return line.decode("ascii")
    except (TypeError, ValueError, OverflowError):
        # Keys that are no text, halves of surrogate pairs, giant numbers.
        pass
    return json.dumps(event, default=repr)


def hide_secrets(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace the values of keys that hold secrets."""
    for key in SECRET_KEYS & event.keys():
        event[key] = HIDDEN
    return event


def shorten_addresses(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace the addresses of clients by their networks."""
    for key in ADDRESS_KEYS & event.keys():
        event[key] = redact_address(event[key])
    return event


def redact_address(address: object) -> str:
    """
    Return the network that an address is in: /24 for IPv4, /48 for IPv6; loopback stays.

    :param address: An address as text, or a pair of address and port, whose port is left out.
    """
    host = address[0] if isinstance(address, tuple | list) and address else address
    try:
        parsed = ipaddress.ip_address(str(host))
    except ValueError:
        return HIDDEN
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed.is_loopback:
        return str(parsed)
    prefix = 24 if parsed.version == 4 else 48
    return str(ipaddress.ip_network((parsed, prefix), strict=False))
