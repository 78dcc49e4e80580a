"""SIDs: two letters that tell the kind, then 32 lower-case hexadecimal digits."""

import random
import re
from typing import NewType

AccountSid = NewType("AccountSid", str)
ApiKeySid = NewType("ApiKeySid", str)
RoomSid = NewType("RoomSid", str)
ParticipantSid = NewType("ParticipantSid", str)
TrackSid = NewType("TrackSid", str)
RequestSid = NewType("RequestSid", str)

_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}", re.ASCII)


def is_sid(text: str, prefix: str) -> bool:
    """Tell whether a text has the form of a SID of the kind ``prefix``."""
    return text.startswith(prefix) and _SID.fullmatch(text) is not None


def new_account_sid(rng: random.Random) -> AccountSid:
    """Return a fresh account SID (``AC``)."""
    return AccountSid(_new_sid("AC", rng))


def new_api_key_sid(rng: random.Random) -> ApiKeySid:
    """Return a fresh API key SID (``SK``)."""
    return ApiKeySid(_new_sid("SK", rng))


def new_room_sid(rng: random.Random) -> RoomSid:
    """Return a fresh room SID (``RM``)."""
    return RoomSid(_new_sid("RM", rng))


def new_participant_sid(rng: random.Random) -> ParticipantSid:
    """Return a fresh participant SID (``PA``)."""
    return ParticipantSid(_new_sid("PA", rng))


def new_track_sid(rng: random.Random) -> TrackSid:
    """Return a fresh track SID (``MT``)."""
    return TrackSid(_new_sid("MT", rng))


def new_request_sid(rng: random.Random) -> RequestSid:
    """Return a fresh request SID (``RQ``), for logs and the ``Twilio-Request-Id`` header."""
    return RequestSid(_new_sid("RQ", rng))


def _new_sid(prefix: str, rng: random.Random) -> str:
    return f"{prefix}{rng.getrandbits(128):032x}"
def new_revocation_sid(rng: random.Random) -> str:
    """Return a fresh SID of a revocation (``RV``)."""
    return _new_sid("RV", rng)


