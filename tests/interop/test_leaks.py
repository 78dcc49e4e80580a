"""After warm-up, 200 joins and leaves with media leave nothing behind in the whole server."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from .leak_harness import RESIDENT_BYTES_MAX

WARM_UP = 192
JOINS = 200
TIMEOUT = 240.0


async def measure(directory: Path) -> dict[str, Any]:
    """Run the server with its clients in a fresh process and return what it counted."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.interop.leak_harness", str(directory)),
        *("--warm-up", str(WARM_UP), "--joins", str(JOINS)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), TIMEOUT)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, errors.decode()[-4000:]
    found: dict[str, Any] = json.loads(output)
    return found


def differences(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Return by how much each type has grown or shrunk."""
    types = before.keys() | after.keys()
    changes = {name: after.get(name, 0) - before.get(name, 0) for name in types}
    return {name: change for name, change in changes.items() if change}


async def test_joins_and_leaves_leave_nothing_behind(tmp_path: Path) -> None:
    found = await measure(tmp_path)
    before, after = found["before"], found["after"]
    grown = after.pop("resident_bytes") - before.pop("resident_bytes")
    assert differences(before.pop("objects"), after.pop("objects")) == {}
    assert after == before
    # One participant with a camera and a microphone stayed; nobody else holds anything.
    assert after["occupancy"]["peers"] == after["occupancy"]["transports"] == 1
    assert after["occupancy"]["sources"] == after["occupancy"]["streams"] == 2
    assert after["plane"] == {
        name: after["occupancy"][name] for name in ("transports", "streams", "slots")
    }
    assert (after["rooms"], after["participants"], after["connections"]) == (1, 1, 1)
    assert grown < RESIDENT_BYTES_MAX, f"{grown} bytes more are resident"
