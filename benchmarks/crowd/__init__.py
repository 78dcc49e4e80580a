"""Participants that join in processes of their own, so that the load generator is not the limit."""

from .crowd import Crowd, CrowdConfig
from .outcome import Outcome

__all__ = ["Crowd", "CrowdConfig", "Outcome"]
