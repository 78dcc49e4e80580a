import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest
import structlog
from cryptography import x509

from signaling.config import load_settings
from signaling.doctor import examine
from signaling.edge import TlsFiles, tls
from signaling.errors import ConfigError
from tests.signaling.cli.test_serve import join, message_of

from .certificates import write_certificate
from .site import KEY, basic, running

DEADLINE = 20.0


def unverified(least: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = least
    return context


async def serial_of(port: int) -> int:
    """Return the serial number of the certificate that a new connection sees."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=unverified())
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    assert reader is not None
    return x509.load_der_x509_certificate(found).serial_number


async def test_a_new_certificate_is_used_and_no_connection_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "POLL_INTERVAL", 0.05)
    first = write_certificate(tmp_path, "first")
    given = {"tls_cert": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")}
    async with (
        running(tmp_path, dev=True, tls_host="127.0.0.1", tls_port=0, **given) as (server, url),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=unverified())) as http,
    ):
        logs = structlog.testing.LogCapture()
        structlog.configure(processors=[logs])
        secure = f"https://127.0.0.1:{server.tls_port}"
        alice = await join(http, secure, "alice", "r1")
        assert await serial_of(server.tls_port) == first

        second = write_certificate(tmp_path, "second")
        async with asyncio.timeout(DEADLINE):
            while await serial_of(server.tls_port) != second:  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(0.02)

        # A pair that does not fit together is not used; the old one goes on.
        (tmp_path / "key.pem").write_text("no key at all")
        async with asyncio.timeout(DEADLINE):
            while not any(line["log_level"] == "error" for line in logs.entries):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert await serial_of(server.tls_port) == second
        third = write_certificate(tmp_path, "third")
        async with asyncio.timeout(DEADLINE):
            while await serial_of(server.tls_port) != third:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

        # All the while alice was there, and her socket still works both ways.
        bob = await join(http, url, "bob", "r1")
        update = await message_of(alice, "update")
        assert [person["identity"] for person in update["participants"]] == ["bob"]
        room = f"{secure}/v1/Rooms/r1"
        async with http.get(room, headers=basic(KEY)) as answer:
            # Links are of the connection's own scheme.
            assert (await answer.json())["url"].startswith(f"{secure}/v1/Rooms/RM")
        for socket_ in (alice, bob):
            await socket_.close()


async def test_old_versions_of_tls_are_refused(tmp_path: Path) -> None:
    write_certificate(tmp_path, "only")
    given = {"tls_cert": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")}
    async with running(tmp_path, tls_host="127.0.0.1", tls_port=0, **given) as (server, _):
        for version, accepted in (("1", False), ("1_1", False), ("1_2", True), ("1_3", True)):
            process = await asyncio.create_subprocess_exec(
                *("openssl", "s_client", "-connect", f"127.0.0.1:{server.tls_port}"),
                # Else the client itself would not offer the old ones.
                *(f"-tls{version}", "-cipher", "ALL:@SECLEVEL=0"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            async with asyncio.timeout(DEADLINE):
                out, _ = await process.communicate()
            assert (b"Cipher is (NONE)" not in out) == accepted, (version, out)


async def test_what_is_no_tls_and_who_says_nothing_harm_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signaling.edge.listener.HANDSHAKE_TIMEOUT", 0.5)
    write_certificate(tmp_path, "only")
    given = {"tls_cert": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")}
    async with running(tmp_path, tls_host="127.0.0.1", tls_port=0, **given) as (server, _):
        silent = [await asyncio.open_connection("127.0.0.1", server.tls_port) for _ in range(20)]
        for index, (_, writer) in enumerate(silent):
            writer.write(b"GET / HTTP/1.1\r\n\r\n" if index % 2 else b"\x16\x03\x01\x00")
        async with asyncio.timeout(DEADLINE):
            for reader, writer in silent:
                # Cut off by the alert, or by the deadline of the handshake.
                with contextlib.suppress(ConnectionError):
                    await reader.read()
                writer.close()
        assert await serial_of(server.tls_port)
        async with asyncio.timeout(DEADLINE):
            while len(server._gate):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "No such file"),
        ({"cert.pem": "x", "key.pem": "x"}, "PEM is expected"),
    ],
)
def test_files_that_cannot_be_used_are_said(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=said):
        TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem").load()


def test_a_key_with_a_passphrase_is_said_and_nobody_asked_for_it(tmp_path: Path) -> None:
    write_certificate(tmp_path, "only", passphrase=b"hush")
    with pytest.raises(ConfigError, match="passphrase"):
        TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem").load()


def test_a_key_of_another_certificate_is_said(tmp_path: Path) -> None:
    write_certificate(tmp_path, "one")
    other = (tmp_path / "key.pem").read_text()
    write_certificate(tmp_path, "two")
    (tmp_path / "key.pem").write_text(other)
    with pytest.raises(ConfigError, match="mismatch"):
        TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem").load()


async def test_all_addresses_are_served_over_ipv4_and_ipv6(tmp_path: Path) -> None:
    write_certificate(tmp_path, "only")
    async with running(
        tmp_path, tls_port=0, tls_cert=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "key.pem")
    ) as (server, _):
        for host in ("127.0.0.1", "::1") if socket.has_ipv6 else ("127.0.0.1",):
            _, writer = await asyncio.open_connection(host, server.tls_port, ssl=unverified())
            writer.close()


def test_doctor_looks_at_the_certificate(tmp_path: Path) -> None:
    write_certificate(tmp_path, "one")
    given = {"tls_cert": str(tmp_path / "cert.pem"), "tls_host": "127.0.0.1", "tls_port": 0}
    for key, verdict in ((str(tmp_path / "key.pem"), "ok"), ("", "bad")):
        settings = load_settings({"media_port": 0, "data_dir": tmp_path, "tls_key": key} | given)
        [found] = [f for f in examine(settings) if f.subject == "certificate"]
        assert found.verdict == verdict


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"dev": True, "tls_cert": "x"}, "development mode .* ::"),
        ({"tls_key": "x"}, "tls_key needs tls_cert"),
    ],
)
def test_settings_that_do_not_go_together_are_said(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_settings(given)
