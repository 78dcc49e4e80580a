"""
Media-signaling channels of one session: data channels for messages about media.

A client asks for channels by key when it connects. Those that are granted have a label each, and
the server opens a data channel of that label on the client's peer connection. Sans-IO: this object
knows what was asked for and which labels stand for it now; its owner opens the channels.
"""

import random
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from .messages import GrantOut, TransportOut


class ChannelKey(StrEnum):
    """The channels that this server grants."""

    TRANSCRIPTIONS = "extension_transcriptions"


GRANTS_MAX = 32
"""Labels that one session is given; a client that keeps closing its channels gets no more."""


class MediaSignaling:
    """
    See the module.

    :param requested: ``media_signaling`` of the client's ``connect``; anything in it is possible.
    :param rng: Draws labels.
    """

    def __init__(self, requested: Mapping[str, Any] | None, *, rng: random.Random) -> None:
        self._wanted = tuple(key for key in ChannelKey if _over_data_channel(requested, key))
        self._rng = rng
        self._labels: dict[ChannelKey, str] = {}
        self._open: set[ChannelKey] = set()
        self._granted = 0

    @property
    def grants(self) -> dict[str, GrantOut]:
        """Return ``media_signaling`` as the client is told it."""
        return {key: GrantOut(TransportOut(label)) for key, label in self._labels.items()}

    def grant_all(self) -> list[str]:
        """Take a new peer connection into account; return the labels to open on it."""
        self._labels.clear()
        self._open.clear()
        return [label for key in self._wanted if (label := self._grant(key)) is not None]

    def opened(self, label: str) -> None:
        """Take note that the client has a channel."""
        key = self._key_of(label)
        if key is not None:
            self._open.add(key)

    def closed(self, label: str) -> str | None:
        """Take note that a channel is gone; return the label of the one that takes its place."""
        key = self._key_of(label)
        if key is None:
            return None
        del self._labels[key]
        self._open.discard(key)
        return self._grant(key)

    def label_of(self, key: ChannelKey) -> str | None:
        """Return the label of a channel that is open, or None."""
        return self._labels[key] if key in self._open else None

    def _grant(self, key: ChannelKey) -> str | None:
        if self._granted >= GRANTS_MAX:
            return None
        self._granted += 1
        label = self._labels[key] = f"{key}-{self._rng.randbytes(8).hex()}"
        return label

    def _key_of(self, label: str) -> ChannelKey | None:
        return next((key for key, known in self._labels.items() if known == label), None)


def _over_data_channel(requested: Mapping[str, Any] | None, key: str) -> bool:
    request = (requested or {}).get(key)
    transports = request.get("transports") if isinstance(request, dict) else None
    return isinstance(transports, list) and any(
        isinstance(transport, dict) and transport.get("type") == "data-channel"
        for transport in transports
    )
