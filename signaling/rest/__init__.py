"""
The REST API, version 1, and what is needed of ``/2010-04-01``: API keys and TURN credentials.

Requests and responses are plain messages, so that any HTTP server can carry them; ``http1`` does it
with aiohttp. Recordings and compositions have their resources and their life; nothing records or
renders yet, so there is no media to be had of them.
"""

from signaling.rest.api import RestApi, RestConfig
from signaling.rest.message import BodyTooLarge, Request, Response

__all__ = ["BodyTooLarge", "Request", "Response", "RestApi", "RestConfig"]
