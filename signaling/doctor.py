"""``parlour doctor``: whether this machine is fit to serve, checked without starting anything."""

import importlib
import os
import platform
import resource
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from signaling import packages
from signaling.app import OPEN_FILES
from signaling.config import METRICS_ON_HTTP, Settings, parse_bind
from signaling.edge import TlsFiles
from signaling.errors import ConfigError
from signaling.network import has_ipv6
from signaling.part_settings import media_config_of

Verdict = Literal["ok", "note", "bad"]
FILES_MIN = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    """``bad`` keeps the server from starting, a ``note`` costs performance."""
    subject: str
    text: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Yield what was found, in the order in which an operator would look."""
    yield from _ports(settings)
    yield from _buffers(settings.media_buffer_bytes)
    yield from _processor()
    yield _open_files()
    yield from _import_names()
    yield _data_dir(settings.data_dir)


def _ports(settings: Settings) -> Iterator[Finding]:
    yield _tcp("HTTP port", settings.http_host, settings.http_port)
    if settings.tls_cert:
        host = settings.tls_host or ("::" if has_ipv6() else "0.0.0.0")
        yield _tcp("HTTPS port", host, settings.tls_port)
        yield _certificate(settings)
    if settings.metrics_bind not in (METRICS_ON_HTTP, "off"):
        yield _tcp("metrics port", *parse_bind(settings.metrics_bind))
    media = media_config_of(settings)
    family = socket.AF_INET6 if ":" in media.bind_address else socket.AF_INET
    for thread in range(media.threads):
        port = media.port + thread if media.port else 0
        fault = _try_bind(family, socket.SOCK_DGRAM, media.bind_address, port)
        yield Finding(
            verdict="ok" if fault is None else "bad",
            subject="media port",
            text=f"UDP {media.bind_address} port {port}: {fault or 'free'}",
        )
    yield Finding(
        verdict="ok", subject="media addresses", text=f"announced: {', '.join(media.addresses)}"
    )


def _certificate(settings: Settings) -> Finding:
    certificate = Path(settings.tls_cert)
    try:
        TlsFiles(certificate, Path(settings.tls_key or certificate)).load()
    except ConfigError as error:
        return Finding(verdict="bad", subject="certificate", text=str(error))
    return Finding(verdict="ok", subject="certificate", text=f"{certificate} fits its key")


def _tcp(subject: str, host: str, port: int) -> Finding:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        fault = _try_bind(family, socket.SOCK_STREAM, str(address[0]), port)
    except socket.gaierror as error:
        fault = error.strerror
    return Finding(
        verdict="ok" if fault is None else "bad",
        subject=subject,
        text=f"TCP {host} port {port}: {fault or 'free'}",
    )


def _try_bind(family: int, kind: int, host: str, port: int) -> str | None:
    """Return why an address cannot be bound, or None."""
    try:
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                # As the server does: connections of a former run do not count.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error.strerror or str(error)
    return None


def _buffers(wanted: int) -> Iterator[Finding]:
    for name in ("rmem_max", "wmem_max"):
        path = Path("/proc/sys/net/core") / name
        try:
            size = int(path.read_text())
        except (OSError, ValueError):
            yield Finding(verdict="note", subject="buffers", text=f"{path} cannot be read")
            continue
        # Root may exceed the limit (SO_RCVBUFFORCE); for others it holds.
        enough = size >= wanted
        hint = "" if enough else f"; better: sysctl -w net.core.{name}={wanted}"
        yield Finding(
            verdict="ok" if enough else "note",
            subject="buffers",
            text=f"net.core.{name} is {size}{hint}",
        )


def _processor() -> Iterator[Finding]:
    yield Finding(
        verdict="ok",
        subject="processor",
        text=f"{platform.machine()}, {os.cpu_count()} processors",
    )
    try:
        cpu = importlib.import_module("router._fastpath.cpu")
        srtp = importlib.import_module("router._fastpath.srtp")
        importlib.import_module("router._fastpath.plane")
        features, kernels = cpu.features(), srtp.kernels()
    except (ImportError, AttributeError) as error:
        yield Finding(
            verdict="bad",
            subject="data plane",
            text=f"the compiled data plane cannot be loaded ({error}); was it built?",
        )
        return
    yield Finding(verdict="ok", subject="features", text=", ".join(features) or "none of use")
    for operation, kernel in sorted(kernels.items()):
        portable = "portable" in kernel
        slow = "; the slow one: this processor has no instructions for it" if portable else ""
        yield Finding(
            verdict="note" if portable else "ok",
            subject="crypto",
            text=f"{operation}: {kernel}{slow}",
        )


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    limit = limit if soft == resource.RLIM_INFINITY else max(soft, limit)
    enough = limit >= FILES_MIN
    return Finding(
        verdict="ok" if enough else "note",
        subject="open files",
        text=f"up to {limit}" + ("" if enough else f"; better: ulimit -Hn {FILES_MIN}"),
    )


def _import_names() -> Iterator[Finding]:
    for name, found in packages.owners().items():
        foreign = [owner for owner in found if owner.lower() != packages.DISTRIBUTION]
        yield Finding(
            verdict="bad" if foreign else "ok",
            subject="import names",
            text=f"{name} belongs to {', '.join(found) or 'no installed distribution'}",
        )


def _data_dir(path: Path) -> Finding:
    nearest = path
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    fit = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    return Finding(
        verdict="ok" if fit else "bad",
        subject="data directory",
        text=f"{path} is {'writable' if fit else 'not a writable directory'}",
    )
