"""How many of something the account may have at a time."""

import structlog

from signaling.errors import ApiError, ErrorCode

WARN_AT = 0.7
"""The part of a quota at which the log says so."""
WARN_AGAIN_BELOW = 0.6
"""The part below which use has to fall before the log says so again."""

_log = structlog.get_logger(__name__)


class Quota:
    """
    One quota.

    :param of: What is counted, for the log.
    :param most: How many there may be; 0 is no limit.
    :param code: What refuses more.
    """

    def __init__(self, of: str, *, most: int, code: ErrorCode) -> None:
        self._of = of
        self._most = most
        self._code = code
        self._warned = False

    def check(self, used: int) -> None:
        """
        Tell whether there may be one more.

        :raises ApiError: with the quota's code.
        """
        if 0 < self._most <= used:
            raise ApiError.of(self._code)

    def note(self, used: int) -> None:
        """Take note of how many there are, and say once when few are left."""
        if not self._most:
            return
        if used >= self._most * WARN_AT and not self._warned:
            self._warned = True
            code = ErrorCode.QUOTA_NEARLY_REACHED
            _log.warning(code.message, code=int(code), of=self._of, used=used, most=self._most)
        elif used < self._most * WARN_AGAIN_BELOW:
            self._warned = False


class Occupancy:
    """
    How many rooms and participants there are, within the account's quotas.

    :param rooms: Most rooms in progress; 0 is no limit.
    :param participants: Most participants in all of them; 0 is no limit.
    """

    def __init__(self, *, rooms: int, participants: int) -> None:
        self._rooms = Quota("rooms", most=rooms, code=ErrorCode.ROOM_QUOTA_EXCEEDED)
        self._participants = Quota(
            "participants", most=participants, code=ErrorCode.PARTICIPANT_QUOTA_EXCEEDED
        )
        # By room SID, where it is not 0.
        self._inside: dict[str, int] = {}
        self.participant_count = 0
        """In all rooms, those in a grace period included."""

    def check_room(self, rooms: int) -> None:
        """Tell whether there may be one more room. :raises ApiError: 53119."""
        self._rooms.check(rooms)

    def check_participant(self) -> None:
        """Tell whether there may be one more participant. :raises ApiError: 53206."""
        self._participants.check(self.participant_count)

    def rooms_changed(self, rooms: int) -> None:
        """Take note of how many rooms there are."""
        self._rooms.note(rooms)

    def room_changed(self, room_sid: str, inside: int) -> None:
        """Take note of how many are inside a room; 0 when it has ended."""
        before = self._inside.pop(room_sid, 0)
        if inside:
            self._inside[room_sid] = inside
        if inside != before:
            self.participant_count += inside - before
            self._participants.note(self.participant_count)
