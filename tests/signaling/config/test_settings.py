import os
import re
import tomllib
from pathlib import Path

import pytest

from signaling.config import (
    REFERENCE,
    SECRETS,
    Settings,
    describe,
    is_loopback,
    load_settings,
    parse_bind,
    parse_ice_servers,
)
from signaling.errors import ConfigError

ACCOUNT = {
    "account_sid": "AC" + "1" * 32,
    "api_key_sid": "SK" + "1" * 32,
    "api_key_secret": "hush",
}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("PARLOUR_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "parlour.toml"
    monkeypatch.setenv("PARLOUR_CONFIG", str(path))
    return path


def test_reference_file_is_equal_to_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = load_settings()
    members = tomllib.loads(REFERENCE.read_text())
    assert members.keys() == Settings.model_fields.keys()
    # Compared before loading too: an empty text would hide a default that is not empty.
    shown = tomllib.loads(describe(defaults))
    shown["data_dir"] = "./" + shown["data_dir"]
    assert members == shown
    monkeypatch.setenv("PARLOUR_CONFIG", str(REFERENCE))
    assert load_settings() == defaults


def test_reference_file_explains_every_setting() -> None:
    lines = REFERENCE.read_text().splitlines()
    # The API key's SID needs no more words than its name; its neighbours say the rest.
    for name in Settings.model_fields.keys() - {"api_key_sid"}:
        [number] = [n for n, line in enumerate(lines) if line.startswith(f"{name} = ")]
        assert lines[number - 1].startswith("# "), name


def test_flags_beat_the_environment_which_beats_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('http_port = 1\nmedia_port = 1\nmedia_region = "eu1"\n')
    monkeypatch.setenv("PARLOUR_HTTP_PORT", "2")
    monkeypatch.setenv("PARLOUR_MEDIA_PORT", "2")
    settings = load_settings({"http_port": 3, "media_port": None})
    assert (settings.http_port, settings.media_port, settings.media_region) == (3, 2, "eu1")


def test_empty_values_count_as_not_given(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('http_host = ""\nmetrics_bind = ""\n')
    monkeypatch.setenv("PARLOUR_HTTP_PORT", "")
    settings = load_settings()
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 8080)
    assert settings.metrics_bind == "127.0.0.1:9464"


@pytest.mark.parametrize(
    ("variable", "named"),
    [
        ("PARLOUR_HTTP_PRT", "PARLOUR_HTTP_PRT"),
        ("PARLOUR_HTTP_PRT", "PARLOUR_HTTP_PORT"),
        ("PARLOUR_HTTP_PORT_FILE", "PARLOUR_HTTP_PORT_FILE"),
        ("parlour_colour", "parlour_colour"),
    ],
)
def test_unknown_variable_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, named: str
) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(ConfigError, match=f"unknown setting .*{named}"):
        load_settings()


@pytest.mark.parametrize("text", ["colour = 1", "[http]\nport = 1", "HTTP_PORT = 1"])
def test_unknown_name_in_the_file_is_refused_by_name(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"unknown setting (colour|http|HTTP_PORT)"):
        load_settings()


@pytest.mark.parametrize("text", ["not TOML", "a = ", "\udcff"])
def test_file_that_is_no_toml_is_named(file: Path, text: str) -> None:
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=r"parlour\.toml is not TOML"):
        load_settings()


def test_file_that_is_not_there_is_named(file: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(str(file))):
        load_settings()


@pytest.mark.parametrize("name", sorted(SECRETS - {"ice_servers"}))
def test_secret_comes_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "secret").write_text("from the file\n")
    monkeypatch.setenv(f"PARLOUR_{name.upper()}_FILE", str(tmp_path / "secret"))
    flags = {key: value for key, value in ACCOUNT.items() if key != name}
    settings = load_settings(flags)
    assert getattr(settings, name).get_secret_value() == "from the file"


def test_secret_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLOUR_AUTH_TOKEN_FILE", "/nowhere/token")
    with pytest.raises(ConfigError, match=r"/nowhere/token.*PARLOUR_AUTH_TOKEN_FILE"):
        load_settings()


def test_secret_and_its_file_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLOUR_AUTH_TOKEN_FILE", "/nowhere/token")
    monkeypatch.setenv("PARLOUR_AUTH_TOKEN", "x")
    with pytest.raises(ConfigError, match="both"):
        load_settings()


