"""
One SCTP association (RFC 9260) as WebRTC uses it over DTLS (RFC 8261), without I/O.

Theory of operation. Packets come in through :meth:`Association.receive_datagram`, are split into
chunks, and each chunk goes to the handler that ``_HANDLERS`` names if the state allows it
(``LEGAL_STATES``). Handlers change the parts: :class:`InboundData` and :class:`OutboundData` carry
user messages, :class:`StreamResetter` resets streams, :class:`Handshake` makes INITs and cookies.
They exist, all but the last, from ESTABLISHED on. Whatever was called, ``_flush`` runs last: it
asks the parts what is to be sent and gives it to the :class:`PacketAssembler`.
"""

import random
from collections import deque
from collections.abc import Callable

from ..errors import (
    AuthenticationFailed,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    WireFormatError,
)
from .chunks.chunk_type import ChunkType, is_reported, stops_processing
from .chunks.control import TAG_REFLECTED, parse_shutdown, serialize_chunk, serialize_shutdown
from .chunks.data import parse_data
from .chunks.error import CauseCode, describe_causes, parse_causes, serialize_causes
from .chunks.forward_tsn import parse_forward_tsn
from .chunks.init import parse_init
from .chunks.parameters import Parameter, parse_parameters, serialize_parameters
from .chunks.reconfig import parse_reconfig
from .chunks.sack import parse_sack
from .config import SctpConfig
from .cookie import CookieAction, StateCookie, classify_cookie
from .counters import SctpCounters
from .events import (
    AssociationClosed,
    AssociationEstablished,
    AssociationRestarted,
    IncomingStreamsReset,
    OutgoingStreamsReset,
    SctpEvent,
    StreamResetFailed,
)
from .handshake import Handshake
from .inbound import InboundData
from .outbound import OutboundData
from .packet import RawChunk, SctpPacket, parse_packet
from .packet_assembler import PacketAssembler
from .peer_parameters import PeerParameters
from .retransmission_timer import BackoffTimer, RetransmissionTimeout
from .send_queue import MESSAGE_OVERHEAD_BYTES, OutboundMessage, SendQueue
from .serial_number import TSN_MASK
from .state import LEGAL_STATES, SENDABLE, SYNCHRONIZED, TRANSITIONS, TRANSMITTING, State
from .stream_reset import StreamResetter

_HEARTBEAT_INFO = 1  # parameter type
_HEARTBEAT_NONCE_BYTES = 8
#: An unknown chunk is repeated to its sender up to this size.
_MAX_REPORTED_BYTES = 256
#: Chunks that end associations, or belong to a handshake, which is not taken up again.
_NOT_ANSWERED = frozenset(
    {
        ChunkType.ABORT,
        ChunkType.SHUTDOWN_COMPLETE,
        ChunkType.ERROR,
        ChunkType.INIT,
        ChunkType.COOKIE_ACK,
        ChunkType.COOKIE_ECHO,
    }
)


