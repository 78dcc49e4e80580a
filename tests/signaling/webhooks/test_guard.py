import ipaddress
import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from signaling.webhooks.guard import AddressGuard, AddressRefused, GuardedResolver

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "64:ff9b::808:808", "::ffff:8.8.8.8"]
LOOPBACK = ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
OTHERS = [
    "10.0.0.1",
    "172.16.5.4",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "192.0.2.1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "2002:a00:1::",
    "::10.0.0.1",
]
# Other ways to write loopback, which a system's resolver may understand.
SPELLINGS = ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.000.000.001", "localhost", ""]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address: str) -> None:
    AddressGuard().check(address)


@pytest.mark.parametrize("address", [*LOOPBACK, *OTHERS, *SPELLINGS])
def test_all_others_are_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        AddressGuard().check(address)


@pytest.mark.parametrize("address", LOOPBACK)
def test_loopback_can_be_allowed(address: str) -> None:
    AddressGuard(allow_loopback=True).check(address)


@pytest.mark.parametrize("address", [*OTHERS, *SPELLINGS])
def test_loopback_alone_is_allowed_then(address: str) -> None:
    with pytest.raises(AddressRefused):
        AddressGuard(allow_loopback=True).check(address)


def test_networks_can_be_allowed() -> None:
    networks = [ipaddress.ip_network(text) for text in ("10.1.0.0/16", "fd00::/8")]
    guard = AddressGuard(allow=networks)
    for address in ("10.1.2.3", "fd12::1", "::ffff:10.1.2.3"):
        guard.check(address)
    for address in ("10.2.0.1", "127.0.0.1", "fe80::1"):
        with pytest.raises(AddressRefused):
            guard.check(address)


def test_a_socket_is_made_only_for_an_address_that_passes() -> None:
    guard = AddressGuard(allow_loopback=True)

    def info(address: str) -> tuple[int, int, int, str, tuple[object, ...]]:
        return (socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 80))

    guard.connecting_socket(info("127.0.0.1")).close()
    with pytest.raises(AddressRefused):
        guard.connecting_socket(info("10.0.0.1"))


class Answers(AbstractResolver):
    """A DNS that answers what a test says."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for address in self.addresses
        ]

    async def close(self) -> None: ...


async def test_a_name_resolves_to_those_of_its_addresses_that_pass() -> None:
    resolver = GuardedResolver(Answers("10.0.0.1", "8.8.8.8"), AddressGuard())
    assert [found["host"] for found in await resolver.resolve("x.example")] == ["8.8.8.8"]
    resolver = GuardedResolver(Answers("10.0.0.1", "127.0.0.1"), AddressGuard())
    with pytest.raises(AddressRefused):
        await resolver.resolve("x.example")
    assert await GuardedResolver(Answers(), AddressGuard()).resolve("x.example") == []
