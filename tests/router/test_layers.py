"""The compiled plane stands alone: what its sources import and cimport."""

import re
from pathlib import Path

import pytest

import router._fastpath

FASTPATH = Path(router._fastpath.__file__).parent
SOURCES = sorted([*FASTPATH.glob("*.pyx"), *FASTPATH.glob("*.pxd")])
STATEMENT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import|c?import\s+([\w.]+))", re.MULTILINE)

ALLOWED = re.compile(
    r"\.\w*|router\._fastpath(\..+)?|router\.errors|libc\..+|posix\..+|cpython\..+|cython(\..+)?|os"
)
"""The one thing of ours that it may import is the tree of errors that it raises."""


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_fastpath_sources_import_nothing_above_them(source: Path) -> None:
    found = [first or second for first, second in STATEMENT.findall(source.read_text())]
    assert [name for name in found if not ALLOWED.fullmatch(name)] == []


def test_the_scan_sees_cimports() -> None:
    assert [one or two for one, two in STATEMENT.findall("from router.node cimport x\n")] == [
        "router.node"
    ]
