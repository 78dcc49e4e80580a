"""Copies of a source's stream on the planes on which its subscribers are."""

from dataclasses import dataclass

from .shard import PlaneShard


@dataclass(slots=True)
class _Copy:
    shard: PlaneShard
    subscribers: int = 0
    stream_id: int = 0
    """On the shard; 0 while there is no copy."""
    original: int = 0
    """The stream that is copied, on the publisher's plane."""


class SourceCopies:
    """
    Counts the subscribers of a source on each plane, and keeps a copy where there are any.

    A packet crosses to another plane once, however many subscribers are there.

    :param home: The publisher's plane.
    :param video: Whether it is video.
    """

    __slots__ = ("_copies", "_home", "_video")

    def __init__(self, home: PlaneShard, *, video: bool) -> None:
        self._home = home
        self._video = video
        self._copies: dict[int, _Copy] = {}

    def joined(self, shard: PlaneShard) -> None:
        """Count a subscriber."""
        if shard is not self._home:
            self._copies.setdefault(shard.index, _Copy(shard)).subscribers += 1

    def left(self, shard: PlaneShard) -> None:
        """Uncount a subscriber; the copy ends with the last one."""
        if shard is self._home:
            return
        copy = self._copies[shard.index]
        copy.subscribers -= 1
        if not copy.subscribers:
            self._end(copy)
            del self._copies[shard.index]

    def stream_on(self, shard: PlaneShard, stream_id: int) -> int:
        """
        Return the id under which the plane of a subscriber has the stream.

        :param stream_id: On the publisher's plane; 0 for none, which is 0 everywhere.
        :raises DataPlaneError: when a plane takes no command now, or has no stream ids left.
        """
        if shard is self._home:
            return stream_id
        copy = self._copies[shard.index]
        if copy.original != stream_id:
            self._end(copy)
            if stream_id:
                self._begin(copy, stream_id)
        return copy.stream_id

    def _begin(self, copy: _Copy, stream_id: int) -> None:
        home, away = self._home.plane, copy.shard.plane
        PlaneShard.command(home.link(away))
        copy_id = copy.shard.streams.acquire()
        if not away.add_copy(copy_id, home, stream_id, video=self._video):
            copy.shard.streams.release(copy_id)
            PlaneShard.command(False)
        copy.stream_id, copy.original = copy_id, stream_id
        if not home.copy_stream(stream_id, away, copy_id):
            self._end(copy)
            PlaneShard.command(False)

    def _end(self, copy: _Copy) -> None:
        if not copy.stream_id:
            return
        if self._home.failure is None:
            # Should the ring be full, the packets go on to nobody.
            self._home.plane.copy_stream(copy.original, copy.shard.plane, 0)
        # A plane that could not be told keeps the copy, so the id may not be used again.
        if copy.shard.failure is None and copy.shard.plane.remove_stream(copy.stream_id):
            copy.shard.streams.release(copy.stream_id)
        copy.stream_id = copy.original = 0
