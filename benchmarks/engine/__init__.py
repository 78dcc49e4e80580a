"""
The load generator's compiled loop: sends and receives the media of thousands of sockets.

Handshakes stay in Python; a connection that is up is handed over with its socket and keys. Knows no
signaling, and so drives any server. The first import of :class:`Engine` builds what is compiled:
needs gcc and Cython.
"""

from typing import TYPE_CHECKING, Any

from benchmarks.compiled import ensure_built

from .figures import (
    AudioPattern,
    InboundCounters,
    Latency,
    OutboundCounters,
    Totals,
    VideoPattern,
)

if TYPE_CHECKING:
    from .loop import Engine

__all__ = [
    "AudioPattern",
    "Engine",
    "InboundCounters",
    "Latency",
    "OutboundCounters",
    "Totals",
    "VideoPattern",
]


def __getattr__(name: str) -> Any:
    if name != "Engine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    ensure_built(__name__)
    from .loop import Engine

    return Engine
