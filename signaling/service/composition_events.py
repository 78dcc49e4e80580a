"""What the application is told of compositions, as rows that are delivered like those of rooms."""

import random
from datetime import datetime

from signaling.compositions import CompositionPlan
from signaling.errors import ErrorCode
from signaling.ids import new_event_sid
from signaling.storage.event_records import EventRecord
from signaling.storage.media_records import CompositionHookRecord, CompositionRecord

from .timestamps import timestamp


class CompositionEvents:
    """
    Makes the rows of events; the store gives them their sequence numbers.

    Beginning, progress and availability are for whatever renders compositions to tell.

    :param rng: Draws their SIDs.
    """

    def __init__(self, *, rng: random.Random) -> None:
        self._rng = rng

    def enqueued(self, composition: CompositionRecord, hook: CompositionHookRecord) -> EventRecord:
        """Return the event of a composition that a hook made."""
        return self._make(
            "composition-enqueued",
            composition.account_sid,
            composition.room_sid,
            composition.plan,
            composition.created_at,
            {**_hook(hook), **_composition(composition)},
        )

    def failed(self, composition: CompositionRecord, code: ErrorCode, at: datetime) -> EventRecord:
        """Return the event of a composition that cannot be made."""
        return self._make(
            "composition-failed",
            composition.account_sid,
            composition.room_sid,
            composition.plan,
            at,
            {**_composition(composition), **_failure("CompositionProcessing", code)},
        )

    def hook_failed(
        self, hook: CompositionHookRecord, room_sid: str, code: ErrorCode, at: datetime
    ) -> EventRecord:
        """Return the event of a hook that made nothing of a room."""
        return self._make(
            "composition-hook-failed",
            hook.account_sid,
            room_sid,
            hook.plan,
            at,
            {**_hook(hook), **_failure("CompositionEnqueue", code)},
        )

    def _make(
        self,
        name: str,
        account_sid: str,
        room_sid: str,
        plan: CompositionPlan,
        at: datetime,
        more: dict[str, str],
    ) -> EventRecord:
        url = plan.status_callback
        return EventRecord(
            sid=new_event_sid(self._rng),
            account_sid=account_sid,
            room_sid=room_sid,
            sequence=0,
            name=name,
            created_at=at,
            parameters={
                "AccountSid": account_sid,
                "RoomSid": room_sid,
                "StatusCallbackEvent": name,
                "Timestamp": timestamp(at),
                **more,
            },
            url=url,
            method=plan.status_callback_method,
            delivery="none" if url is None else "pending",
        )


def _composition(composition: CompositionRecord) -> dict[str, str]:
    sid = composition.sid
    return {"CompositionSid": sid, "CompositionUri": f"/v1/Compositions/{sid}"}


def _hook(hook: CompositionHookRecord) -> dict[str, str]:
    return {
        "HookSid": hook.sid,
        "HookUri": f"/v1/CompositionHooks/{hook.sid}",
        "HookFriendlyName": hook.friendly_name,
    }


def _failure(operation: str, code: ErrorCode) -> dict[str, str]:
    return {"FailedOperation": operation, "ErrorMessage": f"{int(code)} {code.message}"}
