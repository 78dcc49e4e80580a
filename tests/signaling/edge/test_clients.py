import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.edge.clients import Client, ClientFinder, limit_key, parse_address

FINDER = ClientFinder([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")])
PROXY = "10.0.0.1"


def for_(value: str, proto: str | None = None) -> dict[str, str]:
    return {"x-forwarded-for": value} | ({} if proto is None else {"x-forwarded-proto": proto})


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        # Nobody is believed who is not trusted.
        ("192.0.2.9", for_("198.51.100.1", "https"), ("192.0.2.9", None)),
        ("192.0.2.9", {"forwarded": "for=198.51.100.1;proto=https"}, ("192.0.2.9", None)),
        (PROXY, {}, (PROXY, None)),
        (PROXY, {"x-forwarded-proto": "https"}, (PROXY, "https")),
        (PROXY, for_("198.51.100.1", "https"), ("198.51.100.1", "https")),
        ("::ffff:10.0.0.1", for_("198.51.100.1", "wss"), ("198.51.100.1", "https")),
        ("fd00::1", for_("2001:db8::7"), ("2001:db8::7", None)),
        # The right-most hop that is no proxy is the client, whatever it wrote to its left.
        (PROXY, for_("203.0.113.5, 198.51.100.1, 10.2.3.4"), ("198.51.100.1", None)),
        (PROXY, for_("10.9.9.9, 198.51.100.1"), ("198.51.100.1", None)),
        # All of them are proxies: the left-most is the nearest to whoever asked.
        (PROXY, for_("10.1.1.1, 10.2.2.2"), ("10.1.1.1", None)),
        # One scheme for each hop, or one for all.
        (PROXY, for_("198.51.100.1, 10.2.3.4", "https, http"), ("198.51.100.1", "https")),
        (PROXY, for_("198.51.100.1, 10.2.3.4", "https"), ("198.51.100.1", "https")),
        (PROXY, for_("198.51.100.1", "http, https"), ("198.51.100.1", "https")),
        (PROXY, for_("198.51.100.1", "gopher"), ("198.51.100.1", None)),
        # Ports are left out; what is no address ends the chain.
        (PROXY, for_("198.51.100.1:4711"), ("198.51.100.1", None)),
        (PROXY, for_("[2001:db8::1]:4711"), ("2001:db8::1", None)),
        (PROXY, for_("198.51.100.1, unknown, 10.2.3.4"), ("10.2.3.4", None)),
        (PROXY, for_("evil, "), (PROXY, None)),
        (PROXY, {"forwarded": 'for="[2001:db8::1]:80";proto=https'}, ("2001:db8::1", "https")),
        (
            PROXY,
            {"forwarded": "for=192.0.2.5, for=198.51.100.1;proto=https;by=10.2.3.4,For=10.3.3.4"},
            ("198.51.100.1", "https"),
        ),
        (PROXY, {"forwarded": "for=_hidden;proto=https"}, (PROXY, "https")),
        (PROXY, {"forwarded": 'for="unfinished, for=198.51.100.1'}, (PROXY, None)),
        (PROXY, {"forwarded": "for=198.51.100.1 for=203.0.113.5"}, (PROXY, None)),
        # A header that the proxy passed on without writing it contradicts the one that it wrote.
        (PROXY, {"forwarded": "for=203.0.113.5", **for_("198.51.100.1")}, (PROXY, None)),
        (PROXY, {"forwarded": "for=198.51.100.1", **for_("198.51.100.1")}, ("198.51.100.1", None)),
    ],
)
def test_client_behind_proxies(
    peer: str, headers: dict[str, str], client: tuple[str, str | None]
) -> None:
    assert FINDER.find(peer, headers) == Client(*client)


@given(st.text(), st.text(), st.text())
def test_no_header_raises_or_names_what_is_no_address(
    forwarded: str, addresses: str, schemes: str
) -> None:
    for headers in (
        {"forwarded": forwarded},
        {"x-forwarded-for": addresses, "x-forwarded-proto": schemes},
        {"forwarded": forwarded, "x-forwarded-for": addresses, "x-forwarded-proto": schemes},
    ):
        client = FINDER.find(PROXY, headers)
        assert parse_address(client.address) is not None
        assert client.scheme in (None, "http", "https")


@given(st.ip_addresses(), st.lists(st.ip_addresses(), max_size=40))
def test_what_the_client_wrote_changes_nothing(client: object, written: list[object]) -> None:
    if FINDER.trusts(str(client)):
        return
    alone = FINDER.find(PROXY, for_(str(client)))
    chain = ", ".join(str(address) for address in [*written, client])
    assert FINDER.find(PROXY, for_(chain)).address == alone.address


def test_limits_count_networks_of_ipv6() -> None:
    assert limit_key("2001:db8::1") == limit_key("2001:db8::ffff") == "2001:db8::/64"
    assert limit_key("::ffff:192.0.2.1") == limit_key("192.0.2.1") == "192.0.2.1"
    assert limit_key("") == ""
