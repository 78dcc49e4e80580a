"""What every scenario hands back, and how it is shown: a table, JSON, a plot, progress."""

import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .machine import describe

PROGRESS_INTERVAL = 5.0
"""Seconds between two lines of progress where stderr is no terminal."""

Cell = str | int | float | None
Curve = Sequence[tuple[float, float]]


@dataclass(slots=True, kw_only=True)
class Result:
    """What a run found."""

    scenario: str
    columns: tuple[str, ...]
    """Heads of the table's columns."""
    rows: Sequence[tuple[Cell, ...]]
    figures: Mapping[str, Any]
    """Top-level keys of the JSON."""
    samples: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Every single measurement, by what was measured: ``samples`` of the JSON, and the plot."""
    unit: str = ""
    """Of the samples."""
    curves: Mapping[str, Curve] = field(default_factory=dict)
    """Plotted in place of the samples: x and y of each point."""
    axes: tuple[str, str] = ("", "")
    """What x and y of the curves are."""
    notes: tuple[str, ...] = ()
    """Sentences that belong under the table."""
    markdown: bool = False
    """How the table is written."""
    is_whole: bool = True
    """False where the run was stopped before its end."""


class Progress:
    """Says on stderr how far a run is: in place on a terminal, now and then elsewhere."""

    def __init__(self, scenario: str) -> None:
        self._scenario = scenario
        self._terminal = sys.stderr.isatty()
        self._said_at = -PROGRESS_INTERVAL

    def say(self, text: str) -> None:
        """Show a state that the next one replaces."""
        if self._terminal:
            print(f"\r{self._scenario}: {text:<70.70}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._said_at >= PROGRESS_INTERVAL:
            self._said_at = time.monotonic()
            print(f"{self._scenario}: {text}", file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Print something that stays."""
        self.clear()
        print(f"{self._scenario}: {text}", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave a clean line."""
        if self._terminal:
            print(f"\r{'':<{len(self._scenario) + 72}}\r", end="", file=sys.stderr, flush=True)


def summary(samples: Sequence[float]) -> dict[str, float]:
    """Return median, minimum and maximum, as JSON shows them."""
    return {"median": statistics.median(samples), "min": min(samples), "max": max(samples)}


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` (0..1) of the samples lie."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def as_table(result: Result) -> str:
    """Return the table as text: the first column to the left, numbers to the right."""
    cells = [[_text(cell) for cell in row] for row in result.rows]
    lines = [list(result.columns), *cells]
    if result.markdown:
        lines.insert(1, ["---"] * len(result.columns))
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    widths = [max(len(line[column]) for line in lines) for column in range(len(result.columns))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def as_json(result: Result) -> str:
    """Return the run as JSON, with the machine that it ran on."""
    found: dict[str, Any] = {"scenario": result.scenario, "machine": describe(), **result.figures}
    if result.samples:
        found["samples"] = {name: list(values) for name, values in result.samples.items()}
        found["samples_unit"] = result.unit
    if result.curves:
        found["curves"] = {name: [list(point) for point in c] for name, c in result.curves.items()}
    if result.notes:
        found["notes"] = list(result.notes)
    return json.dumps(found, indent=2) + "\n"


def show(result: Result, *, json_file: str | None, plot_file: str | None) -> None:
    """
    Print the table, and write what was asked for.

    :param json_file: ``-`` for stdout; then the table goes to stderr.
    """
    table = sys.stderr if json_file == "-" else sys.stdout
    print(as_table(result), *result.notes, sep="\n", file=table)
    if json_file == "-":
        sys.stdout.write(as_json(result))
    elif json_file:
        Path(json_file).write_text(as_json(result))
    if plot_file:
        from .plot import draw

        draw(result, plot_file)


def _text(cell: Cell) -> str:
    match cell:
        case None:
            return "-"
        case float():
            return f"{cell:,.2f}" if abs(cell) < 100 else f"{cell:,.0f}"
        case int():
            return f"{cell:,}"
    return cell
