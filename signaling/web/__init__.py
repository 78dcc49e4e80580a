"""The room page at ``/``, which runs the unmodified ``twilio-video`` package."""

from .routes import routes

__all__ = ["routes"]
