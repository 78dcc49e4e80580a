"""Real Chromium and Firefox, driven through a small Node program (``bridge.mjs``)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LINE_LIMIT = 64 << 20


class PageError(Exception):
    """A script in a page threw, or the browser refused an operation."""


class Bridge:
    """The Node program with its browsers."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ids = count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self.console: dict[int, list[str]] = {}
        self._reader = asyncio.create_task(self._read())

    async def call(self, op: str, **arguments: Any) -> Any:
        """Run an operation of the bridge; :raises PageError: when it fails there."""
        identifier = next(self._ids)
        future = asyncio.get_running_loop().create_future()
        self._pending[identifier] = future
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps({"id": identifier, "op": op, **arguments}).encode() + b"\n")
        await stdin.drain()
        return await future

    async def close(self) -> None:
        """Close all browsers and end the program."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(20):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader

    async def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        while line := await stdout.readline():
            message = json.loads(line)
            if "console" in message:
                self.console.setdefault(message["page"], []).append(message["console"])
                continue
            future = self._pending.pop(message["id"])
            if future.done():
                continue
            if "error" in message:
                future.set_exception(PageError(message["error"]))
            else:
                future.set_result(message["result"])
        for future in self._pending.values():
            if not future.done():
                future.set_exception(PageError("the browser bridge ended"))


class Page:
    """One page of a browser."""

    def __init__(self, bridge: Bridge, identifier: int) -> None:
        self._bridge = bridge
        self._id = identifier

    async def run(self, script: str, argument: Any = None) -> Any:
        """Call ``script``, the source of a (possibly async) function of one argument."""
        return await self._bridge.call("evaluate", page=self._id, script=script, argument=argument)

    @property
    def console(self) -> list[str]:
        """What the page has written to its console so far."""
        return self._bridge.console.get(self._id, [])

    @property
    def exceptions(self) -> list[str]:
        """The exceptions that no script of the page caught."""
        return [line for line in self.console if line.startswith("pageerror:")]

    @property
    def errors(self) -> list[str]:
        """The same, and what the browser or a script reported as an error."""
        return [line for line in self.console if line.startswith(("pageerror:", "error:"))]

    async def accessible(self) -> list[tuple[str, str]]:
        """Return role and name of all that a screen reader is told of (Chromium)."""
        nodes = [await self._bridge.call("accessibility", page=self._id)]
        found = []
        while nodes:
            node = nodes.pop(0)
            found.append((node["role"], node.get("name", "")))
            nodes = node.get("children", []) + nodes
        return found

    async def screenshot(self, path: Path) -> None:
        """Write a PNG of the page."""
        await self._bridge.call("screenshot", page=self._id, path=str(path))

    async def resize(self, width: int, height: int) -> None:
        """Set the size of the viewport in CSS pixels."""
        await self._bridge.call("resize", page=self._id, width=width, height=height)

    async def close(self) -> None:
        """Close the page as a user closes a tab; a page that is gone stays so."""
        await self._bridge.call("close", page=self._id)


class Browser:
    """A running browser."""

    def __init__(self, bridge: Bridge, identifier: int) -> None:
        self._bridge = bridge
        self._id = identifier

    async def open(self, url: str, *, width: int = 0, height: int = 0) -> Page:
        """Open a page and wait until it is loaded."""
        identifier = await self._bridge.call(
            "open", browser=self._id, url=url, width=width, height=height
        )
        return Page(self._bridge, identifier)

    async def kill(self) -> None:
        """End the browser with its pages, as a crash does."""
        await self._bridge.call("kill", browser=self._id)

    async def quit(self) -> None:
        """Close the browser with its pages."""
        await self._bridge.call("quit", browser=self._id)


@asynccontextmanager
async def bridge() -> AsyncIterator[Bridge]:
    """Run the Node program."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(HERE / "bridge.mjs"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_LIMIT,
    )
    running = Bridge(process)
    try:
        yield running
    finally:
        await running.close()


async def launch(running: Bridge, name: str, *, trusting: bool = False) -> Browser:
    """
    Start a browser: ``chromium`` or ``firefox``.

    :param trusting: Whether it takes every certificate.
    """
    return Browser(running, await running.call("launch", browser=name, trusting=trusting))
