"""
Builds the compiled data plane; everything else about the distribution is in pyproject.toml.

All its modules go into one shared object, in which ``router/_fastpath/__init__.py`` finds them.

``ROUTER_DEBUG=1`` builds with AddressSanitizer, UndefinedBehaviorSanitizer and assertions, into
``build/debug`` so that both builds can stand side by side; ``tests/native/run_sanitized.py`` runs
tests against it.
"""

import os
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("ROUTER_DEBUG") == "1"
BUILD = Path("build/debug" if DEBUG else "build")
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


class BuildPlane(build_ext):
    """Compiles on all processors, and what has changed only: objects stay between builds."""

    def finalize_options(self) -> None:
        super().finalize_options()
        abi = f"{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
        self.build_temp = str(BUILD / f"temp.{abi}")  # pip says one that does not last

    def build_extension(self, extension: Extension) -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            sources, extension.sources = extension.sources, []
            objects = list(pool.map(lambda source: self._compile(extension, source), sources))
        extension.extra_objects = extension.depends = objects
        super().build_extension(extension)

    def _compile(self, extension: Extension, source: str) -> str:
        compiled = Path(self.build_temp, source).with_suffix(".o")
        made_of = [source, *extension.depends]
        if (
            self.force
            or not compiled.exists()
            or compiled.stat().st_mtime < max(os.path.getmtime(path) for path in made_of)
        ):
            self.compiler.compile(
                [source],
                output_dir=self.build_temp,
                include_dirs=extension.include_dirs,
                extra_postargs=extension.extra_compile_args,
            )
        return str(compiled)

    def run(self) -> None:
        super().run()
        # What a build of one object for each module left here would be shipped too.
        for kept in map(Path, {*self.get_outputs(), *self.get_output_mapping().values()}):
            for stale in set(kept.parent.glob("*.so")) - {kept}:
                stale.unlink()


modules = cythonize(
    [
        Extension(f"router._fastpath.{source.stem}", [str(source)])
        for source in sorted(FASTPATH.glob("*.pyx"))
    ],
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
)
plane = Extension(
    "router._fastpath._plane",
    [source for module in modules for source in module.sources],
    depends=["setup.py", *sorted(map(str, FASTPATH.glob("*.h")))],
    include_dirs=[str(FASTPATH)],
    extra_compile_args=COMPILE_ARGS,
    extra_link_args=SANITIZERS if DEBUG else [],
)

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
    options={"build": {"build_base": str(BUILD)}},
    cmdclass={"build_ext": BuildPlane},
    ext_modules=[plane],
)
