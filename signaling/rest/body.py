"""Request bodies behind aiohttp: bounded in size and in time."""

import asyncio

from aiohttp import web

from signaling.rest.message import BodyTooLarge, BodyTooSlow

BODY_TIMEOUT = 30.0
"""Seconds for the whole body."""


async def read_body(request: web.Request, *, most: int) -> bytes:
    """
    Return the whole body.

    :param most: Bytes.
    :raises BodyTooLarge: as soon as it is known.
    :raises BodyTooSlow: when it has not all come in :data:`BODY_TIMEOUT`, or will not, as the
        client is gone.
    """
    if (request.content_length or 0) > most:
        raise BodyTooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > most:
                    raise BodyTooLarge
    except (TimeoutError, ConnectionError):
        raise BodyTooSlow from None
    return bytes(body)


def with_rest_unread(answer: web.Response) -> web.Response:
    """Return an answer; after one that did not wait for the whole body the connection ends."""
    if answer.status in (408, 413):
        # What is left of the body is not worth reading to keep the connection.
        answer.force_close()
    return answer
