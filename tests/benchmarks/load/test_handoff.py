"""Places on shared sockets, and who gets none."""

import asyncio
import socket

import pytest

from benchmarks.engine import Engine
from benchmarks.load import handoff
from benchmarks.load.handoff import SHARERS, EngineHost, Place
from router.net import Address


def _places(count: int) -> list[Place | None]:
    async def take() -> list[Place | None]:
        with Engine() as engine:
            host = EngineHost(engine)
            try:
                found = [host.place() for _ in range(count)]
                for place in found:
                    if place is not None:
                        _send_from(place)
                return found
            finally:
                host.close()

    return asyncio.run(take())


def _send_from(place: Place) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        place.send(b"hello", Address(*server.getsockname()))
        assert server.recvfrom(100) == (b"hello", (place.address, place.port))


def test_every_place_has_an_address_of_its_own_and_some_share_a_socket() -> None:
    found = [place for place in _places(2 * SHARERS + 1) if place is not None]
    assert len({place.address for place in found}) == 2 * SHARERS + 1
    assert len({id(place.socket) for place in found}) == 3
    assert len({id(place.socket) for place in found[:SHARERS]}) == 1


def test_without_a_large_buffer_there_are_no_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handoff, "SMALLEST_SHARED_BUFFER", 1 << 40)
    assert _places(2) == [None, None]
