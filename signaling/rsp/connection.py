"""One WebSocket of a client: from the first ``hello`` to the session that it speaks for."""

import asyncio
import random
from collections.abc import Callable, Hashable
from logging import DEBUG, INFO

import structlog
from msgspec import Raw, Struct

from router.errors import DataPlaneError, NegotiationError, WireFormatError
from router.node_events import PeerId
from signaling.auth.access_token import AccessToken, TokenVerifier
from signaling.errors import ApiError, ErrorCode, StorageError, TokenError
from signaling.rooms import Participant, SubscribeRules
from signaling.rules import EXCLUDE_ALL, INCLUDE_ALL
from signaling.service.config import ServiceConfig
from signaling.service.live_room import LiveRoom
from signaling.service.room_service import RoomService

from .link import RspLink
from .media_signaling import MediaSignaling
from .messages import (
    Busy,
    Connect,
    DescriptionIn,
    Disconnect,
    ErrorMessage,
    Ice,
    Iced,
    IceServerOut,
    OptionsOut,
    SubscribeIn,
    Sync,
    Update,
    parse_body,
)
from .pace import Pace
from .session import RspSession
from .tcmp import CLOSE_ENDED, BodyReceived, Closed, InvalidReceived, TcmpConnection
from .views import track_requests

_log = structlog.get_logger(__name__)

JOIN_TIMEOUT = 60.0
"""Seconds that a socket may stay open without a session."""
RESUMING = "sync"
"""Type of the message in the ``hello`` of a client that has a session."""
STORE_TIMEOUT = 10.0
"""Seconds for which a join waits for the store, when a room has to be made or looked up."""


def is_put_off(service: RoomService, body_type: str | None) -> bool:
    """
    Return whether a client is to come back later, by the type of the message in its ``hello``.

    Whoever is in already gets back in, however full or near its end the server is. Ask once.
    """
    return body_type != RESUMING and service.puts_off()


def busy_answer(config: ServiceConfig) -> Busy:
    """Return what such a client is told."""
    retry_after = config.busy_retry_after_ms
    return Busy(retry_after=retry_after, keep_alive=retry_after >= 0)


def _do_nothing() -> None:
    pass


