"""What a scrape shows while two clients see and hear each other over a network that loses."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from router.net import Address
from tests.support.clients import Clients, clients_of, meet
from tests.support.relay import Impairment, running_relay
from tests.support.server import running_server

pytestmark = pytest.mark.interop

MOVED = (
    ("parlour_rtp_packets_total", "inbound"),
    ("parlour_rtp_packets_total", "outbound"),
    ("parlour_rtp_bytes_total", "inbound"),
    ("parlour_rtp_bytes_total", "outbound"),
    ("parlour_datagram_bytes_total", "outbound"),
    ("parlour_rtcp_packets_total", "inbound"),
    ("parlour_rtcp_packets_total", "outbound"),
    ("parlour_nack_total", "inbound"),
    ("parlour_nack_total", "outbound"),
    ("parlour_nack_lost_packets_total", "inbound"),
    ("parlour_nack_lost_packets_total", "outbound"),
    ("parlour_retransmitted_packets_total", "rtx"),
    ("parlour_media_rtp_recovered_total", ""),
    ("parlour_media_busy_seconds_total", ""),
)


async def scrape(clients: Clients) -> dict[tuple[str, str], float]:
    async with clients.http.get(f"{clients.url}/metrics") as answer:
        text = await answer.text()
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_the_metrics_follow_a_call(tmp_path: Path) -> None:
    async with (
        running_server(tmp_path, settings={"METRICS_BIND": "http"}) as server,
        clients_of(server) as clients,
        running_relay(("127.0.0.1", server.media_port), Impairment(loss=0.1), seed=5) as relay,
    ):
        alice, bob = await meet(clients, "r1", via=Address("127.0.0.1", relay.port))
        at_first = await scrape(clients)
        for _ in range(100):
            await asyncio.sleep(0.1)
            now = await scrape(clients)
            still = [name for name in MOVED if now[name] <= at_first[name]]
            if not still:
                break
        assert still == []
        # A subscriber begins with a key frame, which a publisher that just began sends unasked.
        assert now["parlour_pli_total", "outbound"] >= 1
        assert now["parlour_media_key_frames_total", ""] >= 2
        gauges = {name: value for (name, label), value in now.items() if not label}
        assert gauges["parlour_rooms"] == 1
        assert gauges["parlour_participants"] == gauges["parlour_signaling_connections"] == 2
        assert now["parlour_tracks", "audio"] == now["parlour_tracks", "video"] == 2
        assert gauges["parlour_media_transports"] == 2
        assert gauges["parlour_join_seconds_count"] == 2
        assert 0 < gauges["parlour_join_seconds_sum"] < 10
        assert now["parlour_stun_total", "success"] > 2

        await alice.leave()
        await bob.leave()
        for _ in range(100):
            gauges = {name: value for (name, label), value in (await scrape(clients)).items()}
            if not gauges["parlour_media_transports"] and not gauges["parlour_rooms"]:
                break
            await asyncio.sleep(0.05)
        after = await scrape(clients)
        assert after["parlour_participants_left_total", "left"] == 2
        for name in ("rooms", "participants", "media_transports", "media_streams", "media_slots"):
            assert after[f"parlour_{name}", ""] == 0, name
