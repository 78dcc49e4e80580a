"""The image, the compose file and the unit, as far as they can be held against the server here."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from signaling.config import FILE_SUFFIX, PREFIX, REFERENCE, SECRETS, Settings
from tests.signaling.cli.process import served

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "signaling/deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
UNIT = DEPLOY / "parlour.service"

DEFAULTS = tomllib.loads(REFERENCE.read_text())
EXPOSURE_MAX = 20
"""Tenths: 2.0 of 10, which systemd calls OK."""


@pytest.mark.parametrize("path", sorted(DEPLOY.iterdir()), ids=lambda path: path.name)
def test_only_settings_that_exist_are_set(path: Path) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {f"{PREFIX}{name.upper()}{FILE_SUFFIX}" for name in SECRETS}
    assert set(re.findall(r"\bPARLOUR_[A-Z][A-Z_]*", path.read_text())) <= known


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert {"pyproject.toml", "router", "signaling"} <= copied
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source


def test_the_image_runs_as_somebody_without_rights() -> None:
    [user] = re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)
    assert user == "10001:10001"
    assert DOCKERFILE.index("USER ") > DOCKERFILE.index("COPY --from=build")
    assert DOCKERFILE.rstrip().endswith('CMD ["serve"]')


async def test_the_health_check_tells_a_server_from_none(tmp_path: Path) -> None:
    found = re.search(r"^HEALTHCHECK .*\n\s+CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    program, *arguments = json.loads(found[1])
    assert program == "python3"
    async with served(tmp_path) as server:
        port = server.url.rpartition(":")[2]
        for environment, healthy in (({"PARLOUR_HTTP_PORT": port}, True), ({}, False)):
            environment.setdefault("PARLOUR_HTTP_PORT", "1")
            done = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, env=environment, stderr=asyncio.subprocess.DEVNULL
            )
            assert (await done.wait() == 0) == healthy


def test_ports_of_the_compose_file_are_those_of_the_settings() -> None:
    service = COMPOSE["services"]["parlour"]
    environment = service["environment"]
    threads, first = int(environment["PARLOUR_MEDIA_THREADS"]), DEFAULTS["media_port"]
    media = f"{first}-{first + threads - 1}"
    assert service["ports"] == [
        f"127.0.0.1:{DEFAULTS['http_port']}:{DEFAULTS['http_port']}/tcp",
        f"{DEFAULTS['tls_port']}:{DEFAULTS['tls_port']}/tcp",
        f"{media}:{media}/udp",
    ]
    exposed = re.search(r"^EXPOSE (.+)$", DOCKERFILE, re.MULTILINE)
    assert exposed is not None
    assert exposed[1].split() == [
        f"{DEFAULTS['http_port']}/tcp",
        f"{DEFAULTS['tls_port']}/tcp",
        f"{media}/udp",
    ]
    drain = float(environment["PARLOUR_DRAIN_SECONDS"])
    assert float(service["stop_grace_period"].removesuffix("s")) >= drain + 10
    assert (service["build"]["dockerfile"], service["build"]["context"]) == (
        "signaling/deploy/Dockerfile",
        "../..",
    )
    assert COMPOSE["services"]["postgres"]["profiles"] == ["postgres"]
    volumes = [entry.split(":")[0] for s in COMPOSE["services"].values() for entry in s["volumes"]]
    assert sorted(volumes) == sorted(COMPOSE["volumes"])


def test_systemd_understands_the_unit_and_finds_little_exposed(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.fail("systemd-analyze is not installed: package systemd")
    # The command has to exist for this, and it is not installed where the unit expects it.
    unit = tmp_path / UNIT.name
    command = Path(sys.executable).parent / "parlour"
    unit.write_text(UNIT.read_text().replace("/opt/parlour/bin/parlour serve", f"{command} serve"))
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert str(unit) not in done.stderr, done.stderr
    done = subprocess.run(
        [analyze, "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
