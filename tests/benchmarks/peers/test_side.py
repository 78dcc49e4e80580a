"""A side that cannot go on says so."""

import subprocess

import pytest

from benchmarks.engine import VideoPattern
from benchmarks.load import Peer
from benchmarks.peers import ServerFailed
from benchmarks.peers.side import Side


class DeadServer:
    """A process that has ended."""

    version = ""
    notes = ()

    def __init__(self) -> None:
        with subprocess.Popen(["true"]) as process:
            self.pid = process.pid

    async def publish(self, peer: Peer) -> None:
        """Do nothing."""

    async def subscribe(self, peer: Peer) -> None:
        """Do nothing."""


async def test_a_server_that_is_gone_ends_the_comparison() -> None:
    async with Side(DeadServer(), host="127.0.0.1", suite="any") as side:
        with pytest.raises(ServerFailed, match="is gone"):
            await side.run(VideoPattern(), 0.0)
