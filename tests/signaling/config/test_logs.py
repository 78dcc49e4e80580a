import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
from aiohttp.http_exceptions import LineTooLong

from signaling.logs import configure_logs, redact_address


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[str]]]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    server = logging.getLogger("aiohttp.server")
    filters = list(server.filters)
    yield lambda: capsys.readouterr().err.splitlines()
    root.handlers, server.filters = handlers, filters
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def test_json_lines_have_context_and_no_secrets(lines: Callable[[], list[str]]) -> None:
    configure_logs(level="info", form="json", full_addresses=False)
    log = structlog.get_logger("test").bind(room_sid="RM1")
    with structlog.contextvars.bound_contextvars(participant_sid="PA1"):
        log.info("joined", token="eyJ", peer=("203.0.113.77", 5000), identity="alice")
    log.debug("not shown")
    logging.getLogger("other").warning("from %s", "elsewhere", extra={"remote": "2001:db8:1:2::3"})
    first, second = (json.loads(line) for line in lines())
    assert (first["event"], first["level"]) == ("joined", "info")
    assert (first["room_sid"], first["participant_sid"]) == ("RM1", "PA1")
    assert (first["token"], first["peer"]) == ("(hidden)", "203.0.113.0/24")
    assert first["identity"] == "alice"
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["logger"]) == ("from elsewhere", "other")
    assert second["remote"] == "2001:db8:1::/48"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("line\nbreak", "line\nbreak"),
        ("\u2028", "\u2028"),
        ("\udcff", "\udcff"),
        (1 << 80, 1 << 80),
        (object, repr(object)),
        ({1: "one"}, {"1": "one"}),
    ],
)
def test_any_value_is_one_line_of_ascii(
    lines: Callable[[], list[str]], value: object, shown: object
) -> None:
    configure_logs(level="info", form="json", full_addresses=False)
    structlog.get_logger("test").info("event", value=value)
    [line] = lines()
    assert line.isascii()
    assert json.loads(line)["value"] == shown


@pytest.mark.usefixtures("lines")
def test_a_log_that_cannot_be_written_fails_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    monkeypatch.setattr("sys.stderr", closed)
    configure_logs(level="info", form="json", full_addresses=False)
    closed.close()
    structlog.get_logger("test").info("lost")


def test_exceptions_stay_on_their_line(lines: Callable[[], list[str]]) -> None:
    configure_logs(level="info", form="json", full_addresses=False)
    _fail_with("s3cret")
    [line] = lines()
    assert "what happened" in line
    assert json.loads(line)["event"] == "failed"


@pytest.mark.parametrize("form", ["json", "console"])
def test_exceptions_do_not_show_variables(lines: Callable[[], list[str]], form: str) -> None:
    configure_logs(level="info", form=form, full_addresses=False)
    _fail_with("s3cret")
    text = "".join(lines())
    assert "what happened" in text
    assert "s3cret" not in text


def _fail_with(password: str) -> None:
    try:
        raise ValueError("what happened")
    except ValueError:
        structlog.get_logger("test").exception("failed", length=len(password))


def test_console_lines_are_readable(lines: Callable[[], list[str]]) -> None:
    configure_logs(level="info", form="console", full_addresses=True)
    structlog.get_logger("test").info("joined", peer="203.0.113.77")
    [line] = lines()
    assert "joined" in line
    assert "203.0.113.77" in line


def test_requests_that_are_no_http_do_not_fill_the_log(lines: Callable[[], list[str]]) -> None:
    configure_logs(level="info", form="json", full_addresses=False)
    server = logging.getLogger("aiohttp.server")
    server.error("Error handling request", exc_info=LineTooLong(b"x"))
    assert lines() == []
    server.error("Error handling request", exc_info=RuntimeError("ours"))
    assert "ours" in lines()[0]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        (("203.0.113.77", 9), "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("somewhere", "(hidden)"),
        (None, "(hidden)"),
        ((), "(hidden)"),
    ],
)
def test_addresses_are_shortened_to_their_network(address: object, shown: str) -> None:
    assert redact_address(address) == shown
