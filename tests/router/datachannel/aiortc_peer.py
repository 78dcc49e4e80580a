"""
aiortc's SCTP transport as a peer, in this process and on virtual time.

aiortc is written against asyncio, so the event loop's clock is made virtual: whenever nothing is
ready, it jumps to the next timer. Its DTLS transport is replaced by a list of datagrams.
"""

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aiortc import RTCSctpCapabilities, RTCSctpTransport

from router.datachannel import DataChannelEvent, DataChannelTransport

_TICK = 0.005
T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Does not wait: adds what it was asked to wait to the clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing is ready and nothing is scheduled"
        self.now += max(0.0, timeout)
        return super().select(0)


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_on_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop of its own whose time costs nothing."""
    with asyncio.Runner(loop_factory=_VirtualTimeLoop) as runner:
        return runner.run(main)


class _DatagramsInsteadOfDtls:
    """What RTCSctpTransport uses of RTCDtlsTransport."""

    state = "connected"

    def __init__(self, role: str) -> None:
        self._role = role
        self.sent: list[bytes] = []

    async def _send_data(self, data: bytes) -> None:
        self.sent.append(data)

    def _register_data_receiver(self, receiver: object) -> None:
        pass

    def _unregister_data_receiver(self, receiver: object) -> None:
        pass


class AiortcPeer:
    """
    One aiortc SCTP transport connected to one of our cores over a link with loss.

    :param role: aiortc's DTLS role, "client" or "server".
    """

    def __init__(
        self, core: DataChannelTransport, *, role: str, loss: float = 0.0, seed: int = 1
    ) -> None:
        self._dtls = _DatagramsInsteadOfDtls(role)
        self.sctp = RTCSctpTransport(self._dtls, port=5000)
        self.core = core
        self.events: list[DataChannelEvent] = []
        self._loss = loss
        self._rng = random.Random(seed)

    async def start(self) -> None:
        """Send aiortc's INIT."""
        await self.sctp.start(RTCSctpCapabilities(maxMessageSize=262144), 5000)

    async def run(self, until: Callable[[], bool], *, within: float = 60.0) -> None:
        """Carry datagrams both ways until the condition holds; fail after ``within`` seconds."""
        deadline = self.now + within
        while not until():
            assert self.now < deadline, f"no result after {within} virtual seconds"
            await asyncio.sleep(_TICK)
            due = self.core.next_timer()
            if due is not None and due <= self.now:
                self.core.handle_timer(self.now)
            for data in self.core.datagrams_to_send():
                if self._rng.random() >= self._loss:
                    await self.sctp._handle_data(data)
            sent, self._dtls.sent = self._dtls.sent, []
            for data in sent:
                if self._rng.random() >= self._loss:
                    self.core.receive_datagram(data, self.now)
            while (event := self.core.next_event()) is not None:
                self.events.append(event)

    @property
    def now(self) -> float:
        """The loop's virtual time."""
        return asyncio.get_running_loop().time()

    def events_of(self, kind: type[T]) -> list[T]:
        """Return our core's events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]
