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
SubscriptionSid = NewType("SubscriptionSid", str)

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


def new_subscription_sid(rng: random.Random) -> SubscriptionSid:
    """Return a fresh SID of a subscription (``SB``), which only the store knows."""
    return SubscriptionSid(_new_sid("SB", rng))


def new_event_sid(rng: random.Random) -> str:
    """Return a fresh SID of a room's event (``EV``)."""
    return _new_sid("EV", rng)


def new_request_sid(rng: random.Random) -> RequestSid:
    """Return a fresh request SID (``RQ``), for logs and the ``Twilio-Request-Id`` header."""
    return RequestSid(_new_sid("RQ", rng))


def new_recording_sid(rng: random.Random) -> str:
    """Return a fresh recording SID (``RT``)."""
    return _new_sid("RT", rng)


def new_composition_sid(rng: random.Random) -> str:
    """Return a fresh composition SID (``CJ``)."""
    return _new_sid("CJ", rng)


def new_composition_hook_sid(rng: random.Random) -> str:
    """Return a fresh composition hook SID (``HK``)."""
    return _new_sid("HK", rng)


def new_transcription_name(rng: random.Random) -> str:
    """Return a fresh ``ttid``, the name of a transcription."""
    return f"video_transcriptions_{rng.getrandbits(128):032x}"


def new_revocation_sid(rng: random.Random) -> str:
    """Return a fresh SID of a revocation (``RV``)."""
    return _new_sid("RV", rng)


def _new_sid(prefix: str, rng: random.Random) -> str:
    return f"{prefix}{rng.getrandbits(128):032x}"
