"""The ``twilio-video`` bundle of the page: where it lies and how it is fetched from npm."""

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from signaling.errors import SignalingError

PACKAGE = "twilio-video"
VERSION = "2"
"""The newest release of this major version is taken."""

FILE_NAME = "twilio-video.min.js"
DIRECTORY = Path(__file__).parent / "bundle"
_MEMBER = f"package/dist/{FILE_NAME}"
_MAX_BYTES = 32 << 20


class BundleError(SignalingError):
    """The bundle could not be fetched or written."""


def path() -> Path | None:
    """Return the installed bundle, or None when there is none."""
    bundle = DIRECTORY / FILE_NAME
    return bundle if bundle.is_file() else None


def install() -> Path:
    """
    Fetch the package with npm and put its bundle beside the page.

    :raises BundleError: when npm is missing, the package cannot be fetched, or the directory
        cannot be written.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise BundleError("npm is not installed; it is needed to fetch the twilio-video package")
    with tempfile.TemporaryDirectory() as work:
        fetched = subprocess.run(
            [npm, "pack", "--silent", f"{PACKAGE}@{VERSION}"],
            cwd=work,
            capture_output=True,
            text=True,
            check=False,
        )
        archives = sorted(Path(work).glob("*.tgz"))
        if fetched.returncode or not archives:
            raise BundleError(f"npm could not fetch {PACKAGE}: {fetched.stderr.strip()[-400:]}")
        with tarfile.open(archives[-1]) as archive:
            try:
                member = archive.extractfile(_MEMBER)
            except KeyError:
                member = None
            if member is None:
                raise BundleError(f"the {PACKAGE} package has no {_MEMBER}")
            content = member.read(_MAX_BYTES)
    target = DIRECTORY / FILE_NAME
    try:
        DIRECTORY.mkdir(exist_ok=True)
        part = target.with_suffix(".part")
        part.write_bytes(content)
        part.replace(target)
    except OSError as error:
        raise BundleError(f"cannot write {target}: {error.strerror}") from error
    return target
