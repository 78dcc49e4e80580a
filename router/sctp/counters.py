"""What an association drops without an answer, counted."""

from dataclasses import dataclass


@dataclass(slots=True)
class SctpCounters:
    """Counters since the start; plain integers, read at any time."""

    packets_received: int = 0
    packets_malformed: int = 0
    """Wrong length, checksum or chunk format."""
    packets_misdirected: int = 0
    """Wrong ports or verification tag."""
    chunks_ignored: int = 0
    """Known, but not in this state; unknown ones that are to be skipped."""
    cookies_rejected: int = 0
    """State cookies that are not ours, are stale or belong to another association."""
    invalid_streams: int = 0
    """DATA on a stream that was not agreed."""
    timeouts: int = 0
    """T3-rtx expirations."""
