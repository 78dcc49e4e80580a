"""
Builds the load generator's compiled packages on first use, beside their sources.

They are no part of the distribution: a server needs none of it. ``ROUTER_DEBUG=1`` builds with
sanitizers, as in setup.py. Run as a program with the name of a package, builds it.
"""

import fcntl
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
FASTPATH = ROOT / "router" / "_fastpath"


@cache
def ensure_built(package: str) -> None:
    """
    Build the modules of a package unless they are newer than all that they are made of. A process
    looks once.

    :param package: Such as ``benchmarks.engine``.
    :raises ImportError: when it cannot be built; what the compiler said is on stderr.
    """
    folder = ROOT.joinpath(*package.split("."))
    if _is_fresh(folder):
        return
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    with (build / f"{package}.lock").open("w") as lock:
        # Several processes may come at once; one builds.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_fresh(folder):
            return
        print(f"building {package} ...", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "benchmarks.compiled", package]
        if subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode:
            raise ImportError(f"{package} cannot be built; it needs gcc and cython")


def _is_fresh(folder: Path) -> bool:
    needs = [*folder.glob("*.p[yx]*"), *folder.glob("*.h")]
    needs += [*FASTPATH.glob("*.pxd"), *FASTPATH.glob("*.h")]
    newest = max(path.stat().st_mtime for path in needs if path.suffix != ".pyi")
    built = [_built(source) for source in folder.glob("*.pyx")]
    return all(path is not None and path.stat().st_mtime >= newest for path in built)


def _built(source: Path) -> Path | None:
    return next(source.parent.glob(f"{source.stem}.*.so"), None)


def build(package: str) -> None:
    """Build all modules of a package, whether they are fresh or not."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    debug = os.environ.get("ROUTER_DEBUG") == "1"
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    arguments = ["-O1", "-g", "-UNDEBUG", *sanitizers] if debug else ["-O3", "-g1", "-DNDEBUG"]
    folder = Path(*package.split("."))
    depends = [str(p) for p in (*folder.glob("*.h"), *folder.glob("*.pxd"))]
    depends += [str(p) for p in FASTPATH.relative_to(ROOT).glob("*.pxd")]
    extensions = [
        Extension(
            f"{package}.{source.stem}",
            [str(source)],
            depends=depends,
            include_dirs=[str(folder), str(FASTPATH)],
            extra_compile_args=["-Wall", "-Wno-unused-function", *arguments],
            extra_link_args=sanitizers if debug else [],
        )
        for source in sorted(folder.glob("*.pyx"))
    ]
    modules = cythonize(  # type: ignore[no-untyped-call]
        extensions,
        build_dir="build/debug/cython" if debug else "build/cython",
        include_path=[str(ROOT)],
        force=True,
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
        },
    )
    distribution = Distribution({"name": package, "ext_modules": modules, "packages": []})
    command = distribution.get_command_obj("build_ext")
    command.inplace = True
    command.force = True
    command.parallel = os.cpu_count()
    command.build_temp = "build/debug/temp" if debug else "build/temp"
    distribution.run_command("build_ext")


if __name__ == "__main__":
    build(sys.argv[1])
