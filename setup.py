"""Builds the compiled data plane; everything else about the distribution is in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup

DEBUG = os.environ.get("ROUTER_DEBUG") == "1"
FASTPATH = Path("router/_fastpath")

SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
COMPILE_ARGS = [
    "-Wall",
    "-Wextra",
    "-Wno-unused-function",  # Cython emits helpers that a module may not use
    "-Wno-unused-parameter",
    *(["-O1", "-g", "-DROUTER_DEBUG=1", *SANITIZERS] if DEBUG else ["-O3", "-g1", "-DNDEBUG"]),
]

extensions = [
    Extension(
        f"router._fastpath.{source.stem}",
        [str(source)],
        depends=sorted(str(p) for p in (*FASTPATH.glob("*.h"), *FASTPATH.glob("*.pxd"))),
        include_dirs=[str(FASTPATH)],
        extra_compile_args=COMPILE_ARGS,
        extra_link_args=SANITIZERS if DEBUG else [],
    )
    for source in sorted(FASTPATH.glob("*.pyx"))
]

setup(
    packages=find_packages(include=["router*", "signaling*"]),
    package_data={
        "router._fastpath": ["*.pyi", "*.pxd", "*.h"],
        "signaling": ["py.typed", "**/*.html", "**/*.css", "**/*.js", "**/*.toml", "**/*.mako"],
        "router": ["py.typed"],
    },
    ext_modules=cythonize(
        extensions,
        build_dir="build/cython",
        annotate=False,
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "embedsignature": True,
        },
        gdb_debug=False,
        emit_linenums=False,
    ),
)
