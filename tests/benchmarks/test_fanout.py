"""The fan-out scenario measures a real server, and what it samples is what was sent."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest

from benchmarks.engine import FrameSender
from benchmarks.fanout.sampled import Continuity, WrongPacket
from benchmarks.load.bursts import frame_payload
from router._fastpath.srtp import SrtpSession
from router.rtp import RtpPacket
from router.srtp import AEAD_AES_128_GCM

COMMAND = (sys.executable, "-m", "benchmarks", "fanout", "--publishers", "2")
UNPRIVILEGED = (
    "setpriv --reuid nobody --regid nogroup --clear-groups "
    "--inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search"
)


def check_run(result: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> dict[str, Any]:
    command = [*prefix, *COMMAND, "--subscribers", "4", "--seconds", "1"]
    command += ["--frames-per-second", "20", "--json", str(result), *arguments]
    subprocess.run(command, timeout=120, check=True)
    found: dict[str, Any] = json.loads(result.read_text())
    # 40 frames of 5 packets or more, each opened with libsrtp and compared.
    assert found["sampled_packets"] >= 150
    assert found["loss"] == 0
    assert 0 < found["ns_per_forwarded_packet"] <= found["process_ns_per_forwarded_packet"]
    assert found["forwarded_packets_per_cpu_second"] > 0
    generator_ns = found["generator_ns_per_forwarded_packet"]
    assert generator_ns > 0
    assert found["generator_share"] == pytest.approx(
        generator_ns / found["ns_per_forwarded_packet"]
    )
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]
    if found["limit_ns_per_forwarded_packet"] is not None:
        ratio = found["ns_per_forwarded_packet"] / found["limit_ns_per_forwarded_packet"]
        assert found["ratio_to_limit"] == pytest.approx(ratio)
        assert found["limit_sampled_packets"] >= 150
    return found


def test_more_publishers_than_a_room_has_tracks_are_refused_at_once() -> None:
    command = [*COMMAND[:-2], "--publishers", "17", "--subscribers", "34"]
    ended = subprocess.run(command, timeout=60, check=False, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "16 tracks" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("suite", "nic"), [("gcm", "segmenting"), ("cm", "software")])
def test_a_short_run(tmp_path: Path, suite: str, nic: str) -> None:
    found = check_run(tmp_path / "fanout.json", "--suite", suite, "--nic", nic)
    assert found["suite"] == suite
    assert found["nic"] == (nic if os.geteuid() == 0 else "loopback")


def test_several_rooms_have_a_sampled_subscriber_each(tmp_path: Path) -> None:
    found = check_run(tmp_path / "fanout.json", "--rooms", "2")
    assert found["rooms"] == 2
    # Twice what one room's has: 80 frames of 5 packets or more.
    assert found["sampled_packets"] >= 300


@pytest.mark.skipif(os.geteuid() != 0, reason="all runs are without privileges")
def test_a_run_without_privileges_is_over_loopback(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents:
        if folder.is_relative_to(gettempdir()) and folder != Path(gettempdir()):
            folder.chmod(0o755)
    found = check_run(tmp_path / "fanout.json", prefix=tuple(UNPRIVILEGED.split()))
    assert found["nic"] == "loopback"
    assert "loopback" in found["notes"][0]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_survives_the_benchmark(tmp_path: Path, ending: signal.Signals) -> None:
    command = [*COMMAND, "--subscribers", "1", "--seconds", "60", "--frames-per-second", "5"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # SIGKILL leaves the data directory.
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as benchmark:
        assert benchmark.stderr is not None
        while "second" not in (line := benchmark.stderr.readline()):
            assert line, "the benchmark ended by itself"
        children = children_of(benchmark.pid)
        assert len(children) >= 1
        benchmark.send_signal(ending)
        _, errors = benchmark.communicate(timeout=60)
    assert benchmark.returncode == (-ending if ending is signal.SIGKILL else 130)
    assert "Traceback" not in errors
    deadline = time.monotonic() + 30
    while left := [child for child in children if is_running(child)]:
        assert time.monotonic() < deadline, f"{left} survived"
        time.sleep(0.05)


def children_of(pid: int) -> list[int]:
    words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(word) for word in words]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Sent:
    """Frames of one publisher, and what a forwarder makes of them."""

    def __init__(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
            sink.bind(("127.0.0.1", 0))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
                self.sender = FrameSender(
                    sending,
                    sink.getsockname(),
                    SrtpSession(AEAD_AES_128_GCM.id, bytes(16), bytes(12)),
                    publisher=3,
                    ssrc=1,
                    payload_type=96,
                    transport_cc_id=5,
                    sequence_number=0xFFF0,
                    timestamp=0xFFFFFF00,
                    picture_id=0x7FFE,
                )
                for _ in range(4):
                    self.sender.send()
        self.continuity = Continuity({3: self.sender}, transport_cc_id=2)
        found = [self.sender.sent(frame) for frame in range(4)]
        self.frames = [frame for frame in found if frame is not None]
        assert len(self.frames) == 4

    def packets(self) -> list[RtpPacket]:
        found: list[RtpPacket] = []
        for number, frame in enumerate(self.frames):
            for index in range(frame.packets):
                picture = (0x8000 | (frame.picture_id + 77) & 0x7FFF).to_bytes(2, "big")
                found.append(
                    RtpPacket(
                        payload_type=96,
                        sequence_number=(frame.sequence_number + index + 500) & 0xFFFF,
                        rtp_timestamp=(frame.timestamp + 5000) & 0xFFFFFFFF,
                        ssrc=9,
                        marker=index == frame.packets - 1,
                        payload=b"\x80\x80"
                        + picture
                        + b"\x11"
                        + frame_payload(3, number, index, 99),
                        extensions=((2, (0xFFFC + len(found) & 0xFFFF).to_bytes(2, "big")),),
                    )
                )
        return found

    def take(self, packets: Iterable[RtpPacket]) -> None:
        for packet in packets:
            self.continuity.take(packet, self.frames[0].at_ns + 2_000_000)


def test_what_was_sent_is_right_over_all_rollovers() -> None:
    sent = Sent()
    sent.take(sent.packets())
    assert sent.continuity.packets == sum(frame.packets for frame in sent.frames)
    assert sent.continuity.lost == 0
    assert sent.continuity.latencies_ms[0] == pytest.approx(2.0, abs=0.01)


def test_missing_packets_are_counted() -> None:
    sent = Sent()
    packets = sent.packets()
    del packets[2:5]
    sent.take(packets)
    assert sent.continuity.lost == 3
    sent.continuity.forget()
    assert (sent.continuity.lost, sent.continuity.packets) == (0, 0)


def test_a_stream_that_was_switched_off_goes_on_without_a_gap() -> None:
    sent = Sent()
    packets = sent.packets()
    off = sum(sent.frames[frame].packets for frame in (1, 2))
    at = sent.frames[0].packets
    resumed = [
        replace(
            packet,
            sequence_number=(packet.sequence_number - off) & 0xFFFF,
            payload=packet.payload[:2] + b"\x80\x55" + packet.payload[4:],
            extensions=((2, (0xFFFC + number & 0xFFFF).to_bytes(2, "big")),),
        )
        for number, packet in enumerate(packets[at + off :], at)
    ]
    sent.take([*packets[:at], *resumed])
    assert (sent.continuity.lost, sent.continuity.withheld) == (0, off)


def test_skipped_transport_wide_numbers_are_losses() -> None:
    sent = Sent()
    packets = sent.packets()
    later = [(2, (packet.extensions[0][1][1] + 1 & 0xFF).to_bytes(2, "big")) for packet in packets]
    packets[6:] = [replace(p, extensions=(e,)) for p, e in zip(packets[6:], later[6:], strict=True)]
    sent.take(packets)
    assert sent.continuity.lost == 1


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda p: replace(p, rtp_timestamp=p.rtp_timestamp + 1), "timestamp"),
        (lambda p: replace(p, sequence_number=p.sequence_number ^ 1), "sequence_number"),
        (lambda p: replace(p, marker=not p.marker), "marker"),
        (lambda p: replace(p, extensions=()), "transport-wide"),
        (lambda p: replace(p, extensions=((2, b"\x00\x00"),)), "transport-wide"),
        (lambda p: replace(p, payload=p.payload[:2] + b"\x80\x01" + p.payload[4:]), "picture_id"),
        (lambda p: replace(p, payload=p.payload[:-1] + b"?"), "not what was sent"),
        (lambda p: replace(p, payload=p.payload[:5] + b"?" + p.payload[6:]), "nobody's"),
    ],
)
def test_a_wrong_packet_is_found(spoil: Callable[[RtpPacket], RtpPacket], complaint: str) -> None:
    sent = Sent()
    packets = sent.packets()
    sent.take(packets[:8])
    with pytest.raises(WrongPacket, match=complaint):
        sent.take([spoil(packets[8])])


def test_a_packet_that_comes_twice_is_found() -> None:
    sent = Sent()
    packets = sent.packets()
    sent.take(packets[:8])
    with pytest.raises(WrongPacket, match="twice"):
        sent.take([packets[7]])
