"""
Nanoseconds of CPU time per packet: seal and open with each SRTP kernel that runs here, parse, and
the whole fan-out without the system call that sends.
"""

import argparse

from benchmarks.micro import bench_kernels, bench_plane, figures
from benchmarks.report import Result

NAME = "micro"
HELP = "nanoseconds of CPU time per packet of each stage and kernel"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--passes", type=int, default=5, help="how often each case is measured, in turn"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="cases with TEXT in their name")


def run(arguments: argparse.Namespace) -> Result:
    """Run the cases in turn."""
    cases = [
        case
        for case in (*bench_kernels.cases(), *bench_plane.cases())
        if arguments.only in case.name
    ]
    if not cases:
        raise SystemExit(f"no case has {arguments.only!r} in its name")
    figures.measure(cases, passes=arguments.passes)
    samples = {case.name: case.samples for case in cases}
    return Result(
        scenario=NAME,
        columns=("ns per packet", "median", "min", "max"),
        rows=[
            (case.name, round(case.median), round(min(case.samples)), round(max(case.samples)))
            for case in cases
        ],
        figures={"ns_per_packet": samples},
        samples=samples,
        unit="ns per packet",
    )
