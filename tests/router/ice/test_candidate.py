"""Candidates in SDP, their priorities and foundations; credentials."""

import contextlib
import random
from dataclasses import replace

import aioice
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import WireFormatError
from router.ice import (
    Candidate,
    CandidateType,
    IceCredentials,
    RelatedAddress,
    compute_foundation,
    compute_priority,
    generate_credentials,
    host_candidate,
    parse_candidate,
)
from router.net import Address, normalise_host

ICE_CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

hosts = st.one_of(
    st.ip_addresses().map(str).map(normalise_host),
    st.just("5e2f1b2c-7d4a-4d0e-9f0a-2b6f0e6a7c11.local"),
)
ports = st.integers(0, 0xFFFF)
tokens = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).filter(
    lambda name: name not in ("raddr", "rport")
)
candidates = st.builds(
    Candidate,
    foundation=st.text(ICE_CHARS, min_size=1, max_size=32),
    component=st.integers(1, 256),
    transport=st.sampled_from(["udp", "tcp"]),
    priority=st.integers(0, 2**32 - 1),
    host=hosts,
    port=ports,
    type=st.sampled_from(CandidateType),
    related=st.none() | st.builds(RelatedAddress, hosts, ports),
    extensions=st.lists(st.tuples(tokens, tokens), max_size=4).map(tuple),
)


@given(candidates)
def test_candidates_survive_the_round_trip(candidate: Candidate) -> None:
    assert parse_candidate(candidate.serialize()) == candidate
    assert parse_candidate(f"a={candidate.serialize()}\r\n") == candidate


@given(st.text(max_size=120))
def test_any_text_parses_or_raises_wire_format_error(text: str) -> None:
    for line in (text, f"candidate:{text}", f"candidate:1 1 udp 1 192.0.2.1 1 typ host {text}"):
        with contextlib.suppress(WireFormatError):
            parse_candidate(line)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (  # Chromium
            "candidate:2999745851 1 udp 2122260223 192.168.56.1 51622 typ host generation 0 "
            "ufrag XNli network-id 3 network-cost 10",
            {"type": CandidateType.HOST, "host": "192.168.56.1", "port": 51622},
        ),
        (  # Chromium, mDNS
            "candidate:1 1 UDP 2113937151 9b36eaac-bb2e-49bb-bb78-21c41c499900.local 50000 "
            "typ host",
            {"host": "9b36eaac-bb2e-49bb-bb78-21c41c499900.local", "transport": "udp"},
        ),
        (  # Firefox, TCP
            "a=candidate:1 2 TCP 2105524479 2001:DB8::1 9 typ host tcptype active",
            {"host": "2001:db8::1", "component": 2, "extensions": (("tcptype", "active"),)},
        ),
        (  # RFC 8839 section 5.1
            "candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998",
            {
                "type": CandidateType.SERVER_REFLEXIVE,
                "related": RelatedAddress("203.0.113.141", 8998),
            },
        ),
    ],
)
def test_candidates_seen_in_the_wild(line: str, expected: dict[str, object]) -> None:
    candidate = parse_candidate(line)
    assert {name: getattr(candidate, name) for name in expected} == expected
    theirs = aioice.Candidate.from_sdp(line.removeprefix("a=").removeprefix("candidate:"))
    assert theirs.host.lower() == candidate.host
    assert theirs.priority == candidate.priority


@pytest.mark.parametrize(
    "line",
    [
        "",
        "candidate:",
        "candidate:1 1 udp 1 192.0.2.1 1 typ",
        "candidate:1 1 udp 1 192.0.2.1 1 type host",
        "candidate:1 1 udp 1 192.0.2.1 65536 typ host",
        "candidate:1 257 udp 1 192.0.2.1 1 typ host",
        "candidate:1 1 udp 4294967296 192.0.2.1 1 typ host",
        "candidate:1 1 udp -1 192.0.2.1 1 typ host",
        "candidate:1 1 udp 1 192.0.2.1 1 typ martian",
        "candidate:1 1 udp 1 a_b<script> 1 typ host",
        "candidate:$ 1 udp 1 192.0.2.1 1 typ host",
        "candidate:1 1 udp 1 192.0.2.1 1 typ host lonely",
        "candidate:1 1 udp 1 192.0.2.1 1 typ srflx raddr 192.0.2.2 rport x",
        "candidate:1 1 udp 1 192.0.2.1 1 typ host " + "x y " * 500,
    ],
)
def test_malformed_candidates_are_refused(line: str) -> None:
    with pytest.raises(WireFormatError):
        parse_candidate(line)


def test_name_has_no_address() -> None:
    assert replace(host_candidate(Address("192.0.2.1", 1)), host="x.local").address is None


def test_priorities_are_the_recommended_ones() -> None:
    # The values of the example in RFC 8839 section 4.6 and RFC 8445 appendix A.
    assert compute_priority(CandidateType.HOST) == 2130706431
    assert compute_priority(CandidateType.SERVER_REFLEXIVE) == 1694498815
    assert compute_priority(CandidateType.HOST, local_preference=0, component=256) == 126 << 24
    assert aioice.candidate.candidate_priority(1, "host") == 2130706431


def test_foundations_differ_by_type_and_host() -> None:
    foundations = {
        compute_foundation(candidate_type, host)
        for candidate_type in CandidateType
        for host in ("192.0.2.1", "192.0.2.2")
    }
    assert len(foundations) == 8
    here = host_candidate(Address("192.0.2.1", 1)), host_candidate(Address("192.0.2.1", 2))
    assert here[0].foundation == here[1].foundation


def test_generated_credentials_have_the_required_form() -> None:
    rng = random.Random(1)
    many = [generate_credentials(rng) for _ in range(200)]
    assert len({credentials.username_fragment for credentials in many}) == 200
    used = set("".join(c.username_fragment + c.password for c in many))
    assert used == set(ICE_CHARS)
    assert len(many[0].username_fragment) >= 4
    assert len(many[0].password) >= 22


@pytest.mark.parametrize(
    ("username_fragment", "password"),
    [("abc", "p" * 22), ("abcd", "p" * 21), ("abcd:", "p" * 22), ("a" * 257, "p" * 22),
     ("abcd", "p" * 257), ("abcd\n", "p" * 22), ("abcd", "pässwörd" * 4)],
)  # fmt: skip
def test_malformed_credentials_are_refused(username_fragment: str, password: str) -> None:
    with pytest.raises(WireFormatError):
        IceCredentials(username_fragment=username_fragment, password=password)


def test_password_is_not_in_the_representation() -> None:
    credentials = generate_credentials(random.Random(1))
    assert credentials.password not in repr(credentials)
