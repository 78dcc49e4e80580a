"""Janus with its VideoRoom plugin, over its WebSocket API."""

import argparse
import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.load import Peer
from benchmarks.peers import ServerFailed
from benchmarks.processes import DIES_WITH_US
from benchmarks.server import free_port

NAME = "janus"
PLUGIN = "janus.plugin.videoroom"
ROOM = 1
START_TIMEOUT = 20.0
ANSWER_TIMEOUT = 60.0
KEEP_ALIVE_INTERVAL = 20.0
RTP_PORTS = "30000-32700"
_LIBRARIES = ("plugins/libjanus_videoroom.so*", "transports/libjanus_websockets.so*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--janus-binary",
        default=os.environ.get("JANUS_BINARY", "janus"),
        metavar="PATH",
        help="another build (or JANUS_BINARY); LD_LIBRARY_PATH gives it another libsrtp",
    )
    parser.add_argument(
        "--janus-event-loops",
        type=int,
        default=0,
        metavar="N",
        help="threads that share the peers; 0, as packaged, is a thread for each of them",
    )


@asynccontextmanager
async def running(
    arguments: argparse.Namespace, *, host: str, publishers: int
) -> AsyncIterator["Janus"]:
    """
    Run Janus with a configuration of its own and one room.

    :param host: Its address; it takes none of a loopback interface.

    :raises ServerFailed: when it does not start; the log is in the message.
    """
    binary = _find(arguments.janus_binary)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="janus-bench-") as directory:
        folder = Path(directory)
        _link_libraries(folder, binary)
        _configure(folder, host, port, arguments.janus_event_loops)
        log = folder / "janus.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *DIES_WITH_US, str(binary), "-F", directory, stdout=output, stderr=output
            )
        try:
            async with aiohttp.ClientSession() as http:
                session = _Session(await _connect(http, host, port, process, log))
                try:
                    janus = Janus(process.pid, session)
                    await janus.set_up(publishers)
                    yield janus
                finally:
                    await session.close()
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


class Janus:
    """A Janus that is ready."""

    def __init__(self, pid: int, session: "_Session") -> None:
        self.pid = pid
        self.version = ""
        self.notes: tuple[str, ...] = ()
        self._session = session
        self._feeds: list[tuple[int, str]] = []
        self._publishers: list[int] = []

    async def set_up(self, publishers: int) -> None:
        """Make the room."""
        info = await self._session.ask({"janus": "info"})
        libraries = info.get("dependencies", {})
        srtp, crypto = (libraries.get(name, "unknown") for name in ("libsrtp", "crypto"))
        self.version = f"{info['version_string']} ({srtp}, {crypto})"
        self.notes = (
            "Debian's libsrtp, which Janus seals with, is built on NSS and slow: LD_LIBRARY_PATH "
            "may point to one that is built on OpenSSL. As packaged Janus wakes a thread for each "
            "peer: --janus-event-loops shares some.",
        )
        await self._session.begin()
        handle = await self._session.attach()
        await self._session.message(
            handle,
            {
                "request": "create",
                "room": ROOM,
                "publishers": publishers,
                "bitrate": 0,
                "videocodec": "vp8",
                "notify_joining": False,
            },
        )

    async def publish(self, peer: Peer) -> None:
        """Let a peer, which has one section to send, publish it."""
        handle = await self._session.attach()
        offer = {"type": "offer", "sdp": peer.create_offer()}
        body = {
            "request": "joinandconfigure",
            "ptype": "publisher",
            "room": ROOM,
            "audio": False,
            "video": True,
        }
        data, answer = await self._session.message(handle, body, offer)
        peer.receive_answer(answer["sdp"])
        await self._trickle(handle, peer)
        mid = peer.core.descriptions.sections[0].mid
        self._feeds.append((data["id"], mid))
        self._publishers.append(handle)

    async def subscribe(self, peer: Peer) -> None:
        """Let a peer receive all that is published."""
        for publisher in self._publishers:
            await self._session.wait_up(publisher)
        handle = await self._session.attach()
        streams = [{"feed": feed, "mid": mid} for feed, mid in self._feeds]
        body = {"request": "join", "ptype": "subscriber", "room": ROOM, "streams": streams}
        _, offer = await self._session.message(handle, body)
        answer = {"type": "answer", "sdp": peer.receive_offer(offer["sdp"])}
        await self._session.message(handle, {"request": "start", "room": ROOM}, answer)
        await self._trickle(handle, peer)

    async def _trickle(self, handle: int, peer: Peer) -> None:
        address = peer.local
        candidate = f"candidate:1 1 udp 2130706431 {address.host} {address.port} typ host"
        mid = peer.core.descriptions.sections[0].mid
        for item in (
            {"candidate": candidate, "sdpMid": mid, "sdpMLineIndex": 0},
            {"completed": True},
        ):
            await self._session.ask({"janus": "trickle", "candidate": item}, handle=handle)