def test_secrets_do_not_show() -> None:
    url = "sqlite:///secret-path.db"
    settings = load_settings({**ACCOUNT, "auth_token": "whisper", "database_url": url})
    for text in (describe(settings), repr(settings)):
        for secret in ("hush", "whisper", "secret-path"):
            assert secret not in text
    assert 'api_key_secret = "(hidden)"' in describe(settings)
    assert 'ice_servers = ""' in describe(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("http_port", "x"),
        ("http_port", "65536"),
        ("media_port", "-1"),
        ("media_threads", "-1"),
        ("media_cpus", "0-"),
        ("media_cpus", "one"),
        ("media_cpus", "1-0"),
        ("media_cpus", "-1"),
        ("media_cpus", "65535"),
        ("media_cpus", "0-99999999999"),
        ("media_addresses", "127.0.0.1,nowhere"),
        ("media_host", "nowhere"),
        ("public_url", "video.example.com"),
        ("public_url", "https://video.example.com/?x"),
        ("public_url", "https://[::1"),
        ("public_url", "https://video.example.com:99999"),
        ("public_url", "https://user:hush@video.example.com"),
        ("signaling_path", "signaling"),
        ("signaling_path", "/{x}"),
        ("metrics_bind", "9464"),
        ("metrics_bind", "::1:9464"),
        ("metrics_bind", "127.0.0.1:99999"),
        ("media_region", "gll"),
        ("session_timeout", "0"),
        ("drain_seconds", "-1"),
        ("drain_seconds", "inf"),
        ("callback_allow", "10.0.0.0/8,nowhere"),
        ("callback_allow", "10.0.0.1/8"),
        ("retention_days", "-1"),
        ("minute_seconds", "0"),
        ("minute_seconds", "61"),
        ("log_level", "loud"),
        ("dev", "perhaps"),
        ("ice_servers", "{}"),
        ("ice_servers", '[{"url": "stun:x"}]'),
    ],
)
def test_bad_value_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"PARLOUR_{name.upper()}", value)
    with pytest.raises(ConfigError, match=f"^{name}"):
        load_settings()


def test_fault_in_a_secret_does_not_show_it() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"ice_servers": '[{"urls": 1, "credential": "hush"}]'})
    assert "hush" not in str(caught.value)


def test_development_mode_stays_on_this_machine() -> None:
    assert load_settings({"dev": True}).dev
    with pytest.raises(ConfigError, match="--dev-allow-remote"):
        load_settings({"dev": True, "http_host": "0.0.0.0"})
    assert load_settings({"dev": True, "http_host": "0.0.0.0", "dev_allow_remote": True}).dev


@pytest.mark.parametrize("left_out", ACCOUNT)
def test_incomplete_account_is_refused(left_out: str) -> None:
    given = {name: value for name, value in ACCOUNT.items() if name != left_out}
    with pytest.raises(ConfigError, match=left_out):
        load_settings(given)


def test_a_minute_is_a_minute_outside_development_mode() -> None:
    assert load_settings({"dev": True, "minute_seconds": 12}).minute_seconds == 12
    with pytest.raises(ConfigError, match="minute_seconds"):
        load_settings({"minute_seconds": 12})


def test_auth_token_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match="account_sid"):
        load_settings({"auth_token": "x"})


def test_lists_have_commas_or_toml_arrays(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('media_addresses = ["192.0.2.1", "2001:db8::1"]')
    assert load_settings().media_addresses == ("192.0.2.1", "2001:db8::1")
    monkeypatch.setenv("PARLOUR_MEDIA_ADDRESSES", " 192.0.2.7 ,::1,")
    assert load_settings().media_addresses == ("192.0.2.7", "::1")


def test_processors_are_numbers_and_ranges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(10)))
    assert load_settings().media_cpus == ()
    monkeypatch.setenv("PARLOUR_MEDIA_CPUS", "2-4, 8,0")
    assert load_settings().media_cpus == (2, 3, 4, 8, 0)
    monkeypatch.delenv("PARLOUR_MEDIA_CPUS")
    file = tmp_path / "parlour.toml"
    file.write_text("media_cpus = [3, 1]")
    monkeypatch.setenv("PARLOUR_CONFIG", str(file))
    assert load_settings().media_cpus == (3, 1)
    file.write_text("media_cpus = [10]")
    with pytest.raises(ConfigError, match="processor 10 is not there"):
        load_settings()


def test_public_url_has_no_slash_at_its_end() -> None:
    settings = load_settings({"public_url": "https://video.example.com/twilio/"})
    assert settings.public_url == "https://video.example.com/twilio"


def test_bind_addresses() -> None:
    assert parse_bind("127.0.0.1:0") == ("127.0.0.1", 0)
    assert parse_bind("[::1]:9464") == ("::1", 9464)
    assert parse_bind("localhost:9464") == ("localhost", 9464)


def test_ice_servers() -> None:
    assert parse_ice_servers(
        '[{"urls": "stun:a"}, {"urls": ["turn:b"], "username": "u", "credential": "c"}]'
    ) == (
        {"urls": ("stun:a",), "username": None, "credential": None},
        {"urls": ("turn:b",), "username": "u", "credential": "c"},
    )


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("example.com", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
