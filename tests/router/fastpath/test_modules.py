"""The modules of the compiled plane are in one shared object."""

import importlib
from pathlib import Path

import pytest

import router._fastpath

FOLDER = Path(router._fastpath.__file__).parent
MODULES = sorted(
    {path.stem for path in (*FOLDER.glob("*.pyx"), *FOLDER.glob("*.pyi"))}
)  # installed without sources, too


def test_all_modules_are_in_one_object() -> None:
    found = {importlib.import_module(f"router._fastpath.{name}").__file__ for name in MODULES}
    assert len(MODULES) > 10
    assert found == {str(path) for path in FOLDER.glob("*.so")}


def test_unknown_module_is_an_import_error() -> None:
    with pytest.raises(ImportError, match="PyInit_absent"):
        importlib.import_module("router._fastpath.absent")
