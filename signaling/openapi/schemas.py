"""JSON schemas (2020-12) of the resources. Every member is always there, null without a value."""

from typing import Any, TypeAlias

from signaling.compositions.layout import REUSES
from signaling.rest import compositions, recordings
from signaling.rest.composition_parameters import FORMATS
from signaling.rest.handlers import PARTICIPANT_STATUSES, ROOM_STATUSES
from signaling.rest.room_parameters import CALLBACK_METHODS, ROOM_TYPES, VIDEO_CODECS
from signaling.rules.grammar import PRIORITIES, RULES_MAX

Schema: TypeAlias = dict[str, Any]

TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
BOOLEAN: Schema = {"type": "boolean"}
NULL: Schema = {"type": "null"}
COUNT: Schema = {"type": "integer", "minimum": 0}
COUNT_OR_NULL: Schema = {"type": ["integer", "null"], "minimum": 0}
URL: Schema = {"type": "string", "format": "uri"}
# Whole seconds: the Python library hands a date with a fraction on as a string.
_WHOLE_SECONDS = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"
DATE: Schema = {"type": "string", "format": "date-time", "pattern": _WHOLE_SECONDS}
DATE_OR_NULL: Schema = DATE | {"type": ["string", "null"]}
LEGACY_DATE: Schema = {"type": "string", "pattern": r"^[A-Z][a-z]{2}, \d\d .+ \+0000$"}
KINDS = ("audio", "video", "data")


def one_of(*words: str) -> Schema:
    """Return the schema of some words."""
    return {"type": "string", "enum": sorted(words)}


def array(items: Schema, **bounds: int) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items, **bounds}


def sid(prefix: str) -> Schema:
    """Return the schema of a SID."""
    return {"type": "string", "pattern": f"^{prefix}[0-9a-fA-F]{{32}}$"}


def sid_or_null(prefix: str) -> Schema:
    """Return the schema of a SID that may be missing."""
    return sid(prefix) | {"type": ["string", "null"]}


def members(**properties: Schema) -> Schema:
    """Return the schema of an object that has exactly these members."""
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


