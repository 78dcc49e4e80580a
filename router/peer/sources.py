"""
What a peer sends, as its descriptions tell it: media sources and their RTP streams.

RTP streams outlive their sources for a while: Chromium takes up the same SSRC when an m-section is
used again, and what is under way then must not be taken for something new. The SRTP roll-over
counters of all streams that a peer ever had are kept by the data plane.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from router.node_events import MediaKind, PeerId, Source, SourceId
from router.plane.shard import PlaneShard
from router.sdp.negotiated import InboundMedia

MAX_STREAMS = 64
"""RTP streams that one peer may have, retired ones included; each may cost half a megabyte."""

MAX_RETIRED_STREAMS = 16
"""RTP streams without a source."""

MAX_STREAMS_OF_SOURCE = 8
"""RTP streams of one source, announced or not: simulcast, and what came before it."""


@dataclass(slots=True)
class RtpStream:
    """One inbound SSRC as the data plane knows it."""

    stream_id: int
    ssrc: int
    rtx_ssrc: int
    started: bool = False


@dataclass(slots=True)
class MediaSource:
    """A source with its RTP streams, lowest simulcast rendition first."""

    source: Source
    mid: str
    streams: list[RtpStream] = field(default_factory=list)

    @property
    def preferred(self) -> RtpStream | None:
        """The stream to forward: the highest that runs, or the lowest while none does."""
        started = [stream for stream in self.streams if stream.started]
        if started:
            return started[-1]
        return self.streams[0] if self.streams else None


@dataclass(slots=True, kw_only=True)
class SourceChanges:
    """What a new description changed."""

    added: list[MediaSource] = field(default_factory=list)
    removed: list[MediaSource] = field(default_factory=list)
    restreamed: list[MediaSource] = field(default_factory=list)
    """Sources whose RTP streams are now others."""


class SourceTable:
    """
    Keeps sources and streams in step with what was negotiated.

    :param new_source_id: Gives out ids that are unique on the node.
    """

    def __init__(
        self,
        *,
        peer_id: PeerId,
        shard: PlaneShard,
        transport_id: int,
        new_source_id: Callable[[], SourceId],
    ) -> None:
        self._peer_id = peer_id
        self._shard = shard
        self._transport_id = transport_id
        self._new_source_id = new_source_id
        self._by_mid: dict[str, MediaSource] = {}
        self._streams: dict[int, RtpStream] = {}

    def sources(self) -> list[MediaSource]:
        """Return the current media sources."""
        return list(self._by_mid.values())

    def reconcile(self, inbound: tuple[InboundMedia, ...]) -> SourceChanges:
        """Apply the sections on which the peer sends after an exchange."""
        changes = SourceChanges()
        sections = {media.mid: media for media in inbound}
        for mid, current in list(self._by_mid.items()):
            media = sections.get(mid)
            if media is None or (media.track_id or mid) != current.source.track_id:
                del self._by_mid[mid]
                changes.removed.append(current)
        for mid, media in sections.items():
            known = self._by_mid.get(mid)
            if known is None:
                known = MediaSource(
                    Source(
                        source_id=self._new_source_id(),
                        peer_id=self._peer_id,
                        kind=MediaKind(media.kind),
                        track_id=media.track_id or mid,
                    ),
                    mid,
                )
                self._by_mid[mid] = known
                changes.added.append(known)
            wanted = [
                stream
                for described in media.streams
                if described.ssrc is not None
                and (stream := self._stream(described.ssrc, described.rtx_ssrc or 0, known))
            ]
            if wanted and wanted != known.streams:
                known.streams = wanted
                self._rank(known)
                changes.restreamed.append(known)
        while len(self._streams) > MAX_RETIRED_STREAMS and self._retire_one(MAX_RETIRED_STREAMS):
            pass
        return changes

    def discovered(self, ssrc: int, mid: str, *, is_rtx: bool) -> MediaSource | None:
        """
        Take up an SSRC that no description announced; return the source that has a new stream.

        :param mid: The ``sdes:mid`` of its packets, empty when they carry none: then it can only
            be told apart when exactly one section waits for its stream.
        :param is_rtx: It repairs the one stream of its section, and is none by itself.
        """
        if is_rtx:
            repaired = self._by_mid.get(mid)
            if ssrc not in self._streams and repaired is not None and len(repaired.streams) == 1:
                self._set_rtx(repaired.streams[0], ssrc)
            return None
        if mid:
            source = self._by_mid.get(mid)
        else:
            silent = [source for source in self._by_mid.values() if not source.streams]
            source = silent[0] if len(silent) == 1 else None
        if source is None or any(stream.ssrc == ssrc for stream in source.streams):
            return None
        if len(source.streams) >= MAX_STREAMS_OF_SOURCE:
            return None
        stream = self._stream(ssrc, 0, source)
        if stream is None:
            return None
        source.streams.append(stream)
        self._rank(source)
        return source

    def started(self, stream_id: int) -> MediaSource | None:
        """Note that a stream's first packet came; return its source."""
        for source in self._by_mid.values():
            for stream in source.streams:
                if stream.stream_id == stream_id:
                    stream.started = True
                    return source
        return None

    def close(self) -> None:
        """Give all stream ids back; the plane drops the streams with their transport."""
        for stream in self._streams.values():
            self._release(stream)
        self._streams.clear()
        self._by_mid.clear()

    def _stream(self, ssrc: int, rtx_ssrc: int, owner: MediaSource) -> RtpStream | None:
        if rtx_ssrc == ssrc:
            rtx_ssrc = 0  # A stream cannot repair itself.
        stream = self._streams.get(ssrc)
        if stream is not None:
            if rtx_ssrc and stream.rtx_ssrc != rtx_ssrc:
                self._set_rtx(stream, rtx_ssrc)
            return stream
        if len(self._streams) >= MAX_STREAMS and not self._retire_one():
            return None
        stream = RtpStream(self._shard.streams.acquire(), ssrc, rtx_ssrc)
        self._streams[ssrc] = stream
        self._shard.stream_transports[stream.stream_id] = self._transport_id
        self._shard.command(
            self._shard.plane.add_stream(
                stream.stream_id,
                self._transport_id,
                ssrc,
                rtx_ssrc,
                video=owner.source.kind is MediaKind.VIDEO,
            )
        )
        return stream

    def _rank(self, source: MediaSource) -> None:
        """Tell the plane which rendition each can fall back to under overload."""
        for lower, stream in pairwise(source.streams):
            self._shard.command(
                self._shard.plane.set_stream_lower(stream.stream_id, lower.stream_id)
            )

    def _set_rtx(self, stream: RtpStream, rtx_ssrc: int) -> None:
        stream.rtx_ssrc = rtx_ssrc
        self._shard.command(self._shard.plane.set_stream_rtx(stream.stream_id, rtx_ssrc))

    def _retire_one(self, keep: int = 0) -> bool:
        """Drop the oldest stream without a source, if there are more than ``keep``."""
        used = {stream.ssrc for source in self._by_mid.values() for stream in source.streams}
        retired = [stream for ssrc, stream in self._streams.items() if ssrc not in used]
        if len(retired) <= keep:
            return False
        self._drop(retired[0])
        return True

    def _drop(self, stream: RtpStream) -> None:
        del self._streams[stream.ssrc]
        self._shard.command(self._shard.plane.remove_stream(stream.stream_id))
        self._release(stream)

    def _release(self, stream: RtpStream) -> None:
        del self._shard.stream_transports[stream.stream_id]
        self._shard.streams.release(stream.stream_id)
