"""The OpenAPI description of what this server serves, made from its routes."""

from signaling.openapi.document import describe
from signaling.openapi.route import route

__all__ = ["describe", "route"]
