"""The names of the plane's counters."""

NAMES: tuple[str, ...]
