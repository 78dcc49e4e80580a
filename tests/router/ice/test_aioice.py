"""Our agent and aioice's meet on loopback sockets."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aioice
import pytest

from router.ice import IceAgent, IceCredentials, IceState, parse_candidate
from router.net import Address, DatagramKind, datagram_kind, normalise_address

pytestmark = pytest.mark.interop


class AgentOnSocket(asyncio.DatagramProtocol):
    """The least shell that runs an agent on one UDP socket."""

    def __init__(self, agent: IceAgent) -> None:
        self.agent = agent
        self.received: asyncio.Queue[bytes] = asyncio.Queue()
        self.connected = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()

    def connection_made(
        self,
        transport: asyncio.DatagramTransport,  # type: ignore[override]  # it always is one
    ) -> None:
        self._transport = transport
        self.address = normalise_address(*transport.get_extra_info("sockname")[:2])
        self.agent.add_local_address(self.address, time.monotonic())

    def datagram_received(self, data: bytes, sockaddr: tuple[str | int, ...]) -> None:
        if datagram_kind(data) is not DatagramKind.STUN:
            self.received.put_nowait(data)
            return
        source = normalise_address(str(sockaddr[0]), int(sockaddr[1]))
        self.agent.receive_datagram(
            data, source=source, destination=self.address, now=time.monotonic()
        )
        self.pump()

    def pump(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for data, _, remote in self.agent.datagrams_to_send():
            self._transport.sendto(data, tuple(remote))
        if self.agent.state is IceState.CONNECTED:
            self.connected.set()
        deadline = self.agent.next_timer()
        if deadline is not None:
            delay = max(0.0, deadline - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._fire, deadline)

    def _fire(self, deadline: float) -> None:
        self.agent.handle_timer(max(deadline, time.monotonic()))
        self.pump()

    async def close(self) -> None:
        self.agent.close()
        self.pump()
        self._transport.close()
        await self._closed.wait()


@asynccontextmanager
async def agent_and_aioice(
    *, ours_is_controlling: bool, theirs_is_controlling: bool
) -> AsyncIterator[tuple[AgentOnSocket, aioice.Connection]]:
    agent = IceAgent(is_controlling=ours_is_controlling, rng=random.Random(1))
    _, ours = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: AgentOnSocket(agent), local_addr=("127.0.0.1", 0)
    )
    theirs = aioice.Connection(ice_controlling=theirs_is_controlling)
    try:
        yield ours, theirs
    finally:
        await theirs.close()
        await ours.close()


@pytest.mark.parametrize(
    ("ours_is_controlling", "theirs_is_controlling"),
    [(True, False), (False, True), (True, True), (False, False)],
)
async def test_agent_connects_to_aioice(
    ours_is_controlling: bool, theirs_is_controlling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # aioice leaves out loopback addresses, of which alone a test machine can be sure.
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"])
    async with (
        asyncio.timeout(20),
        agent_and_aioice(
            ours_is_controlling=ours_is_controlling, theirs_is_controlling=theirs_is_controlling
        ) as (ours, theirs),
    ):
        await theirs.gather_candidates()
        theirs.remote_username = ours.agent.local_credentials.username_fragment
        theirs.remote_password = ours.agent.local_credentials.password
        for candidate in ours.agent.local_candidates:
            line = candidate.serialize().removeprefix("candidate:")
            await theirs.add_remote_candidate(aioice.Candidate.from_sdp(line))
        await theirs.add_remote_candidate(None)

        now = time.monotonic()
        ours.agent.set_remote_credentials(
            IceCredentials(username_fragment=theirs.local_username, password=theirs.local_password),
            now,
        )
        for theirs_candidate in theirs.local_candidates:
            candidate = parse_candidate(f"candidate:{theirs_candidate.to_sdp()}")
            ours.agent.add_remote_candidate(candidate, now)
        ours.agent.end_of_remote_candidates(now)
        ours.pump()
        await theirs.connect()
        await ours.connected.wait()
        assert ours.agent.is_controlling != theirs.ice_controlling

        assert ours.agent.selected_path is not None
        local, remote = ours.agent.selected_path
        assert local == ours.address
        assert remote == Address("127.0.0.1", theirs.local_candidates[0].port)
        ours.agent.send_application_data(b"\x80 from ours")
        ours.pump()
        assert await theirs.recv() == b"\x80 from ours"
        await theirs.send(b"\x80 from theirs")
        assert await ours.received.get() == b"\x80 from theirs"
