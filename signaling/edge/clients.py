"""Who a request comes from when it came through proxies: X-Forwarded-For and Forwarded."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

HOPS_MAX = 32
"""Hops that are looked at; what stands further left was written by nobody who is trusted."""
SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_IPV6_PREFIX = 64
"""One subscriber has a whole /64, so single addresses of it say nothing."""

# RFC 7239 section 4: a parameter's value is a token or a quoted string.
_PAIR = re.compile(r"\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\";,]*))\s*")
_PORT = re.compile(r":\d{1,5}")


@dataclass(frozen=True, slots=True)
class Client:
    """The nearest address that no trusted proxy vouches to be a proxy."""

    address: str
    """As text, without a port; empty when the transport does not tell."""
    scheme: str | None
    """``http`` or ``https``, as the client's own connection was; None when no proxy says so."""


@dataclass(frozen=True, slots=True)
class _Hop:
    address: str | None
    scheme: str | None


class ClientFinder:
    """
    Believes the headers of proxies that are trusted, and only what those wrote themselves.

    :param trusted: The proxies' networks.
    """

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        self._trusted = tuple(trusted)

    def trusts(self, address: str) -> bool:
        """Tell whether an address is a proxy's."""
        if not self._trusted:
            return False
        parsed = parse_address(address)
        return parsed is not None and any(parsed in network for network in self._trusted)

    def find(self, peer: str, headers: Mapping[str, str]) -> Client:
        """
        Return the client.

        From the right, each hop that is a trusted proxy vouches for the one to its left. When both
        headers are there and name different clients, the proxy let pass one that it did not write,
        and neither counts.

        :param peer: Address at the other end of the connection.
        :param headers: By lower-case name; a repeated one joined with commas.
        """
        if not self.trusts(peer):
            return Client(plain_address(peer), None)
        found = []
        if (value := headers.get("forwarded")) is not None:
            found.append(self._walk(peer, _parse_forwarded(value)))
        if (value := headers.get("x-forwarded-for")) is not None:
            schemes = headers.get("x-forwarded-proto", "")
            found.append(self._walk(peer, _parse_x_forwarded(value, schemes)))
        if len(found) == 2 and found[0].address != found[1].address:
            return Client(plain_address(peer), None)
        if found:
            return found[0]
        only = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        return Client(plain_address(peer), SCHEMES.get(only))

    def _walk(self, peer: str, hops: Sequence[_Hop]) -> Client:
        found = Client(plain_address(peer), None)
        for hop in reversed(hops[-HOPS_MAX:]):
            if hop.address is None:
                # Hidden or garbled: whoever vouches for it is the last that is known.
                return Client(found.address, hop.scheme or found.scheme)
            found = Client(hop.address, hop.scheme)
            if not self.trusts(hop.address):
                break
        return found


def _parse_x_forwarded(addresses: str, schemes: str) -> list[_Hop]:
    parts = addresses.split(",")[-HOPS_MAX:]
    given = [SCHEMES.get(scheme.strip().lower()) for scheme in schemes.split(",")]
    # One for each hop, or one that the nearest proxy wrote for all of them.
    by_hop = given[-len(parts) :] if len(given) >= len(parts) else [given[-1]] * len(parts)
    return [
        _Hop(_node_address(part.strip()), scheme)
        for part, scheme in zip(parts, by_hop, strict=True)
    ]


def _parse_forwarded(value: str) -> list[_Hop]:
    hops: list[_Hop] = []
    address: str | None = None
    scheme: str | None = None
    position = 0
    while True:
        match = _PAIR.match(value, position)
        if match is None:
            # What follows cannot be told apart, nor what stands before it trusted.
            return [*hops, _Hop(None, None)][-HOPS_MAX:] if position < len(value) else hops
        name = match[1].lower()
        text = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        if name == "for":
            address = _node_address(text)
        elif name == "proto":
            scheme = SCHEMES.get(text.lower())
        position = match.end()
        separator = value[position : position + 1]
        position += 1
        if separator == ";":
            continue
        hops.append(_Hop(address, scheme))
        address = scheme = None
        if separator == ",":
            continue
        return hops if not separator else [*hops, _Hop(None, None)]


def _node_address(text: str) -> str | None:
    """Return the address of ``192.0.2.1``, ``192.0.2.1:80``, ``[2001:db8::1]:80`` and the like."""
    if text.startswith("["):
        inner, bracket, port = text[1:].partition("]")
        text = inner if bracket and (not port or _PORT.fullmatch(port)) else ""
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        text = host if _PORT.fullmatch(f":{port}") else ""
    parsed = parse_address(text)
    return None if parsed is None else str(parsed)


@lru_cache(maxsize=4096)
def parse_address(text: str) -> _Address | None:
    """Return an address, an IPv4 one also when it is mapped into IPv6; None for anything else."""
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed


def plain_address(text: str) -> str:
    """Return an address without zone, and IPv4 as IPv4; what is no address stays."""
    parsed = parse_address(text)
    return text if parsed is None else str(parsed)


@lru_cache(maxsize=4096)
def limit_key(address: str) -> str:
    """Return what is counted for an address: itself, or the /64 of an IPv6 address."""
    parsed = parse_address(address)
    if parsed is None or parsed.version == 4:
        return address if parsed is None else str(parsed)
    return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))
