"""
Facts as metrics, at the moment of a scrape.

Names begin with ``parlour_`` and use base units; no label has a value that a client chooses.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from signaling.rooms import LeaveReason
from signaling.service.join_times import BUCKETS, JoinTimes

from .media import FAMILIES, GAUGES, MICROSECONDS, TEXTS


class MetricsService(Protocol):
    """The facts that the room service offers."""

    @property
    def draining(self) -> bool: ...
    @property
    def join_times(self) -> JoinTimes: ...
    @property
    def refused_joins(self) -> Mapping[int, int]: ...
    @property
    def joins_put_off(self) -> int: ...
    @property
    def event_loop_lag(self) -> float: ...
    @property
    def room_count(self) -> int: ...
    @property
    def participant_count(self) -> int: ...
    @property
    def connection_count(self) -> int: ...
    @property
    def recorder_backlog(self) -> int: ...
    @property
    def recorder_dropped(self) -> int: ...
    @property
    def messages_delayed(self) -> int: ...
    @property
    def store_is_up(self) -> bool: ...
    @property
    def journal_bytes(self) -> int: ...
    @property
    def departures(self) -> Mapping[LeaveReason, int]: ...
    def track_counts(self) -> Mapping[str, int]: ...


_GROUPED = {name for *_, labels in FAMILIES for name in labels}


class ParlourCollector(Collector):
    """
    Collects on the thread that scrapes, which must be the event loop's.

    :param counters: Returns the media node's counters.
    :param loads: Returns the share of its time in which each data plane has work.
    :param media_failed: Tells whether a data plane stopped by itself.
    :param refusals: Returns what the limits refused, by the limit's name.
    """

    def __init__(
        self,
        *,
        service: MetricsService,
        counters: Callable[[], Mapping[str, int]],
        media_failed: Callable[[], bool],
        loads: Callable[[], Sequence[float]] = tuple,
        refusals: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._service = service
        self._counters = counters
        self._media_failed = media_failed
        self._loads = loads
        self._refusals = refusals

    def collect(self) -> Iterable[Metric]:
        """Yield every metric as it is now."""
        yield from self._collect_service()
        yield GaugeMetricFamily(
            "parlour_media_failed",
            "1 once a data plane stopped by itself; its rooms have moved to others.",
            value=int(self._media_failed()),
        )
        refused = CounterMetricFamily(
            "parlour_http_refused",
            "Requests (key, address, login, join) and connections over a limit.",
            labels=["limit"],
        )
        for limit, count in sorted(self._refusals().items()):
            refused.add_metric([limit], count)
        yield refused
        load = GaugeMetricFamily(
            "parlour_media_load",
            "Share of the last half second in which a data plane's thread had work, 0 to 1.",
            labels=["thread"],
        )
        for thread, share in enumerate(self._loads()):
            load.add_metric([str(thread)], share)
        yield load
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
        yield CounterMetricFamily(
            "parlour_signaling_messages_delayed",
            "Messages of clients that sent more than MESSAGES_PER_SESSION.",
            value=service.messages_delayed,
        )
        yield GaugeMetricFamily(
            "parlour_recorder_backlog_rows",
            "Rows that wait to be written to the store.",
            value=service.recorder_backlog,
        )
        yield CounterMetricFamily(
            "parlour_recorder_dropped_rows",
            "Rows that were lost, because too many waited or the store refused them.",
            value=service.recorder_dropped,
        )
        yield GaugeMetricFamily(
            "parlour_store_up", "1 while the store answers.", value=int(service.store_is_up)
        )
        yield GaugeMetricFamily(
            "parlour_journal_bytes",
            "Bytes on the disk that wait for a store that is down.",
            value=service.journal_bytes,
        )
        yield GaugeMetricFamily(
            "parlour_draining", "1 while new joins are refused.", value=int(service.draining)
        )
        yield CounterMetricFamily(
            "parlour_joins_put_off",
            "Newcomers told to come back later: full, draining, or the event loop is behind.",
            value=service.joins_put_off,
        )
        yield GaugeMetricFamily(
            "parlour_event_loop_lag_seconds",
            "How late the event loop ran its last probe.",
            value=service.event_loop_lag,
        )
        refused = CounterMetricFamily(
            "parlour_joins_refused", "Joins that were refused, by error code.", labels=["code"]
        )
        for code, count in sorted(service.refused_joins.items()):
            refused.add_metric([str(code)], count)
        yield refused
        left = CounterMetricFamily(
            "parlour_participants_left", "Participants that left, by why.", labels=["reason"]
        )
        for reason in LeaveReason:
            left.add_metric([reason.value.replace("-", "_")], service.departures[reason])
        yield left
        yield _join_times(service.join_times)

    def _collect_media(self, counters: Mapping[str, int]) -> Iterator[Metric]:
        for name, text, label, values in FAMILIES:
            family = CounterMetricFamily(name, text, labels=[label])
            for counter, value in values.items():
                if counter in counters:
                    family.add_metric([value], counters[counter])
            yield family
        for counter, count in sorted(counters.items()):
            if counter in _GROUPED:
                continue
            if counter in GAUGES:
                yield GaugeMetricFamily(f"parlour_media_{counter}", GAUGES[counter], value=count)
            elif counter in MICROSECONDS:
                name, text = MICROSECONDS[counter]
                yield CounterMetricFamily(name, text, value=count / 1e6)
            else:
                text = TEXTS.get(counter, f"The media node's counter {counter}.")
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
