"""The states of an association (RFC 9260 section 4) and which chunks each of them takes."""

from enum import Enum

from .chunks.chunk_type import ChunkType


class State(Enum):
    """The RFC's states, and one more for an association that will not come back."""

    CLOSED = "closed"
    COOKIE_WAIT = "cookie-wait"
    COOKIE_ECHOED = "cookie-echoed"
    ESTABLISHED = "established"
    SHUTDOWN_PENDING = "shutdown-pending"
    SHUTDOWN_SENT = "shutdown-sent"
    SHUTDOWN_RECEIVED = "shutdown-received"
    SHUTDOWN_ACK_SENT = "shutdown-ack-sent"
    TERMINATED = "terminated"
    """CLOSED after having been anything else. The RFC's endpoint may associate again; over DTLS
    a new association comes with a new transport."""


TRANSITIONS: dict[State, frozenset[State]] = {
    State.CLOSED: frozenset({State.COOKIE_WAIT, State.ESTABLISHED}),
    State.COOKIE_WAIT: frozenset({State.COOKIE_ECHOED, State.ESTABLISHED}),
    # Back to COOKIE-WAIT when the peer finds our cookie stale (section 5.2.6).
    State.COOKIE_ECHOED: frozenset({State.ESTABLISHED, State.COOKIE_WAIT}),
    # To itself when the peer restarts.
    State.ESTABLISHED: frozenset(
        {State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED}
    ),
    State.SHUTDOWN_PENDING: frozenset(
        {State.SHUTDOWN_SENT, State.SHUTDOWN_RECEIVED, State.ESTABLISHED}
    ),
    State.SHUTDOWN_SENT: frozenset({State.SHUTDOWN_ACK_SENT, State.ESTABLISHED}),
    State.SHUTDOWN_RECEIVED: frozenset({State.SHUTDOWN_ACK_SENT, State.ESTABLISHED}),
    State.SHUTDOWN_ACK_SENT: frozenset(),
    State.TERMINATED: frozenset(),
}
"""Any state but TERMINATED may also go to TERMINATED: an ABORT is possible at all times."""

#: States in which the peer and its parameters are known and agreed.
SYNCHRONIZED = frozenset(
    {
        State.ESTABLISHED,
        State.SHUTDOWN_PENDING,
        State.SHUTDOWN_SENT,
        State.SHUTDOWN_RECEIVED,
        State.SHUTDOWN_ACK_SENT,
    }
)

#: States in which the application may queue messages; before ESTABLISHED they wait.
SENDABLE = frozenset({State.CLOSED, State.COOKIE_WAIT, State.COOKIE_ECHOED, State.ESTABLISHED})

#: States in which this side may still send DATA, new or again.
TRANSMITTING = frozenset({State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED})

_RECEIVING = frozenset({State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_SENT})
_ANY = frozenset(State)

LEGAL_STATES: dict[int, frozenset[State]] = {
    ChunkType.DATA: _RECEIVING,
    ChunkType.INIT: _ANY,
    ChunkType.INIT_ACK: frozenset({State.COOKIE_WAIT}),
    ChunkType.SACK: TRANSMITTING | {State.SHUTDOWN_SENT},
    ChunkType.HEARTBEAT: SYNCHRONIZED,
    ChunkType.HEARTBEAT_ACK: SYNCHRONIZED,
    ChunkType.ABORT: _ANY,
    ChunkType.SHUTDOWN: SYNCHRONIZED,
    ChunkType.SHUTDOWN_ACK: _ANY,
    ChunkType.ERROR: SYNCHRONIZED | {State.COOKIE_ECHOED},
    ChunkType.COOKIE_ECHO: _ANY,
    ChunkType.COOKIE_ACK: frozenset({State.COOKIE_ECHOED}),
    ChunkType.SHUTDOWN_COMPLETE: frozenset({State.SHUTDOWN_ACK_SENT}),
    ChunkType.RE_CONFIG: frozenset({State.ESTABLISHED, State.SHUTDOWN_PENDING}),
    ChunkType.FORWARD_TSN: _RECEIVING,
}
"""In which states a chunk is looked at; in others it is dropped without an answer."""
