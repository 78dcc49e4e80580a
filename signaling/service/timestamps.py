"""Instants as callbacks write them."""

from datetime import datetime


def timestamp(moment: datetime) -> str:
    """Return an instant with milliseconds: ``2025-10-27T18:16:01.876Z``."""
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