class _Session:
    """Requests and their answers over one WebSocket, all handles in one session."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self._websocket = websocket
        self._id: int | None = None
        self._waiting: dict[str, tuple[str, asyncio.Future[dict[str, Any]]]] = {}
        self._up: dict[int, asyncio.Event] = {}
        """By handle: its connection is up."""
        self._count = 0
        self._tasks = [asyncio.create_task(self._read())]

    async def begin(self) -> None:
        self._id = (await self.ask({"janus": "create"}))["data"]["id"]
        self._tasks.append(asyncio.create_task(self._keep_alive()))

    async def attach(self) -> int:
        answer = await self.ask({"janus": "attach", "plugin": PLUGIN})
        handle: int = answer["data"]["id"]
        self._up[handle] = asyncio.Event()
        return handle

    async def wait_up(self, handle: int) -> None:
        """Wait until Janus has told the plugin that media can flow; then others find its feed."""
        async with asyncio.timeout(ANSWER_TIMEOUT):
            await self._up[handle].wait()

    async def message(
        self, handle: int, body: dict[str, Any], jsep: dict[str, str] | None = None
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Return what the plugin says, and its description."""
        request: dict[str, Any] = {"janus": "message", "body": body}
        if jsep is not None:
            request["jsep"] = jsep
        answer = await self.ask(request, handle=handle)
        data: dict[str, Any] = answer["plugindata"]["data"]
        if "error" in data:
            raise ServerFailed(f"{body['request']}: {data['error']}")
        return data, answer.get("jsep", {})

    async def ask(self, request: dict[str, Any], *, handle: int | None = None) -> dict[str, Any]:
        self._count += 1
        transaction = str(self._count)
        request["transaction"] = transaction
        if self._id is not None:
            request["session_id"] = self._id
        if handle is not None:
            request["handle_id"] = handle
        answer = asyncio.get_running_loop().create_future()
        self._waiting[transaction] = request["janus"], answer
        await self._websocket.send_json(request)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                found = await answer
        finally:
            del self._waiting[transaction]
        if found["janus"] == "error":
            raise ServerFailed(f"{request['janus']}: {found['error']['reason']}")
        return found

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._websocket.close()

    async def _read(self) -> None:
        async for message in self._websocket:
            found = message.json()
            if found["janus"] == "webrtcup":
                self._up[found["sender"]].set()
            kind, waiting = self._waiting.get(found.get("transaction"), ("", None))
            if kind == "message" and found["janus"] == "ack":
                continue  # The plugin answers later.
            if waiting is not None and not waiting.done():
                waiting.set_result(found)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_INTERVAL)
            await self.ask({"janus": "keepalive"})


def _find(name: str) -> Path:
    binary = shutil.which(name)
    if binary is None:
        raise ServerFailed(f"{name} is not there: apt-get install janus, or give --janus-binary")
    return Path(binary).resolve()


def _link_libraries(folder: Path, binary: Path) -> None:
    """Make folders of the plugin and the transport that are needed, and no others."""
    for pattern in _LIBRARIES:
        kind, _, name = pattern.partition("/")
        roots = (folder for lib in ("lib", "lib64") for folder in (binary.parents[1] / lib,))
        found = [
            path
            for root in roots
            for inside in ("janus", "*/janus")
            for path in root.glob(f"{inside}/{kind}/{name}")
        ]
        if not found:
            raise ServerFailed(f"no {name} belongs to {binary}")
        (folder / kind).mkdir()
        library = min(found, key=lambda path: len(path.name))
        (folder / kind / library.name).symlink_to(library)


def _configure(folder: Path, host: str, port: int, event_loops: int) -> None:
    loops = f"event_loops = {event_loops}" if event_loops else ""
    (folder / "janus.jcfg").write_text(
        f"""general: {{
            plugins_folder = "{folder}/plugins"
            transports_folder = "{folder}/transports"
            events_folder = "{folder}/events"
            loggers_folder = "{folder}/loggers"
            interface = "{host}"
            debug_level = 4
            {loops}
        }}
        media: {{ rtp_port_range = "{RTP_PORTS}" }}
        nat: {{ ice_enforce_list = "{host}" }}
        """
    )
    (folder / "janus.transport.websockets.jcfg").write_text(
        f"""general: {{ json = "compact" ws = true ws_port = {port} ws_ip = "{host}" wss = false }}
        admin: {{ admin_ws = false }}
        """
    )


async def _connect(
    http: aiohttp.ClientSession,
    host: str,
    port: int,
    process: asyncio.subprocess.Process,
    log: Path,
) -> aiohttp.ClientWebSocketResponse:
    deadline = asyncio.get_running_loop().time() + START_TIMEOUT
    while True:
        try:
            return await http.ws_connect(
                f"ws://{host}:{port}/", protocols=("janus-protocol",), max_msg_size=0
            )
        except (aiohttp.ClientError, OSError):
            if process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                raise ServerFailed(f"janus does not run:\n{_end_of(log)}") from None
        await asyncio.sleep(0.1)


def _end_of(log: Path) -> str:
    return log.read_text()[-3000:]
