"""Structured logs: JSON lines, or readable ones on a terminal; never a secret in them."""

import ipaddress
import logging
import sys
from collections.abc import MutableMapping
from typing import Any

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
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    if not full_addresses:
        shared.append(shorten_addresses)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    rendering: list[structlog.typing.Processor]
    if form == "json":
        # Without the frames' variables: those hold tokens and keys.
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        rendering = [
            structlog.processors.ExceptionRenderer(tracebacks),
            structlog.processors.JSONRenderer(),
        ]
    else:
        rendering = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
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
