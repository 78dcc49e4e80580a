"""Cases that are measured in turn."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.report import Progress


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
    progress = Progress("micro")
    for number in range(passes):
        for index, case in enumerate(cases):
            done = number * len(cases) + index
            progress.say(f"{done}/{passes * len(cases)} {case.name}")
            case.samples.append(case.run())
    progress.clear()
