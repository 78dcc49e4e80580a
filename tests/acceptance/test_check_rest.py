"""The whole check that came with the REST API's description, its timer cases included."""

from pathlib import Path

from tests.support.check_rest import TURN, passes
from tests.support.server import running_server

MINUTE_SECONDS = "12"
"""Shorter ones leave the check's own margins no room."""


async def test_every_case_passes(tmp_path: Path) -> None:
    settings = TURN | {"MINUTE_SECONDS": MINUTE_SECONDS}
    async with running_server(tmp_path, settings=settings) as server:
        summary = await passes(server, "--slow", "--minute-seconds", MINUTE_SECONDS)
    print(summary)
    assert "skipped" not in summary
