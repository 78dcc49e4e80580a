"""
The settings: the only module that reads the environment or a configuration file.

A setting has one flat name: ``--http-port`` as a flag, ``PARLOUR_HTTP_PORT`` in the environment,
``http_port`` in the TOML file that ``PARLOUR_CONFIG`` names. Flags beat the environment, which
beats the file. Unknown names are refused by name. A secret can also come from a file, whose path is
in ``PARLOUR_<NAME>_FILE``. An empty value counts as not given.
"""

import difflib
import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from signaling.errors import ConfigError

PREFIX = "PARLOUR_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"
FILE_SUFFIX = "_FILE"
REFERENCE = Path(__file__).parent / "reference.toml"
SECRET_FILE_MAX_BYTES = 64 * 1024
METRICS_ON_HTTP = "http"
DATABASE_FILE = "parlour.db"
JOURNAL_DIRECTORY = "journal"


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


# Scheme, host and port in lower case, without a slash at the end.
_ORIGIN = r"https?://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?"

Port = Annotated[int, Field(ge=0, le=65535)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


def _read_processors(value: object) -> object:
    if not isinstance(value, str):
        return value
    numbers: list[int] = []
    for part in value.split(","):
        found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part.strip(), re.ASCII)
        if found is None:
            raise ValueError("must be numbers of processors, such as 2-5,8")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise ValueError("a range must go from the lower to the higher number")
        numbers += range(first, last + 1)
    return tuple(numbers)


Processors = Annotated[tuple[int, ...], NoDecode, BeforeValidator(_read_processors)]


