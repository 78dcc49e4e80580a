"""``python -m benchmarks``: what media costs on this machine. One module per scenario."""

import argparse

from .report import show
from .scenarios import scenarios


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
    show(arguments.run(arguments), json_file=arguments.json, plot_file=arguments.plot)


if __name__ == "__main__":
    main()
