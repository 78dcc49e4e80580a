"""Transport addresses: an IP address in one canonical spelling, and a port."""

import ipaddress
from typing import NamedTuple

from ..errors import WireFormatError


class Address(NamedTuple):
    """
    A transport address; equal to the plain tuple ``(host, port)``.

    Compare and use as a key only in normal form: made by :func:`parse_address`,
    :func:`normalise_address` or :func:`unpack_host`.
    """

    host: str
    """An IPv4 or IPv6 address as text, canonical, never IPv4-mapped."""
    port: int
    """0..65535."""

    @property
    def is_ipv6(self) -> bool:
        """Whether the host is an IPv6 address."""
        return ":" in self.host

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.is_ipv6 else f"{self.host}:{self.port}"


def normalise_host(host: str) -> str:
    """
    Return an IP address in its canonical spelling (RFC 5952).

    An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2), which is what a dual-stack socket
    reports for an IPv4 peer, becomes the IPv4 address, so that one peer has one address.

    :raises WireFormatError: if ``host`` is not an IP address.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise WireFormatError(f"not an IP address ({len(host)} characters)") from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def normalise_address(host: str, port: int) -> Address:
    """
    Return the normal form of what a socket reports: ``normalise_address(*sockaddr[:2])``.

    :raises WireFormatError: if ``host`` is not an IP address or ``port`` is out of range.
    """
    if not 0 <= port <= 0xFFFF:
        raise WireFormatError(f"port {port} is not within 0..65535")
    return Address(normalise_host(host), port)


def parse_address(text: str) -> Address:
    """
    Return the address written as ``192.0.2.1:443`` or ``[2001:db8::1]:443``.

    :raises WireFormatError: if the text has another form.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or len(port) > 5:
        raise WireFormatError("an address is written host:port, with a numeric port")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed != (":" in host):
        raise WireFormatError("an IPv6 address before a port stands in brackets")
    return normalise_address(host[1:-1] if bracketed else host, int(port))


def pack_host(host: str) -> bytes:
    """
    Return the 4 or 16 bytes of an IP address.

    :raises WireFormatError: if ``host`` is not an IP address.
    """
    try:
        return ipaddress.ip_address(host).packed
    except ValueError:
        raise WireFormatError(f"not an IP address ({len(host)} characters)") from None


def unpack_host(data: bytes) -> str:
    """
    Return the IP address that 4 or 16 bytes hold, in normal form.

    :raises WireFormatError: if there are neither 4 nor 16 bytes.
    """
    if len(data) not in (4, 16):
        raise WireFormatError(f"an IP address has 4 or 16 bytes, not {len(data)}")
    if len(data) == 4:
        return str(ipaddress.IPv4Address(data))
    address = ipaddress.IPv6Address(data)
    return str(address.ipv4_mapped or address)
