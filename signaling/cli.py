"""The ``parlour`` command."""

import asyncio
import inspect
import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer

from signaling.config import PREFIX, SECRETS, Settings, describe, load_settings
from signaling.errors import SignalingError

EXIT_FAULT = 1

app = typer.Typer(
    name="parlour",
    help="Programmable video that you run yourself: rooms, REST, signaling and a media router.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Look at the settings.", no_args_is_help=True)
page_app = typer.Typer(help="The room page at /.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(page_app, name="page")


def main() -> None:
    """Run the command; what the user did wrong is said in one line."""
    try:
        app()
    except SignalingError as error:
        print(f"parlour: {error}", file=sys.stderr)
        raise SystemExit(EXIT_FAULT) from None


def with_settings(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command a flag for every setting; it is called with the settings in force."""
    own = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name != "settings"
    ]
    flags = [_flag(name) for name in Settings.model_fields]

    def command(**values: Any) -> None:
        rest = {parameter.name: values.pop(parameter.name) for parameter in own}
        function(settings=load_settings(values), **rest)

    parameters = [*own, *flags]
    command.__name__ = function.__name__
    command.__doc__ = function.__doc__
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _flag(name: str) -> inspect.Parameter:
    field = Settings.model_fields[name]
    kind: Any = field.annotation
    if (
        get_origin(kind) is tuple
        or kind is Path
        or name in SECRETS
        or kind not in (bool, int, float)
    ):
        kind = str
    hyphened = name.replace("_", "-")
    names = [f"--{hyphened}/--no-{hyphened}"] if kind is bool else [f"--{hyphened}"]
    default = field.get_default()
    if name in SECRETS:
        shown = f"Better set in {PREFIX}{name.upper()}_FILE."
    elif isinstance(default, tuple) or default == "":
        shown = ""
    else:
        words = get_args(field.annotation) if isinstance(default, str) else ()
        choices = f"{', '.join(words)}; " if words else ""
        shown = f"[{choices}default: {str(default).lower() if kind is bool else default}]"
    option = typer.Option(
        *names,
        help=f"{field.description} {shown}".strip(),
        show_default=False,
        metavar=None if kind is bool else {int: "N", float: "SECONDS"}.get(kind, "TEXT"),
        rich_help_panel="Settings",
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


@app.command()
@with_settings
def serve(settings: Settings) -> None:
    """
    Serve REST, signaling, WHIP, WHEP, the page and media until SIGTERM or SIGINT.

    Every flag is also a variable in the environment (--http-port: PARLOUR_HTTP_PORT) and a name in
    the TOML file that PARLOUR_CONFIG names. Flags beat the environment, which beats the file.
    """
    from signaling import packages
    from signaling.logs import configure_logs

    packages.refuse_foreign_owners()
    configure_logs(
        level=settings.log_level,
        form=settings.log_format,
        full_addresses=settings.log_peer_addresses,
    )
    from signaling.app import serve as run

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        status = runner.run(run(settings))
    if status:
        raise SystemExit(status)


@app.command()
def token(
    identity: Annotated[str, typer.Option(help="Who the participant is, 1 to 128 characters.")],
    room: Annotated[
        str | None, typer.Option(help="Name or SID of the only room admitted to; none: any room.")
    ] = None,
    ttl: Annotated[
        int, typer.Option(help="Lifetime in seconds, 1 to 86400.", min=1, max=86400)
    ] = 3600,
    data_dir: Annotated[
        str | None, typer.Option(help="Directory with account.json.", metavar="TEXT")
    ] = None,
) -> None:
    """Print an access token, signed with the server's API key."""
    from signaling.auth.access_token import mint_access_token
    from signaling.auth.configured import account_of, print_account

    settings = load_settings({"data_dir": data_dir})
    account, fresh = account_of(settings, random.SystemRandom())
    if fresh:
        print_account(account, settings.data_dir, file=sys.stderr)
    print(
        mint_access_token(
            account_sid=account.account_sid,
            key_sid=account.api_key_sid,
            secret=account.api_key_secret,
            identity=identity,
            room=room or None,
            now=datetime.now(UTC),
            lifetime=timedelta(seconds=ttl),
        )
    )


@app.command()
@with_settings
def doctor(settings: Settings) -> None:
    """Check ports, buffers, processor, kernels, limits and import names. Exit code 1: unfit."""
    from signaling.doctor import examine

    unfit = False
    for finding in examine(settings):
        print(f"{finding.verdict:5} {finding.subject + ':':17} {finding.text}")
        unfit |= finding.verdict == "bad"
    if unfit:
        raise SystemExit(EXIT_FAULT)


@app.command()
@with_settings
def backup(
    settings: Settings,
    target: Annotated[
        Path, typer.Argument(metavar="DIRECTORY", help="Where to; it must not exist yet.")
    ],
) -> None:
    """
    Copy account, database (SQLite) and journal into a new directory, while the server runs or not.

    The copy is a data directory: "parlour serve --data-dir DIRECTORY" serves from it. It holds
    secrets, and only its owner can read it.
    """
    from signaling.backup import back_up

    back_up(settings, target)
    print(f"backed up to {target}")


@config_app.command("show")
@with_settings
def show(settings: Settings) -> None:
    """Print the settings in force as TOML, secrets hidden."""
    print(describe(settings), end="")


@page_app.command("install")
def install() -> None:
    """Fetch the twilio-video package from the npm registry for the page."""
    from signaling.web import bundle

    print(f"installed {bundle.install()}")


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as version_of

    print(f"parlour {version_of('parlour')}")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
