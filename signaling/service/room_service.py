"""The room service: all live rooms of this server, and what REST, RSP and WHIP ask of them."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

import structlog

from router.node_events import NodeEvent, PeerId
from signaling.auth.access_token import AccessToken
from signaling.errors import (
    ApiError,
    ErrorCode,
    NameTaken,
    OutcomeUnknown,
    StorageError,
    StoreUnavailable,
)
from signaling.ids import is_sid, new_room_sid
from signaling.rooms import (
    CompletionReason,
    LeaveReason,
    ParticipantDisconnected,
    RestoredRoom,
    Room,
    RoomEvent,
    RoomSettings,
)
from signaling.rules import INCLUDE_ALL, Rule, serialize_rules
from signaling.storage.journal import Journal, JournalFull
from signaling.storage.records import ParticipantRecord, RoomRecord
from signaling.storage.store import Record, Store

from .clock import Clock, SystemClock
from .config import IceServer, ServiceConfig
from .join_times import JoinTimes
from .live_room import LiveRoom
from .loop_load import LoopLoad
from .media_node import MediaNode
from .quota import Occupancy
from .recorder import Recorder
from .rule_commands import recording_rules_of
from .timers import TimerQueue
from .turn import LIFETIME_MAX

ROOM_NAME_LENGTH_MAX = 128
"""Characters."""
CLOSE_TIMEOUT = 1.0
"""Seconds that rooms in the making have when the service closes."""
CLOSE_SERVICE_RESTART = 1012
"""WebSocket close code of a server that goes away (RFC 6455 registry); clients resume elsewhere."""

_log = structlog.get_logger(__name__)


class Closable(Protocol):
    """A client's connection that has to go when the server goes."""

    async def close(self, code: int) -> None:
        """Close it with a WebSocket close code."""


