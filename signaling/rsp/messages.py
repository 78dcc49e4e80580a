"""
The messages of RSP version 2 and of the layer below it, as typed structs.

What comes from a client is decoded and validated in one step; whatever the bytes, the parsers raise
only ``WireFormatError``. Unknown members are skipped, unknown message types give None: newer
clients stay welcome.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from router.errors import WireFormatError

MESSAGE_MAX_BYTES = 1 << 20
"""Larger messages are refused; real ones have 5 to 10 kB for each description in them."""
TRACKS_MAX = 256
"""Entries in a client's list of tracks."""
PEER_CONNECTIONS_MAX = 16
"""Entries in a client's list of peer connections; a real client has one."""
FAULT_MAX_CHARACTERS = 160
"""What is said of a message that does not parse; the decoder quotes values, however long."""

Revision = Annotated[int, Meta(ge=0, le=2**53)]
Identifier = Annotated[str, Meta(min_length=1, max_length=256)]
Text = Annotated[str, Meta(max_length=4096)]

# The connection layer (TCMP version 2), client to server.


class Hello(Struct, tag="hello"):
    """Opens a connection, or asks again when no ``welcome`` came."""

    timeout: int | float = 5000
    """Wanted heartbeat interval, milliseconds."""
    id: str = ""
    """New with each attempt."""
    version: int = 2
    cookie: str | None = None
    """From an earlier ``busy``."""
    body: Raw = Raw()
    """The first message of the layer above; empty when there is none."""


class Message(Struct, tag="msg"):
    """Carries a message of the layer above."""

    body: Raw


class Heartbeat(Struct, tag="heartbeat"):
    """Says only that the client is alive."""


class Bye(Struct, tag="bye"):
    """Comes right before the client closes with 1000."""


Frame = Hello | Message | Heartbeat | Bye

# The connection layer, server to client.


class Welcome(Struct, tag="welcome", rename="camel"):
    """Accepts a ``hello``."""

    negotiated_timeout: int
    """Milliseconds."""


class MessageOut(Struct, tag="msg"):
    """Carries a message of the layer above."""

    body: Struct


class Busy(Struct, tag="busy", rename="camel"):
    """Asks a client to come back later."""

    retry_after: int
    """Milliseconds; negative tells it to give up."""
    keep_alive: bool
    """Whether it shall stay on this socket meanwhile."""


class Bad(Struct, tag="bad"):
    """Refuses a handshake. Never sent after ``welcome``: clients cannot take it then."""

    reason: str


# Room signaling, client to server.


class DescriptionIn(Struct):
    """A session description as the client sees it."""

    type: str
    revision: Revision
    sdp: str | None = None


class PeerConnectionIn(Struct):
    """What a client says of one peer connection; ICE candidates are not looked at."""

    id: Identifier
    description: DescriptionIn | None = None


class TrackIn(Struct):
    """One track that the client wants to have published."""

    id: Identifier
    kind: Literal["audio", "video", "data"]
    # Far longer than any valid name, so that a name that is too long fails by itself.
    name: Text | None = None
    enabled: bool = True
    priority: Text | None = None


class ParticipantIn(Struct):
    """The client's own state."""

    revision: Revision
    tracks: Annotated[list[TrackIn], Meta(max_length=TRACKS_MAX)] = []


class SubscribeRuleIn(Struct):
    """One rule about what the client wants to receive."""

    type: Literal["include", "exclude"] = "include"
    all: bool = False


class SubscribeIn(Struct):
    """The rules that a client connects with."""

    rules: Annotated[list[SubscribeRuleIn], Meta(max_length=20)] = []


PeerConnectionsIn = Annotated[list[PeerConnectionIn], Meta(max_length=PEER_CONNECTIONS_MAX)]


class Ice(Struct, tag="ice"):
    """Asks for ICE servers."""

    token: str


class Connect(Struct, tag="connect"):
    """Asks to join a room."""

    token: str
    participant: ParticipantIn
    # Its rules have codes of their own, so any length passes here.
    name: str | None = None
    peer_connections: PeerConnectionsIn = []
    subscribe: SubscribeIn | None = None
    media_signaling: dict[str, Any] | None = None


class Update(Struct, tag="update"):
    """Says what has changed at the client."""

    session: str
    participant: ParticipantIn | None = None
    peer_connections: PeerConnectionsIn = []


class Sync(Struct, tag="sync"):
    """Resumes a session on a new socket."""

    session: str
    token: str
    participant: ParticipantIn | None = None
    peer_connections: PeerConnectionsIn = []


class Disconnect(Struct, tag="disconnect"):
    """Ends the session."""

    session: str


BodyIn = Ice | Connect | Update | Sync | Disconnect

# Room signaling, server to client. ``type`` and ``version`` are in every message.


