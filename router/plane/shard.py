"""The data planes of a node: one thread and one UDP port each; a group of peers shares one."""

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from router._fastpath.plane import DataPlane
from router.errors import DataPlaneError
from router.sdp.codecs import Codec

from .codecs import CodecTable, payload_format
from .ids import IdPool

STOP_TIMEOUT = 5.0


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
    stream_transports: dict[int, int] = field(default_factory=dict)
    """The transport id of each inbound stream id."""
    thread: threading.Thread | None = None
    failure: BaseException | None = None

    @property
    def load(self) -> int:
        """The number of peers on this plane."""
        return sum(self.groups.values())

    def codec_number(self, codec: Codec) -> int:
        """Return the number of a codec, described to the plane when it is new; 0 without room."""
        number, is_new = self.codecs.number(codec)
        if is_new:
            self.command(self.plane.define_codec(number, payload_format(codec), codec.clock_rate))
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
    ) -> None:
        self._on_failure = on_failure
        self._shards: list[PlaneShard] = []
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
                        codecs=CodecTable(),
                    )
                )
        except BaseException:
            for shard in self._shards:
                shard.plane.close()
            raise

    def __iter__(self) -> Iterator[PlaneShard]:
        return iter(self._shards)

    def start(self) -> None:
        """Start one thread per plane."""
        for shard in self._shards:
            shard.thread = threading.Thread(
                target=self._run, args=(shard,), name=f"plane-{shard.index}", daemon=True
            )
            shard.thread.start()

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
        Return the plane of a group, the least loaded one for a new group, and count a peer.

        A group whose plane has stopped begins anew on another one, beside the peers that it still
        has there.

        :raises DataPlaneError: when all planes have stopped.
        """
        alive = [s for s in self._shards if s.failure is None]
        if not alive:
            raise DataPlaneError("no data plane is running")
        shard = next((s for s in alive if group in s.groups), None)
        if shard is None:
            shard = min(alive, key=lambda s: s.load)
        shard.groups[group] = shard.groups.get(group, 0) + 1
        return shard

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
