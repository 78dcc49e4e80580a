"""Rules as parameters: JSON text in one value."""

from router.errors import WireFormatError
from signaling.errors import ApiError, ErrorCode
from signaling.rest.parameters import Parameters
from signaling.rooms.recording_rules import TYPES_WITHOUT_RECORDING
from signaling.rules import RECORDING_RULES, SUBSCRIBE_RULES, Grammar, Rule, parse_rules


def read_subscribe_rules(given: Parameters) -> tuple[Rule, ...]:
    """Return the parameter ``Rules``. :raises ApiError: 53215 when it is missing or no such."""
    return _read(given, "Rules", SUBSCRIBE_RULES, ErrorCode.SUBSCRIBE_RULES_INVALID)


def read_recording_rules(given: Parameters) -> tuple[Rule, ...]:
    """Return the parameter ``Rules``. :raises ApiError: 53120 when it is missing or no such."""
    return _read(given, "Rules", RECORDING_RULES, ErrorCode.RECORDING_RULES_INVALID)


def read_first_recording_rules(given: Parameters, room_type: str) -> tuple[Rule, ...] | None:
    """
    Return the rules with which a room is to be created, or None when none are given.

    :raises ApiError: 53122 when rooms of the type cannot record, 53120 when the rules are none.
    """
    if given.raw("RecordingRules") is None:
        return None
    if room_type in TYPES_WITHOUT_RECORDING:
        raise ApiError.of(ErrorCode.RECORDING_NOT_SUPPORTED)
    return _read(given, "RecordingRules", RECORDING_RULES, ErrorCode.RECORDING_RULES_INVALID)


def _read(given: Parameters, name: str, grammar: Grammar, code: ErrorCode) -> tuple[Rule, ...]:
    text = given.text(name, code)
    if text is None:
        raise ApiError.of(code)
    try:
        return parse_rules(text, grammar)
    except WireFormatError:
        raise ApiError.of(code) from None