class IceServerOut(Struct, omit_defaults=True):
    """An ``RTCIceServer``."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


class DescriptionOut(Struct):
    """A session description of ours; ``create-offer`` has no SDP."""

    type: str
    revision: int
    sdp: str | UnsetType = UNSET


class PeerConnectionOut(Struct):
    """What the server says of one peer connection."""

    id: str
    description: DescriptionOut | UnsetType = UNSET


class TrackOut(Struct):
    """A track of another participant."""

    sid: str
    name: str
    kind: str
    enabled: bool
    priority: str


class ParticipantOut(Struct):
    """Another participant; ``tracks`` is always there, clients cannot do without."""

    sid: str
    identity: str
    state: str
    revision: int
    tracks: list[TrackOut]


class LocalParticipantOut(Struct):
    """Who the client is."""

    sid: str
    identity: str


class ErrorOut(Struct):
    """Why one track failed."""

    code: int
    message: str


class PublishedTrackOut(Struct):
    """What became of a track that the client wants published."""

    id: str
    state: str
    sid: str | UnsetType = UNSET
    error: ErrorOut | UnsetType = UNSET


class PublishedOut(Struct):
    """All publications of the client."""

    revision: int
    tracks: list[PublishedTrackOut]


class SubscribedTrackOut(Struct):
    """A track that the client receives, and the id by which it finds its media."""

    sid: str
    id: str


class SubscribedOut(Struct):
    """Everything that the client receives."""

    revision: int
    tracks: list[SubscribedTrackOut]


class RecordingOut(Struct):
    """Whether the room is being recorded."""

    is_recording: bool = False
    revision: int = 1


class OptionsOut(Struct):
    """What the client has to know of the session."""

    session_timeout: int | float
    """Seconds."""
    media_region: str | None
    signaling_region: str
    audio_processors: list[str] = []


class TransportOut(Struct):
    """How a media-signaling channel is reached."""

    label: str
    """Of the data channel that the server opens."""
    type: str = "data-channel"


class GrantOut(Struct):
    """One granted media-signaling channel."""

    transport: TransportOut


class Iced(Struct, tag="iced"):
    """Answers ``ice``."""

    ice_servers: list[IceServerOut]
    version: int = 1


class RoomState(Struct, kw_only=True):
    """What ``connected`` and ``synced`` have in common."""

    session: str
    sid: str
    name: str
    participant: LocalParticipantOut
    participants: list[ParticipantOut]
    peer_connections: list[PeerConnectionOut]
    published: PublishedOut
    subscribed: SubscribedOut
    recording: RecordingOut
    media_signaling: dict[str, GrantOut]
    """The granted channels by key; clients do without those that are left out."""
    options: OptionsOut
    version: int = 2


class Connected(RoomState, tag="connected"):
    """Lets a client in."""


class Synced(RoomState, tag="synced"):
    """Completes a resume: the whole state."""


class UpdateOut(Struct, tag="update", kw_only=True):
    """What has changed at the server."""

    session: str
    participants: list[ParticipantOut] | UnsetType = UNSET
    published: PublishedOut | UnsetType = UNSET
    subscribed: SubscribedOut | UnsetType = UNSET
    peer_connections: list[PeerConnectionOut] | UnsetType = UNSET
    media_signaling: dict[str, GrantOut] | UnsetType = UNSET
    version: int = 2


class ErrorMessage(Struct, tag="error"):
    """Ends the session, or refuses it, with a code."""

    code: int
    message: str
    version: int = 2


class Disconnected(Struct, tag="disconnected"):
    """Ends the session without an error, or because the room was completed."""

    session: str
    status: str
    version: int = 2


class _Tag(Struct):
    type: str


_TAG = msgspec.json.Decoder(_Tag)
_FRAMES: dict[str, msgspec.json.Decoder[Frame]] = {
    "hello": msgspec.json.Decoder(Hello),
    "msg": msgspec.json.Decoder(Message),
    "heartbeat": msgspec.json.Decoder(Heartbeat),
    "bye": msgspec.json.Decoder(Bye),
}
_BODIES: dict[str, msgspec.json.Decoder[BodyIn]] = {
    "ice": msgspec.json.Decoder(Ice),
    "connect": msgspec.json.Decoder(Connect),
    "update": msgspec.json.Decoder(Update),
    "sync": msgspec.json.Decoder(Sync),
    "disconnect": msgspec.json.Decoder(Disconnect),
}


def parse_type(data: bytes | str | Raw) -> str:
    """
    Return the ``type`` of a message.

    :raises WireFormatError: if the text is not a JSON object with such a member.
    """
    try:
        return _TAG.decode(data).type
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise WireFormatError(str(error)[:FAULT_MAX_CHARACTERS]) from None


def parse_frame(data: bytes | str) -> Frame | None:
    """
    Return a frame of the connection layer, or None when its type is unknown.

    :raises WireFormatError: if the text is not JSON, or not what the type demands.
    """
    frame: Frame | None = _parse(data, _FRAMES)
    return frame


def parse_body(data: bytes | str | Raw) -> BodyIn | None:
    """
    Return a message of a client, or None when its type is unknown.

    :raises WireFormatError: if the text is not JSON, or not what the type demands.
    """
    body: BodyIn | None = _parse(data, _BODIES)
    return body


def serialize(message: Struct) -> str:
    """Return the text of a frame."""
    return msgspec.json.encode(message).decode()


def _parse(data: bytes | str | Raw, decoders: dict[str, Any]) -> Any:
    decoder = decoders.get(parse_type(data))
    if decoder is None:
        return None
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise WireFormatError(str(error)[:FAULT_MAX_CHARACTERS]) from None
