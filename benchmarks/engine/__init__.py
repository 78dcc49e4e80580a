"""
The load generator's compiled loop: sends and receives the media of thousands of sockets.

Handshakes stay in Python; a connection that is up is handed over with its socket and keys. Knows no
signaling, and so drives any server. The first import of a compiled class builds what is compiled:
needs gcc and Cython. ``bursts`` and ``capture`` are apart from the loop: a fan-out's few
sockets, in bulk.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from benchmarks.compiled import ensure_built

from .figures import (
    AudioPattern,
    InboundCounters,
    Latency,
    OutboundCounters,
    SentFrame,
    Totals,
    VideoPattern,
)

if TYPE_CHECKING:
    from .bursts import FrameSender, Pace
    from .capture import Capture
    from .loop import Engine

__all__ = [
    "AudioPattern",
    "Capture",
    "Engine",
    "FrameSender",
    "InboundCounters",
    "Latency",
    "OutboundCounters",
    "Pace",
    "SentFrame",
    "Totals",
    "VideoPattern",
]


def __getattr__(name: str) -> Any:
    modules = {"Engine": "loop", "Capture": "capture", "FrameSender": "bursts", "Pace": "bursts"}
    if name not in modules:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    ensure_built(__name__)
    return getattr(import_module(f".{modules[name]}", __name__), name)
