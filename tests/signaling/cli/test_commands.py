import json
import os
import re
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from twilio.jwt.access_token import AccessToken as LibraryToken

from signaling.auth.access_token import TokenVerifier
from signaling.auth.account import Account, load_or_make_account
from signaling.cli import main
from signaling.config import Settings
from signaling.ids import AccountSid, ApiKeySid

from .process import Outcome

Command = Callable[..., Outcome]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command within this process."""
    for name in os.environ:
        if name.startswith("PARLOUR_"):
            monkeypatch.delenv(name)

    def run(*arguments: str, settings: dict[str, str] | None = None) -> Outcome:
        with monkeypatch.context() as patch:
            for name, value in (settings or {}).items():
                patch.setenv(f"PARLOUR_{name}", value)
            patch.setattr("sys.argv", ["parlour", *arguments])
            with pytest.raises(SystemExit) as caught:
                main()
        out, err = capsys.readouterr()
        code = caught.value.code
        return Outcome(code if isinstance(code, int) else 0, out, err)

    return run


def test_help_tells_every_setting(command: Command) -> None:
    outcome = command("serve", "--help")
    assert outcome.code == 0
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in outcome.out


def test_top_level_help_tells_the_commands(command: Command) -> None:
    outcome = command("--help")
    for name in ("serve", "token", "doctor", "backup", "config", "page"):
        assert re.search(rf"^  {name} ", outcome.out, re.MULTILINE)


def test_token_is_signed_with_the_kept_account(command: Command, tmp_path: Path) -> None:
    first = command(
        "token", "--identity", "alice", "--room", "r1", settings={"DATA_DIR": str(tmp_path)}
    )
    assert first.code == 0
    assert "API key secret" in first.err
    second = command("token", "--identity", "bob", "--ttl", "60", "--data-dir", str(tmp_path))
    assert second.err == ""
    stored = json.loads((tmp_path / "account.json").read_text())
    verifier = TokenVerifier(
        account_sid=stored["account_sid"],
        keys={stored["api_key_sid"]: stored["api_key_secret"]},
    )
    now = datetime.now(UTC)
    alice = verifier.verify(first.out.strip(), now)
    assert (alice.identity, alice.room) == ("alice", "r1")
    bob = verifier.verify(second.out.strip(), now)
    assert (bob.identity, bob.room) == ("bob", None)
    assert 50 <= (bob.expires_at - now).total_seconds() <= 60
    assert LibraryToken.from_jwt(first.out.strip(), stored["api_key_secret"]).payload


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("token", "--identity", ""), "53200"),
        (("token", "--identity", "x" * 129), "53201"),
        (("token", "--identity", "a", "--ttl", "86401"), "--ttl"),
        (("token",), "--identity"),
        (("serve", "--colour", "red"), "--colour"),
        (("serve", "--http-port", "many"), "--http-port"),
        (("serve", "--http-port", "70000"), "http_port"),
        (("serve", "--dev", "--http-host", "0.0.0.0"), "--dev-allow-remote"),
        (("colour",), "colour"),
    ],
)
def test_user_fault_is_said_without_a_traceback(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    outcome = command(*arguments, settings={"DATA_DIR": str(tmp_path)})
    assert outcome.code != 0
    assert said in outcome.err
    assert "Traceback" not in outcome.err


def test_unknown_setting_is_refused_by_name(command: Command) -> None:
    outcome = command("serve", settings={"HTTP_PRT": "1"})
    assert outcome.code == 1
    assert outcome.err.splitlines() == [
        "parlour: unknown setting PARLOUR_HTTP_PRT (is PARLOUR_HTTP_PORT meant?)"
    ]


def test_config_show_hides_secrets(command: Command) -> None:
    settings = {
        "ACCOUNT_SID": "AC" + "1" * 32,
        "API_KEY_SID": "SK" + "1" * 32,
        "API_KEY_SECRET": "hush",
    }
    outcome = command("config", "show", "--http-port", "9000", settings=settings)
    assert outcome.code == 0
    assert "http_port = 9000" in outcome.out
    assert "hush" not in outcome.out
    assert 'api_key_secret = "(hidden)"' in outcome.out


def test_doctor_finds_a_used_port(command: Command, tmp_path: Path) -> None:
    settings = {
        "HTTP_PORT": "0",
        "METRICS_BIND": "off",
        "MEDIA_HOST": "127.0.0.1",
        "MEDIA_PORT": "0",
        "DATA_DIR": str(tmp_path / "var"),
    }
    outcome = command("doctor", settings=settings)
    assert outcome.code == 0, outcome.out
    for subject in ("HTTP port", "media port", "buffers", "crypto", "open files", "import names"):
        assert subject in outcome.out
    assert not (tmp_path / "var").exists()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        settings["MEDIA_PORT"] = str(taken.getsockname()[1])
        outcome = command("doctor", settings=settings)
    assert outcome.code == 1
    assert re.search(r"^bad +media port: .*in use", outcome.out, re.MULTILINE)


def test_foreign_owner_of_an_import_name_stops_the_server(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # A real installed distribution, as far as importlib.metadata can tell.
    metadata = tmp_path / "networking_kit-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: networking-kit\nVersion: 1.0\n"
    )
    (metadata / "top_level.txt").write_text("router\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = {"DATA_DIR": str(tmp_path / "var")}
    outcome = command("serve", settings=settings)
    assert outcome.code == 1
    [line] = outcome.err.splitlines()
    assert "router belongs to networking-kit" in line
    outcome = command("doctor", settings=settings)
    assert outcome.code == 1
    assert re.search(r"^bad +import names: +router .*networking-kit", outcome.out, re.MULTILINE)


def test_account_file_serves_the_next_run(tmp_path: Path) -> None:
    # What an operator writes by hand is as good as what was made.
    account = Account(
        account_sid=AccountSid("AC" + "a" * 32),
        auth_token="t",
        api_key_sid=ApiKeySid("SK" + "b" * 32),
        api_key_secret="s",
    )
    members = {name: getattr(account, name) for name in Account.__slots__}
    (tmp_path / "account.json").write_text(json.dumps(members))
    loaded, fresh = load_or_make_account(tmp_path, rng=None)  # type: ignore[arg-type]
    assert (loaded, fresh) == (account, False)
