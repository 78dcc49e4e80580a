"""One data channel: its states and what it remembers (RFC 8831 sections 6.4-6.7)."""

from enum import Enum
from typing import TYPE_CHECKING

from .dcep import ChannelParameters

if TYPE_CHECKING:
    from ..errors import ProtocolError


class ChannelState(Enum):
    """Where a channel stands between being asked for and being gone."""

    CONNECTING = "connecting"
    """We sent DATA_CHANNEL_OPEN, or the channel was negotiated and there is no association yet."""
    OPEN = "open"
    CLOSING = "closing"
    """We asked for the reset of our stream; neither direction is reset."""
    WAITING_FOR_PEER = "waiting for the peer's reset"
    """Our stream is reset, the peer's is not."""
    WAITING_FOR_ACK = "waiting for the answer to our reset"
    """The peer's stream is reset, ours is not."""
    CLOSED = "closed"


class ChannelInput(Enum):
    """What moves a channel from one state to another."""

    CONFIRMED = "DATA_CHANNEL_ACK or a first message"
    CLOSE_CALLED = "close"
    INCOMING_RESET = "the peer reset its stream"
    OUTGOING_RESET = "the peer took note of our reset"
    ASSOCIATION_LOST = "no association"


_S, _I = ChannelState, ChannelInput

TRANSITIONS: dict[tuple[ChannelState, ChannelInput], ChannelState] = {
    (_S.CONNECTING, _I.CONFIRMED): _S.OPEN,
    (_S.CONNECTING, _I.CLOSE_CALLED): _S.CLOSING,
    # The peer's way to refuse a channel (RFC 8832 section 6).
    (_S.CONNECTING, _I.INCOMING_RESET): _S.WAITING_FOR_ACK,
    (_S.OPEN, _I.CONFIRMED): _S.OPEN,
    (_S.OPEN, _I.CLOSE_CALLED): _S.CLOSING,
    (_S.OPEN, _I.INCOMING_RESET): _S.WAITING_FOR_ACK,
    (_S.CLOSING, _I.CONFIRMED): _S.CLOSING,  # crossed our close on the wire
    (_S.CLOSING, _I.CLOSE_CALLED): _S.CLOSING,
    (_S.CLOSING, _I.INCOMING_RESET): _S.WAITING_FOR_ACK,
    (_S.CLOSING, _I.OUTGOING_RESET): _S.WAITING_FOR_PEER,
    (_S.WAITING_FOR_PEER, _I.CONFIRMED): _S.WAITING_FOR_PEER,
    (_S.WAITING_FOR_PEER, _I.CLOSE_CALLED): _S.WAITING_FOR_PEER,
    (_S.WAITING_FOR_PEER, _I.INCOMING_RESET): _S.CLOSED,
    (_S.WAITING_FOR_ACK, _I.CLOSE_CALLED): _S.WAITING_FOR_ACK,
    (_S.WAITING_FOR_ACK, _I.OUTGOING_RESET): _S.CLOSED,
    **{(state, _I.ASSOCIATION_LOST): _S.CLOSED for state in _S},
}
"""Pairs that are missing change nothing: a peer may send anything at any time."""


class Channel:
    """
    The state of one channel; :class:`DataChannelTransport` does what follows from it.

    :param channel_id: SCTP stream identifier, 0..65534.
    """

    __slots__ = (
        "channel_id",
        "error",
        "is_remote",
        "label",
        "lifetime",
        "max_retransmits",
        "negotiated",
        "ordered",
        "parameters",
        "state",
    )

    def __init__(
        self,
        channel_id: int,
        label: str,
        parameters: ChannelParameters,
        *,
        is_remote: bool,
        negotiated: bool,
    ) -> None:
        self.channel_id = channel_id
        self.label = label
        self.parameters = parameters
        self.is_remote = is_remote
        self.negotiated = negotiated
        self.state = ChannelState.OPEN if is_remote else ChannelState.CONNECTING
        self.error: ProtocolError | None = None
        """Why it is being closed, when that is nobody's wish."""
        lifetime_ms = parameters.max_packet_lifetime_ms
        # Unpacked once, since they are needed for every message.
        self.ordered = parameters.ordered
        self.lifetime = None if lifetime_ms is None else lifetime_ms / 1000
        self.max_retransmits = parameters.max_retransmits

    @property
    def accepts_messages(self) -> bool:
        """Whether the application may send; before the peer's answer it may."""
        return self.state in (ChannelState.CONNECTING, ChannelState.OPEN)

    def handle(self, channel_input: ChannelInput) -> bool:
        """Apply an input; return whether the state changed."""
        state = TRANSITIONS.get((self.state, channel_input), self.state)
        changed = state is not self.state
        self.state = state
        return changed
