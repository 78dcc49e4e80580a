"""Room signaling for SDK clients: RSP version 2 over TCMP version 2."""

from .handler import SignalingHandler

__all__ = ["SignalingHandler"]
