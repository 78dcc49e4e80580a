"""A PostgreSQL server of our own, from the distribution's package."""

import os
import pwd
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path

import asyncpg

from benchmarks.server import free_port

_USER = "postgres"
_SETTINGS = """
unix_socket_directories = '{directory}'
listen_addresses = '127.0.0.1'
port = {port}
max_connections = 100
shared_buffers = 32MB
{durability}
"""
_DURABLE = "synchronous_commit = on"
_FAST = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off"


def programs() -> Path | None:
    """Return where the newest server's programs are, or None when there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path is not None else None


class PostgresServer:
    """
    A cluster in a directory of its own, on a Unix socket there and on a loopback port.

    The server refuses to run as root, so root runs it as ``postgres``.

    :param durable: Whether what is committed survives the server's own crash.
    """

    def __init__(self, *, durable: bool = False) -> None:
        found = programs()
        assert found is not None, "install the package postgresql"
        self._programs = found
        self.directory = Path(tempfile.mkdtemp(prefix="pg-"))
        self._prefix: tuple[str, ...] = ()
        if os.geteuid() == 0:
            owner = pwd.getpwnam(_USER)
            os.chown(self.directory, owner.pw_uid, owner.pw_gid)
            self._prefix = ("runuser", "-u", _USER, "--")
        self.port = free_port()
        self._numbers = count()
        self._data = self.directory / "data"
        self._run("initdb", "-D", str(self._data), "-U", _USER, "-A", "trust", "-N", "-E", "UTF8")
        settings = _SETTINGS.format(
            directory=self.directory, port=self.port, durability=_DURABLE if durable else _FAST
        )
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(settings)

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        log = str(self.directory / "log")
        self._run("pg_ctl", "-D", str(self._data), "-l", log, "-w", "-t", "30", "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: ``fast`` ends all sessions, ``immediate`` is a crash."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def close(self) -> None:
        """Stop the server if it runs, and delete everything."""
        if (self._data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, database: str, *, port: int | None = None) -> str:
        """Return the URL of a database: through the Unix socket, or through a TCP port."""
        if port is not None:
            return f"postgresql://{_USER}@127.0.0.1:{port}/{database}"
        return f"postgresql://{_USER}@/{database}?host={self.directory}&port={self.port}"

    async def create_database(self, template: str | None = None) -> str:
        """Make a database, a copy of another one if wanted, and return its name."""
        name = f"test{next(self._numbers)}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template or 'template0'}")
        return name

    async def execute(self, statement: str, *, database: str = "postgres") -> None:
        """Run a statement outside of any transaction."""
        connection = await self.connect(database)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def connect(self, database: str = "postgres") -> asyncpg.Connection:
        """Return a connection of the test's own."""
        return await asyncpg.connect(
            host=str(self.directory), port=self.port, user=_USER, database=database
        )

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._prefix, str(self._programs / program), *arguments],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if program == "initdb" else subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (program, arguments, done.stdout)
