"""The comparison puts the same load on two servers, and counts what arrives."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from benchmarks.peers.mediasoup import WORKER_VARIABLE
from benchmarks.server import running_server

COMMAND = (
    *(sys.executable, "-m", "benchmarks", "compare", "--subscribers", "2"),
    *("--seconds", "2", "--bitrate", "300000", "--frames-per-second", "20"),
)


async def compare(result: Path, arguments: Sequence[str]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(*COMMAND, "--json", str(result), *arguments)
    async with asyncio.timeout(120):
        assert await process.wait() == 0
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def check_side(found: dict[str, Any], name: str, suite: str) -> None:
    packets = found["packets"][name]
    # 20 frames a second of each publisher for two seconds, to two subscribers.
    assert packets["sent"] >= 30 * found["publishers"]
    assert packets["received"] == 2 * packets["sent"]
    assert found["loss"][name] == 0
    assert found["ns_per_forwarded_packet"][name] > 0
    assert found["generator_ns_per_packet"][name] > 0
    assert 0 < found["latency_ms"][name]["p50"] <= found["latency_ms"][name]["p99"]
    assert found["suites"][name] == [suite]


@pytest.mark.parametrize(
    ("suite", "profile"),
    [
        ("any", "SRTP_AEAD_AES_128_GCM"),
        pytest.param("cm", "SRTP_AES128_CM_HMAC_SHA1_80", marks=pytest.mark.acceptance),
    ],
)
async def test_janus_carries_the_same_load(tmp_path: Path, suite: str, profile: str) -> None:
    found = await compare(tmp_path / "janus.json", ["--publishers", "2", "--suite", suite])
    for name in ("parlour", "janus"):
        check_side(found, name, profile)
        assert found["versions"][name]
    costs = found["ns_per_forwarded_packet"]
    assert found["ratio_to_peer"] == pytest.approx(costs["parlour"] / costs["janus"])
    assert found["peer_measured"] is True
    assert any("libsrtp" in note for note in found["notes"])


@pytest.mark.acceptance
async def test_any_server_with_whip_and_whep(tmp_path: Path) -> None:
    async with running_server() as server, aiohttp.ClientSession() as http:
        await server.create_room(http, UniqueName="r", Type="group")
        arguments = ["--peer", "whip", "--whip-pid", str(server.pid)]
        arguments += ["--whip-url", f"{server.url}/whip/r", "--whep-url", f"{server.url}/whep/r"]
        tokens = [server.account.access_token(f"p{n}", "r") for n in range(3)]
        found = await compare(tmp_path / "whip.json", [*arguments, "--whip-token", *tokens])
    check_side(found, "whip", "SRTP_AEAD_AES_128_GCM")
    check_side(found, "parlour", "SRTP_AEAD_AES_128_GCM")


async def test_the_figures_of_mediasoup_are_said_to_be_from_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(WORKER_VARIABLE, raising=False)
    found = await compare(tmp_path / "mediasoup.json", ["--peer", "mediasoup"])
    check_side(found, "parlour", "SRTP_AEAD_AES_128_GCM")
    assert found["publishers"] == 4
    assert found["peer_measured"] is False
    assert found["ns_per_forwarded_packet"]["mediasoup"] == 2800
    assert any("another run" in note for note in found["notes"])
    assert "mediasoup" not in found["loss"]


def test_a_worker_that_is_not_there_is_not_replaced_by_published_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(WORKER_VARIABLE, "/nowhere/mediasoup-worker")
    complain("--peer mediasoup", "/nowhere/mediasoup-worker is no program")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--peer whip", "needs --whip-url"),
        (
            "--peer whip --publishers 2 --whip-pid 1 "
            "--whip-url http://127.0.0.1/ --whep-url http://127.0.0.1/",
            "takes one publisher",
        ),
        ("--peer janus --janus-binary /nowhere/janus", "is not there"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(arguments: str, complaint: str) -> None:
    complain(arguments, complaint)


def complain(arguments: str, complaint: str) -> None:
    command = [*COMMAND, *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
