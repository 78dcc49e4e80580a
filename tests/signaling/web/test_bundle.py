"""Fetching the SDK's bundle with the real npm, from a registry of our own on loopback."""

import asyncio
import base64
import hashlib
import io
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from signaling.web import bundle

MEMBER = f"package/dist/{bundle.FILE_NAME}"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the bundle and npm's files somewhere else."""
    monkeypatch.setattr(bundle, "DIRECTORY", tmp_path / "bundle")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_userconfig", str(tmp_path / "npmrc"))
    return tmp_path / "bundle"


def package(members: dict[str, bytes]) -> bytes:
    """Return an npm package."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


@asynccontextmanager
async def registry(versions: dict[str, bytes]) -> AsyncIterator[str]:
    """Serve these versions of the package; yield the registry's URL."""

    async def facts(request: web.Request) -> web.Response:
        digests = {v: base64.b64encode(hashlib.sha512(p).digest()) for v, p in versions.items()}
        described = {
            version: {
                "name": bundle.PACKAGE,
                "version": version,
                "engines": {"node": ">=99" if version == "2.30.1" else ">=0.12"},
                "dist": {
                    "tarball": f"http://{request.host}/{version}.tgz",
                    "integrity": f"sha512-{digest.decode()}",
                },
            }
            for version, digest in digests.items()
        }
        latest = {"latest": max(versions)}
        return web.json_response(
            {"name": bundle.PACKAGE, "dist-tags": latest, "versions": described}
        )

    async def tarball(request: web.Request) -> web.Response:
        return web.Response(body=versions[request.match_info["version"]])

    application = web.Application()
    application.router.add_get(f"/{bundle.PACKAGE}", facts)
    application.router.add_get("/{version}.tgz", tarball)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def test_newest_release_of_the_major_version_is_installed_whatever_node_it_names(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {
        version: package({"package/package.json": b"{}", MEMBER: f"// {version}".encode()})
        for version in ("1.9.0", "2.9.0", "2.30.1", "2.31.0-preview.1", "3.0.0")
    }
    assert bundle.path() is None
    async with registry(versions) as url:
        monkeypatch.setenv("npm_config_registry", url)
        installed = await asyncio.to_thread(bundle.install)
    assert installed == bundle.path()
    assert installed.read_text() == "// 2.30.1"
    assert [entry.name for entry in directory.iterdir()] == [bundle.FILE_NAME]


async def test_package_without_the_bundle_is_refused(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with registry({"2.0.0": package({"package/package.json": b"{}"})}) as url:
        monkeypatch.setenv("npm_config_registry", url)
        with pytest.raises(bundle.BundleError, match=r"has no package/dist/twilio-video\.min\.js"):
            await asyncio.to_thread(bundle.install)
    assert bundle.path() is None


async def test_registry_that_cannot_be_reached_is_an_error(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with registry({}) as url:
        pass
    monkeypatch.setenv("npm_config_registry", url)
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(bundle.BundleError, match="npm could not fetch"):
        await asyncio.to_thread(bundle.install)


async def test_missing_npm_is_named(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(bundle.BundleError, match="npm is not installed"):
        bundle.install()
