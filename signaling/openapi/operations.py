"""
What each operation takes and answers: one line for each, by path and method.

:mod:`.document` holds this table against the routes, so that neither has what the other lacks.
"""

from dataclasses import dataclass, field
from typing import Any

from signaling.rest import compositions, keys, recordings
from signaling.rest.composition_parameters import FORMATS
from signaling.rest.handlers import PARTICIPANT_STATUSES, ROOM_STATUSES
from signaling.rest.media_download import TTL_DEFAULT, TTL_MAX
from signaling.rest.paging import PAGE_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX
from signaling.rest.room_events import SEQUENCE_MAX
from signaling.rest.room_parameters import (
    CALLBACK_MAX_CHARACTERS,
    CALLBACK_METHODS,
    NAME_MAX_CHARACTERS,
    ROOM_TYPES,
    VIDEO_CODECS,
)
from signaling.rest.rule_handlers import OVERRIDES
from signaling.rest.transcriptions import STATUSES
from signaling.service.turn import LIFETIME_MAX

from .schemas import BOOLEAN, TEXT, Schema, array, members, one_of, page, reference, sid

Parameters = dict[str, Schema]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one resource."""

    summary: str
    status: int | None = 200
    """Of success; None when there is none as yet."""
    answer: Schema | None = None
    """The JSON that success answers; None: no body."""
    parameters: Parameters = field(default_factory=dict)
    """In the query of a GET, in the form of a POST."""
    required: tuple[str, ...] = ()
    """Of the parameters."""
    body: Schema | None = None
    """A JSON body in place of a form."""


def _integer(least: int, most: int, default: int | None = None) -> Schema:
    bounds: dict[str, Any] = {"type": "integer", "minimum": least, "maximum": most}
    return bounds if default is None else bounds | {"default": default}


def _json(*examples: str) -> Schema:
    """Return the schema of JSON text in one value."""
    return {"type": "string", "contentMediaType": "application/json", "examples": list(examples)}


def _paged(most: int = PAGE_SIZE_MAX) -> Parameters:
    # A larger size is no error: it is cut.
    size = {"type": "integer", "minimum": 1, "default": PAGE_SIZE_DEFAULT}
    return {
        "PageSize": size | {"description": f"Cut to {most}."},
        "Page": _integer(0, PAGE_MAX, 0),
        "PageToken": TEXT,
    }


_DATE = {"type": "string", "examples": ["2026-01-02T03:04:05Z", "2026-01-02"]}
_DATES: Parameters = {"DateCreatedAfter": _DATE, "DateCreatedBefore": _DATE}
_CALLBACK: Parameters = {
    "StatusCallback": {
        "type": "string",
        "format": "uri",
        "maxLength": CALLBACK_MAX_CHARACTERS,
        "examples": ["https://example.com/events"],
    },
    "StatusCallbackMethod": one_of(*CALLBACK_METHODS) | {"default": "POST"},
}
_RULES = _json('[{"type":"include","all":true}]', '[{"type":"exclude","kind":"video"}]')
_CONFIGURATION = _json("{}", '{"languageCode":"en-US","partialResults":true}')
_PLAN: Parameters = {
    "AudioSources": array(TEXT),
    "AudioSourcesExcluded": array(TEXT),
    "VideoLayout": _json('{"grid":{"video_sources":["*"]}}'),
    "Resolution": {
        "type": "string",
        "default": "640x480",
        "pattern": "^[1-9][0-9]{1,3}x[1-9][0-9]{1,3}$",
    },
    "Format": one_of(*FORMATS) | {"default": "webm"},
    "Trim": BOOLEAN | {"default": True},
    **_CALLBACK,
}
_HOOK: Parameters = {
    "FriendlyName": {
        "type": "string",
        "minLength": 1,
        "maxLength": compositions.NAME_MAX_CHARACTERS,
    },
    "Enabled": BOOLEAN | {"default": True},
    **_PLAN,
}
_KEY_NAME: Parameters = {"FriendlyName": {"type": "string", "maxLength": keys.NAME_MAX_CHARACTERS}}
_MEDIA: Parameters = {"Ttl": _integer(1, TTL_MAX, TTL_DEFAULT), "ContentDisposition": TEXT}
_SETTINGS: Parameters = {
    "FriendlyName": TEXT,
    "AwsCredentialsSid": sid("CR"),
    "EncryptionKeySid": sid("CR"),
    "AwsS3Url": {"type": "string", "format": "uri", "examples": ["https://bucket.example.com/a"]},
    "AwsStorageEnabled": BOOLEAN | {"description": "Not supported: true is refused."},
    "EncryptionEnabled": BOOLEAN | {"description": "Not supported: true is refused."},
}
_ROOM: Parameters = {
    "UniqueName": {"type": "string", "maxLength": NAME_MAX_CHARACTERS},
    "Type": one_of(*ROOM_TYPES) | {"default": "group"},
    "MaxParticipants": {"type": "integer", "minimum": 1},
    "MaxParticipantDuration": _integer(600, 86400, 14400),
    "EmptyRoomTimeout": _integer(1, 60, 5),
    "UnusedRoomTimeout": _integer(1, 60, 5),
    "VideoCodecs": array(one_of(*VIDEO_CODECS)),
    "MediaRegion": TEXT,
    "RecordParticipantsOnConnect": BOOLEAN,
    "RecordingRules": _RULES,
    "AudioOnly": BOOLEAN,
    **_CALLBACK,
    "EnableTurn": BOOLEAN,
    "LargeRoom": BOOLEAN,
    "TranscribeParticipantsOnConnect": BOOLEAN,
    "TranscriptionsConfiguration": _CONFIGURATION,
}
_MESSAGE: Schema = {
    "type": "object",
    "properties": {
        "type": {"const": "extension_transcriptions"},
        "participant": {"type": "string", "pattern": "^PA[0-9a-f]{32}$"},
        "track": {"type": "string", "pattern": "^MT[0-9a-f]{32}$"},
        "transcription": TEXT,
        "language_code": TEXT,
        "timestamp": {"type": "string", "format": "date-time"},
        "partial_results": BOOLEAN,
        "sequence_number": {"type": "number"},
    },
    "required": [
        "participant",
        "track",
        "transcription",
        "language_code",
        "timestamp",
        "partial_results",
        "sequence_number",
    ],
}


def _list(
    key: str, name: str, filters: Parameters | None = None, *, most: int = PAGE_SIZE_MAX
) -> Operation:
    return Operation(
        summary=f"List {key.replace('_', ' ')}",
        answer=page(key, name),
        parameters=_paged(most) | (filters or {}),
    )


def _fetch(name: str) -> Operation:
    return Operation(summary=f"Fetch a {name}", answer=reference(name))


_FETCH_MEDIA = Operation(
    summary="Nothing is recorded or rendered as yet: there is no file",
    status=None,
    parameters=_MEDIA,
)
_DELETE_RECORDING = Operation(summary="Delete the media of a recording", status=204)

_R = "/v1/Rooms/{RoomSid}"
_P = f"{_R}/Participants/{{ParticipantSid}}"
_T = f"{_R}/Transcriptions"
_A = "/2010-04-01/Accounts/{AccountSid}"

OPERATIONS: dict[str, dict[str, Operation]] = {
    "/v1/Rooms": {
        "GET": _list(
            "rooms", "Room", {"Status": one_of(*ROOM_STATUSES), "UniqueName": TEXT} | _DATES
        ),
        "POST": Operation(
            summary="Create a room", status=201, answer=reference("Room"), parameters=_ROOM
        ),
    },
    _R: {
        "GET": _fetch("Room"),
        "POST": Operation(
            summary="Complete a room",
            status=202,
            answer=reference("Room"),
            parameters={"Status": one_of("completed")},
            required=("Status",),
        ),
    },
    f"{_R}/Participants": {
        "GET": _list(
            "participants",
            "Participant",
            {"Status": one_of(*PARTICIPANT_STATUSES), "Identity": TEXT} | _DATES,
        )
    },
    _P: {
        "GET": _fetch("Participant"),
        "POST": Operation(
            summary="Remove a participant",
            status=202,
            answer=reference("Participant"),
            parameters={"Status": one_of("disconnected")},
            required=("Status",),
        ),
    },
    f"{_P}/Anonymize": {
        "POST": Operation(
            summary="Forget the identity of a participant who has left",
            answer=reference("AnonymizedParticipant"),
        )
    },
    f"{_P}/PublishedTracks": {"GET": _list("published_tracks", "PublishedTrack")},
    f"{_P}/PublishedTracks/{{TrackSid}}": {"GET": _fetch("PublishedTrack")},
    f"{_P}/SubscribedTracks": {
        "GET": _list("subscribed_tracks", "SubscribedTrack"),
        "POST": Operation(
            summary="Give or take a single track, until the next rules",
            status=202,
            answer=reference("SubscribedTrack"),
            parameters={"Track": sid("MT"), "Status": one_of(*OVERRIDES)},
            required=("Track", "Status"),
        ),
    },
    f"{_P}/SubscribedTracks/{{TrackSid}}": {"GET": _fetch("SubscribedTrack")},
    f"{_P}/SubscribeRules": {
        "GET": _fetch("SubscribeRules"),
        "POST": Operation(
            summary="Replace the subscribe rules",
            answer=reference("SubscribeRules"),
            parameters={"Rules": _RULES},
            required=("Rules",),
        ),
    },
    f"{_R}/RecordingRules": {
        "GET": _fetch("RecordingRules"),
        "POST": Operation(
            summary="Replace the recording rules",
            answer=reference("RecordingRules"),
            parameters={"Rules": _RULES},
            required=("Rules",),
        ),
    },
    f"{_R}/Recordings": {
        "GET": _list(
            "recordings",
            "RoomRecording",
            {"Status": one_of(*recordings.STATUSES), "SourceSid": TEXT} | _DATES,
        )
    },
    f"{_R}/Recordings/{{RecordingSid}}": {
        "GET": _fetch("RoomRecording"),
        "DELETE": _DELETE_RECORDING,
    },
    f"{_R}/Recordings/{{RecordingSid}}/Media": {"GET": _FETCH_MEDIA},
    f"{_R}/Events": {
        "GET": Operation(
            summary="Replay the events of a room, in order",
            answer=page("events", "Event"),
            parameters={
                "After": _integer(-1, SEQUENCE_MAX, -1),
                "PageSize": _paged()["PageSize"],
                "Page": _paged()["Page"],
            },
        )
    },
    _T: {
        "GET": _list("transcriptions", "Transcription"),
        "POST": Operation(
            summary="Start a transcription",
            status=202,
            answer=reference("Transcription"),
            parameters={"Configuration": _CONFIGURATION},
        ),
    },
    f"{_T}/{{Ttid}}": {
        "GET": _fetch("Transcription"),
        "POST": Operation(
            summary="Start, stop or configure a transcription",
            status=202,
            answer=reference("Transcription"),
            parameters={"Status": one_of(*STATUSES), "Configuration": _CONFIGURATION},
        ),
    },
    f"{_T}/{{Ttid}}/Messages": {
        "POST": Operation(
            summary="Pass on what a speech engine heard",
            status=202,
            answer=members(participants={"type": "integer", "minimum": 0}),
            body=_MESSAGE,
        )
    },
    "/v1/Recordings": {
        "GET": _list(
            "recordings",
            "Recording",
            {
                "Status": one_of(*recordings.STATUSES),
                "SourceSid": TEXT,
                "GroupingSid": array(TEXT),
                "MediaType": one_of(*recordings.KINDS),
                **_DATES,
            },
            most=recordings.PAGE_SIZE_MAX,
        )
    },
    "/v1/Recordings/{RecordingSid}": {"GET": _fetch("Recording"), "DELETE": _DELETE_RECORDING},
    "/v1/Recordings/{RecordingSid}/Media": {"GET": _FETCH_MEDIA},
    "/v1/Compositions": {
        "GET": _list(
            "compositions",
            "Composition",
            {"Status": one_of(*compositions.STATUSES), "RoomSid": TEXT} | _DATES,
            most=compositions.PAGE_SIZE_MAX,
        ),
        "POST": Operation(
            summary="Compose the recordings of a room, once it has ended",
            status=201,
            answer=reference("Composition"),
            parameters={"RoomSid": sid("RM"), **_PLAN},
            required=("RoomSid",),
        ),
    },
    "/v1/Compositions/{CompositionSid}": {
        "GET": _fetch("Composition"),
        "DELETE": Operation(summary="Delete the media of a composition", status=204),
    },
    "/v1/Compositions/{CompositionSid}/Media": {"GET": _FETCH_MEDIA},
    "/v1/CompositionHooks": {
        "GET": _list(
            "composition_hooks",
            "CompositionHook",
            {"Enabled": BOOLEAN, "FriendlyName": TEXT} | _DATES,
        ),
        "POST": Operation(
            summary="Create a composition hook",
            status=201,
            answer=reference("CompositionHook"),
            parameters=_HOOK,
            required=("FriendlyName",),
        ),
    },
    "/v1/CompositionHooks/{HookSid}": {
        "GET": _fetch("CompositionHook"),
        "POST": Operation(
            summary="Replace a composition hook",
            answer=reference("CompositionHook"),
            parameters=_HOOK,
            required=("FriendlyName",),
        ),
        "DELETE": Operation(summary="Delete a composition hook", status=204),
    },
    **{
        f"/v1/{name}/Default": {
            "GET": _fetch("MediaSettings"),
            "POST": Operation(
                summary="Replace the settings",
                answer=reference("MediaSettings"),
                parameters=_SETTINGS,
                required=("FriendlyName",),
            ),
        }
        for name in ("RecordingSettings", "CompositionSettings")
    },
    "/v1/Revocations": {
        "GET": _list("revocations", "Revocation"),
        "POST": Operation(
            summary="End the sessions of access tokens, and refuse them; one parameter",
            status=201,
            answer=reference("Revocation"),
            parameters={"Jti": TEXT, "Identity": TEXT, "KeySid": sid("SK")},
        ),
    },
    "/v1/Revocations/{RevocationSid}": {
        "GET": _fetch("Revocation"),
        "DELETE": Operation(summary="Lift a revocation", status=204),
    },
    # Each with the suffix and without: both are called.
    **{
        f"{_A}/Keys{suffix}": {
            "GET": Operation(
                summary="List API keys", answer=reference("Keys"), parameters=_paged()
            ),
            "POST": Operation(
                summary="Create an API key; its secret is shown this once",
                status=201,
                answer=reference("NewKey"),
                parameters=_KEY_NAME,
            ),
        }
        for suffix in ("", ".json")
    },
    f"{_A}/Keys/{{KeySid}}": {
        "GET": _fetch("Key"),
        "POST": Operation(
            summary="Rename an API key", answer=reference("Key"), parameters=_KEY_NAME
        ),
        "DELETE": Operation(summary="Delete an API key", status=204),
    },
    **{
        f"{_A}/Tokens{suffix}": {
            "POST": Operation(
                summary="Issue credentials for the TURN servers",
                status=201,
                answer=reference("Token"),
                parameters={"Ttl": _integer(1, int(LIFETIME_MAX.total_seconds()), 86400)},
            )
        }
        for suffix in ("", ".json")
    },
}
