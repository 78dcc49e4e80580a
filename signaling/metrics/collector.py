"""
Facts as metrics, at the moment of a scrape.

Names begin with ``parlour_`` and use base units; no label has a value that a client chooses.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from signaling.service.join_times import BUCKETS, JoinTimes


class MetricsService(Protocol):
    """The facts that the room service offers."""

    @property
    def draining(self) -> bool: ...
    @property
    def join_times(self) -> JoinTimes: ...
    @property
    def refused_joins(self) -> Mapping[int, int]: ...
    @property
    def room_count(self) -> int: ...
    @property
    def participant_count(self) -> int: ...
    @property
    def connection_count(self) -> int: ...
    @property
    def recorder_backlog(self) -> int: ...
    def track_counts(self) -> Mapping[str, int]: ...


# Counters of the media node that belong to one family, with the label's value for each.
_FAMILIES: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    (
        "parlour_rtp_packets",
        "RTP packets of accepted streams received, and RTP packets sent.",
        "direction",
        {"rtp_in": "inbound", "rtp_out": "outbound"},
    ),
    (
        "parlour_rtp_bytes",
        "Bytes of those packets.",
        "direction",
        {"rtp_bytes_in": "inbound", "rtp_bytes_out": "outbound"},
    ),
    (
        "parlour_datagrams",
        "UDP datagrams of all protocols.",
        "direction",
        {"datagrams_in": "inbound", "datagrams_out": "outbound"},
    ),
    (
        "parlour_datagram_bytes",
        "Bytes of those datagrams.",
        "direction",
        {"bytes_in": "inbound", "bytes_out": "outbound"},
    ),
    (
        "parlour_rtcp_packets",
        "RTCP compound packets.",
        "direction",
        {"rtcp_in": "inbound", "rtcp_out": "outbound"},
    ),
    (
        "parlour_nack",
        "Generic NACK messages: inbound from subscribers, outbound to publishers.",
        "direction",
        {"nacks_in": "inbound", "nacks_out": "outbound"},
    ),
    (
        "parlour_nack_lost_packets",
        "Packets that those messages report lost.",
        "direction",
        {"nacked_packets": "inbound", "requested_packets": "outbound"},
    ),
    (
        "parlour_pli",
        "Picture loss indications: inbound from subscribers, outbound to publishers.",
        "direction",
        {"pli_in": "inbound", "pli_out": "outbound"},
    ),
    (
        "parlour_retransmitted_packets",
        "Packets sent again, as RTX or as they were.",
        "form",
        {"rtx_out": "rtx", "resent_plain": "plain"},
    ),
    (
        "parlour_srtp_refused_packets",
        "Packets that SRTP refused.",
        "reason",
        {
            "srtp_unauthenticated": "unauthenticated",
            "srtp_replayed": "replayed",
            "srtp_unvalidated": "unvalidated_address",
            "srtp_without_keys": "without_keys",
        },
    ),
    (
        "parlour_stun",
        "STUN binding requests by what became of them.",
        "result",
        {
            "stun_successes": "success",
            "stun_errors": "error",
            "stun_unauthenticated": "unauthenticated",
            "stun_ignored": "ignored",
        },
    ),
)
# All others appear by their own names, so that a new counter is seen without a change here.
_GROUPED = {name for *_, labels in _FAMILIES for name in labels}


class ParlourCollector(Collector):
    """
    Collects on the thread that scrapes, which must be the event loop's.

    :param counters: Returns the media node's counters.
    """

    def __init__(
        self, *, service: MetricsService, counters: Callable[[], Mapping[str, int]]
    ) -> None:
        self._service = service
        self._counters = counters

    def collect(self) -> Iterable[Metric]:
        """Yield every metric as it is now."""
        yield from self._collect_service()
        yield from self._collect_media(self._counters())

    def _collect_service(self) -> Iterator[Metric]:
        service = self._service
        yield GaugeMetricFamily("parlour_rooms", "Rooms in progress.", value=service.room_count)
        yield GaugeMetricFamily(
            "parlour_participants",
            "Participants in all rooms, those in a grace period included.",
            value=service.participant_count,
        )
        tracks = GaugeMetricFamily("parlour_tracks", "Published tracks.", labels=["kind"])
        for kind, count in sorted(service.track_counts().items()):
            tracks.add_metric([kind], count)
        yield tracks
        yield GaugeMetricFamily(
            "parlour_signaling_connections",
            "Open signaling connections.",
            value=service.connection_count,
        )
        yield GaugeMetricFamily(
            "parlour_recorder_backlog_rows",
            "Rows that wait to be written to the store.",
            value=service.recorder_backlog,
        )
        yield GaugeMetricFamily(
            "parlour_draining", "1 while new joins are refused.", value=int(service.draining)
        )
        refused = CounterMetricFamily(
            "parlour_joins_refused", "Joins that were refused, by error code.", labels=["code"]
        )
        for code, count in sorted(service.refused_joins.items()):
            refused.add_metric([str(code)], count)
        yield refused
        yield _join_times(service.join_times)

    def _collect_media(self, counters: Mapping[str, int]) -> Iterator[Metric]:
        for name, text, label, values in _FAMILIES:
            family = CounterMetricFamily(name, text, labels=[label])
            for counter, value in values.items():
                if counter in counters:
                    family.add_metric([value], counters[counter])
            yield family
        for counter, count in sorted(counters.items()):
            if counter not in _GROUPED:
                text = f"The media node's counter {counter}."
                yield CounterMetricFamily(f"parlour_media_{counter}", text, value=count)


def _join_times(times: JoinTimes) -> Metric:
    buckets, below = [], 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), times.counts, strict=True):
        below += count
        buckets.append((bound, float(below)))
    return HistogramMetricFamily(
        "parlour_join_seconds",
        "Time from a client's request to join to the answer.",
        buckets=buckets,
        sum_value=times.total,
    )