class Settings(BaseSettings):
    """All settings with their defaults; made by :func:`load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True
    )

    http_host: str = Field("127.0.0.1", description="Address on which HTTP is served.")
    http_port: Port = Field(
        8080, description="Port of REST, signaling and the page; 0 lets the kernel choose."
    )
    public_url: str = Field(
        "",
        description="URL under which clients reach HTTP; links begin with it. "
        "Empty: the Host header of each request.",
    )
    tls_host: str = Field(
        "", description="Address on which HTTPS is served. Empty: all, IPv6 and IPv4."
    )
    tls_port: Port = Field(
        8443, description="Port of HTTPS, which serves the same as HTTP; 0: the kernel chooses."
    )
    tls_cert: str = Field(
        "",
        description="PEM file with the certificate and its chain; loaded anew when it changes. "
        "Empty: no HTTPS.",
    )
    tls_key: str = Field(
        "", description="PEM file with the private key. Empty: it is in the certificate's file."
    )
    trusted_proxies: Names = Field(
        (),
        description="Networks of proxies whose X-Forwarded-For, X-Forwarded-Proto and Forwarded "
        "count, as CIDRs with commas between.",
    )
    cors_origins: Names = Field(
        (),
        description="Origins whose pages may call REST, WHIP and WHEP, with commas between; *: "
        "all. Empty: none.",
    )
    connections_per_address: int = Field(
        10_000, ge=0, description="HTTP connections from one address at a time; 0: no limit."
    )
    requests_per_key: float = Field(
        2000.0,
        ge=0,
        le=1e6,
        description="REST requests a second with one API key; 0: no limit.",
    )
    requests_per_address: float = Field(
        4000.0, ge=0, le=1e6, description="HTTP requests a second from one address; 0: no limit."
    )
    refused_logins_per_address: float = Field(
        300.0,
        ge=0,
        le=1e6,
        description="Refused credentials a minute from one address, whose requests are then all "
        "refused for a while; 0: no limit.",
    )
    joins_per_address: float = Field(
        6000.0,
        ge=0,
        le=1e6,
        description="WebSockets and WHIP or WHEP sessions a minute from one address; 0: no limit.",
    )
    signaling_path: str = Field("/signaling", description="Path of the signaling WebSocket.")
    media_host: str = Field(
        "", description="Address of the media sockets. Empty: all, IPv6 and IPv4."
    )
    media_port: Port = Field(
        8443, description="UDP port of the first data plane thread; thread i uses MEDIA_PORT + i."
    )
    media_threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Data plane threads; 0: one for each of MEDIA_CPUS, or every two processors.",
    )
    media_cpus: Processors = Field(
        (),
        description="Processors that data plane threads run on, such as 2-5,8: thread i always on "
        "the i-th. For processors that are set apart for media; other threads may run there too. "
        "Empty: the scheduler chooses.",
    )
    media_spread_participants: int = Field(
        100,
        ge=0,
        description="Participants of one room on one data plane thread, beyond which newcomers go "
        "to another thread; from ten on they do so too while the thread is busy. 0: no limit.",
    )
    media_addresses: Names = Field(
        (),
        description="Addresses announced to clients, IPv4 and IPv6, preferred first, with commas "
        "between. Empty: those of this machine.",
    )
    media_announced_port: Port = Field(
        0,
        description="Port announced to clients for the first thread, plus i for thread i, where a "
        "NAT maps ports; 0: the bound ports.",
    )
    media_buffer_bytes: int = Field(
        8 << 20,
        ge=1 << 16,
        le=1 << 30,
        description="Kernel buffer of each media socket, each way, in bytes.",
    )
    data_dir: Path = Field(
        Path("./var"), description="Directory of the database and the account file."
    )
    database_url: SecretStr = Field(
        SecretStr(""),
        description="sqlite:/// and a path, or postgresql://USER:PASSWORD@HOST/DATABASE. "
        "Empty: parlour.db in the data directory.",
    )
    sqlite_synchronous: Literal["normal", "full"] = Field(
        "normal", description="full: what SQLite has written outlives a power cut, too."
    )
    store_timeout: float = Field(
        3.0,
        gt=0,
        le=60,
        description="Seconds after which a database that has answered no call counts as down.",
    )
    store_wait_seconds: float = Field(
        60.0,
        ge=0,
        le=86400,
        description="Seconds that the start waits for a PostgreSQL server that cannot be reached.",
    )
    journal_max_bytes: int = Field(
        1 << 30,
        ge=1 << 16,
        description="How large the journal in the data directory may become, which takes the rows "
        "while the database is down. At 90 % no new rooms are made.",
    )
    dev: bool = Field(
        False, description="Development mode: anybody who reaches the page gets access tokens."
    )
    dev_allow_remote: bool = Field(
        False, description="Allow development mode on an address that is not loopback."
    )
    account_sid: str = Field(
        "", description="SID of the account. Empty: one is made and kept in DATA_DIR/account.json."
    )
    auth_token: SecretStr = Field(SecretStr(""), description="Password of the account SID in REST.")
    api_key_sid: str = Field("", description="SID of the API key.")
    api_key_secret: SecretStr = Field(
        SecretStr(""), description="Secret of the API key: password in REST, key of access tokens."
    )
    ad_hoc_rooms: bool = Field(True, description="Whether joining an unknown name makes a room.")
    ad_hoc_room: SecretStr = Field(
        SecretStr(""),
        description="What such rooms are made with: parameters of POST /v1/Rooms, form-encoded, "
        "as in RecordParticipantsOnConnect=true&StatusCallback=https%3A%2F%2Fapp.example%2Fhook.",
    )
    media_region: str = Field("us1", description="Name of this server's region, as rooms show it.")
    max_room_participants: int = Field(
        100, ge=1, le=1000, description="Largest MaxParticipants of a room; above 50 it is large."
    )
    legacy_room_types: bool = Field(
        True, description="Whether rooms of the types group-small, peer-to-peer and go can be made."
    )
    audio_only_rooms: bool = Field(
        True, description="Whether rooms with AudioOnly=true can be made."
    )
    max_participants: int = Field(
        0, ge=0, description="Participants in all rooms together; 0: no limit."
    )
    room_quota: int = Field(
        10_000,
        ge=0,
        description="Rooms in progress at a time; more are refused with 53119. 0: no limit.",
    )
    participant_quota: int = Field(
        10_000,
        ge=0,
        description="Participants in all rooms together; more are refused with 53206. 0: no limit.",
    )
    busy_lag_ms: int = Field(
        250,
        ge=0,
        le=60_000,
        description=(
            "Milliseconds by which the event loop may be behind before newcomers are told to come "
            "back later, as they are while it has work all the time and 80 joins are under way; "
            "0: no limit."
        ),
    )
    busy_retry_after_ms: int = Field(
        2000,
        ge=-1,
        le=600_000,
        description="Milliseconds until clients beyond those limits try again; -1: they give up.",
    )
    messages_per_session: float = Field(
        50.0,
        ge=0,
        le=1e6,
        description="Signaling messages a second that are taken from one client; 0: no limit.",
    )
    session_timeout: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="Seconds for which a participant without signaling may come back.",
    )
    page_closed_grace: float = Field(
        5.0,
        ge=0,
        le=3600,
        description="The same in seconds, once the browser said that the page is closed.",
    )
    accept_expired_token_on_resume: bool = Field(
        True, description="Whether a session may resume with the token that it began with."
    )
    whip_connect_timeout: float = Field(
        30.0,
        gt=0,
        le=600,
        description="Seconds within which the media of WHIP and WHEP must connect.",
    )
    ice_servers: SecretStr = Field(
        SecretStr(""),
        description="RTCIceServer list that clients are given, as a JSON array. Empty: none.",
    )
    turn_urls: Names = Field(
        (),
        description="STUN and TURN servers, with commas between; clients and Tokens.json get "
        "time-limited credentials for them.",
    )
    turn_secret: SecretStr = Field(
        SecretStr(""), description="Secret that the TURN servers share (coturn: use-auth-secret)."
    )
    duplicate_identity: Literal["replace", "reject"] = Field(
        "replace",
        description="Who stays when an identity joins again: the newcomer (replace), or whoever is "
        "connected (reject: the newcomer gets 53205).",
    )
    callback_allow: Names = Field(
        (),
        description="Networks that status callbacks may go to though they are not public, as CIDRs "
        "with commas between.",
    )
    retention_days: float = Field(
        0.0,
        ge=0,
        le=36_500,
        description="Days for which ended rooms are kept, with all that belongs to them; 0: for "
        "ever.",
    )
    minute_seconds: float = Field(
        60.0,
        gt=0,
        le=60,
        description="Seconds in a minute of a room's timeouts; shorter in development mode only.",
    )
    drain_seconds: float = Field(
        0.0, ge=0, le=86400, description="Seconds that SIGTERM leaves to the participants; 0: none."
    )
    metrics_bind: str = Field(
        "127.0.0.1:9464",
        description="HOST:PORT on which /metrics is served; http: together with REST; off: not.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe messages that are logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="Form of the log; auto: console on a terminal, JSON elsewhere."
    )
    log_peer_addresses: bool = Field(
        False, description="Whether addresses of clients are logged in full."
    )

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
            raise ValueError(
                "must begin with http:// or https:// and have neither a password nor a query"
            )
        try:
            parts = urlsplit(value)
            fits = not value or (bool(parts.hostname) and parts.port != 0)
        except ValueError:
            fits = False
        if not fits:
            raise ValueError("has no host and port that can be")
        return value.rstrip("/")

    @field_validator("trusted_proxies")
    @classmethod
    def _check_trusted_proxies(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_cors_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if origin != "*" and not re.fullmatch(_ORIGIN, origin):
                raise ValueError(
                    "must be origins as browsers write them, such as https://app.example.com, or *"
                )
        return value

    @field_validator("signaling_path")
    @classmethod
    def _check_signaling_path(cls, value: str) -> str:
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", value):
            raise ValueError("must be an absolute path without special characters")
        return value

    @field_validator("media_host")
    @classmethod
    def _check_media_host(cls, value: str) -> str:
        if value:
            ipaddress.ip_address(value)
        return value

    @field_validator("media_cpus")
    @classmethod
    def _check_media_cpus(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        usable = os.sched_getaffinity(0)
        for processor in value:
            if processor not in usable:
                raise ValueError(f"processor {processor} is not there, or not for this process")
        return value

    @field_validator("media_addresses")
    @classmethod
    def _check_media_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            ipaddress.ip_address(address)
        return value

    @field_validator("callback_allow")
    @classmethod
    def _check_callback_allow(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network)
        return value

    @field_validator("metrics_bind")
    @classmethod
    def _check_metrics_bind(cls, value: str) -> str:
        if value not in (METRICS_ON_HTTP, "off"):
            parse_bind(value)
        return value

    @field_validator("media_region")
    @classmethod
    def _check_media_region(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9-]{1,32}", value) or value == "gll":
            raise ValueError("must be a short name of lower-case letters, digits and hyphens")
        return value

    @field_validator("ice_servers")
    @classmethod
    def _check_ice_servers(cls, value: SecretStr) -> SecretStr:
        parse_ice_servers(value.get_secret_value())
        return value

    @field_validator("turn_urls")
    @classmethod
    def _check_turn_urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            if not re.fullmatch(r"(stun|turn)s?:[^\s/?#,]+(\?transport=(udp|tcp))?", url):
                raise ValueError("must be stun:, stuns:, turn: or turns: URLs")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            init_settings,
            env_settings,
            InitSettingsSource(settings_cls, _read_secret_files(os.environ)),
            InitSettingsSource(settings_cls, _read_toml(os.environ.get(CONFIG_VARIABLE))),
        )


SECRETS = frozenset(
    name for name, field in Settings.model_fields.items() if field.annotation is SecretStr
)


def load_settings(flags: Mapping[str, object] | None = None) -> Settings:
    """
    Return the settings in force.

    :param flags: Values given as flags, by setting name; None values were not given.
    :raises ConfigError: naming each setting that is unknown or wrong, and never a secret's value.
    """
    _refuse_unknown_variables(os.environ)
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        # The values are left out: one of them may be a secret.
        faults = (
            f"{fault['loc'][0]}: {fault['msg'].removeprefix('Value error, ')}"
            if fault["loc"]
            else fault["msg"]
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise ConfigError("; ".join(faults)) from None
    _check_together(settings)
    _check_turn(settings)
    return settings


def parse_bind(value: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``; an IPv6 address stands in brackets."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\s]+)):(\d{1,5})", value)
    if match is None or int(match[3]) > 65535:
        raise ValueError("must be HOST:PORT, http or off")
    return match[1] or match[2], int(match[3])


def parse_ice_servers(text: str) -> tuple[dict[str, Any], ...]:
    """Return the entries of an RTCIceServer list: urls (a tuple), username and credential."""
    if not text:
        return ()
    try:
        entries = json.loads(text)
    except ValueError:
        raise ValueError("is not JSON") from None
    if not isinstance(entries, list):
        raise ValueError("must be a JSON array")
    return tuple(_parse_ice_server(entry) for entry in entries)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _parse_ice_server(entry: object) -> dict[str, Any]:
    if not isinstance(entry, dict) or not entry.keys() <= {"urls", "username", "credential"}:
        raise ValueError("entries must be objects with urls, username and credential")
    urls = entry.get("urls")
    urls = (urls,) if isinstance(urls, str) else tuple(urls) if isinstance(urls, list) else ()
    others = (entry.get("username"), entry.get("credential"))
    if not urls or not all(isinstance(url, str) for url in urls):
        raise ValueError("each entry needs urls: a text, or a list of texts")
    if not all(other is None or isinstance(other, str) for other in others):
        raise ValueError("username and credential must be texts")
    return {"urls": urls, "username": others[0], "credential": others[1]}


def _check_together(settings: Settings) -> None:
    hosts = (settings.http_host, *((settings.tls_host or "::",) if settings.tls_cert else ()))
    for host in hosts:
        if settings.dev and not settings.dev_allow_remote and not is_loopback(host):
            raise ConfigError(
                "development mode hands out access tokens to everybody who reaches "
                f"{host}; bind it to 127.0.0.1, or allow that with --dev-allow-remote"
            )
    if settings.tls_key and not settings.tls_cert:
        raise ConfigError("tls_key needs tls_cert")
    if settings.minute_seconds != 60 and not settings.dev:
        raise ConfigError("minute_seconds is for development mode, with --dev")
    parts = {
        "account_sid": settings.account_sid,
        "api_key_sid": settings.api_key_sid,
        "api_key_secret": settings.api_key_secret.get_secret_value(),
    }
    missing = [name for name, value in parts.items() if not value]
    # An auth token alone would be ignored, which nobody wants who sets one.
    if missing and (len(missing) < len(parts) or settings.auth_token.get_secret_value()):
        raise ConfigError(f"an account needs {', '.join(missing)} too")


def _check_turn(settings: Settings) -> None:
    needs = any(url.startswith("turn") for url in settings.turn_urls)
    if needs and not settings.turn_secret.get_secret_value():
        raise ConfigError("a turn: URL in turn_urls needs turn_secret")


def _refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {f"{PREFIX}{name.upper()}{FILE_SUFFIX}" for name in SECRETS}
    known.add(CONFIG_VARIABLE)
    unknown = sorted(
        name for name in environ if name.upper().startswith(PREFIX) and name.upper() not in known
    )
    if unknown:
        raise ConfigError("; ".join(_unknown(name, known) for name in unknown))


def _read_toml(path: str | None) -> dict[str, Any]:
    if not path:
        return {}
    try:
        members = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    unknown = sorted(members.keys() - Settings.model_fields.keys())
    if unknown:
        known = set(Settings.model_fields)
        raise ConfigError(f"{path}: " + "; ".join(_unknown(name, known) for name in unknown))
    return {name: value for name, value in members.items() if value != ""}


def _unknown(name: str, known: set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"unknown setting {name}" + (f" (is {near[0]} meant?)" if near else "")


def _read_secret_files(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in sorted(SECRETS):
        variable = f"{PREFIX}{name.upper()}{FILE_SUFFIX}"
        path = environ.get(variable)
        if not path:
            continue
        if environ.get(f"{PREFIX}{name.upper()}"):
            raise ConfigError(f"both {PREFIX}{name.upper()} and {variable} are set")
        try:
            with Path(path).open(encoding="utf-8") as file:
                found[name] = file.read(SECRET_FILE_MAX_BYTES).strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise ConfigError(f"cannot read {path}, which {variable} names: {reason}") from error
    return found


def describe(settings: Settings) -> str:
    """Return the settings as TOML, with every secret hidden."""
    lines = []
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = "(hidden)" if value.get_secret_value() else ""
        lines.append(f"{name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def field_of(name: str) -> FieldInfo:
    """Return the definition of a setting."""
    return Settings.model_fields[name]


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(json.dumps(item) for item in value) + "]"
    return json.dumps(str(value))
