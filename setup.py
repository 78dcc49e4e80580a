"""
Builds the compiled data plane; everything else about the distribution is in pyproject.toml.

``ROUTER_DEBUG=1`` builds with AddressSanitizer, UndefinedBehaviorSanitizer and assertions, into
``build/debug`` so that both builds can stand side by side; ``tests/native/run_sanitized.py`` runs
tests against it.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup

DEBUG = os.environ.get("ROUTER_DEBUG") == "1"
FASTPATH = Path("router/_fastpath")

SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
DEBUG_ARGS = ["-O1", "-g", "-fno-omit-frame-pointer", "-UNDEBUG", "-DROUTER_DEBUG=1", *SANITIZERS]
COMPILE_ARGS = [
    "-Wall",
    "-Wextra",
    "-Wno-unused-function",  # Cython emits helpers that a module may not use
    "-Wno-unused-parameter",
    "-Wno-sign-compare",  # and compares loop counters with their bounds; tests check our headers
    *(DEBUG_ARGS if DEBUG else ["-O3", "-g1", "-DNDEBUG"]),
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
        "signaling": [
            "py.typed",
            "deploy/*",
            "**/*.html",
            "**/*.css",
            "**/*.js",
            "**/*.svg",
            "**/*.toml",
            "**/*.mako",
        ],
        "router": ["py.typed"],
    },
    # The SDK is fetched where the server runs: `parlour page install`.
    exclude_package_data={"signaling": ["web/bundle/*"]},
    options={"build": {"build_base": "build/debug"}} if DEBUG else {},
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
