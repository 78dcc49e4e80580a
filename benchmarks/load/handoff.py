"""Clients whose media is sent and received by an engine once they are connected."""

import asyncio
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING

from benchmarks.engine import AudioPattern, VideoPattern
from router.net import Address

from .core import ClientConfig, ClientEvent, Connected
from .description import Section
from .peer import Peer

if TYPE_CHECKING:
    from array import array

    from benchmarks.engine import Engine

SILENT_VIDEO, SILENT_AUDIO = VideoPattern(bitrate_bps=0), AudioPattern(bitrate_bps=0)


class EngineHost:
    """Gives an engine's peers what came for them and is no media."""

    def __init__(self, engine: "Engine") -> None:
        self.engine = engine
        self.peers: dict[int, EnginePeer] = {}
        """By connection."""
        asyncio.get_running_loop().add_reader(engine.fileno(), self._read)

    def close(self) -> None:
        """Stop reading."""
        asyncio.get_running_loop().remove_reader(self.engine.fileno())

    def _read(self) -> None:
        for connection, data, source in self.engine.datagrams():
            peer = self.peers.get(connection)
            if peer is not None:
                peer.receive(data, Address(*source))


class EnginePeer(Peer):
    """
    A peer that hands its socket over, when DTLS is up or later.

    :param publisher: Number that all it sends is stamped with.
    :param sampled: Open and check all that it receives.
    :param consent_interval: Seconds between requests for consent that the engine makes, beside
        those of ICE; None for none.
    :param waits: Until :meth:`hand_over` is called.
    """

    def __init__(
        self,
        config: ClientConfig,
        media: EngineHost,
        *,
        rng: random.Random,
        host: str = "127.0.0.1",
        publisher: int = 0,
        sampled: bool = False,
        consent_interval: float | None = None,
        waits: bool = False,
    ) -> None:
        super().__init__(config, rng=rng, host=host)
        self.inbound: dict[int, int] = {}
        """Numbers of the engine's streams, by SSRC."""
        self.outbound: dict[int, int] = {}
        self._media, self._publisher, self._sampled = media, publisher, sampled
        self._consent_interval = consent_interval
        self._waits = waits
        self._connection: int | None = None

    @property
    def connection(self) -> int:
        """The engine's number for it. :raises RuntimeError: before it is connected."""
        if self._connection is None:
            raise RuntimeError("not connected yet")
        return self._connection

    def send_video(self, pattern: VideoPattern) -> None:
        """Send on all video sections that were agreed on."""
        self._send_pattern("video", pattern)

    def send_audio(self, pattern: AudioPattern) -> None:
        """Send on all audio sections that were agreed on."""
        self._send_pattern("audio", pattern)

    def receive_answer(self, sdp: str) -> None:
        """Apply an answer."""
        super().receive_answer(sdp)
        self._follow_descriptions()

    def receive_offer(self, sdp: str) -> str:
        """Return the answer to an offer."""
        answer = super().receive_offer(sdp)
        self._follow_descriptions()
        return answer

    def assume_received(
        self, packets: Mapping[int, int], first: int, arrivals_us: "array[int]"
    ) -> None:
        """Report what was dropped on purpose on the way; see the engine."""
        self._media.engine.assume_received(self.connection, packets, first, arrivals_us)

    def close(self, *, silently: bool = False) -> None:
        """Close the socket."""
        if self._connection is not None:
            self._media.engine.remove_connection(self._connection)
            del self._media.peers[self._connection]
            self._connection = None
        super().close(silently=silently)

    def _note(self, event: ClientEvent) -> None:
        super()._note(event)
        if isinstance(event, Connected) and not self._waits:
            self.hand_over()

    def hand_over(self, *, reads: bool = True) -> None:
        """
        Let the engine have the socket.

        :param reads: Otherwise the engine only sends, and somebody else reads.
        """
        srtp, path = self.core.srtp, self.core.ice.selected_path
        assert srtp is not None
        assert path is not None
        self.core.media_is_elsewhere = True
        self.stop_reading()
        extensions: dict[str, int] = {}
        for section in self.core.descriptions.sections:
            extensions.update(section.extensions)
        self._connection = self._media.engine.add_connection(
            self.socket.fileno(),
            path[1],
            profile=srtp.profile.id,
            send_key=srtp.local_keys[0],
            send_salt=srtp.local_keys[1],
            receive_key=srtp.remote_keys[0],
            receive_salt=srtp.remote_keys[1],
            extensions=extensions,
            sampled=self._sampled,
            consent=None if self._consent_interval is None else self.core.consent_credentials(),
            consent_interval=self._consent_interval or 0.0,
            reads=reads,
        )
        self._media.peers[self._connection] = self
        self._follow_descriptions()

    def _follow_descriptions(self) -> None:
        if self._connection is None:
            return
        for section in self.core.descriptions.sections:
            if section.is_media:
                self._follow(self._connection, section)

    def _follow(self, connection: int, section: Section) -> None:
        engine = self._media.engine
        if section.current.receives and section.remote_ssrcs:
            ssrc, *rtx = section.remote_ssrcs
            if ssrc not in self.inbound:
                known = self.core.media.inbound.get(ssrc)
                self.inbound[ssrc] = engine.add_inbound(
                    connection,
                    ssrc=ssrc,
                    kind=section.kind,
                    rtx_ssrc=rtx[0] if rtx else 0,
                    highest=None if known is None else known.highest,
                )
        sends = section.current.sends and section.payload_type is not None
        if sends and section.ssrc not in self.outbound:
            assert section.payload_type is not None
            has_rtx = section.rtx_ssrc and section.rtx_payload_type is not None
            self.outbound[section.ssrc] = engine.add_outbound(
                connection,
                ssrc=section.ssrc,
                payload_type=section.payload_type,
                rtx_ssrc=section.rtx_ssrc if has_rtx else 0,
                rtx_payload_type=section.rtx_payload_type or 0,
                mid=section.mid,
                publisher=self._publisher,
                pattern=SILENT_VIDEO if section.kind == "video" else SILENT_AUDIO,
            )

    def _send_pattern(self, kind: str, pattern: VideoPattern | AudioPattern) -> None:
        for section in self.core.descriptions.sections:
            if section.kind == kind and section.ssrc in self.outbound:
                self._media.engine.set_pattern(self.outbound[section.ssrc], pattern)
