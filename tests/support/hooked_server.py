"""
The ``parlour`` command with composition hooks that are late, or fail.

``HOOKS=late`` leaves a room that has ended alone for an hour, as if the server had no time for it;
``HOOKS=broken`` lets every hook fail.
"""

import os
from collections.abc import Sequence

from signaling.cli import main
from signaling.service import compositions
from signaling.storage.event_records import EventRecord
from signaling.storage.media_queries import MediaQueries
from signaling.storage.media_records import CompositionRecord
from signaling.storage.sql_store import SqlStore


async def broken(
    self: MediaQueries, composition: CompositionRecord, told: Sequence[EventRecord] = ()
) -> None:
    """Fail as a fault of ours would."""
    raise ValueError("broken for a test")


if __name__ == "__main__":
    if os.environ["HOOKS"] == "late":
        compositions.GATHER_TIME = 3600.0
    else:
        SqlStore.add_composition = broken  # type: ignore[method-assign]
    main()
