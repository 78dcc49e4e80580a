"""
SCTP over DTLS for data channels: one association per transport, without I/O.

RFC 9260, with partial reliability (RFC 3758, the limited retransmissions of RFC 7496), stream
re-configuration (RFC 6525), zero checksums over DTLS (RFC 9653) and the choices of RFC 8831.

Where it departs from RFC 9260, knowingly:

- "RTO.Min - 1 second", "RTO.Max - 60 seconds": 0.2 s and 3 s, see :class:`SctpConfig`. A video call
  cannot wait for the RFC's.
- "The initial cwnd ... MUST be set to min(4 * PMDCS, max(2 * PMDCS, 4404)) bytes": 10 packets, as
  RFC 6928 found safe for TCP.
- An out-of-the-blue packet (section 8.4) before the first association gets no ABORT: over DTLS it
  comes from our one peer, which is about to say INIT.
- "If a TSN was fast retransmitted, it is not again" (section 7.2.4): it is, once three SACKs report
  it missing that acknowledge chunks sent later. Round trips are measured on every SACK.
- The number of bytes in flight counts the headers of DATA chunks, so that small messages do not
  multiply a window.
- SSN/TSN resets and requests to add incoming streams (RFC 6525) are answered with "denied".
- No addresses are exchanged and there is one path: DTLS and ICE have the others (RFC 8261).
"""

from .association import Association
from .config import SctpConfig
from .counters import SctpCounters
from .events import (
    AssociationClosed,
    AssociationEstablished,
    AssociationRestarted,
    DataReceived,
    IncomingStreamsReset,
    OutgoingStreamsReset,
    SctpEvent,
    StreamResetFailed,
)
from .state import State

__all__ = [
    "Association",
    "AssociationClosed",
    "AssociationEstablished",
    "AssociationRestarted",
    "DataReceived",
    "IncomingStreamsReset",
    "OutgoingStreamsReset",
    "SctpConfig",
    "SctpCounters",
    "SctpEvent",
    "State",
    "StreamResetFailed",
]