class Association:
    """
    An SCTP endpoint with one association.

    It answers a peer's INIT from the start and sends its own after :meth:`connect`; both sides may
    do so at the same time. Inputs: the peer's packets, time, and the caller's methods.

    :param rng: Source of tags, TSNs, the cookie key and heartbeat nonces.
    :param now: CLOCK_MONOTONIC in seconds, as everywhere.
    """

    def __init__(self, *, config: SctpConfig, rng: random.Random, now: float) -> None:
        self._config = config
        self._rng = rng
        self._state = State.CLOSED
        self._handshake = Handshake(config=config, rng=rng)
        self._peer: PeerParameters | None = None
        self._queue = SendQueue()
        self._rto = self._make_rto()
        self._inbound: InboundData | None = None
        self._outbound: OutboundData | None = None
        self._resetter: StreamResetter | None = None
        self._assembler = PacketAssembler(
            source_port=config.local_port,
            destination_port=config.remote_port,
            mtu=config.mtu,
        )
        self._events: deque[SctpEvent] = deque()
        # T1-init and T1-cookie never run together, nor does T2-shutdown with them.
        self._t1 = BackoffTimer(maximum=config.rto_max)
        self._t1_chunk = b""
        self._t1_started_at = now
        self._t2 = BackoffTimer(maximum=config.rto_max)
        self._heartbeat_at: float | None = None
        self._heartbeat_nonce: bytes | None = None
        self._heartbeat_sent_at = now
        self._heartbeat_errors = 0
        self.counters = SctpCounters()

    # What the caller can ask.

    @property
    def state(self) -> State:
        """The state of RFC 9260 section 4."""
        return self._state

    @property
    def outbound_streams(self) -> int:
        """Stream identifiers below this may be sent on; the configured number before agreement."""
        if self._peer is None:
            return self._config.outbound_streams
        return min(self._config.outbound_streams, self._peer.inbound_streams)

    @property
    def send_buffer_used(self) -> int:
        """Bytes of messages that are not acknowledged yet, with an overhead for each."""
        return self._queue.used_bytes

    @property
    def congestion_window(self) -> int | None:
        """Bytes that may be in flight; None before the association is established."""
        return self._outbound.congestion.cwnd if self._outbound is not None else None

    @property
    def smoothed_rtt(self) -> float | None:
        """Seconds; None before the first measurement."""
        return self._rto.srtt

    def buffered_amount(self, stream_id: int) -> int:
        """Return the bytes of the stream's messages that have not been sent once."""
        return self._queue.buffered_amount(stream_id)

    # What the caller can do.

    def connect(self, now: float) -> None:
        """Send INIT, unless the peer was faster."""
        if self._state is State.CLOSED:
            self._start_init(now)

    def send(
        self,
        stream_id: int,
        ppid: int,
        data: bytes,
        now: float,
        *,
        ordered: bool = True,
        lifetime: float | None = None,
        max_retransmits: int | None = None,
    ) -> None:
        """
        Queue a message; before the association is established it waits.

        :param data: 1 byte at least; what the peer takes at most is for the caller to know.
        :param lifetime: Seconds after which the message is no longer (re)transmitted (RFC 3758).
        :param max_retransmits: How often a fragment is sent again at most (RFC 7496).
        :raises LocalProtocolError: if the state, the stream or the size does not allow it, or the
            send buffer is full.
        """
        if self._state not in SENDABLE:
            raise LocalProtocolError(f"cannot send in state {self._state.value}")
        if not 0 <= stream_id < self.outbound_streams:
            raise LocalProtocolError(f"stream {stream_id} is not below {self.outbound_streams}")
        size = len(data)
        if not 0 < size <= self._config.send_buffer_bytes:
            raise LocalProtocolError(
                f"message of {size} bytes, allowed is 1..{self._config.send_buffer_bytes}"
            )
        used = self._queue.used_bytes
        if used + size + MESSAGE_OVERHEAD_BYTES > self._config.send_buffer_bytes and used:
            raise LocalProtocolError(
                f"send buffer holds {used} of {self._config.send_buffer_bytes} bytes"
            )
        if self._resetter is not None:
            if self._resetter.is_pending(stream_id):
                raise LocalProtocolError(f"stream {stream_id} is about to be reset")
            if self._resetter.is_requested(stream_id):
                # It belongs to the stream's next life, which begins with the peer's answer.
                self._queue.pause(stream_id)
        expires_at = None if lifetime is None else now + lifetime
        self._queue.push(
            OutboundMessage(stream_id, ppid, data, ordered, expires_at, max_retransmits)
        )
        if self._outbound is not None:
            self._flush(now)

    def set_weight(self, stream_id: int, weight: int) -> None:
        """Set a stream's share of the association, 1..65535; 256 is usual."""
        if not 1 <= weight <= 0xFFFF:
            raise LocalProtocolError(f"weight is {weight}, allowed is 1..65535")
        self._queue.set_weight(stream_id, weight)

    def discard_unsent(self, stream_id: int) -> None:
        """Forget messages of the stream that have not begun to be sent."""
        self._queue.discard(stream_id)

    def reset_streams(self, stream_ids: tuple[int, ...], now: float) -> None:
        """
        Reset streams that we send on, after the messages already queued on them (RFC 6525).

        :raises LocalProtocolError: if the association is not established.
        """
        if self._state is not State.ESTABLISHED or self._resetter is None:
            raise LocalProtocolError(f"cannot reset streams in state {self._state.value}")
        self._resetter.reset(stream_ids)
        self._collect_reset_events()
        self._flush(now)

    def is_resetting(self, stream_id: int) -> bool:
        """Return whether a reset of the stream is queued, or requested and not answered."""
        resetter = self._resetter
        return resetter is not None and (
            resetter.is_pending(stream_id) or resetter.is_requested(stream_id)
        )

    def shutdown(self, now: float) -> None:
        """End the association after what is queued has been acknowledged."""
        if self._state is State.ESTABLISHED:
            self._set_state(State.SHUTDOWN_PENDING)
            self._flush(now)
        elif self._state in (State.CLOSED, State.COOKIE_WAIT, State.COOKIE_ECHOED):
            self._terminate(None)

    def abort(self, reason: str, now: float) -> None:
        """
        End the association at once and tell the peer.

        :param reason: Goes to the peer, in UTF-8.
        """
        if self._state is State.TERMINATED:
            return
        cause = (CauseCode.USER_INITIATED_ABORT, reason.encode()[:_MAX_REPORTED_BYTES])
        self._send_abort([cause])
        self._terminate(None)

    # The surface of a core.

    def receive_datagram(self, data: bytes, now: float) -> None:
        """Take one SCTP packet, as DTLS delivered it."""
        self.counters.packets_received += 1
        try:
            packet = parse_packet(data, zero_checksum_acceptable=self._config.zero_checksum)
        except WireFormatError:
            self.counters.packets_malformed += 1
            return
        if (
            packet.source_port != self._config.remote_port
            or packet.destination_port != self._config.local_port
        ):
            self.counters.packets_misdirected += 1
            return
        if self._state is State.TERMINATED:
            self._answer_out_of_the_blue(packet)
            return
        try:
            self._receive_packet(packet, now)
        except WireFormatError:
            self.counters.packets_malformed += 1
        except RemoteProtocolError as error:
            self._fail(error)
        if self._inbound is not None:
            self._inbound.end_packet(now)
            self._flush(now)

    def handle_timer(self, now: float) -> None:
        """Act on T1, T2, T3-rtx, the delayed SACK, re-configuration and HEARTBEAT timers."""
        if self._t1.expire(now):
            self._on_t1()
        if self._t2.expire(now):
            self._on_t2()
        inbound, outbound, resetter = self._inbound, self._outbound, self._resetter
        if inbound is None or outbound is None or resetter is None:
            return
        inbound.handle_timer(now)
        if outbound.handle_timer(now):
            self.counters.timeouts += 1
        if resetter.handle_timer(now):
            self._rto.back_off()
        if self._heartbeat_at is not None and now >= self._heartbeat_at:
            self._on_heartbeat_timer(now)
        if outbound.timeouts + self._heartbeat_errors > self._config.association_max_retransmits:
            self._fail(RemoteProtocolError("the peer does not answer"))
            return
        self._flush(now)

    def next_timer(self) -> float | None:
        """Return when :meth:`handle_timer` is due, or None."""
        deadlines = [self._t1.deadline, self._t2.deadline, self._heartbeat_at]
        if self._inbound is not None and self._outbound is not None and self._resetter is not None:
            deadlines += (
                self._inbound.sack_deadline,
                self._outbound.t3_deadline,
                self._resetter.deadline,
            )
        return min((d for d in deadlines if d is not None), default=None)

    def datagrams_to_send(self) -> list[bytes]:
        """Return the packets to send and forget them."""
        return self._assembler.drain()

    def next_event(self) -> SctpEvent | None:
        """Return the next event and forget it, or None."""
        return self._events.popleft() if self._events else None

    # Packets and chunks.

    def _receive_packet(self, packet: SctpPacket, now: float) -> None:
        first = packet.chunks[0]
        tag = packet.verification_tag
        if tag != self._handshake.local_tag or self._state not in SYNCHRONIZED:
            if not self._is_tag_valid(packet, first):
                self.counters.packets_misdirected += 1
                return
            if first.type == ChunkType.SHUTDOWN_ACK and self._peer is None:
                # Section 8.5.1 E: the peer ends an association that we do not have.
                complete = serialize_chunk(ChunkType.SHUTDOWN_COMPLETE, flags=TAG_REFLECTED)
                self._assembler.add_packet(tag, complete)
                return
        for index, chunk in enumerate(packet.chunks):
            if index and tag != self._handshake.local_tag:
                # The exceptions above are made for one chunk, not for what follows it.
                return
            handler = _HANDLERS.get(chunk.type)
            if handler is None:
                if not self._receive_unknown(chunk):
                    return
            elif self._state in LEGAL_STATES[chunk.type]:
                handler(self, chunk, now, tag)
                if self._state is State.TERMINATED:
                    return
            else:
                self.counters.chunks_ignored += 1

    def _answer_out_of_the_blue(self, packet: SctpPacket) -> None:
        """Tell a peer that missed the end of the association about it (section 8.4)."""
        types = {chunk.type for chunk in packet.chunks}
        if ChunkType.SHUTDOWN_ACK in types:
            answer = ChunkType.SHUTDOWN_COMPLETE
        elif types & _NOT_ANSWERED:
            return
        else:
            answer = ChunkType.ABORT
        chunk = serialize_chunk(answer, flags=TAG_REFLECTED)
        self._assembler.add_packet(packet.verification_tag, chunk)

    def _is_tag_valid(self, packet: SctpPacket, first: RawChunk) -> bool:
        """Apply the exceptions of section 8.5.1 to the rule that the tag is ours."""
        tag = packet.verification_tag
        if first.type == ChunkType.INIT:
            return tag == 0 and len(packet.chunks) == 1
        if first.type == ChunkType.COOKIE_ECHO:
            return True  # compared with the cookie
        if first.type in (ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE):
            return self._is_ending_allowed(first, tag)
        if first.type == ChunkType.SHUTDOWN_ACK and self._peer is None:
            return True
        return tag == self._handshake.local_tag

    def _is_ending_allowed(self, chunk: RawChunk, tag: int) -> bool:
        """Apply section 8.5.1 B and C to ABORT and SHUTDOWN COMPLETE."""
        if chunk.flags & TAG_REFLECTED:
            return self._peer is not None and tag == self._peer.initiate_tag
        return tag == self._handshake.local_tag

    def _receive_unknown(self, chunk: RawChunk) -> bool:
        """Return whether the packet's other chunks are to be processed (section 3.2)."""
        self.counters.chunks_ignored += 1
        if is_reported(chunk.type) and self._state in SYNCHRONIZED:
            copy = serialize_chunk(chunk.type, chunk.value[:_MAX_REPORTED_BYTES], chunk.flags)
            self._send_error(CauseCode.UNRECOGNIZED_CHUNK_TYPE, copy)
        return not stops_processing(chunk.type)

    def _receive_init(self, chunk: RawChunk, now: float, tag: int) -> None:
        if tag:
            return  # bundled behind something else, which section 6.10 forbids
        if self._state is State.SHUTDOWN_ACK_SENT:
            self._assembler.add(serialize_chunk(ChunkType.SHUTDOWN_ACK))  # section 9.2
            return
        init = parse_init(chunk.value)
        try:
            if self._state in SYNCHRONIZED and self._peer is not None:
                answer = self._handshake.make_restart_init_ack(
                    init, now, peer_tag=self._peer.initiate_tag
                )
            else:
                answer = self._handshake.make_init_ack(init, now)
        except RemoteProtocolError as error:
            # Section 5.1: an ABORT for that INIT; what exists here is not touched.
            if init.initiate_tag:
                cause = (error.cause or CauseCode.PROTOCOL_VIOLATION, b"")
                abort = serialize_chunk(ChunkType.ABORT, serialize_causes([cause]))
                self._assembler.add_packet(init.initiate_tag, abort)
            return
        self._assembler.add_packet(init.initiate_tag, answer)

    def _receive_init_ack(self, chunk: RawChunk, now: float, tag: int) -> None:
        self._peer, (cookie_echo, *errors) = self._handshake.read_init_ack(parse_init(chunk.value))
        self._assembler.verification_tag = self._peer.initiate_tag
        self._set_state(State.COOKIE_ECHOED)
        self._measure_handshake(now)
        self._t1_chunk = cookie_echo
        self._start_t1(now)
        self._assembler.add_packet(self._peer.initiate_tag, cookie_echo)
        for error in errors:
            self._assembler.add_packet(self._peer.initiate_tag, error)

    def _receive_cookie_echo(self, chunk: RawChunk, now: float, tag: int) -> None:
        try:
            cookie = self._handshake.open_cookie(chunk.value)
        except AuthenticationFailed:
            self.counters.cookies_rejected += 1
            return
        if tag != cookie.local_tag:
            self.counters.packets_misdirected += 1
            return
        peer_tag = self._peer.initiate_tag if self._peer is not None else 0
        action = classify_cookie(cookie, local_tag=self._handshake.local_tag, peer_tag=peer_tag)
        if action is CookieAction.DISCARD:
            self.counters.cookies_rejected += 1
        elif action is CookieAction.ACKNOWLEDGE and self._state in SYNCHRONIZED:
            self._assembler.add(serialize_chunk(ChunkType.COOKIE_ACK))
        elif now - cookie.created_at > self._config.cookie_lifetime:
            self.counters.cookies_rejected += 1
            staleness_us = int((now - cookie.created_at - self._config.cookie_lifetime) * 1e6)
            cause = (CauseCode.STALE_COOKIE, min(staleness_us, TSN_MASK).to_bytes(4, "big"))
            error = serialize_chunk(ChunkType.ERROR, serialize_causes([cause]))
            self._assembler.add_packet(cookie.peer.initiate_tag, error)
        elif self._state is State.SHUTDOWN_ACK_SENT:
            # Section 5.2.4 A: too late to restart.
            self._assembler.add(serialize_chunk(ChunkType.SHUTDOWN_ACK))
            self._send_error(CauseCode.COOKIE_RECEIVED_WHILE_SHUTTING_DOWN, b"")
        else:
            self._accept_cookie(cookie, now)

    def _accept_cookie(self, cookie: StateCookie, now: float) -> None:
        """Establish the association that the cookie describes, in place of any other."""
        is_restart = self._state in SYNCHRONIZED
        self._handshake.adopt(cookie)
        if is_restart:
            self._queue = SendQueue()
            self._rto = self._make_rto()
        self._establish(cookie.peer, now, is_restart=is_restart)
        # The acknowledgement goes before any DATA, in the same packet if they fit.
        self._assembler.add(serialize_chunk(ChunkType.COOKIE_ACK))

    def _receive_cookie_ack(self, chunk: RawChunk, now: float, tag: int) -> None:
        assert self._peer is not None
        self._measure_handshake(now)
        self._establish(self._peer, now, is_restart=False)

    def _receive_data(self, chunk: RawChunk, now: float, tag: int) -> None:
        data = parse_data(chunk.flags, chunk.value)
        inbound, resetter = self._inbound, self._resetter
        assert inbound is not None
        assert resetter is not None
        if data.stream_id >= resetter.inbound_streams:
            self.counters.invalid_streams += 1
            information = data.stream_id.to_bytes(2, "big") + b"\x00\x00"
            self._send_error(CauseCode.INVALID_STREAM_IDENTIFIER, information)
            # Acknowledged and forgotten (section 6.5): as an unordered message to nobody.
            inbound.receive_data(data._replace(flags=0x07, user_data=b"\x00"))
            return
        self._events.extend(inbound.receive_data(data))

    def _receive_sack(self, chunk: RawChunk, now: float, tag: int) -> None:
        assert self._outbound is not None
        self._outbound.handle_sack(parse_sack(chunk.value), now)
        self._heartbeat_errors = 0

    def _receive_forward_tsn(self, chunk: RawChunk, now: float, tag: int) -> None:
        assert self._inbound is not None
        assert self._resetter is not None
        forward = parse_forward_tsn(chunk.value)
        if any(stream_id >= self._resetter.inbound_streams for stream_id, _ in forward.streams):
            raise RemoteProtocolError(
                "FORWARD TSN for a stream that was not agreed",
                cause=CauseCode.PROTOCOL_VIOLATION,
            )
        self._events.extend(self._inbound.receive_forward_tsn(forward))

    def _receive_reconfig(self, chunk: RawChunk, now: float, tag: int) -> None:
        assert self._inbound is not None
        assert self._resetter is not None
        answers = self._resetter.receive(
            parse_reconfig(chunk.value),
            now,
            cumulative_tsn=self._inbound.cumulative_tsn,
            outgoing_stream_ids=self._queue.stream_ids(),
        )
        self._collect_reset_events()
        for answer in answers:
            self._assembler.add(answer)

    def _receive_heartbeat(self, chunk: RawChunk, now: float, tag: int) -> None:
        self._assembler.add(serialize_chunk(ChunkType.HEARTBEAT_ACK, chunk.value))

    def _receive_heartbeat_ack(self, chunk: RawChunk, now: float, tag: int) -> None:
        if self._heartbeat_nonce is None:
            return
        parameters = parse_parameters(chunk.value)
        if parameters and parameters[0] == Parameter(_HEARTBEAT_INFO, self._heartbeat_nonce):
            self._rto.observe(now - self._heartbeat_sent_at)
            self._heartbeat_nonce = None
            self._heartbeat_errors = 0
            self._heartbeat_at = now + self._config.heartbeat_interval

    def _receive_error(self, chunk: RawChunk, now: float, tag: int) -> None:
        is_stale = any(c.type == CauseCode.STALE_COOKIE for c in parse_causes(chunk.value))
        if is_stale and self._state is State.COOKIE_ECHOED:
            self._peer = None
            self._start_init(now)  # section 5.2.6, first alternative

    def _receive_abort(self, chunk: RawChunk, now: float, tag: int) -> None:
        if self._state is State.CLOSED or not self._is_ending_allowed(chunk, tag):
            return
        causes = parse_causes(chunk.value)
        error = RemoteProtocolError(
            f"the peer aborted: {describe_causes(causes)}",
            cause=causes[0].type if causes else None,
        )
        self._terminate(error)

    def _receive_shutdown(self, chunk: RawChunk, now: float, tag: int) -> None:
        assert self._outbound is not None
        self._outbound.handle_cumulative_ack(parse_shutdown(chunk.value), now)
        if self._state in (State.ESTABLISHED, State.SHUTDOWN_PENDING):
            self._set_state(State.SHUTDOWN_RECEIVED)
        elif self._state is State.SHUTDOWN_SENT:
            self._send_shutdown_ack(now)

    def _receive_shutdown_ack(self, chunk: RawChunk, now: float, tag: int) -> None:
        if self._state in (State.SHUTDOWN_SENT, State.SHUTDOWN_ACK_SENT):
            self._assembler.add(serialize_chunk(ChunkType.SHUTDOWN_COMPLETE))
            self._terminate(None)

    def _receive_shutdown_complete(self, chunk: RawChunk, now: float, tag: int) -> None:
        if self._is_ending_allowed(chunk, tag):
            self._terminate(None)

    # Timers.

    def _on_t1(self) -> None:
        if self._t1.expirations > self._config.max_init_retransmits:
            self._terminate(RemoteProtocolError("the peer does not answer the handshake"))
            return
        tag = self._peer.initiate_tag if self._peer is not None else 0
        self._assembler.add_packet(tag, self._t1_chunk)

    def _on_t2(self) -> None:
        assert self._inbound is not None
        if self._t2.expirations > self._config.association_max_retransmits:
            self._fail(RemoteProtocolError("the peer does not answer the shutdown"))
        elif self._state is State.SHUTDOWN_SENT:
            self._send_shutdown()
        else:
            self._assembler.add(serialize_chunk(ChunkType.SHUTDOWN_ACK))

    def _on_heartbeat_timer(self, now: float) -> None:
        """Probe an idle path; an unanswered probe is an error and brings the next one sooner."""
        if self._heartbeat_nonce is not None:
            self._heartbeat_errors += 1
            self._rto.back_off()
        self._heartbeat_nonce = self._rng.randbytes(_HEARTBEAT_NONCE_BYTES)
        self._heartbeat_sent_at = now
        information = serialize_parameters([Parameter(_HEARTBEAT_INFO, self._heartbeat_nonce)])
        self._assembler.add(serialize_chunk(ChunkType.HEARTBEAT, information))
        self._heartbeat_at = now + self._rto.value

    # Parts.

    def _make_rto(self) -> RetransmissionTimeout:
        return RetransmissionTimeout(
            initial=self._config.rto_initial,
            minimum=self._config.rto_min,
            maximum=self._config.rto_max,
        )

    def _start_init(self, now: float) -> None:
        self._set_state(State.COOKIE_WAIT)
        self._t1_chunk = self._handshake.make_init()
        self._start_t1(now)
        self._assembler.add_packet(0, self._t1_chunk)

    def _start_t1(self, now: float) -> None:
        self._t1.start(now, self._config.t1_timeout)
        self._t1_started_at = now

    def _measure_handshake(self, now: float) -> None:
        """Take the answer to an INIT or COOKIE ECHO that was sent once for a round trip."""
        if self._t1.expirations == 0:
            self._rto.observe(now - self._t1_started_at)

    def _establish(self, peer: PeerParameters, now: float, *, is_restart: bool) -> None:
        self._t1.stop()
        self._t2.stop()
        self._peer = peer
        self._assembler.verification_tag = peer.initiate_tag
        self._assembler.zero_checksum = self._config.zero_checksum and peer.zero_checksum
        initial_tsn = self._handshake.initial_tsn
        self._inbound = InboundData(config=self._config, initial_tsn=peer.initial_tsn)
        self._outbound = OutboundData(
            config=self._config,
            queue=self._queue,
            rto=self._rto,
            initial_tsn=initial_tsn,
            peer=peer,
        )
        self._resetter = StreamResetter(
            config=self._config, rto=self._rto, initial_tsn=initial_tsn, peer=peer
        )
        self._heartbeat_nonce = None
        self._heartbeat_errors = 0
        self._heartbeat_at = now + self._config.heartbeat_interval
        self._set_state(State.ESTABLISHED)
        event = AssociationRestarted if is_restart else AssociationEstablished
        for stream_id in self._queue.stream_ids():
            if stream_id >= self.outbound_streams:
                self._queue.discard(stream_id)
        self._events.append(
            event(
                outbound_streams=self.outbound_streams,
                inbound_streams=self._resetter.inbound_streams,
            )
        )

    def _flush(self, now: float) -> None:
        """Hand to the assembler all that is to be sent now."""
        inbound, outbound, resetter = self._inbound, self._outbound, self._resetter
        if inbound is None or outbound is None or resetter is None:
            return
        chunks = outbound.transmit(now) if self._state in TRANSMITTING else []
        if inbound.is_sack_due or (chunks and inbound.sack_deadline is not None):
            if self._state is State.SHUTDOWN_SENT:
                self._send_shutdown()
            self._assembler.add(inbound.take_sack())
        for answer in resetter.progress(inbound.cumulative_tsn):
            self._assembler.add(answer)
        for chunk in chunks:
            self._assembler.add(chunk)
        if chunks and self._heartbeat_nonce is None:
            self._heartbeat_at = now + self._config.heartbeat_interval
        if self._state in TRANSMITTING:
            request = resetter.take_request(
                now,
                has_unsent=self._queue.has_unsent,
                last_assigned_tsn=outbound.last_assigned_tsn,
            )
            if request is not None:
                outbound.forget_streams(resetter.requested_stream_ids)
                self._assembler.add(request)
        self._collect_reset_events()
        if self._state is State.SHUTDOWN_PENDING and outbound.is_drained:
            self._set_state(State.SHUTDOWN_SENT)
            self._send_shutdown()
            self._t2.start(now, self._rto.value)
        elif self._state is State.SHUTDOWN_RECEIVED and outbound.is_drained:
            self._send_shutdown_ack(now)

    def _collect_reset_events(self) -> None:
        """Move sequence numbers as the resetter decided, and report it."""
        assert self._resetter is not None
        assert self._inbound is not None
        for event in self._resetter.take_events():
            if isinstance(event, IncomingStreamsReset):
                self._events.extend(self._inbound.reset_streams(event.stream_ids))
            elif isinstance(event, OutgoingStreamsReset):
                for stream_id in event.stream_ids:
                    self._queue.resume(stream_id, reset=True)
            elif isinstance(event, StreamResetFailed):
                for stream_id in event.stream_ids:
                    self._queue.resume(stream_id, reset=False)
            self._events.append(event)

    def _send_shutdown(self) -> None:
        assert self._inbound is not None
        value = serialize_shutdown(self._inbound.cumulative_tsn & TSN_MASK)
        self._assembler.add(serialize_chunk(ChunkType.SHUTDOWN, value))

    def _send_shutdown_ack(self, now: float) -> None:
        self._set_state(State.SHUTDOWN_ACK_SENT)
        self._assembler.add(serialize_chunk(ChunkType.SHUTDOWN_ACK))
        self._t2.start(now, self._rto.value)

    def _send_error(self, cause: int, information: bytes) -> None:
        value = serialize_causes([(cause, information)])
        self._assembler.add(serialize_chunk(ChunkType.ERROR, value))

    def _send_abort(self, causes: list[tuple[int, bytes]]) -> None:
        if self._peer is not None:
            self._assembler.discard()
            self._assembler.add(serialize_chunk(ChunkType.ABORT, serialize_causes(causes)))

    def _fail(self, error: RemoteProtocolError) -> None:
        """End the association because of what the peer did or did not do."""
        if error.cause is None:
            self._send_abort([])
        else:
            self._send_abort([(error.cause, b"")])
        self._terminate(error)

    def _terminate(self, error: ProtocolError | None) -> None:
        """Enter the last state, let go of all memory and report."""
        self._set_state(State.TERMINATED)
        self._t1.stop()
        self._t2.stop()
        self._heartbeat_at = None
        self._inbound = self._outbound = self._resetter = None
        self._queue = SendQueue()
        self._events.append(AssociationClosed(error=error))

    def _set_state(self, state: State) -> None:
        assert state is State.TERMINATED or state in TRANSITIONS[self._state], (self._state, state)
        self._state = state


_Handler = Callable[[Association, RawChunk, float, int], None]

_HANDLERS: dict[int, _Handler] = {
    ChunkType.DATA: Association._receive_data,
    ChunkType.INIT: Association._receive_init,
    ChunkType.INIT_ACK: Association._receive_init_ack,
    ChunkType.SACK: Association._receive_sack,
    ChunkType.HEARTBEAT: Association._receive_heartbeat,
    ChunkType.HEARTBEAT_ACK: Association._receive_heartbeat_ack,
    ChunkType.ABORT: Association._receive_abort,
    ChunkType.SHUTDOWN: Association._receive_shutdown,
    ChunkType.SHUTDOWN_ACK: Association._receive_shutdown_ack,
    ChunkType.ERROR: Association._receive_error,
    ChunkType.COOKIE_ECHO: Association._receive_cookie_echo,
    ChunkType.COOKIE_ACK: Association._receive_cookie_ack,
    ChunkType.SHUTDOWN_COMPLETE: Association._receive_shutdown_complete,
    ChunkType.RE_CONFIG: Association._receive_reconfig,
    ChunkType.FORWARD_TSN: Association._receive_forward_tsn,
}
