"""``python -m benchmarks``: what media costs on this machine. One module per scenario."""

import argparse
import signal
import sys

from .report import show
from .scenarios import scenarios

STOPPED = 128 + signal.SIGINT
"""Exit status, as shells count it."""


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    main = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures what media costs on this machine. See benchmarks/README.md.",
    )
    choices = main.add_subparsers(required=True, metavar="scenario")
    for scenario in scenarios():
        one = choices.add_parser(
            scenario.NAME,
            help=scenario.HELP,
            description=scenario.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        scenario.add_arguments(one)
        one.add_argument(
            "--json",
            metavar="FILE",
            help="write the run there, all samples and the machine with it; - is stdout",
        )
        one.add_argument("--plot", metavar="FILE", help="draw the run there: .png, .svg or .pdf")
        one.set_defaults(run=scenario.run)
    return main


def main() -> None:
    """Run the scenario that the command line names."""
    arguments = parser().parse_args()
    # Shells let what they start in the background ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        result = arguments.run(arguments)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        raise SystemExit(STOPPED) from None
    show(result, json_file=arguments.json, plot_file=arguments.plot)
    if not result.is_whole:
        raise SystemExit(STOPPED)


if __name__ == "__main__":
    main()
