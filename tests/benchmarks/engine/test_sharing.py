"""Connections that use one socket over loopback are told apart by their addresses."""

import socket
from collections.abc import Iterator

import pytest

from benchmarks.engine import Engine
from router.rtp import PacketType, PayloadFeedback
from tests.benchmarks.engine.server import EXTENSIONS, REMOTE, Server, video_frames, wait_until
from tests.support.libsrtp import PROFILE_GCM


@pytest.fixture
def shared(engine: Engine) -> Iterator[socket.socket]:
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        one.bind(("", 0))
        engine.share(one.fileno())
        yield one


def test_connections_that_share_a_socket_are_told_apart(
    engine: Engine, shared: socket.socket
) -> None:
    servers = [Server(engine, sampled=0, place=(shared, f"127.1.0.{n}")) for n in (1, 2, 3)]
    streams = [
        engine.add_inbound(server.connection, ssrc=REMOTE, kind="video") for server in servers
    ]
    absent = ("127.1.1.1", shared.getsockname()[1])
    for frame in video_frames(20, 10):
        for server in servers:
            server.send_run([server.seal(packet) for packet in frame])
        servers[0].socket.sendto(bytes([128]) + bytes(99), absent)
    wait_until(lambda: all(engine.inbound(stream).packets == 200 for stream in streams))
    assert engine.totals().received == 600
    assert (engine.totals().lost, engine.totals().duplicates) == (0, 0)
    for server, stream in zip(servers, streams, strict=True):
        engine.request_key_frame(stream)
        server.receive_until(
            lambda server=server: bool(  # type: ignore[misc]
                server.feedback(PacketType.PSFB, PayloadFeedback.PLI)
            )
        )
    servers[1].send(b"\x00\x01stun")
    found: list[tuple[int, bytes, tuple[str, int]]] = []

    def has_come() -> bool:
        found.extend(engine.datagrams())
        return bool(found)

    wait_until(has_come)
    assert found == [(servers[1].connection, b"\x00\x01stun", servers[1].socket.getsockname())]
    gone, *others = servers
    engine.remove_connection(gone.connection)
    gone.send(b"\x00\x01late")
    for server in others:
        server.send_run([server.seal(packet) for packet in video_frames(21, 10)[20]])
    wait_until(lambda: all(engine.inbound(stream).packets == 210 for stream in streams[1:]))
    assert engine.datagrams() == []
    again = Server(engine, sampled=0, place=(shared, "127.1.0.1"))
    again.send(b"\x00\x01stun")
    wait_until(lambda: [found[0] for found in engine.datagrams()] == [again.connection])
    for server in (*others, again):
        server.close()
    gone.socket.close()


def test_a_shared_socket_has_conditions(engine: Engine, shared: socket.socket) -> None:
    first = Server(engine, sampled=0, place=(shared, "127.1.0.1"))
    engine.add_inbound(first.connection, ssrc=REMOTE, kind="video")

    def join(descriptor: int, source: str, sampled: float = 0) -> None:
        engine.add_connection(
            descriptor,
            first.socket.getsockname(),
            profile=PROFILE_GCM,
            send_key=bytes(16),
            send_salt=bytes(12),
            receive_key=bytes(16),
            receive_salt=bytes(12),
            extensions=EXTENSIONS,
            sampled=sampled,
            source=source,
        )

    with pytest.raises(ValueError, match="not shared"):
        join(first.socket.fileno(), "127.1.0.2")
    with pytest.raises(ValueError, match="in use"):
        join(shared.fileno(), "127.9.0.1")
    with pytest.raises(ValueError, match="numeric"):
        join(shared.fileno(), "localhost")
    with pytest.raises(ValueError, match="sampled"):
        join(shared.fileno(), "127.1.0.2", sampled=0.5)
    with pytest.raises(ValueError, match=r"share 1\.5"):
        join(shared.fileno(), "127.1.0.2", sampled=1.5)
    # None of them has taken the socket from the one who uses it.
    first.send_run([first.seal(packet) for packet in video_frames(1, 10)[0]])
    wait_until(lambda: engine.totals().received == 10)
    first.close()