def reference(name: str) -> Schema:
    """Return a reference to a schema of :data:`SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def page(key: str, name: str, *, meta: str = "Meta") -> Schema:
    """Return the schema of a page of a list."""
    return members(**{key: array(reference(name)), "meta": reference(meta)})


def _rule(*kinds: str, priority: bool) -> Schema:
    filters: dict[str, Schema] = {
        "type": one_of("include", "exclude"),
        "all": {"type": ["boolean", "null"]},
        "kind": {"type": ["string", "null"], "enum": [*kinds, None]},
        "publisher": TEXT_OR_NULL,
        "track": TEXT_OR_NULL,
    }
    if priority:
        filters["priority"] = {"type": ["string", "null"], "enum": [*sorted(PRIORITIES), None]}
        return members(**filters)
    # Entries are shown with the members that they were given.
    rule = members(**filters)
    return rule | {"required": ["type"]}


def _rules(rule: Schema) -> Schema:
    return array(rule, minItems=1, maxItems=RULES_MAX)


_CALLBACK: dict[str, Schema] = {
    "status_callback": TEXT_OR_NULL,
    "status_callback_method": one_of(*CALLBACK_METHODS),
}
_TRACK: dict[str, Schema] = {
    "sid": sid("MT"),
    "room_sid": sid("RM"),
    "participant_sid": sid("PA"),
    "name": TEXT,
    "kind": one_of(*KINDS),
    "enabled": BOOLEAN,
    "date_created": DATE,
    "date_updated": DATE_OR_NULL,
    "url": URL,
}
_PARTICIPANT: dict[str, Schema] = {
    "sid": sid("PA"),
    "room_sid": sid("RM"),
    "account_sid": sid("AC"),
    "identity": TEXT,
    "status": one_of(*PARTICIPANT_STATUSES),
    "date_created": DATE,
    "date_updated": DATE,
    "start_time": DATE,
    "end_time": DATE_OR_NULL,
    "duration": COUNT_OR_NULL,
    "url": URL,
}
_RECORDING: dict[str, Schema] = {
    "sid": sid("RT"),
    "account_sid": sid("AC"),
    "source_sid": sid("MT"),
    "status": one_of(*recordings.STATUSES),
    "type": one_of("audio", "video"),
    "container_format": one_of("mka", "mkv"),
    "codec": TEXT,
    "track_name": TEXT,
    "size": COUNT,
    "duration": COUNT,
    "offset": {"type": "integer"},
    "grouping_sids": members(room_sid=sid("RM"), participant_sid=sid("PA")),
    "media_external_location": TEXT_OR_NULL,
    "date_created": DATE,
    "url": URL,
    "links": members(media=URL),
}
_REGION = members(
    x_pos=COUNT,
    y_pos=COUNT,
    z_pos={"type": "integer"},
    width=COUNT,
    height=COUNT,
    max_columns=COUNT,
    max_rows=COUNT,
    cells_excluded=array(COUNT),
    reuse=one_of(*REUSES),
    video_sources=array(TEXT, minItems=1),
    video_sources_excluded=array(TEXT),
)
_PLAN: dict[str, Schema] = {
    "audio_sources": array(TEXT),
    "audio_sources_excluded": array(TEXT),
    "video_layout": {"type": "object", "additionalProperties": _REGION},
    "resolution": {"type": "string", "pattern": r"^\d{2,4}x\d{2,4}$"},
    "format": one_of(*FORMATS),
    "trim": BOOLEAN,
    **_CALLBACK,
}
_META = members(
    page=COUNT,
    page_size={"type": "integer", "minimum": 1},
    first_page_url=URL,
    previous_page_url=URL | {"type": ["string", "null"]},
    url=URL,
    next_page_url=URL | {"type": ["string", "null"]},
    key=TEXT,
)
_ICE_SERVER = members(url=TEXT, urls=TEXT, username=TEXT, credential=TEXT)

SCHEMAS: dict[str, Schema] = {
    "Error": members(
        code={"type": "integer"},
        message=TEXT,
        more_info=URL,
        status={"type": "integer", "minimum": 400, "maximum": 599},
    ),
    # RFC 9457.
    "Problem": members(
        title=TEXT, status={"type": "integer"}, detail=TEXT, code={"type": "integer"}
    )
    | {"required": ["title", "status", "detail"]},
    "Meta": _META,
    "Room": members(
        sid=sid("RM"),
        account_sid=sid("AC"),
        status=one_of(*ROOM_STATUSES),
        type=one_of(*ROOM_TYPES),
        unique_name=TEXT,
        enable_turn=BOOLEAN,
        max_participants=COUNT,
        max_participant_duration=COUNT,
        max_concurrent_published_tracks=COUNT,
        record_participants_on_connect=BOOLEAN,
        video_codecs=array(one_of(*VIDEO_CODECS)),
        audio_only=BOOLEAN,
        large_room=BOOLEAN,
        media_region=TEXT,
        empty_room_timeout=COUNT,
        unused_room_timeout=COUNT,
        **_CALLBACK,
        date_created=DATE,
        date_updated=DATE,
        end_time=DATE_OR_NULL,
        duration=COUNT_OR_NULL,
        url=URL,
        links=members(participants=URL, recordings=URL, recording_rules=URL, transcriptions=URL),
    ),
    "Participant": members(
        **_PARTICIPANT,
        links=members(
            published_tracks=URL, subscribed_tracks=URL, subscribe_rules=URL, anonymize=URL
        ),
    ),
    "AnonymizedParticipant": members(**_PARTICIPANT),
    "PublishedTrack": members(**_TRACK),
    "SubscribedTrack": members(**_TRACK, publisher_sid=sid("PA")),
    "SubscribeRules": members(
        participant_sid=sid("PA"),
        room_sid=sid("RM"),
        rules=_rules(_rule(*KINDS, priority=True)),
        date_created=DATE_OR_NULL,
        date_updated=DATE_OR_NULL,
    ),
    "RecordingRules": members(
        room_sid=sid("RM"),
        rules=_rules(_rule("audio", "video", priority=False)),
        date_created=DATE_OR_NULL,
        date_updated=DATE_OR_NULL,
    ),
    "Recording": members(**_RECORDING, **_CALLBACK),
    "RoomRecording": members(**_RECORDING, room_sid=sid("RM")),
    "Composition": members(
        sid=sid("CJ"),
        account_sid=sid("AC"),
        room_sid=sid("RM"),
        status=one_of(*compositions.STATUSES),
        **_PLAN,
        bitrate=COUNT,
        size=COUNT,
        duration=COUNT,
        media_external_location=TEXT_OR_NULL,
        date_created=DATE,
        date_completed=DATE_OR_NULL,
        date_deleted=DATE_OR_NULL,
        url=URL,
        links=members(media=URL),
    ),
    "CompositionHook": members(
        sid=sid("HK"),
        account_sid=sid("AC"),
        friendly_name=TEXT,
        enabled=BOOLEAN,
        **_PLAN,
        date_created=DATE,
        date_updated=DATE_OR_NULL,
        url=URL,
    ),
    "MediaSettings": members(
        account_sid=sid("AC"),
        friendly_name=TEXT_OR_NULL,
        aws_credentials_sid=sid_or_null("CR"),
        aws_s3_url=TEXT_OR_NULL,
        aws_storage_enabled=BOOLEAN,
        encryption_key_sid=sid_or_null("CR"),
        encryption_enabled=BOOLEAN,
        url=URL,
    ),
    "Transcription": members(
        ttid={"type": "string", "pattern": "^video_"},
        account_sid=sid("AC"),
        room_sid=sid("RM"),
        source_sid=sid_or_null("CA"),
        status=one_of("started", "stopped", "failed"),
        configuration={"type": "object"},
        date_created=DATE,
        date_updated=DATE_OR_NULL,
        start_time=DATE_OR_NULL,
        end_time=DATE_OR_NULL,
        duration=COUNT_OR_NULL,
        url=URL,
    ),
    "Event": members(
        sid={"type": "string", "pattern": "^[A-Z]{2}[0-9a-f]{32}$"},
        account_sid=sid("AC"),
        room_sid=sid("RM"),
        sequence_number=COUNT,
        event=TEXT,
        date_created=DATE,
        parameters={"type": "object", "additionalProperties": TEXT},
        delivery=members(
            status=TEXT,
            attempts=COUNT,
            next_attempt=DATE_OR_NULL,
            date_settled=DATE_OR_NULL,
            error=TEXT_OR_NULL,
        ),
    ),
    "Key": members(
        sid=sid("SK"),
        friendly_name=TEXT_OR_NULL,
        date_created=LEGACY_DATE,
        date_updated=LEGACY_DATE,
    ),
    "NewKey": members(
        sid=sid("SK"),
        friendly_name=TEXT_OR_NULL,
        date_created=LEGACY_DATE,
        date_updated=LEGACY_DATE,
        secret=TEXT,
    ),
    # The older API's lists have the links beside the records, without scheme and host.
    "Keys": members(
        keys=array(reference("Key")),
        page=COUNT,
        page_size={"type": "integer", "minimum": 1},
        start=COUNT,
        end=COUNT,
        uri=TEXT,
        first_page_uri=TEXT,
        previous_page_uri=TEXT_OR_NULL,
        next_page_uri=TEXT_OR_NULL,
    ),
    "Revocation": members(
        sid=sid("RV"),
        account_sid=sid("AC"),
        jti=TEXT_OR_NULL,
        identity=TEXT_OR_NULL,
        key_sid=sid_or_null("SK"),
        date_created=DATE,
        url=URL,
    ),
    "Token": members(
        username=TEXT,
        password=TEXT,
        ttl={"type": "string", "pattern": "^[0-9]+$"},
        account_sid=sid("AC"),
        date_created=LEGACY_DATE,
        date_updated=LEGACY_DATE,
        ice_servers=array(_ICE_SERVER | {"required": ["url", "urls"]}),
    ),
}
