"""The server as a user starts it: the installed command in a process of its own."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.server import free_port

START_TIMEOUT = 30.0
STOP_TIMEOUT = 15.0
LOG_FILE = "server.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The credentials of the server's one account."""

    account_sid: str
    auth_token: str
    api_key_sid: str
    api_key_secret: str


class Server:
    """A running server process."""

    def __init__(
        self, process: asyncio.subprocess.Process, *, port: int, media_port: int, data_dir: Path
    ) -> None:
        self.process = process
        self.port = port
        self.media_port = media_port
        self.data_dir = data_dir

    @property
    def url(self) -> str:
        """The base URL of REST and the page."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def signaling_url(self) -> str:
        """What a page gives as ``wsServer``."""
        return f"ws://127.0.0.1:{self.port}/signaling"

    @property
    def account(self) -> Account:
        """The account that the server made at its first start."""
        stored = json.loads((self.data_dir / "account.json").read_text())
        return Account(**{name: stored[name] for name in Account.__slots__})

    @property
    def log(self) -> str:
        """What this server and those before it in its directory have said."""
        return (self.data_dir / LOG_FILE).read_text()

    async def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code; killed when it does not end."""
        if self.process.returncode is None:
            self.process.send_signal(signal_number)
            try:
                async with asyncio.timeout(STOP_TIMEOUT):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        assert self.process.returncode is not None
        return self.process.returncode


async def start_server(
    data_dir: Path,
    *,
    port: int | None = None,
    media_threads: int = 1,
    dev: bool = True,
    module: str = "",
    settings: dict[str, str] | None = None,
) -> Server:
    """
    Start ``parlour serve`` and wait until it is ready.

    :param module: What is run in place of the installed command.
    :param settings: Further settings, upper-case names without the ``PARLOUR_`` prefix.
    :raises RuntimeError: when it does not become ready; the log is in the message.
    """
    server = await spawn_server(
        data_dir,
        port=port,
        media_threads=media_threads,
        dev=dev,
        module=module,
        settings=settings,
    )
    await until_ready(server)
    return server


async def spawn_server(
    data_dir: Path,
    *,
    port: int | None = None,
    media_threads: int = 1,
    dev: bool = True,
    module: str = "",
    settings: dict[str, str] | None = None,
) -> Server:
    """Start ``parlour serve`` like :func:`start_server`, and wait for nothing."""
    port = port or free_port()
    settings = settings or {}
    media_port = int(settings.get("MEDIA_PORT") or free_port(socket.SOCK_DGRAM, media_threads))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PARLOUR_")
    } | {
        "PARLOUR_HTTP_HOST": "127.0.0.1",
        "PARLOUR_HTTP_PORT": str(port),
        "PARLOUR_MEDIA_PORT": str(media_port),
        "PARLOUR_MEDIA_THREADS": str(media_threads),
        "PARLOUR_DATA_DIR": str(data_dir),
        "PARLOUR_METRICS_BIND": f"127.0.0.1:{free_port()}",
        **{f"PARLOUR_{name}": value for name, value in settings.items()},
    }
    data_dir.mkdir(parents=True, exist_ok=True)
    installed = [str(Path(sys.executable).parent / "parlour")]
    command = [sys.executable, "-m", module] if module else installed
    command += ["serve", *(["--dev"] if dev else [])]
    with (data_dir / LOG_FILE).open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=output, stderr=output
        )
    return Server(process, port=port, media_port=media_port, data_dir=data_dir)


async def until_ready(server: Server) -> None:
    """
    Wait until a server is ready.

    :raises RuntimeError: when it does not become so, and is killed; its log is in the message.
    """
    deadline = asyncio.get_running_loop().time() + START_TIMEOUT
    async with aiohttp.ClientSession() as http:
        while True:
            try:
                async with http.get(f"{server.url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            ended = server.process.returncode is not None
            if ended or asyncio.get_running_loop().time() > deadline:
                await server.stop(signal.SIGKILL)
                raise RuntimeError(f"the server did not become ready:\n{server.log[-4000:]}")
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running_server(
    data_dir: Path,
    *,
    media_threads: int = 1,
    dev: bool = True,
    module: str = "",
    settings: dict[str, str] | None = None,
) -> AsyncIterator[Server]:
    """Run a server for the length of a ``with`` block and stop it as an operator would."""
    server = await start_server(
        data_dir, media_threads=media_threads, dev=dev, module=module, settings=settings
    )
    try:
        yield server
    finally:
        await server.stop()
