"""
The compiled data plane: per-packet work on threads that hold no GIL.

Its modules are in one shared object. Between packets other threads have the caches; then what a
frame needs is fetched anew, and that is less where it lies together.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec, PathFinder
from importlib.util import spec_from_file_location
from types import ModuleType

_OBJECT = PathFinder.find_spec(f"{__name__}._plane", __path__)


class _PlaneFinder:
    """Finds modules of this package in the object: CPython looks there for their init functions."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.rpartition(".")[0] != __name__ or _OBJECT is None or _OBJECT.origin is None:
            return None
        loader = ExtensionFileLoader(name, _OBJECT.origin)
        return spec_from_file_location(name, _OBJECT.origin, loader=loader)


sys.meta_path.insert(0, _PlaneFinder)
