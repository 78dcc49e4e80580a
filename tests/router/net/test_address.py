"""Transport addresses."""

import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import WireFormatError
from router.net import (
    Address,
    normalise_address,
    normalise_host,
    pack_host,
    parse_address,
    unpack_host,
)

hosts = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str).map(normalise_host)
addresses = st.builds(Address, hosts, st.integers(0, 0xFFFF))


@given(addresses)
def test_addresses_survive_the_round_trip(address: Address) -> None:
    assert parse_address(str(address)) == address
    assert normalise_address(*address) == address
    assert unpack_host(pack_host(address.host)) == address.host


@given(st.text(max_size=60))
def test_any_text_parses_or_raises_wire_format_error(text: str) -> None:
    for parse in (parse_address, normalise_host, pack_host):
        with contextlib.suppress(WireFormatError):
            parse(text)


@given(st.ip_addresses(v=4), st.integers(0, 0xFFFF))
def test_ipv4_mapped_addresses_become_ipv4(host: ipaddress.IPv4Address, port: int) -> None:
    assert normalise_address(f"::ffff:{host}", port) == Address(str(host), port)
    assert unpack_host(bytes(10) + b"\xff\xff" + host.packed) == str(host)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("::FFFF:c000:0201", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ],
)
def test_hosts_have_one_spelling(text: str, normal: str) -> None:
    assert normalise_host(text) == normal


@pytest.mark.parametrize(
    "text",
    ["", "192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:+1", "2001:db8::1:80",
     "[192.0.2.1]:80", "[2001:db8::1]", "example.org:80", "192.0.2.1:١"],
)  # fmt: skip
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(WireFormatError):
        parse_address(text)
