"""Cases that are measured in turn, and the table that comes of it."""

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Case:
    """One thing that is measured."""

    name: str
    run: Callable[[], float]
    """Returns nanoseconds of CPU time per packet."""
    samples: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The figure to quote."""
        return statistics.median(self.samples)


def measure(cases: Sequence[Case], *, passes: int) -> None:
    """
    Measure all cases in turn, ``passes`` times over, so that a slow moment of the machine falls on
    all of them alike; says on stderr how far it is.
    """
    for number in range(passes):
        for index, case in enumerate(cases):
            if sys.stderr.isatty():
                done = number * len(cases) + index
                print(f"\r{done}/{passes * len(cases)} {case.name:<50}", end="", file=sys.stderr)
            case.samples.append(case.run())
    if sys.stderr.isatty():
        print(f"\r{'':<70}\r", end="", file=sys.stderr)


def as_table(cases: Sequence[Case]) -> str:
    """Return the figures as text: median, minimum and maximum."""
    width = max(len(case.name) for case in cases)
    lines = [f"{'ns per packet':<{width}}  median      min      max"]
    lines += [
        f"{case.name:<{width}}  {case.median:6.0f}   "
        f"{min(case.samples):6.0f}   {max(case.samples):6.0f}"
        for case in cases
    ]
    return "\n".join(lines)
