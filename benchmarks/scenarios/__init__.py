"""
The scenarios of ``python -m benchmarks``: each module in here is one.

A scenario has a ``NAME``, a line of ``HELP``, its docstring as the description, and two functions:
``add_arguments(parser)`` declares its options, ``run(arguments)`` measures and returns a
:class:`benchmarks.report.Result`. ``--json`` and ``--plot`` are every scenario's.
"""

import argparse
import importlib
import pkgutil
from collections.abc import Iterator
from typing import Protocol, cast

from benchmarks.report import Result


class Scenario(Protocol):
    """What a module in here offers."""

    NAME: str
    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the scenario's options."""

    def run(self, arguments: argparse.Namespace) -> Result:
        """Measure. :raises SystemExit: with one line, when it cannot be measured here."""


def scenarios() -> Iterator[Scenario]:
    """Yield all scenarios, by name."""
    for module in pkgutil.iter_modules(__path__):
        yield cast("Scenario", importlib.import_module(f"{__name__}.{module.name}"))
