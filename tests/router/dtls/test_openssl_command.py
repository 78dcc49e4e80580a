"""The distribution's ``openssl`` command as the peer, over loopback sockets and real time."""

import asyncio
import random
import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from router.dtls import (
    ApplicationData,
    Certificate,
    DtlsConfig,
    DtlsConnection,
    DtlsEvent,
    HandshakeCompleted,
)

from .peers import SERVER_CERTIFICATE, certificate

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command"),
]

EXPORT = ["-use_srtp", "SRTP_AEAD_AES_128_GCM", "-keymatexport", "EXTRACTOR-dtls_srtp"]
EXPORT += ["-keymatexportlen", "56"]
PEER_CERTIFICATE = certificate(7)


class Driver(asyncio.DatagramProtocol):
    """Runs one core on a socket."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[DtlsEvent] = asyncio.Queue()
        self._core: DtlsConnection | None = None
        self._address: tuple[str, int] | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, core: DtlsConnection, address: tuple[str, int] | None = None) -> None:
        self._core = core
        self._address = address
        self.pump()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        assert self._core is not None
        self._address = address
        self._core.receive_datagram(data, time.monotonic())
        self.pump()

    def pump(self) -> None:
        assert self._core is not None
        assert self._transport is not None
        while (event := self._core.next_event()) is not None:
            self.events.put_nowait(event)
        for datagram in self._core.datagrams_to_send():
            self._transport.sendto(datagram, self._address)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._core.next_timer()
        if due is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, due - time.monotonic()), self._fire)

    def _fire(self) -> None:
        assert self._core is not None
        self._core.handle_timer(time.monotonic())
        self.pump()

    async def next_event(self) -> DtlsEvent:
        return await asyncio.wait_for(self.events.get(), 10)

    def close(self) -> None:
        assert self._transport is not None
        if self._timer is not None:
            self._timer.cancel()
        self._transport.close()


@asynccontextmanager
async def running_driver() -> AsyncIterator[tuple[Driver, int]]:
    loop = asyncio.get_running_loop()
    transport, driver = await loop.create_datagram_endpoint(Driver, local_addr=("127.0.0.1", 0))
    try:
        yield driver, transport.get_extra_info("sockname")[1]
    finally:
        driver.close()


@asynccontextmanager
async def running_openssl(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        "openssl",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def read_until(process: asyncio.subprocess.Process, pattern: str) -> re.Match[str]:
    """Return the match of the first line of output that has one."""
    assert process.stdout is not None
    while line := await asyncio.wait_for(process.stdout.readline(), 10):
        if match := re.search(pattern, line.decode(errors="replace")):
            return match
    pytest.fail(f"openssl ended without {pattern!r}")


@pytest.fixture
def pem(tmp_path: Path) -> list[str]:
    """Write the peer's certificate and key; return the arguments that name them."""
    key = ec.derive_private_key(7 + 1000, ec.SECP256R1())
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (tmp_path / "cert.pem").write_bytes(
        x509.load_der_x509_certificate(PEER_CERTIFICATE.der).public_bytes(
            serialization.Encoding.PEM
        )
    )
    return ["-cert", str(tmp_path / "cert.pem"), "-key", str(tmp_path / "key.pem")]


def make_config(own: Certificate = SERVER_CERTIFICATE) -> DtlsConfig:
    return DtlsConfig(certificate=own, remote_fingerprints=(PEER_CERTIFICATE.fingerprint(),))


def keying_material(event: HandshakeCompleted, *, is_client: bool) -> str:
    """Return the exported block as the openssl command prints it."""
    local, remote = (event.local_key, event.local_salt), (event.remote_key, event.remote_salt)
    client, server = (local, remote) if is_client else (remote, local)
    return (client[0] + server[0] + client[1] + server[1]).hex().upper()


async def test_s_client_connects(pem: list[str]) -> None:
    async with running_driver() as (driver, port):
        core = DtlsConnection(
            make_config(), is_client=False, rng=random.Random(1), now=time.monotonic()
        )
        driver.start(core)
        async with running_openssl(
            "s_client", "-dtls1_2", "-connect", f"127.0.0.1:{port}", *pem, *EXPORT
        ) as process:
            event = await driver.next_event()
            assert isinstance(event, HandshakeCompleted)
            match = await read_until(process, r"Keying material: ([0-9A-F]+)")
            assert match[1] == keying_material(event, is_client=False)
            assert process.stdin is not None
            process.stdin.write(b"hello\n")
            assert await driver.next_event() == ApplicationData(b"hello\n")
            core.send_application_data(b"welcome\n")
            driver.pump()
            await read_until(process, "welcome")


@pytest.mark.parametrize("options", [[], ["-listen"]], ids=["plain", "cookies"])
async def test_client_connects_to_s_server(pem: list[str], options: list[str]) -> None:
    arguments = ["s_server", "-dtls1_2", "-accept", "127.0.0.1:0", "-Verify", "1"]
    async with running_openssl(*arguments, *pem, *EXPORT, *options) as process:
        match = await read_until(process, r"ACCEPT 127\.0\.0\.1:(\d+)")
        async with running_driver() as (driver, _):
            core = DtlsConnection(
                make_config(), is_client=True, rng=random.Random(1), now=time.monotonic()
            )
            driver.start(core, ("127.0.0.1", int(match[1])))
            event = await driver.next_event()
            assert isinstance(event, HandshakeCompleted)
            match = await read_until(process, r"Keying material: ([0-9A-F]+)")
            assert match[1] == keying_material(event, is_client=True)
            core.send_application_data(b"hello\n")
            driver.pump()
            await read_until(process, "hello")