class RspConnection:
    """
    The state of one socket; :mod:`.handler` moves its text.

    :param transmit: Called after each change: frames are to be sent, or the timer has moved.
    :param place: By what ``load`` knows the join of this client, if it was let begin already.
    """

    def __init__(
        self,
        *,
        service: RoomService,
        tokens: TokenVerifier,
        sessions: dict[str, RspLink],
        rng: random.Random,
        transmit: Callable[[], None],
        place: Hashable | None = None,
    ) -> None:
        self._service = service
        self._tokens = tokens
        self._sessions = sessions
        self._rng = rng
        self._transmit = transmit
        self._clock = service.clock
        now = self._clock.monotonic()
        self.tcmp = TcmpConnection(admit=self._admit, now=now)
        self._place: Hashable = object() if place is None else place
        self._let_in = place is not None
        self._join_deadline: float | None = now + JOIN_TIMEOUT
        self._link: RspLink | None = None
        self._verified: tuple[str, AccessToken] | None = None
        """The last token that was good, and what it says."""
        self._pace = Pace(service.config.messages_per_session)
        self._refused = False
        self._lost = False
        self._handling = False
        self.close_code: int | None = None
        """The code with which the shell is to close, once there is one."""

    # The shell's side.

    async def receive_text(self, text: str) -> None:
        """Take a text frame."""
        self.tcmp.receive_text(text, self._clock.monotonic())
        await self._handle_events()

    def pause_after(self, length: int) -> float:
        """Return for how many seconds to read nothing, after a message of this length."""
        pace = self._link.pace if self._link is not None else self._pace
        pause = pace.spend(length, self._clock.monotonic())
        if pause > 0.0:
            self._service.messages_delayed += 1
        return pause

    async def receive_binary(self) -> None:
        """Take a binary frame."""
        self.tcmp.receive_binary(self._clock.monotonic())
        await self._handle_events()

    def handle_timer(self) -> None:
        """Act on all timers that are due."""
        now = self._clock.monotonic()
        self.tcmp.handle_timer(now)
        if self._join_deadline is not None and now >= self._join_deadline:
            self._join_deadline = None
            if self._link is None:
                self.tcmp.close(CLOSE_ENDED)
        while (event := self.tcmp.next_event()) is not None:
            if isinstance(event, Closed):
                self.close_code = event.code
        if self._link is not None:
            self._link.handle_timer()
        self._transmit()

    def next_timer(self) -> float | None:
        """Return the absolute time of the next timer, or None."""
        at = self.tcmp.next_timer()
        others = (self._join_deadline, None if self._link is None else self._link.next_timer())
        for other in others:
            if other is not None and (at is None or other < at):
                at = other
        return at

    def close(self, code: int) -> None:
        """Close the socket; the session stays and may be resumed."""
        self.tcmp.close(code)
        self.close_code = code
        self._transmit()

    def connection_lost(self, code: int) -> None:
        """Take note that the socket is gone. :param code: The peer's close code, or 1006."""
        self._lost = True
        self._service.load.join_ends(self._place)
        self._join_deadline = None
        # Both are parts of a circle, which only the garbage collector would find.
        self._transmit = _do_nothing
        self.tcmp.connection_lost()
        link, self._link = self._link, None
        if link is not None:
            link.socket_lost(self, code)

    # The session's side (SessionSocket).

    def send(self, body: Struct) -> None:
        """Send a message."""
        self.tcmp.send(body, self._clock.monotonic())
        self._changed()

    def session_ended(self) -> None:
        """Let the client close, as its session has ended."""
        self._link = None
        self._refused = True
        self.tcmp.finish(self._clock.monotonic())
        self._changed()

    def replaced(self, code: int) -> None:
        """Close: the client has come on another socket."""
        self._link = None
        self.close(code)

    def rearm(self) -> None:
        """Look at the timers again."""
        self._changed()

    # Messages.

    def _admit(self, body_type: str | None) -> Busy | None:
        let_in, self._let_in = self._let_in, False
        if let_in:
            return None
        if is_put_off(self._service, body_type):
            return busy_answer(self._service.config)
        if body_type != RESUMING:
            self._service.load.join_begins(self._place)
        return None

    async def _handle_events(self) -> None:
        self._handling = True
        try:
            while (event := self.tcmp.next_event()) is not None:
                match event:
                    case BodyReceived(body=body):
                        await self._receive_body(body)
                    case InvalidReceived(reason=reason):
                        self._receive_invalid(reason)
                    case Closed(code=code):
                        self.close_code = code
            if self._link is not None:
                self._link.heard()
        finally:
            self._handling = False
            self._transmit()

    def _changed(self) -> None:
        # What one message brings about goes out together.
        if not self._handling:
            self._transmit()

    async def _receive_body(self, raw: Raw) -> None:
        if self._refused:
            return
        try:
            body = parse_body(raw)
        except WireFormatError as error:
            self._receive_invalid(str(error))
            return
        try:
            match body:
                case Ice() if self._link is None:
                    self._receive_ice(body)
                case Connect() if self._link is None:
                    await self._receive_connect(body)
                case Sync() if self._link is None:
                    self._receive_sync(body)
                case Update() | Disconnect():
                    self._receive_in_session(body)
        except (ApiError, TokenError) as error:
            if isinstance(body, Connect):
                self._service.refused_joins[error.code] += 1
            self._refuse(error.code, error.message)

    def _receive_invalid(self, reason: str) -> None:
        # Anybody can send nonsense, as often as they like: it is worth a line only of those inside.
        _log.log(INFO if self._link is not None else DEBUG, "invalid message", reason=reason)
        if self._link is not None:
            self._link.receive_invalid()
        elif not self._refused:
            code = ErrorCode.CLIENT_MESSAGE_INVALID
            self._refuse(int(code), code.message)

    def _verify(self, text: str) -> AccessToken:
        # The SDK sends the same token with "ice" and with "connect".
        now = self._clock.utc_now()
        if self._verified is not None:
            known, token = self._verified
            if known == text and self._tokens.verify_again(token, now):
                return token
        token = self._tokens.verify(text, now)
        self._verified = text, token
        return token

    def _receive_ice(self, ice: Ice) -> None:
        self._verify(ice.token)
        servers = [
            IceServerOut(server.urls, server.username, server.credential)
            for server in self._service.ice_servers()
        ]
        self.send(Iced(servers))

    def _receive_in_session(self, body: Update | Disconnect) -> None:
        if self._link is None:
            raise ApiError.of(ErrorCode.CLIENT_MESSAGE_INVALID)
        if isinstance(body, Update):
            self._link.receive_update(body)
        else:
            self._link.receive_disconnect(body)

    def _receive_sync(self, sync: Sync) -> None:
        config = self._service.config
        token = self._tokens.verify(
            sync.token,
            self._clock.utc_now(),
            allow_expired=config.accept_expired_token_on_resume,
        )
        link = self._sessions.get(sync.session)
        # Somebody else's session is as unknown as one that has expired.
        if link is None or link.session.identity != token.identity:
            raise ApiError.of(ErrorCode.PARTICIPANT_NOT_FOUND)
        self._link = link
        link.resume(sync, self)

    # Joining.

    async def _receive_connect(self, connect: Connect) -> None:
        began_at = self._clock.monotonic()
        token = self._verify(connect.token)
        try:
            async with asyncio.timeout(STORE_TIMEOUT):
                live = await self._service.room_to_join(connect.name, granted=token.room)
        except (TimeoutError, StorageError):
            raise ApiError.of(ErrorCode.ROOM_CREATE_FAILED) from None
        try:
            if self._lost or self.close_code is not None:
                return
            if self._service.is_overloaded:
                raise ApiError.of(ErrorCode.SERVER_BUSY)
            # Waiting for the store took a while.
            self._tokens.check_in_force(token)
            self._service.check_admission(live, token.identity)
            self._join(connect, token, live)
            # The text is not needed for as long as the session lasts.
            self._verified = None
        finally:
            self._service.abandon(live)
        self._service.load.join_ends(self._place)
        self._service.join_times.observe(self._clock.monotonic() - began_at)

    def _join(self, connect: Connect, token: AccessToken, live: LiveRoom) -> None:
        offer = _first_offer(connect)
        peer_id, answer = self._make_peer(live, offer) if offer is not None else (None, "")

        def make_link(participant: Participant) -> RspLink:
            session = RspSession(
                session_id=self._rng.randbytes(16).hex(),
                room=live.room,
                participant=participant,
                options=self._options(live),
                media_signaling=MediaSignaling(connect.media_signaling, rng=self._rng),
            )
            # The session judges the offer like any other; its answer is there already.
            session.receive_peer_connections(connect.peer_connections[:1])
            if offer is not None and session.next_event() is not None:
                session.answer(offer.revision, answer)
            self._link = RspLink(
                session=session,
                live=live,
                service=self._service,
                peer_id=peer_id,
                socket=self,
                sessions=self._sessions,
            )
            return self._link

        try:
            live.join(
                identity=token.identity,
                rules=_subscribe_rules(connect.subscribe),
                tracks=track_requests(connect.participant),
                tracks_revision=connect.participant.revision,
                peer_id=peer_id,
                make_link=make_link,
                token=token,
            )
        except Exception:
            if peer_id is not None:
                self._service.node.close_peer(peer_id)
            raise

    def _make_peer(self, live: LiveRoom, offer: DescriptionIn) -> tuple[PeerId, str]:
        node = self._service.node
        try:
            peer_id = node.create_peer(
                group=live.sid, video_codecs=live.record.settings.video_codecs
            )
            try:
                return peer_id, node.handle_offer(peer_id, offer.sdp or "")
            except BaseException:
                node.close_peer(peer_id)
                raise
        except DataPlaneError as error:
            _log.warning("the media node takes no more peers", error=str(error))
            raise ApiError.of(ErrorCode.SERVER_BUSY) from None
        except NegotiationError as error:
            _log.info("offer refused", error=str(error))
            raise ApiError.of(ErrorCode.SERVER_REMOTE_DESCRIPTION_FAILED) from None

    def _options(self, live: LiveRoom) -> OptionsOut:
        timeout = self._service.config.session_timeout
        return OptionsOut(
            session_timeout=int(timeout) if timeout == int(timeout) else timeout,
            media_region=live.record.settings.media_region,
            signaling_region=self._service.config.signaling_region,
        )

    def _refuse(self, code: int, message: str) -> None:
        self._refused = True
        self._service.load.join_ends(self._place)
        self.tcmp.send(ErrorMessage(code, message), self._clock.monotonic())
        self.tcmp.finish(self._clock.monotonic())
        self._transmit()


def _first_offer(connect: Connect) -> DescriptionIn | None:
    """Return the offer in ``connect``, if it has one that can be answered."""
    for entry in connect.peer_connections[:1]:
        description = entry.description
        if (
            description is not None
            and description.type == "offer"
            and description.sdp is not None
            and description.revision > 0
        ):
            return description
    return None


def _subscribe_rules(subscribe: SubscribeIn | None) -> SubscribeRules:
    """Return the rules; without any a client receives everything, as the SDK's default says."""
    if subscribe is None:
        return SubscribeRules()
    wanted = False
    for rule in subscribe.rules:
        if rule.all:
            wanted = rule.type == "include"
    return SubscribeRules(rules=INCLUDE_ALL if wanted else EXCLUDE_ALL)
