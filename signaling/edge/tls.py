"""Certificates of the HTTPS port: loaded from files, and loaded again when those change."""

import asyncio
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import structlog

from signaling.errors import ConfigError

POLL_INTERVAL = 2.0
"""Seconds between two looks at the files."""

_log = structlog.get_logger(__name__)

_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate with its chain, and its private key, as PEM files."""

    certificate: Path
    key: Path

    def load(self) -> ssl.SSLContext:
        """
        Return a fresh context for TLS 1.2 and later.

        :raises ConfigError: in one line, without anything of the key.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            # Without the callback OpenSSL would ask for a passphrase on the terminal.
            context.load_cert_chain(self.certificate, self.key, password=_no_passphrase)
        except ssl.SSLError as error:
            reason = (error.reason or "not understood").lower().replace("_", " ")
            raise ConfigError(self._cannot(f"{reason}; PEM is expected")) from None
        except OSError as error:
            raise ConfigError(self._cannot(error.strerror or str(error))) from None
        except _PassphraseNeeded:
            raise ConfigError(self._cannot("the key needs a passphrase")) from None
        return context

    def stamp(self) -> _Stamp:
        """
        Return what changes when a file is written or replaced.

        :raises OSError: if one is gone.
        """
        found = (os.stat(path) for path in (self.certificate, self.key))
        return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in found)

    def _cannot(self, reason: str) -> str:
        return f"cannot use the certificate {self.certificate} with the key {self.key}: {reason}"


class _PassphraseNeeded(Exception):
    """The private key is encrypted."""


def _no_passphrase() -> NoReturn:
    raise _PassphraseNeeded


class TlsContexts:
    """
    The context for new connections. Those that are open keep the one that they began with.

    :raises ConfigError: when the files cannot be used.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        # Taken ahead of loading: a change in between is seen by the next look.
        self._stamp = _stamp_or_none(files)
        self._current = files.load()
        self._task: asyncio.Task[None] | None = None

    def current(self) -> ssl.SSLContext:
        """Return the context for a new connection."""
        return self._current

    def start(self) -> None:
        """Begin to look at the files."""
        self._task = asyncio.create_task(self._watch(), name="certificate watch")

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_INTERVAL)
            # On a thread: the files may lie on a network.
            stamp = await asyncio.to_thread(_stamp_or_none, self._files)
            if stamp == self._stamp:
                continue
            self._stamp = stamp
            try:
                self._current = await asyncio.to_thread(self._files.load)
            except ConfigError as error:
                _log.error("the certificate in use stays", reason=str(error))
            else:
                _log.info("certificate loaded anew", file=str(self._files.certificate))


def _stamp_or_none(files: TlsFiles) -> _Stamp | None:
    try:
        return files.stamp()
    except OSError:
        return None
