"""Results become a table, JSON and a plot; every scenario explains itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.report import Result, as_json, as_table, quantile, show
from benchmarks.scenarios import scenarios

RESULT = Result(
    scenario="some",
    columns=("what", "ns", "share"),
    rows=[("first", 1234, 0.5), ("second one", 7, None)],
    figures={"total": 3},
    samples={"a": [1.0, 3.0, 2.0]},
    unit="ns",
    notes=("A note.",),
)


def test_the_table_lines_up() -> None:
    assert as_table(RESULT).splitlines() == [
        "what           ns  share",
        "first       1,234   0.50",
        "second one      7      -",
    ]


def test_json_holds_machine_figures_and_samples() -> None:
    found = json.loads(as_json(RESULT))
    assert found["scenario"] == "some"
    assert found["total"] == 3
    assert found["samples"] == {"a": [1.0, 3.0, 2.0]}
    assert {"kernel", "features", "python", "commit", "processor"} <= found["machine"].keys()


def test_json_on_stdout_is_nothing_but_json(capsys: pytest.CaptureFixture[str]) -> None:
    show(RESULT, json_file="-", plot_file=None)
    output = capsys.readouterr()
    assert json.loads(output.out)["notes"] == ["A note."]
    assert "second one" in output.err


@pytest.mark.parametrize("curves", [{}, {"p99": [(1.0, 2.0), (2.0, 4.0)]}])
def test_a_plot_is_a_picture(tmp_path: Path, curves: dict[str, list[tuple[float, float]]]) -> None:
    picture = tmp_path / "out.png"
    result = Result(
        scenario="some", columns=("x",), rows=[], figures={}, samples=RESULT.samples, curves=curves
    )
    show(result, json_file=None, plot_file=str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_quantiles_are_samples() -> None:
    assert quantile([4.0, 1.0, 3.0, 2.0], 0.5) == 3.0
    assert quantile([4.0, 1.0, 3.0, 2.0], 0.99) == 4.0


def test_every_scenario_explains_itself() -> None:
    names = [scenario.NAME for scenario in scenarios()]
    assert "micro" in names
    command = [sys.executable, "-m", "benchmarks"]
    for arguments in (["--help"], *([name, "--help"] for name in names)):
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=60, check=True
        )
        wanted = names if arguments == ["--help"] else ["--json", "--plot"]
        assert all(name in done.stdout for name in wanted), done.stdout
