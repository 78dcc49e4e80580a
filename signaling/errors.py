"""
The errors of the signaling package, and the one table of the public API's codes.

    SignalingError
      ApiError(status, code, message)  refused: REST answers it, RSP sends its code
      TokenError(code)                 an access token that does not admit; RSP sends its code
      StorageError                     the store failed
        NameTaken                      an in-progress room already has the name
        StoreUnavailable               it is down, or too slow: what it refused, it may take later
          OutcomeUnknown               and whether it did what it was asked, nobody knows
      ConfigError                      settings that cannot be used; said in one line, no traceback
"""

from enum import IntEnum
from typing import Self


class ErrorCode(IntEnum):
    """
    A code of the public API with the HTTP status that REST uses for it and its original wording.

    Codes that only ever reach clients over RSP carry the status which REST would use.
    """

    status: int
    message: str

    def __new__(cls, code: int, status: int = 400, message: str = "") -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.status = status
        member.message = message
        return member

    INVALID_PARAMETER = 20001, 400, "Invalid parameter"
    UNAUTHENTICATED = 20003, 401, "Authenticate"
    METHOD_NOT_ALLOWED = 20004, 405, "Method not allowed"
    NOT_FOUND = 20404, 404, "The requested resource was not found"
    TOO_MANY_REQUESTS = 20429, 429, "Too many requests"
    INTERNAL_ERROR = 20500, 500, "Internal server error"
    UNAVAILABLE = 20503, 503, "Service unavailable"

    TOKEN_INVALID = 20101, 401, "Invalid Access Token"
    TOKEN_HEADER_INVALID = 20102, 401, "Invalid Access Token header"
    TOKEN_ISSUER_INVALID = 20103, 401, "Invalid Access Token issuer/subject"
    TOKEN_EXPIRED = 20104, 401, "Access Token expired or expiration date invalid"
    TOKEN_NOT_YET_VALID = 20105, 401, "Access Token not yet valid"
    TOKEN_GRANTS_INVALID = 20106, 401, "Invalid Access Token grants"
    TOKEN_SIGNATURE_INVALID = 20107, 401, "Invalid Access Token signature"

    SIGNALING_CONNECTION_ERROR = 53000, 400, "Signaling connection error"
    SIGNALING_DISCONNECTED = 53001, 400, "Signaling connection disconnected"
    SIGNALING_TIMED_OUT = 53002, 400, "Signaling connection timed out"
    SERVER_MESSAGE_INVALID = 53003, 400, "Client received an invalid signaling message"
    CLIENT_MESSAGE_INVALID = 53004, 400, "Client sent an invalid signaling message"
    SERVER_BUSY = 53006, 503, "Video server is busy"

    ROOM_NAME_INVALID = 53100, 400, "Room name is invalid"
    ROOM_NAME_TOO_LONG = 53101, 400, "Room name is too long"
    ROOM_NAME_CHARACTERS_INVALID = 53102, 400, "Room name contains invalid characters"
    ROOM_CREATE_FAILED = 53103, 400, "Unable to create Room"
    ROOM_CONNECT_FAILED = 53104, 400, "Unable to connect to Room"
    ROOM_FULL = 53105, 400, "Room contains too many Participants"
    ROOM_NOT_FOUND = 53106, 404, "Room not found"
    MAX_PARTICIPANTS_OUT_OF_RANGE = 53107, 400, "MaxParticipants is out of range"
    ROOM_TYPE_INVALID = 53108, 400, "Room type is not valid"
    TIMEOUT_OUT_OF_RANGE = 53109, 400, "Timeout is out of range"
    CALLBACK_METHOD_INVALID = 53110, 400, "StatusCallbackMethod is invalid"
    CALLBACK_INVALID = 53111, 400, "StatusCallback is invalid"
    STATUS_INVALID = 53112, 400, "Status is invalid"
    ROOM_EXISTS = 53113, 400, "Room exists"
    ROOM_PARAMETERS_INCOMPATIBLE = (
        53114,
        400,
        "Room creation parameter(s) incompatible with Room type",
    )
    MEDIA_REGION_INVALID = 53115, 400, "MediaRegion is invalid"
    MEDIA_REGION_UNAVAILABLE = 53116, 400, "There are no media servers available in the MediaRegion"
    SUBSCRIPTION_NOT_SUPPORTED = (
        53117,
        400,
        "The subscription operation requested is not supported for the Room type",
    )
    ROOM_COMPLETED = 53118, 400, "Room completed"
    ROOM_QUOTA_EXCEEDED = 53119, 400, "Maximum number of concurrent Rooms exceeded"
    RECORDING_RULES_INVALID = 53120, 400, "Invalid Recording Rule(s)"
    QUOTA_NEARLY_REACHED = 53121, 400, "70 % of a quota of what is concurrent is used"
    RECORDING_NOT_SUPPORTED = (
        53122,
        400,
        "Recording operation requested not supported for Room type",
    )
    MAX_PARTICIPANT_DURATION_OUT_OF_RANGE = 53123, 400, "MaxParticipantDuration is out of range"
    AUDIO_ONLY_NOT_SUPPORTED = 53124, 400, "The AudioOnly flag is not supported for the Room type"
    TRACK_KIND_NOT_SUPPORTED = 53125, 400, "The track kind is not supported by the Room"
    LEGACY_ROOM_TYPE = 53126, 400, "The Room type is no longer supported"
    AUDIO_ONLY_REMOVED = 53127, 400, "The AudioOnly flag is no longer supported"

    IDENTITY_INVALID = 53200, 400, "Participant identity is invalid"
    IDENTITY_TOO_LONG = 53201, 400, "Participant identity is too long"
    IDENTITY_CHARACTERS_INVALID = 53202, 400, "Participant identity contains invalid characters"
    TOO_MANY_TRACKS = 53203, 400, "The maximum number of published tracks has been reached"
    PARTICIPANT_NOT_FOUND = 53204, 400, "Participant not found"
    DUPLICATE_IDENTITY = 53205, 400, "Participant disconnected because of duplicate identity"
    PARTICIPANT_QUOTA_EXCEEDED = 53206, 400, "Maximum number of concurrent Participants exceeded"
    MAX_PUBLISHED_TRACKS_OUT_OF_RANGE = 53207, 400, "MaxPublishedTracks is out of range"
    BANDWIDTH_PROFILE_INVALID = 53208, 400, "Bandwidth profile is invalid"
    PARTICIPANT_STATUS_INVALID = 53209, 400, "Participant status is invalid"
    SUBSCRIBE_RULES_INVALID = 53215, 400, "Invalid Subscribe Rule(s)"
    SESSION_LENGTH_EXCEEDED = 53216, 400, "Participant session length exceeded"
    MAX_TRACKS_OUT_OF_RANGE = 53217, 400, "maxAudioTracks or maxVideoTracks is out of range"

    TRACK_INVALID = 53300, 400, "Track is invalid"
    TRACK_NAME_INVALID = 53301, 400, "Track name is invalid"
    TRACK_NAME_TOO_LONG = 53302, 400, "Track name is too long"
    TRACK_NAME_CHARACTERS_INVALID = 53303, 400, "Track name contains invalid characters"
    TRACK_NAME_DUPLICATED = 53304, 400, "Track name is duplicated"
    TRACK_CAPACITY_REACHED = (
        53305,
        503,
        "The server has reached capacity and cannot fulfill this request",
    )

    CLIENT_LOCAL_DESCRIPTION_FAILED = (
        53400,
        400,
        "Client is unable to create or apply a local media description",
    )
    SERVER_LOCAL_DESCRIPTION_FAILED = (
        53401,
        400,
        "Server is unable to create or apply a local media description",
    )
    CLIENT_REMOTE_DESCRIPTION_FAILED = (
        53402,
        400,
        "Client is unable to apply a remote media description",
    )
    SERVER_REMOTE_DESCRIPTION_FAILED = (
        53403,
        400,
        "Server is unable to apply a remote media description",
    )
    NO_SUPPORTED_CODEC = 53404, 400, "No supported codec"
    MEDIA_CONNECTION_FAILED = 53405, 400, "Media connection failed or Media activity ceased"
    DATA_CHANNEL_FAILED = 53406, 400, "There was a problem with the data channel"
    DTLS_HANDSHAKE_FAILED = 53407, 400, "Media connection failed due to DTLS handshake failure"
    ICE_RESTART_NOT_ALLOWED = 53408, 400, "ICE restart not allowed"

    CONFIGURATION_UNAVAILABLE = 53500, 503, "Unable to acquire configuration"
    TURN_UNAVAILABLE = 53501, 503, "Unable to acquire TURN credentials"

    RECORDINGS_DELETED = 53628, 400, "The recordings of the Room were deleted"
    NO_SOURCE_LEFT = 53630, 400, "No track is left after sources and exclusions"
    HOOK_FAILED = 53631, 400, "The composition could not be enqueued by its hook"


