"""
The REST API, version 1: rooms, participants, tracks and rules.

Requests and responses are plain messages, so that any HTTP server can carry them; ``http1`` does it
with aiohttp. Recordings and compositions come in later releases: their paths
answer 404, though resources already show the links, as clients expect every member to be there.
"""

from signaling.rest.api import RestApi, RestConfig
from signaling.rest.message import BodyTooLarge, Request, Response

__all__ = ["BodyTooLarge", "Request", "Response", "RestApi", "RestConfig"]
