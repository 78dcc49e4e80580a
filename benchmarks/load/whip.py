"""A client that publishes by WHIP (RFC 9725) or watches by WHEP, with one HTTP exchange."""

import aiohttp
from aiohttp import hdrs
from yarl import URL

from .peer import Peer

SDP_TYPE = "application/sdp"


class WhipFailed(Exception):
    """
    The server refused.

    :param status: HTTP status.
    """

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status} {body[:200]}")
        self.status = status


class WhipSession:
    """
    A resource at a WHIP or WHEP endpoint.

    :param endpoint: ``http://.../whip/{room}`` or ``.../whep/{room}``.
    """

    def __init__(
        self, http: aiohttp.ClientSession, peer: Peer, *, endpoint: str, token: str
    ) -> None:
        self.peer = peer
        self.location = ""
        """URL of the resource."""
        self.etag = ""
        self._http = http
        self._endpoint = endpoint
        self._headers = {hdrs.AUTHORIZATION: f"Bearer {token}"}

    async def start(self) -> None:
        """
        Offer, and apply the answer.

        :raises WhipFailed: when the server answers anything but 201.
        """
        headers = {**self._headers, hdrs.CONTENT_TYPE: SDP_TYPE}
        offer = self.peer.create_offer()
        async with self._http.post(self._endpoint, data=offer, headers=headers) as answer:
            body = await answer.text()
            if answer.status != 201:
                raise WhipFailed(answer.status, body)
            self.location = str(answer.url.join(URL(answer.headers["Location"])))
            self.etag = answer.headers.get(hdrs.ETAG, "")
        self.peer.receive_answer(body)

    async def stop(self) -> None:
        """
        Delete the resource and close the peer.

        :raises WhipFailed: when the server refuses.
        """
        async with self._http.delete(self.location, headers=self._headers) as answer:
            if answer.status not in (200, 204):
                raise WhipFailed(answer.status, await answer.text())
        self.peer.close()