class RoomService:
    """
    Live rooms by SID and name, one timer for all of them, and the door to media and store.

    :param node: The media node; the service becomes its only listener.
    :param store: Where rooms, participants and tracks are kept.
    :param rng: ``random.SystemRandom()`` in service.
    :param journal: Where rows wait while the store is down; None keeps them in memory.
    """

    def __init__(
        self,
        *,
        node: MediaNode,
        store: Store,
        config: ServiceConfig,
        rng: random.Random,
        clock: Clock | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.node = node
        self.config = config
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.rng = rng
        self.draining = False
        """True from the moment that new joins are refused."""
        self.join_times = JoinTimes()
        """From the client's request to the answer, for metrics."""
        self.load = LoopLoad(limit=config.busy_lag)
        """How far the event loop is behind."""
        self.joins_put_off = 0
        """Newcomers that were told to come back later, before anything was done for them."""
        self.refused_joins: Counter[int] = Counter()
        """Joins that were refused, by code."""
        self.messages_delayed = 0
        """Signaling messages that came faster than they are taken."""
        self.departures: Counter[LeaveReason] = Counter()
        """Participants that left, by why."""
        self.observers: list[Callable[[LiveRoom, RoomEvent], None]] = []
        """Called with each domain event, in order: webhooks and metrics."""
        self._store = store
        self._recorder = Recorder(store, journal)
        self._live: dict[str, LiveRoom] = {}
        self._sid_by_name: dict[str, str] = {}
        self._occupancy = Occupancy(rooms=config.room_quota, participants=config.participant_quota)
        self._room_by_peer: dict[PeerId, LiveRoom] = {}
        self._creating: dict[str, asyncio.Task[LiveRoom]] = {}
        self._connections: set[Closable] = set()
        self._timers = TimerQueue()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._callbacks: dict[Hashable, Callable[[], None]] = {}
        self._emptied = asyncio.Event()
        self._closed = False

    # Life.

    async def recover(self) -> None:
        """
        Bring what a former run left in the journal into the store; before all that reads from it.

        :raises StorageError: if the store fails.
        """
        await self._recorder.recover()

    async def start(self) -> None:
        """Take over what a former run left in progress, and begin to listen to the media node."""
        self._recorder.start()
        self.load.start()
        ended = await self._store.end_everything_left_behind(self.clock.utc_now())
        rooms = await self._store.in_progress_rooms()
        for record in rooms:
            was_used = await self._store.had_participants(record.sid)
            emptied_at = await self._store.last_departure(record.sid)
            self._restore(record, was_used=was_used, emptied_at=emptied_at)
        if rooms or ended:
            _log.info("rooms taken over", rooms=len(rooms), participants_ended=ended)
        self.node.set_listener(self._node_event)

    async def close(self) -> None:
        """Close all sockets with 1012 and write what waits; a restart finds the rooms."""
        self._closed = self.draining = True
        self.load.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        connections, self._connections = self._connections, set()
        if connections:
            closing = (connection.close(CLOSE_SERVICE_RESTART) for connection in connections)
            await asyncio.gather(*closing, return_exceptions=True)
        self.node.set_listener(lambda event: None)
        for peer_id in tuple(self._room_by_peer):
            self.node.close_peer(peer_id)
        self._room_by_peer.clear()
        if self._creating:
            _, late = await asyncio.wait(set(self._creating.values()), timeout=CLOSE_TIMEOUT)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._recorder.close()

    async def drain(self, seconds: float) -> None:
        """Refuse new joins, and wait until nobody is left, for at most ``seconds``."""
        self.draining = True
        if self.participant_count == 0:
            return
        self._emptied.clear()
        try:
            await asyncio.wait_for(self._emptied.wait(), seconds)
        except TimeoutError:
            _log.warning("drained only in part", participants=self.participant_count)

    async def flush(self) -> None:
        """
        Wait until all domain events so far are in the store.

        :raises StorageError: if the store fails; the events are kept and written later.
        """
        await self._recorder.flush()

    async def persist(self) -> None:
        """
        Wait until all domain events so far are on the disk: in the store, or in the journal.

        :raises StorageError: if neither takes them.
        """
        await self._recorder.persist()

    def record(self, record: Record) -> None:
        """Let a row be written soon, after those of all that happened before; never blocks."""
        self._recorder.put(record)

    def add_connection(self, connection: Closable) -> None:
        """Let a client's connection be closed together with the service."""
        self._connections.add(connection)

    def remove_connection(self, connection: Closable) -> None:
        """Forget a connection that has closed."""
        self._connections.discard(connection)

    # Facts.

    @property
    def room_count(self) -> int:
        """Return the number of rooms in progress."""
        return len(self._live)

    @property
    def participant_count(self) -> int:
        """Return the number of participants in all rooms, those in a grace period included."""
        return self._occupancy.participant_count

    @property
    def recorder_backlog(self) -> int:
        """Return the number of rows that are not in the store yet."""
        return self._recorder.backlog

    @property
    def recorder_dropped(self) -> int:
        """Return the number of rows that were lost."""
        return self._recorder.dropped

    @property
    def store_is_up(self) -> bool:
        """Return whether the store answers."""
        return self._store.is_up

    @property
    def journal_bytes(self) -> int:
        """Return how much waits on the disk for the store."""
        return self._recorder.journal_bytes

    @property
    def connection_count(self) -> int:
        """Return the number of signaling sockets."""
        return len(self._connections)

    def track_counts(self) -> dict[str, int]:
        """Return the number of published tracks by kind: ``audio``, ``video``, ``data``."""
        counts = Counter({"audio": 0, "video": 0, "data": 0})
        for live in self._live.values():
            for participant in live.room.participants:
                counts.update(p.kind.value for p in participant.ready_publications())
        return dict(counts)

    def find_inside(self, room_sid: str, name_or_sid: str) -> ParticipantRecord | None:
        """Return the row of somebody inside a room, as it is now, by SID or identity."""
        live = self._live.get(room_sid)
        return live.find_record(name_or_sid) if live is not None else None

    def live_room(self, room_sid: str) -> LiveRoom | None:
        """Return a room in progress, or None."""
        return self._live.get(room_sid)

    @property
    def is_overloaded(self) -> bool:
        """Return whether a new participant shall be told to come back later."""
        most = self.config.max_participants
        return self.draining or 0 < most <= self.participant_count

    @property
    def event_loop_lag(self) -> float:
        """Return by how many seconds the event loop was last seen behind."""
        return self.load.lag

    @property
    def takes_nobody(self) -> bool:
        """Return whether newcomers are told to come back later at this moment."""
        return self.is_overloaded or self.load.is_too_high

    def puts_off(self) -> bool:
        """
        Return whether to tell a newcomer to come back later, and count those who are told.

        Ask once, before anything is done for it: whoever was let begin is served to the end, as
        work that is given up halfway is what makes a server do less the more is asked of it.
        """
        if not self.takes_nobody:
            return False
        self.joins_put_off += 1
        return True

    # What REST asks.

    async def create_room(
        self, settings: RoomSettings, *, recording_rules: tuple[Rule, ...] | None = None
    ) -> RoomRecord:
        """
        Make a room.

        :param recording_rules: The first recording rules; None lets the settings decide.
        :raises ApiError: 53113 when an in-progress room has the name, 53119 beyond the quota.
        :raises StorageError: if the store fails.
        """
        return (await self._create(settings, recording_rules, ad_hoc=False)).record

    def room_in_progress(self, name: str) -> RoomRecord | None:
        """Return the room in progress with this SID or name, or None when only the store knows."""
        # The SID of an ended room, which some other room has for a name, stays that room's.
        live = self._live.get(name) if is_sid(name, "RM") else self._find(name)
        return None if live is None else live.record

    async def complete_room(self, room_sid: str) -> RoomRecord:
        """
        End a room and return its final state, once that is in the store or in the journal.

        :raises ApiError: 53112 when it is not in progress.
        :raises StorageError: if neither takes it; the room has ended even so.
        """
        live = self._live.get(room_sid)
        if live is None:
            raise ApiError.of(ErrorCode.STATUS_INVALID)
        live.complete(CompletionReason.REQUESTED)
        await self.persist()
        return live.record

    async def disconnect_participant(
        self, room_sid: str, participant_sid: str
    ) -> ParticipantRecord:
        """
        Remove a participant and return its final state, once that is in the store or the journal.

        One who has left stays as it is.

        :raises ApiError: 20404 when the room never had such a participant.
        :raises StorageError: if neither takes it; the participant is out even so.
        """
        live = self._live.get(room_sid)
        record = live.leave(participant_sid, LeaveReason.REMOVED) if live is not None else None
        if record is not None:
            await self.persist()
            return record
        await self.flush()
        stored = await self._store.get_participant(room_sid, participant_sid)
        if stored is None:
            raise ApiError.of(ErrorCode.NOT_FOUND)
        return stored

    def end_tokens(self, revoked: Callable[[AccessToken], bool]) -> None:
        """Let everybody out whose access token was taken back."""
        for live in tuple(self._live.values()):
            live.end_tokens(revoked)

    # What RSP and WHIP ask.

    def ice_servers(self) -> tuple[IceServer, ...]:
        """Return what a client is told to use, with a TURN credential of its own."""
        turn = self.config.turn
        if turn is None:
            return self.config.ice_servers
        minted = turn.issue(now=self.clock.utc_now(), lifetime=LIFETIME_MAX, rng=self.rng)
        relays = IceServer(
            urls=turn.turn_urls, username=minted.username, credential=minted.password
        )
        servers = (IceServer(urls=turn.stun_urls), relays)
        return (*self.config.ice_servers, *(server for server in servers if server.urls))

    async def room_to_join(self, requested: str | None, *, granted: str | None) -> LiveRoom:
        """
        Return the room that a client asks for; make it when it is unknown and that is allowed.

        :param requested: Name or SID; None for the granted room, or a new one without a name.
        :param granted: Name or SID of the only room that the access token admits to, if any.
        :raises ApiError: 20106, or a code of the room (53006, 53100-53106, 53118, 53119, 53206).
        """
        if self.is_overloaded:
            raise ApiError.of(ErrorCode.SERVER_BUSY)
        wanted = requested if requested is not None else granted
        if wanted is not None:
            check_room_name(wanted)
        live = self._find(wanted) if wanted is not None else None
        if granted is not None and granted not in self._names_of(wanted, live):
            raise ApiError.of(ErrorCode.TOKEN_GRANTS_INVALID)
        if live is not None:
            return live
        if wanted is not None and is_sid(wanted, "RM"):
            stored = await self._stored_room(wanted)
            ended = stored is not None and stored.status == "completed"
            raise ApiError.of(ErrorCode.ROOM_COMPLETED if ended else ErrorCode.ROOM_NOT_FOUND)
        if not self.config.ad_hoc_rooms:
            raise ApiError.of(ErrorCode.ROOM_NOT_FOUND)
        if self._recorder.journal_is_nearly_full:
            raise ApiError.of(ErrorCode.SERVER_BUSY)
        # Not made for somebody who would not get in.
        self._occupancy.check_participant()
        return await self._make_ad_hoc(wanted)

    def check_admission(self, live: LiveRoom, identity: str) -> None:
        """
        Tell whether an identity could join a room now.

        :raises ApiError: 53206 beyond the quota, or as :meth:`Room.check_admission`.
        """
        live.room.check_admission(identity)
        if not live.room.has_identity(identity):
            self._occupancy.check_participant()

    def abandon(self, live: LiveRoom) -> None:
        """End a room that was made for somebody who then did not get in, unless others are in."""
        if live.record.ad_hoc and not live.room.participants:
            live.complete(CompletionReason.UNUSED)

    def set_timer(self, key: Hashable, at: float | None, callback: Callable[[], None]) -> None:
        """
        Let ``callback`` be called once at a time, in place of what was set for ``key`` before.

        :param at: On the service's monotonic clock; None cancels.
        """
        if at is None:
            self._callbacks.pop(key, None)
        else:
            self._callbacks[key] = callback
        self._timers.set(key, at)
        self._arm()

    # Rooms.

    async def _make_ad_hoc(self, name: str | None) -> LiveRoom:
        # Clients that meet in a new room come at the same time: one makes it, the others wait.
        while name is not None and (other := self._creating.get(name)) is not None:
            # Not awaited itself: whoever gives up waiting would cancel it for all.
            await asyncio.wait({other})
            live = self._find(name)
            if live is not None:
                return live
        settings = replace(
            self.config.ad_hoc_settings,
            unique_name=name,
            empty_room_timeout=0,
            unused_room_timeout=0,
        )
        try:
            return await self._create(settings, None, ad_hoc=True)
        except ApiError as error:
            live = self._find(name) if name is not None else None
            if live is not None:
                return live
            if error.code == ErrorCode.ROOM_EXISTS:
                raise ApiError.of(ErrorCode.ROOM_CREATE_FAILED) from error
            raise
        except StorageError as error:
            _log.warning("an ad-hoc room could not be stored", error=str(error))
            # The journal may have come near its bound since it was looked at, or what waits for it
            # may be more than it has room for.
            is_full = isinstance(error, JournalFull) or self._recorder.journal_is_nearly_full
            code = ErrorCode.SERVER_BUSY if is_full else ErrorCode.ROOM_CREATE_FAILED
            raise ApiError.of(code) from error

    async def _create(
        self, settings: RoomSettings, recording_rules: tuple[Rule, ...] | None, *, ad_hoc: bool
    ) -> LiveRoom:
        sid = new_room_sid(self.rng)
        name = settings.unique_name if settings.unique_name is not None else sid
        if name in self._sid_by_name or name in self._creating:
            raise ApiError.of(ErrorCode.ROOM_EXISTS)
        # One that was just made is still among those in the making, for a moment.
        unborn = sum(name not in self._sid_by_name for name in self._creating)
        self._occupancy.check_room(len(self._live) + unborn)
        at = self.clock.utc_now()
        if recording_rules is None and settings.record_participants_on_connect:
            recording_rules = INCLUDE_ALL
        record = RoomRecord(
            sid=sid,
            account_sid=self.config.account_sid,
            name=name,
            settings=settings,
            ad_hoc=ad_hoc,
            status="in-progress",
            created_at=at,
            updated_at=at,
            recording_rules=serialize_rules(recording_rules) if recording_rules else None,
            recording_rules_created_at=at if recording_rules else None,
            recording_rules_updated_at=at if recording_rules else None,
        )
        making = asyncio.create_task(self._make(record), name="making a room")
        self._creating[name] = making
        making.add_done_callback(lambda task: self._made(name, task))
        # Whoever asked may give up at any moment. By then the store may have the room, and would
        # refuse the name to everybody else: so it goes live all the same, and ends as unused.
        return await asyncio.shield(making)

    async def _make(self, record: RoomRecord) -> LiveRoom:
        if self._recorder.journal_is_nearly_full:
            raise StoreUnavailable("the journal is nearly full")
        try:
            await self._add_to_store(record)
        except StoreUnavailable as error:
            if record.ad_hoc and self._recorder.has_journal:
                # Calls begin even so. All names in progress are known here.
                self._recorder.put(record)
                await self._recorder.persist()
            else:
                if isinstance(error, OutcomeUnknown):
                    # Should the store have it, it must not seem to be in progress.
                    at = self.clock.utc_now()
                    failed = replace(record, status="failed", updated_at=at, ended_at=at)
                    self._recorder.put(failed)
                raise
        return self._go_live(record, self._now(), restored=None)

    def _made(self, name: str, making: asyncio.Task[LiveRoom]) -> None:
        del self._creating[name]
        if not making.cancelled():
            # Looked at, in case that nobody waits for it any more.
            making.exception()

    async def _add_to_store(self, record: RoomRecord) -> None:
        try:
            await self._store.add_room(record)
        except NameTaken:
            # The last room of that name may have ended a moment ago, unknown to the store as yet.
            await self._recorder.flush()
            try:
                await self._store.add_room(record)
            except NameTaken:
                raise ApiError.of(ErrorCode.ROOM_EXISTS) from None

    def _restore(self, record: RoomRecord, *, was_used: bool, emptied_at: datetime | None) -> None:
        began = now, at = self._now()
        restored = RestoredRoom(
            created_at=now - (at - record.created_at).total_seconds(),
            was_used=was_used,
            emptied_at=None if emptied_at is None else now - (at - emptied_at).total_seconds(),
        )
        self._go_live(record, began, restored=restored)

    def _now(self) -> tuple[float, datetime]:
        """Return this moment on both clocks."""
        return self.clock.monotonic(), self.clock.utc_now()

    def _go_live(
        self, record: RoomRecord, began: tuple[float, datetime], *, restored: RestoredRoom | None
    ) -> LiveRoom:
        live = LiveRoom(
            room=Room(
                sid=record.sid,
                settings=record.settings,
                ad_hoc=record.ad_hoc,
                rng=self.rng,
                now=began[0],
                restored=restored,
                minute=self.config.minute,
                recording_rules=recording_rules_of(record),
                reject_duplicates=self.config.duplicate_identity == "reject",
            ),
            record=record,
            node=self.node,
            recorder=self._recorder,
            clock=self.clock,
            began=began,
            room_by_peer=self._room_by_peer,
            changed=self._room_changed,
            observe=self._room_event,
        )
        self._live[live.sid] = live
        self._sid_by_name[record.name] = live.sid
        live.pump()
        self._occupancy.rooms_changed(len(self._live))
        return live

    def _find(self, name_or_sid: str) -> LiveRoom | None:
        sid = name_or_sid if name_or_sid in self._live else self._sid_by_name.get(name_or_sid)
        return self._live.get(sid) if sid is not None else None

    def _names_of(self, wanted: str | None, live: LiveRoom | None) -> set[str | None]:
        return {wanted} if live is None else {live.sid, live.record.name}

    async def _stored_room(self, sid: str) -> RoomRecord | None:
        try:
            await self.flush()
            return await self._store.get_room(sid)
        except StorageError:
            return None

    def _room_changed(self, live: LiveRoom) -> None:
        if live.room.is_completed:
            if self._live.pop(live.sid, None) is not None:
                del self._sid_by_name[live.record.name]
            self._timers.set(live.sid, None)
            self._occupancy.rooms_changed(len(self._live))
        else:
            self._timers.set(live.sid, live.room.next_timer())
        self._arm()
        self._occupancy.room_changed(live.sid, live.room.participant_count)
        if self.draining and self.participant_count == 0:
            self._emptied.set()

    def _room_event(self, live: LiveRoom, event: RoomEvent) -> None:
        if isinstance(event, ParticipantDisconnected):
            self.departures[event.reason] += 1
        for observer in self.observers:
            observer(live, event)

    def _node_event(self, event: NodeEvent) -> None:
        live = self._room_by_peer.get(event.peer_id)
        if live is not None:
            live.peer_event(event)

    # Time.

    def _arm(self) -> None:
        at = self._timers.next_timer()
        if at == self._timer_at or self._closed:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = at
        if at is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, at - self.clock.monotonic()), self.handle_timer)

    def handle_timer(self) -> None:
        """Act on all timers that are due; an early or repeated call changes nothing."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._timer_at = None
        for key in self._timers.pop_due(self.clock.monotonic()):
            callback = self._callbacks.pop(key, None)
            live = self._live.get(key) if isinstance(key, str) else None
            try:
                if callback is not None:
                    callback()
                elif live is not None:
                    live.handle_timer()
            except Exception:
                _log.exception("a timer failed")
        self._arm()


def check_room_name(name: str) -> None:
    """
    Tell whether a room could bear a name.

    :raises ApiError: 53100, 53101 or 53102.
    """
    if not name:
        raise ApiError.of(ErrorCode.ROOM_NAME_INVALID)
    if len(name) > ROOM_NAME_LENGTH_MAX:
        raise ApiError.of(ErrorCode.ROOM_NAME_TOO_LONG)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ApiError.of(ErrorCode.ROOM_NAME_CHARACTERS_INVALID) from None
    if "\0" in name:
        raise ApiError.of(ErrorCode.ROOM_NAME_CHARACTERS_INVALID)
