"""Room signaling for SDK clients: RSP version 2 over TCMP version 2."""

from .door import Door
from .handler import SignalingHandler

__all__ = ["Door", "SignalingHandler"]
