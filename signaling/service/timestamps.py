"""Instants as callbacks write them."""

from datetime import datetime


def timestamp(moment: datetime) -> str:
    """Return an instant with milliseconds: ``2025-10-27T18:16:01.876Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
