"""The operations on subscribe rules, subscribed tracks, recording rules, and stored identities."""

from signaling.errors import ApiError, ErrorCode
from signaling.ids import is_sid
from signaling.rest.call import Call
from signaling.rest.handlers import Handlers, not_found
from signaling.rest.message import Response, json_response
from signaling.rest.paging import PageView, read_page
from signaling.rest.room_parameters import RoomLimits
from signaling.rest.route import Route
from signaling.rest.rule_parameters import read_recording_rules, read_subscribe_rules
from signaling.rest.rule_resources import (
    anonymized_resource,
    recording_rules_resource,
    subscribe_rules_resource,
    subscribed_track_resource,
)
from signaling.rest.service import RestService
from signaling.service.rule_commands import RuleCommands
from signaling.storage.records import ParticipantRecord, TrackRecord
from signaling.storage.sql_store import SqlStore
from signaling.storage.subscription_records import SubscribedTrack

OVERRIDES = {"subscribe": True, "unsubscribe": False}


class RuleHandlers(Handlers):
    """One method per operation. Each answers or raises ``ApiError``."""

    def __init__(self, *, service: RestService, store: SqlStore, rules: RuleCommands) -> None:
        super().__init__(service=service, store=store, limits=RoomLimits())
        self._subscriptions = store
        self._rules = rules

    def routes(self) -> list[Route]:
        """Return the resources."""
        room = ("Rooms", None)
        person = (*room, "Participants", None)
        tracks = (*person, "SubscribedTracks")
        return [
            Route(
                (*room, "RecordingRules"),
                {"GET": self.fetch_recording_rules, "POST": self.update_recording_rules},
            ),
            Route(
                (*person, "SubscribeRules"),
                {"GET": self.fetch_subscribe_rules, "POST": self.update_subscribe_rules},
            ),
            Route(tracks, {"GET": self.list_subscribed_tracks, "POST": self.override_subscription}),
            Route((*tracks, None), {"GET": self.fetch_subscribed_track}),
            Route((*person, "Anonymize"), {"POST": self.anonymize}),
        ]

    # Rules.

    async def fetch_recording_rules(self, call: Call) -> Response:
        return json_response(200, recording_rules_resource(await self._room(call)))

    async def update_recording_rules(self, call: Call) -> Response:
        room = self._service.room_in_progress(call.names[0]) or await self._room(call)
        room = await self._rules.set_recording_rules(room, read_recording_rules(call.given))
        return json_response(200, recording_rules_resource(room))

    async def fetch_subscribe_rules(self, call: Call) -> Response:
        return json_response(200, subscribe_rules_resource(await self._participant(call)))

    async def update_subscribe_rules(self, call: Call) -> Response:
        # A page has to know at once, however long the store takes.
        participant = self._inside(call) or await self._participant(call)
        rules = read_subscribe_rules(call.given)
        participant = await self._rules.set_subscribe_rules(participant, rules)
        return json_response(200, subscribe_rules_resource(participant))

    # Subscribed tracks.

    async def list_subscribed_tracks(self, call: Call) -> Response:
        wanted = read_page(call.given)
        participant = await self._participant(call)
        at = f"/v1/Rooms/{participant.room_sid}/Participants/{participant.sid}/SubscribedTracks"
        return PageView(
            key="subscribed_tracks",
            url=f"{call.base_url}{at}",
            filters={},
            request=wanted,
            found=await self._subscriptions.list_subscribed_tracks(participant.sid, wanted.page),
            render=lambda track: subscribed_track_resource(track, call.base_url),
        ).response()

    async def fetch_subscribed_track(self, call: Call) -> Response:
        participant = await self._participant(call)
        track = await self._subscriptions.get_subscribed_track(participant.sid, call.names[2])
        if track is None:
            raise not_found(call.resource)
        return json_response(200, subscribed_track_resource(track, call.base_url))

    async def override_subscription(self, call: Call) -> Response:
        """Give or take a single track: not documented, but the JavaScript SDK's tests do it."""
        participant = self._inside(call) or await self._participant(call)
        track_sid, status = call.given.text("Track"), call.given.text("Status")
        if track_sid is None:
            raise ApiError.of(ErrorCode.INVALID_PARAMETER, "Track is missing")
        if status not in OVERRIDES:
            words = " or ".join(OVERRIDES)
            raise ApiError.of(ErrorCode.INVALID_PARAMETER, f"Status must be {words}")
        if not is_sid(track_sid, "MT"):
            raise not_found(f"{call.resource}/{track_sid}")
        try:
            await self._rules.override_subscription(
                participant, track_sid, wanted=OVERRIDES[status]
            )
        except ApiError as error:
            if error.code == ErrorCode.NOT_FOUND:
                raise not_found(f"{call.resource}/{track_sid}") from None
            raise
        shown = await self._subscriptions.last_subscribed_track(participant.sid, track_sid)
        shown = shown or await self._never_subscribed(participant, track_sid)
        if shown is None:
            # It was unpublished in this very moment.
            raise not_found(f"{call.resource}/{track_sid}")
        return json_response(202, subscribed_track_resource(shown, call.base_url))

    async def _never_subscribed(
        self, participant: ParticipantRecord, track_sid: str
    ) -> SubscribedTrack | None:
        track: TrackRecord | None
        track = await self._subscriptions.get_track(participant.room_sid, track_sid)
        if track is None:
            return None
        return SubscribedTrack(
            sid=track.sid,
            room_sid=track.room_sid,
            participant_sid=participant.sid,
            publisher_sid=track.participant_sid,
            track_sid=track.sid,
            name=track.name,
            kind=track.kind,
            enabled=track.enabled,
            created_at=track.created_at,
            updated_at=track.updated_at,
        )

    # Identities.

    async def anonymize(self, call: Call) -> Response:
        participant = await self._rules.anonymize(await self._participant(call))
        return json_response(200, anonymized_resource(participant, call.base_url))
