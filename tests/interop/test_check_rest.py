"""The check that came with the REST API's description, on a server that runs as a user runs it."""

from pathlib import Path

from tests.support.check_rest import TURN, passes
from tests.support.server import running_server


async def test_every_case_without_long_waits_passes(tmp_path: Path) -> None:
    async with running_server(tmp_path, settings=TURN) as server:
        print(await passes(server))
