"""One attempt to deliver a callback over HTTP/1.1; everything about it is bounded."""

import asyncio

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from .guard import AddressGuard, AddressRefused, GuardedResolver
from .request import CallbackRequest
from .resolver import SystemResolver
from .retry import Failure, Outcome
from .target import Overrides

ANSWER_MAX_BYTES = 64 * 1024
"""What is read of an answer, to keep its connection; the body itself is ignored."""
TEXT_MAX_CHARACTERS = 200


class CallbackSender:
    """
    Sends callbacks. Follows no redirects, keeps no cookies, uses no proxy.

    :param guard: Judges the addresses.
    :param resolver: Asks the DNS; the system's own when None.
    """

    def __init__(self, guard: AddressGuard, *, resolver: AbstractResolver | None = None) -> None:
        self._guard = guard
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(resolver or SystemResolver(), guard),
            # An answer that was checked is the one that is used; the system caches well enough.
            use_dns_cache=False,
            # Bounds are the schedule's business.
            limit=0,
            keepalive_timeout=15.0,
            socket_factory=guard.connecting_socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=("Accept-Encoding",),
        )

    async def close(self) -> None:
        """Let all connections go."""
        await self._session.close()

    async def send(self, request: CallbackRequest, overrides: Overrides) -> Outcome:
        """Make one attempt; never raises but for cancellation."""
        # The session's own total leaves it open which phase took too long; that matters little.
        timeout = aiohttp.ClientTimeout(
            total=overrides.total_timeout,
            connect=overrides.connect_timeout,
            sock_read=overrides.read_timeout,
        )
        try:
            async with (
                asyncio.timeout(overrides.total_timeout + 1.0),
                self._session.request(
                    request.method,
                    # Encoded: the receiver checks the signature over the URL as it was given.
                    URL(request.url, encoded=True),
                    headers=request.headers,
                    data=request.body or None,
                    allow_redirects=False,
                    timeout=timeout,
                ) as answer,
            ):
                await self._skip_body(answer)
                return Outcome(status=answer.status, text=f"HTTP status {answer.status}")
        except Exception as error:
            return _failed(error)

    async def _skip_body(self, answer: aiohttp.ClientResponse) -> None:
        try:
            while not answer.content.at_eof() and answer.content.total_bytes <= ANSWER_MAX_BYTES:
                await answer.content.readany()
        except (aiohttp.ClientError, OSError, TimeoutError):
            # The status has arrived, which is all that counts.
            pass
        if not answer.content.at_eof():
            answer.close()


def _failed(error: BaseException) -> Outcome:
    text = f"{type(error).__name__}: {error}"[:TEXT_MAX_CHARACTERS]
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AddressRefused):
            return Outcome(failure=Failure.REFUSED, text=str(cause))
        cause = cause.__cause__ or getattr(cause, "os_error", None)
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError | ValueError):
        return Outcome(failure=Failure.REFUSED, text=text)
    if isinstance(error, aiohttp.ConnectionTimeoutError | aiohttp.ClientConnectorError):
        return Outcome(failure=Failure.CONNECT, text=text)
    return Outcome(failure=Failure.READ, text=text)
