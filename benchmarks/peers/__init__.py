"""
Servers that ``compare`` puts under the same load. An adapter is one file.

It has a ``NAME``, ``add_arguments(parser)``, and ``running(arguments, host=, publishers=)``, an
asynchronous context manager that yields a :class:`MediaServer`.
"""

from typing import Protocol

from benchmarks.load import Peer


class ServerFailed(Exception):
    """The server does not run, or refused something."""


class MediaServer(Protocol):
    """A server that is ready, with one room in it."""

    @property
    def pid(self) -> int:
        """Of the process whose CPU time counts."""

    @property
    def version(self) -> str:
        """Of the server, and of what it does SRTP with where that is known."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What one has to know to read its figures."""

    async def publish(self, peer: Peer) -> None:
        """
        Negotiate for a peer that has one section, to send; then it connects.

        :raises ServerFailed: when the server refuses.
        """

    async def subscribe(self, peer: Peer) -> None:
        """
        Negotiate for a peer that is to receive all that is published; then it connects.

        :raises ServerFailed: when the server refuses.
        """
