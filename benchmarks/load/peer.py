"""A client on a UDP socket: the asyncio shell of :mod:`benchmarks.load.core`."""

import asyncio
import random
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from socket import socket as Socket
from time import monotonic, time

from router.datachannel import ChannelClosed, ChannelOpened, MessageReceived
from router.dtls import Certificate
from router.errors import LocalProtocolError
from router.ice import IceState
from router.net import Address, normalise_address

from .core import ClientConfig, ClientCore, ClientEvent, Connected, Failed, IceChanged

DATAGRAMS_PER_WAKE = 64
MAX_DATAGRAM = 2048
RECEIVE_BUFFER = 1 << 20


class PeerFailed(Exception):
    """The connection is over before what was waited for has happened."""


class Peer:
    """
    One client with a socket of its own.

    Everything is driven by the event loop: a reader for the socket, and one timer.

    :param host: Loopback address to bind.
    :param port: Likewise; 0 for any. Given, another socket may have it with all addresses.
    """

    def __init__(
        self, config: ClientConfig, *, rng: random.Random, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if port else 0)
        self._socket.bind((host, port))
        self.local = normalise_address(*self._socket.getsockname()[:2])
        self.core = ClientCore(config, local=self.local, rng=rng, now=monotonic())
        self.core.set_wall_clock(time(), monotonic())
        self.on_event: Callable[[ClientEvent], None] | None = None
        """Called with each event, after this object has taken note of it."""
        self.connected = False
        self.failure: str | None = None
        self.ice_states: list[IceState] = []
        self.channels: dict[int, str] = {}
        """Labels of the open data channels, by id."""
        self.messages: list[tuple[str, str | bytes]] = []
        """Label and content of each message received, while :attr:`keep_messages` is set."""
        self.keep_messages = True
        self.send_errors = 0
        self._changed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._closed = False
        self._loop.add_reader(self._socket.fileno(), self._read)

    @property
    def socket(self) -> Socket:
        """For generators that send and receive media by themselves."""
        return self._socket

    # What the user does.

    def create_offer(self) -> str:
        """Return an offer."""
        return self.core.create_offer()

    def receive_answer(self, sdp: str) -> None:
        """Apply an answer."""
        self.core.receive_answer(sdp, monotonic())
        self.pump()

    def receive_offer(self, sdp: str) -> str:
        """Return the answer to an offer."""
        answer = self.core.receive_offer(sdp, monotonic())
        self.pump()
        return answer

    def open_channel(
        self, label: str, *, ordered: bool = True, max_retransmits: int | None = None
    ) -> int:
        """Open a data channel and return its id."""
        channel_id = self.core.open_channel(
            label, monotonic(), ordered=ordered, max_retransmits=max_retransmits
        )
        self.pump()
        return channel_id

    def send(self, channel_id: int, data: str | bytes) -> None:
        """Send a message."""
        self.core.send(channel_id, data, monotonic())
        self.pump()

    def close_channel(self, channel_id: int) -> None:
        """Close a data channel."""
        self.core.close_channel(channel_id, monotonic())
        self.pump()

    def close(self, *, silently: bool = False) -> None:
        """
        Close the socket.

        :param silently: Vanish as a crashed browser does, without BYE and close_notify.
        """
        if self._closed:
            return
        if not silently:
            self.core.close(monotonic())
            self._send()
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._close_socket()

    def _close_socket(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    async def wait_until(self, condition: Callable[[], bool], *, seconds: float = 10.0) -> None:
        """
        Wait for a condition that something received makes true.

        :raises PeerFailed: when the connection is over first.
        :raises TimeoutError: when it takes longer.
        """
        async with asyncio.timeout(seconds):
            while not condition():
                if self.failure is not None:
                    raise PeerFailed(self.failure)
                self._changed.clear()
                await self._changed.wait()

    async def wait_connected(self, *, seconds: float = 10.0) -> None:
        """Wait until media can flow."""
        await self.wait_until(lambda: self.connected, seconds=seconds)

    async def wait_channel(self, label: str, *, seconds: float = 10.0) -> int:
        """Wait for a data channel and return its id."""
        await self.wait_until(lambda: label in self.channels.values(), seconds=seconds)
        return next(number for number, name in self.channels.items() if name == label)

    # Inside.

    def pump(self) -> None:
        """Send, report and set the timer after the core was changed."""
        while (event := self.core.next_event()) is not None:
            self._note(event)
            if self.on_event is not None:
                self.on_event(event)
        self._send()
        self._arm()
        self._changed.set()

    def _note(self, event: ClientEvent) -> None:
        match event:
            case Connected():
                self.connected = True
            case IceChanged(state):
                self.ice_states.append(state)
                if state is IceState.FAILED:
                    self.failure = "ICE failed"
            case Failed(reason):
                self.connected = False
                self.failure = reason
            case ChannelOpened(channel_id=channel_id, label=label):
                self.channels[channel_id] = label
            case ChannelClosed(channel_id=channel_id):
                self.channels.pop(channel_id, None)
            case MessageReceived(channel_id=channel_id, data=data):
                if self.keep_messages:
                    self.messages.append((self.channels.get(channel_id, ""), data))
            case _:
                pass

    def stop_reading(self) -> None:
        """
        Watch the socket no more.

        A client that only has to be there costs nothing then; or somebody else reads, and hands on
        what is no media with :meth:`receive`.
        """
        self._loop.remove_reader(self._socket.fileno())

    def receive(self, data: bytes, source: tuple[str, int]) -> None:
        """Take a datagram that somebody else has read."""
        self.core.receive_datagram(data, Address(*source), monotonic())
        self.pump()

    def _read(self) -> None:
        for _ in range(DATAGRAMS_PER_WAKE):
            try:
                data, source = self._socket.recvfrom(MAX_DATAGRAM)
            except BlockingIOError:
                break
            except OSError:
                # An ICMP error of an earlier datagram; consent tells whether the peer is gone.
                continue
            address = Address(source[0], source[1])
            if ":" in address.host:
                address = normalise_address(*source[:2])
            self.core.receive_datagram(data, address, monotonic())
        self.pump()

    def _send(self) -> None:
        for data, address in self.core.datagrams_to_send():
            try:
                self._send_to(data, address)
            except OSError:
                self.send_errors += 1

    def _send_to(self, data: bytes, address: Address) -> None:
        self._socket.sendto(data, address)

    def _arm(self) -> None:
        due = self.core.next_timer()
        if self._closed or due is None or (self._timer_at is not None and self._timer_at <= due):
            # A timer that fires early finds nothing to do and is set again.
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_later(max(0.0, due - monotonic()), self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = self._timer_at = None
        if not self._closed:
            self.core.handle_timer(monotonic())
            self.pump()


def make_certificate(rng: random.Random) -> Certificate:
    """Return a certificate for clients."""
    today = datetime.now(UTC)
    return Certificate.generate(
        serial_number=rng.getrandbits(158) + 1,
        not_before=today - timedelta(days=1),
        not_after=today + timedelta(days=30),
    )


def try_send(peer: Peer, channel_id: int, data: str | bytes) -> bool:
    """Send a message; return False when the channel is closed or its buffer is full."""
    try:
        peer.send(channel_id, data)
    except LocalProtocolError:
        return False
    return True
