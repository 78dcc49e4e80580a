"""All scenarios in turns: the figures of each are found, and who fails is named."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.scenarios import all as every
from benchmarks.scenarios import scenarios

CHECKOUT = Path(__file__).parents[2]


def test_a_table_of_medians_is_made_of_the_runs(tmp_path: Path) -> None:
    path = tmp_path / "all.json"
    command = [sys.executable, "-m", "benchmarks", "all", "--runs", "2", "--only", "micro"]
    done = subprocess.run(
        [*command, "--json", str(path)],
        check=True,
        timeout=300,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
    )
    (step,) = (step for step in every.steps() if step.options[0] == "micro")
    found = json.loads(path.read_text())
    assert len(found["results"][step.name]) == 2
    assert list(found["samples"]) == [f"{step.name}: {one.text}" for one in step.figures]
    assert all(0 < one["min"] <= one["median"] <= one["max"] for one in found["medians"].values())
    assert len(done.stdout.splitlines()) == 2 + len(step.figures)


def test_what_was_found_is_kept_when_the_run_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "all.json"
    command = [sys.executable, "-m", "benchmarks", "all", "--runs", "1000", "--only", "micro"]
    with subprocess.Popen(
        [*command, "--json", str(path)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        while "round 2 " not in (line := running.stderr.readline()):
            assert line, "the benchmark ended by itself"
        running.send_signal(signal.SIGINT)
        table, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in errors
    assert "Stopped in round 2 of 1000: micro" in table
    assert all(len(runs) == 1 for runs in json.loads(path.read_text())["results"].values())


def test_no_scenario_is_left_out() -> None:
    names = {scenario.NAME for scenario in scenarios()} - {every.NAME}
    assert {step.options[0] for step in every.steps()} == names


def test_what_fails_is_named() -> None:
    with pytest.raises(RuntimeError, match="no such case"):
        every.result_of(("micro", "--only", "no such case"))
