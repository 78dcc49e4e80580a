"""
The load generator's compiled loop: sends and receives the media of thousands of sockets.

Handshakes stay in Python; a connection that is up is handed over with its socket and keys. Knows no
signaling, and so drives any server. Built on first import: needs gcc and Cython.
"""

from benchmarks.compiled import ensure_built

ensure_built(__name__)

from .figures import (  # noqa: E402 - the modules below are compiled
    AudioPattern,
    InboundCounters,
    Latency,
    OutboundCounters,
    Totals,
    VideoPattern,
)
from .loop import Engine  # noqa: E402

__all__ = [
    "AudioPattern",
    "Engine",
    "InboundCounters",
    "Latency",
    "OutboundCounters",
    "Totals",
    "VideoPattern",
]