class SignalingError(Exception):
    """Base of every error that this package raises."""


class ApiError(SignalingError):
    """
    A request that is refused with a code of the public API.

    :param status: HTTP status of the answer.
    :param code: Code of the public API, normally an :class:`ErrorCode`.
    :param message: What the caller may read; without secrets.
    """

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.status = status
        self.code = int(code)
        self.message = message

    @classmethod
    def of(cls, code: int, message: str | None = None) -> Self:
        """
        Return the error of a code in the table.

        :param message: Replaces the table's wording.
        :raises ValueError: if the table does not have the code.
        """
        entry = ErrorCode(code)
        return cls(entry.status, entry, entry.message if message is None else message)


class TokenError(SignalingError):
    """
    An access token that does not admit its bearer.

    :param code: 20101 to 20107, or 53200 to 53202 for the identity in it.
    """

    def __init__(self, code: int) -> None:
        entry = ErrorCode(code)
        super().__init__(f"{int(entry)} {entry.message}")
        self.code = int(entry)
        self.message = entry.message


class StorageError(SignalingError):
    """The store did not do what it was asked."""


class NameTaken(StorageError):
    """An in-progress room already has the name."""


class StoreUnavailable(StorageError):
    """The store cannot be reached, or does not answer in time; nothing was done."""


class OutcomeUnknown(StoreUnavailable):
    """The store failed while it was asked: what it was asked may have been done."""


class ConfigError(SignalingError):
    """Settings that cannot be used; the text is for the operator and holds no secret."""
