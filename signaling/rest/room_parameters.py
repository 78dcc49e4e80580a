"""The parameters with which a room is created, and their ranges."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from signaling.errors import ApiError, ErrorCode
from signaling.rest.parameters import Parameters
from signaling.rooms.recording_rules import TYPES_WITHOUT_RECORDING
from signaling.rooms.settings import RoomSettings

NAME_MAX_CHARACTERS = 128
CALLBACK_MAX_CHARACTERS = 1023
GROUP_PARTICIPANTS_MAX = 50
"""A room for more is large."""
LARGE_ROOM_TRACKS_MAX = 16
GROUP_TRACKS_MAX = 170
PARTICIPANTS_MAX = {"group-small": 4, "peer-to-peer": 10, "go": 2}
ROOM_TYPES = frozenset({"group", *PARTICIPANTS_MAX})
REGIONS = frozenset({"gll", "au1", "br1", "de1", "ie1", "in1", "jp1", "sg1", "us1", "us2"})
VIDEO_CODECS = ("VP8", "H264")
CALLBACK_METHODS = frozenset({"POST", "GET"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomLimits:
    """What the operator decides about new rooms."""

    media_region: str = "us1"
    """The region of this server: used when none is asked for, or ``gll``."""
    max_participants_ceiling: int = 100
    """Largest MaxParticipants of a group room."""
    legacy_room_types: bool = True
    """Whether types other than ``group`` are accepted."""
    audio_only_rooms: bool = True
    """Whether rooms without video are accepted."""


def read_room_settings(given: Parameters, limits: RoomLimits) -> RoomSettings:
    """
    Return the settings that a request asks for.

    :raises ApiError: with the code of the first parameter that is out of its range.
    """
    kind = given.choice("Type", ROOM_TYPES, ErrorCode.ROOM_TYPE_INVALID) or "group"
    if kind != "group" and not limits.legacy_room_types:
        raise ApiError.of(ErrorCode.LEGACY_ROOM_TYPE)
    audio_only = given.boolean("AudioOnly", False)
    if audio_only and kind != "group":
        raise ApiError.of(ErrorCode.AUDIO_ONLY_NOT_SUPPORTED)
    if audio_only and not limits.audio_only_rooms:
        raise ApiError.of(ErrorCode.AUDIO_ONLY_REMOVED)
    record = given.boolean("RecordParticipantsOnConnect", False)
    if record and kind in TYPES_WITHOUT_RECORDING:
        raise ApiError.of(ErrorCode.RECORDING_NOT_SUPPORTED)
    given.boolean("EnableTurn", True)
    given.boolean("LargeRoom", False)
    given.boolean("TranscribeParticipantsOnConnect", False)
    given.json_object("TranscriptionsConfiguration")
    max_participants = given.integer(
        "MaxParticipants",
        PARTICIPANTS_MAX.get(kind, min(GROUP_PARTICIPANTS_MAX, limits.max_participants_ceiling)),
        least=1,
        most=PARTICIPANTS_MAX.get(kind, limits.max_participants_ceiling),
        code=ErrorCode.MAX_PARTICIPANTS_OUT_OF_RANGE,
    )
    large = max_participants > GROUP_PARTICIPANTS_MAX
    tracks = LARGE_ROOM_TRACKS_MAX if large else GROUP_TRACKS_MAX
    return RoomSettings(
        unique_name=_unique_name(given),
        type=kind,
        max_participants=max_participants,
        max_participant_duration=given.integer(
            "MaxParticipantDuration",
            14400,
            least=600,
            most=86400,
            code=ErrorCode.MAX_PARTICIPANT_DURATION_OUT_OF_RANGE,
        ),
        max_concurrent_published_tracks=0 if kind in TYPES_WITHOUT_RECORDING else tracks,
        empty_room_timeout=_minutes(given, "EmptyRoomTimeout"),
        unused_room_timeout=_minutes(given, "UnusedRoomTimeout"),
        video_codecs=() if audio_only else _video_codecs(given),
        audio_only=audio_only,
        media_region=_media_region(given, limits),
        record_participants_on_connect=record,
        large_room=large,
        status_callback=read_status_callback(given),
        status_callback_method=read_status_callback_method(given),
    )


def _unique_name(given: Parameters) -> str | None:
    name = given.text("UniqueName", ErrorCode.ROOM_NAME_CHARACTERS_INVALID)
    if name is not None and len(name) > NAME_MAX_CHARACTERS:
        raise ApiError.of(ErrorCode.ROOM_NAME_TOO_LONG)
    return name


def _minutes(given: Parameters, name: str) -> int:
    return given.integer(name, 5, least=1, most=60, code=ErrorCode.TIMEOUT_OUT_OF_RANGE)


def _video_codecs(given: Parameters) -> tuple[str, ...]:
    # dict.fromkeys removes duplicates and keeps the order.
    codecs = tuple(dict.fromkeys(given.texts("VideoCodecs")))
    if any(codec not in VIDEO_CODECS for codec in codecs):
        raise ApiError.of(
            ErrorCode.INVALID_PARAMETER, f"VideoCodecs must be of {', '.join(VIDEO_CODECS)}"
        )
    return codecs or VIDEO_CODECS


def _media_region(given: Parameters, limits: RoomLimits) -> str:
    known = REGIONS | {limits.media_region}
    region = given.choice("MediaRegion", known, ErrorCode.MEDIA_REGION_INVALID)
    return limits.media_region if region in (None, "gll") else str(region)


def read_status_callback_method(given: Parameters) -> str:
    """Return how status callbacks are to be made. :raises ApiError: 53110."""
    method = given.choice(
        "StatusCallbackMethod", CALLBACK_METHODS, ErrorCode.CALLBACK_METHOD_INVALID
    )
    return method or "POST"


def read_status_callback(given: Parameters) -> str | None:
    """Return where status callbacks are to go, if anywhere. :raises ApiError: 53111."""
    url = given.text("StatusCallback", ErrorCode.CALLBACK_INVALID)
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    # Blanks and control characters would end up in the request line of the callback.
    if not fits or len(url) > CALLBACK_MAX_CHARACTERS or any(c <= " " or c == "\x7f" for c in url):
        raise ApiError.of(ErrorCode.CALLBACK_INVALID)
    return url
