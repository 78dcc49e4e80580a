"""Ports for servers that are about to start."""

import itertools
import socket

import pytest

from benchmarks import server
from benchmarks.server import PORTS, free_port


def test_no_port_is_given_twice() -> None:
    given = [free_port() for _ in range(500)]
    assert len(set(given)) == len(given)
    assert set(given) <= set(PORTS)


def test_a_run_of_ports_leaves_out_one_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    first = free_port(socket.SOCK_DGRAM, 3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", first + 1))
        monkeypatch.setattr(server, "_places", itertools.count(first - PORTS.start))
        found = free_port(socket.SOCK_DGRAM, 3)
    assert first + 1 not in range(found, found + 3)
