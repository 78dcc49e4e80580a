"""The ``twilio-video`` bundle of the page: where it lies and how it is fetched from npm."""

import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from signaling.errors import SignalingError

PACKAGE = "twilio-video"
VERSION = "2"
"""The newest release of this major version is taken; see :func:`_newest`."""

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
        wanted = f"{PACKAGE}@{_newest(npm, work)}"
        _run([npm, "pack", "--silent", wanted], work)
        archives = sorted(Path(work).glob("*.tgz"))
        if not archives:
            raise BundleError(f"npm fetched no archive of {wanted}")
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


def _newest(npm: str, work: str) -> str:
    """
    Return the newest release of the major version.

    Asked for a range, npm prefers releases whose ``engines`` name the Node that is here, however
    old they are. The bundle runs in browsers, so that is of no interest.
    """
    listed = _run([npm, "view", f"{PACKAGE}@{VERSION}", "version", "--json"], work)
    try:
        found = json.loads(listed or "[]")
        releases = [found] if isinstance(found, str) else found
        return max(releases, key=lambda release: [int(part) for part in release.split(".")])
    except ValueError:
        raise BundleError(f"npm knows no release {VERSION} of {PACKAGE}") from None


def _run(command: list[str], work: str) -> str:
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BundleError(f"npm could not fetch {PACKAGE}: {done.stderr.strip()[-400:]}")
    return done.stdout
