"""``python -m benchmarks``: what forwarding costs on this machine."""

import argparse
import json
import sys
from pathlib import Path

from .machine import describe
from .micro import bench_kernels, bench_plane, figures


def micro(arguments: argparse.Namespace) -> None:
    """Run the micro-benchmarks and print a table; write JSON when asked."""
    cases = [
        case
        for case in (*bench_kernels.cases(), *bench_plane.cases())
        if arguments.only in case.name
    ]
    if not cases:
        raise SystemExit(f"no case has {arguments.only!r} in its name")
    figures.measure(cases, passes=arguments.passes)
    print(figures.as_table(cases))
    if arguments.json:
        result = {
            "scenario": "micro",
            "machine": describe(),
            "ns_per_packet": {case.name: case.samples for case in cases},
        }
        text = json.dumps(result, indent=2) + "\n"
        if arguments.json == "-":
            sys.stdout.write(text)
        else:
            Path(arguments.json).write_text(text)


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    main = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures what forwarding costs on this machine. See benchmarks/README.md.",
    )
    scenarios = main.add_subparsers(required=True, metavar="scenario")
    one = scenarios.add_parser(
        "micro",
        help="nanoseconds of CPU time per packet of each stage and kernel",
        description=(
            "Nanoseconds of CPU time per packet: seal and open with each SRTP kernel that runs "
            "here, parse, and the whole fan-out without the system call that sends."
        ),
    )
    one.add_argument(
        "--passes", type=int, default=5, help="how often each case is measured, in turn"
    )
    one.add_argument("--only", default="", metavar="TEXT", help="cases with TEXT in their name")
    one.add_argument("--json", metavar="FILE", help="write all samples there; - is stdout")
    one.set_defaults(run=micro)
    return main


def main() -> None:
    """Run the scenario that the command line names."""
    arguments = parser().parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
