"""Sources and streams: what peers announce and what they only send, up to the bounds."""

from router.node_events import PeerId, SourceId
from router.peer.sources import (
    MAX_RETIRED_STREAMS,
    MAX_STREAMS,
    MAX_STREAMS_OF_SOURCE,
    SourceTable,
)
from router.plane.shard import PlaneShard
from router.sdp.negotiated import InboundMedia, InboundStream

from .call import new_shard


def new_table(shard: PlaneShard) -> SourceTable:
    """Return the table of a peer that the plane knows."""
    transport_id = shard.transports.acquire()
    shard.plane.add_transport(transport_id, b"ufrag", b"password")
    return SourceTable(
        peer_id=PeerId(1),
        shard=shard,
        transport_id=transport_id,
        new_source_id=lambda: SourceId(1),
    )


def section(mid: str, *ssrcs: int, track_id: str = "") -> InboundMedia:
    """Return a video section that announces so many streams."""
    return InboundMedia(
        mid=mid,
        kind="video",
        track_id=track_id or f"track-{mid}",
        streams=tuple(InboundStream(ssrc=ssrc) for ssrc in ssrcs),
        payload_types=(96,),
    )


def plane_streams(shard: PlaneShard) -> int:
    """Let the plane carry out its commands; return how many streams it has."""
    shard.plane.handle_timer(0)
    counters = shard.plane.counters()
    assert counters["commands_refused"] == counters["commands_stale"] == 0
    return counters["streams"]


def test_stream_of_a_section_that_is_used_again_is_the_same() -> None:
    shard = new_shard()
    table = new_table(shard)
    (first,) = table.reconcile((section("0", 7),)).added
    stream = first.streams[0]
    assert table.reconcile(()).removed == [first]
    (again,) = table.reconcile((section("0", 7, track_id="other"),)).added
    assert again.streams == [stream]
    assert plane_streams(shard) == 1


def test_streams_without_a_source_are_dropped_when_there_are_many() -> None:
    shard = new_shard()
    table = new_table(shard)
    for turn in range(100):
        table.reconcile((section("0", 100 + turn, track_id=f"track-{turn}"),))
    assert plane_streams(shard) == MAX_RETIRED_STREAMS + 1
    assert len(shard.streams) == len(shard.stream_transports) == MAX_RETIRED_STREAMS + 1
    table.close()
    assert len(shard.streams) == len(shard.stream_transports) == 0


def test_streams_that_nobody_announced_are_bounded() -> None:
    shard = new_shard()
    table = new_table(shard)
    sections = tuple(section(str(mid)) for mid in range(20))
    table.reconcile(sections)
    taken = [table.discovered(ssrc, "3", is_rtx=False) for ssrc in range(100)]
    assert sum(source is not None for source in taken) == MAX_STREAMS_OF_SOURCE
    for ssrc in range(1000, 3000):
        table.discovered(ssrc, str(ssrc % 20), is_rtx=False)
    assert plane_streams(shard) == MAX_STREAMS


def test_stream_does_not_repair_itself() -> None:
    shard = new_shard()
    table = new_table(shard)
    table.reconcile((section("0", 7),))
    table.discovered(7, "0", is_rtx=True)
    looped = InboundMedia(
        mid="1",
        kind="video",
        track_id="loop",
        streams=(InboundStream(ssrc=9, rtx_ssrc=9),),
        payload_types=(96,),
    )
    table.reconcile((section("0", 7), looped))
    assert plane_streams(shard) == 2
