"""The data planes of a node: one thread and one UDP port each; a group of peers shares one."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from router._fastpath.plane import DataPlane
from router.errors import DataPlaneError
from router.sdp.codecs import Codec

from .codecs import CodecTable, payload_format
from .ids import IdPool

STOP_TIMEOUT = 5.0

SPREAD_PEERS = 100
"""Peers of one group on one plane, beyond which others go to another plane."""
SPREAD_LEAST = 10
"""Peers of one group on one plane, beyond which others leave a busy plane alone."""
SPREAD_PLANES = 8
"""Planes that one group may use: a stream can be copied to seven others."""
BUSY = 0.7
"""Share of its time for which a busy plane has work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneCapacity:
    """How much one data plane can hold."""

    transports: int = 4096
    streams: int = 16384
    slots: int = 65535


@dataclass(slots=True, kw_only=True)
class PlaneShard:
    """One data plane with its thread, its port and the ids that live on it."""

    index: int
    plane: DataPlane
    port: int
    transports: IdPool
    streams: IdPool
    slots: IdPool
    codecs: CodecTable
    groups: dict[Hashable, int] = field(default_factory=dict)
    """Number of peers of each group."""
    described: set[int] = field(default_factory=set)
    """Numbers of the codecs that the plane knows."""
    stream_transports: dict[int, int] = field(default_factory=dict)
    """The transport id of each inbound stream id."""
    thread: threading.Thread | None = None
    failure: BaseException | None = None

    @property
    def load(self) -> int:
        """The number of peers on this plane."""
        return sum(self.groups.values())

    @property
    def pressure(self) -> tuple[int, int]:
        """What to compare planes by: quarters of its time that it is busy, then peers."""
        return int(self.plane.load() * 4), self.load

    def codec_number(self, codec: Codec) -> int:
        """Return the number of a codec, described to the plane when it is new; 0 without room."""
        number = self.codecs.number(codec)
        if number and number not in self.described:
            self.command(self.plane.define_codec(number, payload_format(codec), codec.clock_rate))
            self.described.add(number)
        return number

    @staticmethod
    def command(accepted: bool) -> None:
        """
        Check the result of a command.

        :raises DataPlaneError: when the command ring is full, which means that the thread hangs or
            that far more is asked of it per second than it can do.
        """
        if not accepted:
            raise DataPlaneError("the data plane's command ring is full")


class PlaneShards:
    """
    Starts, stops and shares out the data planes of a node.

    :param count: Number of threads, at least 1.
    :param address: Address to bind, ``::`` for all of both families.
    :param base_port: Thread i uses ``base_port + i``; 0 lets the kernel choose each.
    :param receive_buffer: SO_RCVBUF in bytes; likewise ``send_buffer``.
    :param spread_peers: See ``SPREAD_PEERS``; 0 for no limit.
    :param processors: Thread i runs on the i-th, and over again from the first; none: the scheduler
        chooses.
    :param on_failure: Called on the failing thread when a plane's loop ends by itself.
    """

    def __init__(
        self,
        *,
        count: int,
        address: str,
        base_port: int,
        receive_buffer: int,
        send_buffer: int,
        capacity: PlaneCapacity,
        on_failure: Callable[[PlaneShard, BaseException], None],
        spread_peers: int = SPREAD_PEERS,
        processors: Sequence[int] = (),
    ) -> None:
        self._processors = processors
        self._spread_peers = spread_peers or sys.maxsize
        self._on_failure = on_failure
        self._shards: list[PlaneShard] = []
        codecs = CodecTable()  # one for all, because packets cross from plane to plane
        try:
            for index in range(count):
                plane = DataPlane(
                    max_transports=capacity.transports,
                    max_streams=capacity.streams,
                    max_slots=capacity.slots,
                )
                port = plane.bind(
                    address,
                    base_port + index if base_port else 0,
                    receive_buffer=receive_buffer,
                    send_buffer=send_buffer,
                )
                self._shards.append(
                    PlaneShard(
                        index=index,
                        plane=plane,
                        port=port,
                        transports=IdPool(capacity.transports),
                        streams=IdPool(capacity.streams),
                        slots=IdPool(capacity.slots),
                        codecs=codecs,
                    )
                )
        except BaseException:
            for shard in self._shards:
                shard.plane.close()
            raise

    def __iter__(self) -> Iterator[PlaneShard]:
        return iter(self._shards)

    def start(self) -> None:
        """
        Start one thread per plane.

        :raises OSError: when it may not run on its processor.
        """
        for shard in self._shards:
            shard.thread = threading.Thread(
                target=self._run, args=(shard,), name=f"plane-{shard.index}", daemon=True
            )
            shard.thread.start()
            if self._processors:
                assert shard.thread.native_id is not None
                processor = self._processors[shard.index % len(self._processors)]
                os.sched_setaffinity(shard.thread.native_id, {processor})

    def stop(self) -> None:
        """Stop all threads and close their sockets."""
        for shard in self._shards:
            shard.plane.stop()
        for shard in self._shards:
            if shard.thread is not None:
                shard.thread.join(STOP_TIMEOUT)
                if shard.thread.is_alive():
                    continue  # Freeing memory under a running thread is worse than leaking it.
            shard.plane.close()

    def acquire(self, group: Hashable) -> PlaneShard:
        """
        Return a plane for one more peer of a group, and count it.

        A group stays on one plane, the least loaded one when it was new, until it outgrows it: when
        it has very many peers there, or many while the plane is busy. Then newcomers go to the
        least loaded plane that it does not use yet, if that one has less to do.

        A group whose plane has stopped begins anew on another one, beside the peers that it still
        has there.

        :raises DataPlaneError: when all planes have stopped.
        """
        alive = [s for s in self._shards if s.failure is None]
        if not alive:
            raise DataPlaneError("no data plane is running")
        shard = self._place(group, alive)
        shard.groups[group] = shard.groups.get(group, 0) + 1
        return shard

    def _place(self, group: Hashable, alive: list[PlaneShard]) -> PlaneShard:
        used = [s for s in alive if group in s.groups]
        unused = [s for s in alive if group not in s.groups]
        if not used:
            return min(unused, key=lambda s: s.pressure)
        roomy = [s for s in used if not self._outgrown(s, group)]
        if roomy:
            return min(roomy, key=lambda s: s.groups[group])
        least = min(used, key=lambda s: s.pressure)
        if unused and len(used) < SPREAD_PLANES:
            other = min(unused, key=lambda s: s.pressure)
            if other.pressure < least.pressure:
                return other
        return least

    def _outgrown(self, shard: PlaneShard, group: Hashable) -> bool:
        peers = shard.groups[group]
        return peers >= self._spread_peers or (
            peers >= min(SPREAD_LEAST, self._spread_peers) and shard.plane.load() > BUSY
        )

    def release(self, shard: PlaneShard, group: Hashable) -> None:
        """Uncount a peer of a group; an empty group loses its place."""
        shard.groups[group] -= 1
        if not shard.groups[group]:
            del shard.groups[group]

    def _run(self, shard: PlaneShard) -> None:
        # The kernel's name of the thread, by which `top -H` and the benchmarks know it.
        with contextlib.suppress(OSError):
            Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(
                f"plane-{shard.index}"
            )
        try:
            shard.plane.run()
        except BaseException as error:
            shard.failure = error
            self._on_failure(shard, error)
