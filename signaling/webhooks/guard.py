"""
Which addresses a callback may go to.

Whoever may create rooms chooses URLs, and must not reach with them what only this server reaches:
itself, its neighbours, the metadata service of a cloud. Names are judged by the addresses that they
resolve to, and each socket once more by the address that it is about to connect to: no second
answer of the DNS, and no other way to write an address, comes past that.
"""

import ipaddress
import socket
from collections.abc import Sequence
from typing import TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

from .config import Network

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# Public addresses of a cloud's own services (Azure's wire server).
_METADATA = frozenset({ipaddress.ip_address("168.63.129.16")})
# RFC 6052, RFC 8215: the last 32 bits are an IPv4 address.
_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")


class AddressRefused(OSError):
    """An address that may not be called."""


class AddressGuard:
    """
    Judges addresses.

    :param allow: Networks that may be called whatever they are.
    :param allow_loopback: Whether this machine may be called.
    """

    def __init__(self, *, allow: Sequence[Network] = (), allow_loopback: bool = False) -> None:
        self._allow = tuple(allow)
        self._allow_loopback = allow_loopback

    def check(self, text: str) -> None:
        """
        Let an address pass.

        :param text: An IPv4 or IPv6 address; nothing else passes.
        :raises AddressRefused: when it may not be called.
        """
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            raise AddressRefused(f"{text!r} is not an address") from None
        if not self._passes(address):
            raise AddressRefused(f"the address {address} may not be called")

    def connecting_socket(
        self, address_info: tuple[int, int, int, str, tuple[object, ...]]
    ) -> socket.socket:
        """Return a socket for an address that passes; aiohttp connects it to that address."""
        family, kind, protocol, _, address = address_info
        self.check(str(address[0]))
        return socket.socket(family, kind, protocol)

    def _passes(self, address: _Address) -> bool:
        if any(address in network for network in self._allow):
            return True
        inner = _embedded(address)
        if inner is not None:
            return self._passes(inner)
        if address.is_loopback:
            return self._allow_loopback
        # Not global: private, link-local, shared, documentation, reserved, unspecified.
        return address.is_global and not address.is_multicast and address not in _METADATA


def _embedded(address: _Address) -> _Address | None:
    """Return the IPv4 address that is reached through an IPv6 address."""
    if address.version == 4:
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    wide = any(address in network for network in _NAT64)
    # ::1 and :: are addresses of their own.
    if wide or (address in _IPV4_COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


class GuardedResolver(AbstractResolver):
    """
    Resolves names to those of their addresses that may be called.

    :param inner: Asks the DNS.
    """

    def __init__(self, inner: AbstractResolver, guard: AddressGuard) -> None:
        self._inner = inner
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses. :raises AddressRefused: when none of them may be called."""
        passing: list[ResolveResult] = []
        refusal: AddressRefused | None = None
        for found in await self._inner.resolve(host, port, family):
            try:
                self._guard.check(found["host"])
            except AddressRefused as error:
                refusal = error
            else:
                passing.append(found)
        if refusal is not None and not passing:
            raise refusal
        return passing

    async def close(self) -> None:
        await self._inner.close()
