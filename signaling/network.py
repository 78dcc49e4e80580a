"""What this machine can bind, and under which addresses clients reach it."""

import socket

# Documentation addresses (RFC 5737, RFC 3849): connecting a UDP socket sends nothing, it only asks
# the routing table for the address that the machine would send from.
_OUTSIDE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def has_ipv6() -> bool:
    """Tell whether a socket for both address families can be bound."""
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def own_addresses(*, ipv6: bool) -> tuple[str, ...]:
    """
    Return the addresses from which this machine sends to others, IPv4 first.

    Without a network there are none.

    :param ipv6: Whether IPv6 addresses count.
    """
    found = []
    for family, outside in _OUTSIDE:
        if family == socket.AF_INET6 and not ipv6:
            continue
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((outside, 9))
                address = probe.getsockname()[0]
        except OSError:
            continue
        if "%" not in address and not address.startswith("127."):
            found.append(address)
    return tuple(found)
