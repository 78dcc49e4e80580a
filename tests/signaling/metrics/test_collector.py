import re
from collections import Counter
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from router._fastpath.counters import NAMES
from router._fastpath.plane import DataPlane
from signaling.metrics import ParlourCollector, make_registry, routes
from signaling.metrics.media import FAMILIES, GAUGES, MICROSECONDS, TEXTS
from signaling.rooms import LeaveReason
from signaling.service.join_times import JoinTimes


@dataclass
class Facts:
    """What a service would tell."""

    draining: bool = False
    join_times: JoinTimes = field(default_factory=JoinTimes)
    refused_joins: Counter[int] = field(default_factory=Counter)
    joins_put_off: int = 8
    event_loop_lag: float = 0.125
    room_count: int = 2
    participant_count: int = 5
    connection_count: int = 4
    recorder_backlog: int = 1
    recorder_dropped: int = 6
    messages_delayed: int = 7
    store_is_up: bool = False
    journal_bytes: int = 77
    departures: Counter[LeaveReason] = field(default_factory=Counter)

    def track_counts(self) -> dict[str, int]:
        return {"audio": 3, "video": 2, "data": 0}


async def scrape(
    facts: Facts, counters: dict[str, int]
) -> tuple[dict[tuple[str, str], float], str]:
    app = web.Application()
    collector = ParlourCollector(
        service=facts,
        counters=lambda: counters,
        media_failed=lambda: True,
        loads=lambda: (0.25, 0.5),
    )
    app.add_routes(routes(make_registry(collector)))
    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/metrics")
        assert answer.status == 200
        text = await answer.text()
    samples = {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return samples, text


async def test_scrape_shows_the_facts_of_now() -> None:
    facts = Facts()
    facts.join_times.observe(0.03)
    facts.join_times.observe(0.04)
    facts.join_times.observe(99.0)
    facts.refused_joins[53105] += 2
    facts.departures[LeaveReason.SESSION_EXPIRED] += 4
    counters = {"rtp_in": 100, "rtp_out": 900, "rtp_bytes_out": 9000, "pli_in": 7, "nacks_out": 3}
    samples, _ = await scrape(facts, counters)
    assert samples["parlour_joins_put_off_total", ""] == 8
    assert samples["parlour_event_loop_lag_seconds", ""] == 0.125
    assert samples["parlour_rooms", ""] == 2
    assert samples["parlour_participants", ""] == 5
    assert samples["parlour_tracks", "audio"] == 3
    assert samples["parlour_tracks", "data"] == 0
    assert samples["parlour_rtp_packets_total", "inbound"] == 100
    assert samples["parlour_rtp_packets_total", "outbound"] == 900
    assert samples["parlour_rtp_bytes_total", "outbound"] == 9000
    assert samples["parlour_pli_total", "inbound"] == 7
    assert samples["parlour_nack_total", "outbound"] == 3
    assert samples["parlour_joins_refused_total", "53105"] == 2
    assert samples["parlour_join_seconds_bucket", "0.025"] == 0
    assert samples["parlour_join_seconds_bucket", "0.05"] == 2
    assert samples["parlour_join_seconds_bucket", "10.0"] == 2
    assert samples["parlour_join_seconds_bucket", "+Inf"] == 3
    assert samples["parlour_join_seconds_count", ""] == 3
    assert samples["parlour_join_seconds_sum", ""] == 99.07
    assert samples["parlour_recorder_dropped_rows_total", ""] == 6
    assert samples["parlour_signaling_messages_delayed_total", ""] == 7
    assert samples["parlour_store_up", ""] == 0
    assert samples["parlour_journal_bytes", ""] == 77
    assert samples["parlour_participants_left_total", "session_expired"] == 4
    assert samples["parlour_participants_left_total", "left"] == 0
    assert samples["parlour_media_failed", ""] == 1
    assert samples["parlour_media_load", "1"] == 0.5
    assert "process_resident_memory_bytes" in {name for name, _ in samples}


async def test_every_counter_of_the_plane_is_shown_once() -> None:
    plane = DataPlane(max_transports=4, max_streams=4, max_slots=4)
    counters = {name: number + 1000 for number, name in enumerate(plane.counters())}
    assert counters.keys() >= set(NAMES)
    samples, text = await scrape(Facts(), counters)
    shown = Counter(value for (name, _), value in samples.items() if name.startswith("parlour_"))
    for name, value in counters.items():
        assert shown[value if name not in MICROSECONDS else value / 1e6] == 1, name
    # Each family that groups counters names counters which the plane has.
    assert text.count('direction="inbound"') == text.count('direction="outbound"') == 8
    known = {name for *_, labels in FAMILIES for name in labels} | GAUGES.keys()
    known |= MICROSECONDS.keys() | TEXTS.keys()
    assert known <= counters.keys()


async def test_names_follow_the_conventions_of_prometheus() -> None:
    plane = DataPlane(max_transports=4, max_streams=4, max_slots=4)
    _, text = await scrape(Facts(), plane.counters())
    for family in text_string_to_metric_families(text):
        if not family.name.startswith("parlour_"):
            continue
        assert family.documentation.endswith("."), family.name
        # Base units only; what can fall is no counter, and says so by its name.
        assert not re.search(r"_(us|ms|microseconds|milliseconds|kilobytes)(_|$)", family.name)
        assert family.type in ("counter", "gauge", "histogram"), family.name
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name
    assert "# TYPE parlour_media_transports gauge" in text
    assert "# TYPE parlour_media_busy_seconds_total counter" in text
