"""
One DTLS connection: records in and out, flights, alerts, and the fingerprint that decides.

How a datagram travels: records are cut out of it and opened (``record_layer.py``); handshake
records are put together to messages (``fragments.py``) and handed to the state machine of the role
(``server_12.py``, ``client_12.py``), whose effects say what to send and which keys to use; its
flights are sent again until they are answered (``flight.py``).

    HANDSHAKING --> WAITING_FOR_FINGERPRINTS --> CONNECTED --> CLOSED
        |                                            ^           ^
        +--------------------------------------------+           |
        +------------ an alert, a timeout, close() --------------+  (from every state)
"""

import random
from collections import deque
from collections.abc import Sequence
from enum import Enum, auto

from ..errors import LocalProtocolError, ProtocolError, RemoteProtocolError, WireFormatError
from ..srtp import split_keying_material
from .alert import Alert, AlertLevel, AlertMessage, parse_alert
from .certificate import Fingerprint, matches_fingerprints
from .client_12 import ClientHandshake12
from .config import DtlsConfig
from .effects import (
    CheckPeerCertificate,
    Effect,
    FinishHandshake,
    Handshake,
    InstallReadProtection,
    InstallWriteProtection,
    SendFlight,
    Session,
)
from .events import ApplicationData, Closed, DtlsEvent, HandshakeCompleted
from .flight import FlightTransmitter, pack_flight
from .fragments import HandshakeFragment, Reassembler, parse_fragments
from .handshake import HandshakeType
from .record import DTLS_1_2, MAX_PLAINTEXT_LENGTH, ContentType, Record, parse_record
from .record_layer import DtlsCounters, RecordLayer
from .server_12 import ServerHandshake12

EXPORTER_LABEL_DTLS_SRTP = b"EXTRACTOR-dtls_srtp"
"""RFC 5764 section 4.2."""

MAX_EARLY_RECORDS = 8
"""
How many records of the next epoch, and how many pieces of application data, are kept while the
handshake is not done: what overtook it, or came while the fingerprints are awaited.
"""


class DtlsState(Enum):
    """Where a connection is."""

    HANDSHAKING = auto()
    WAITING_FOR_FINGERPRINTS = auto()
    """The handshake is done, but nobody has said yet whose certificate to expect."""
    CONNECTED = auto()
    CLOSED = auto()


TRANSITIONS = {
    (DtlsState.HANDSHAKING, DtlsState.WAITING_FOR_FINGERPRINTS),
    (DtlsState.HANDSHAKING, DtlsState.CONNECTED),
    (DtlsState.WAITING_FOR_FINGERPRINTS, DtlsState.CONNECTED),
    (DtlsState.HANDSHAKING, DtlsState.CLOSED),
    (DtlsState.WAITING_FOR_FINGERPRINTS, DtlsState.CLOSED),
    (DtlsState.CONNECTED, DtlsState.CLOSED),
}


class DtlsConnection:
    """
    One end of a DTLS association; a :class:`~router.core.DatagramCore`.

    A client sends its ClientHello at once, so make it when there is a path; a server waits. Feed
    a server only datagrams from an address that ICE has validated, or set ``cookie_exchange``.

    :param rng: Source of the hello random and of cookies; SystemRandom in service.
    :param now: Monotonic seconds.
    """

    def __init__(
        self, config: DtlsConfig, *, is_client: bool, rng: random.Random, now: float
    ) -> None:
        self.counters = DtlsCounters()
        self._config = config
        self._is_client = is_client
        self._state = DtlsState.HANDSHAKING
        self._events: deque[DtlsEvent] = deque()
        self._datagrams: list[bytes] = []

        self._records = RecordLayer(self.counters)
        self._flight = FlightTransmitter(
            initial_interval=config.initial_retransmission_interval,
            maximum_interval=config.maximum_retransmission_interval,
        )
        self._reassembler = Reassembler(
            max_message_length=config.max_handshake_message_length,
            max_messages=config.max_buffered_messages,
        )
        # Where the peer's flight ends that our flight answers: epoch and message_seq.
        self._answered: tuple[int, int] | None = None
        self._answered_flight_end: tuple[int, int] | None = None
        self._change_cipher_spec_received = False
        self._pending_read: InstallReadProtection | None = None
        self._early_records: list[Record] = []
        self._early_data: list[bytes] = []
        self._handshake_expires_at: float | None = None
        self._unauthenticated_alert: str | None = None

        self._remote_fingerprints = config.remote_fingerprints
        self._peer_certificate: bytes | None = None
        self._finished: FinishHandshake | None = None

        self._handshake: Handshake | None
        if is_client:
            self._handshake = ClientHandshake12(config, rng)
            self._handshake_expires_at = now + config.handshake_timeout
        else:
            self._handshake = ServerHandshake12(config, rng)
        self._apply(self._handshake.start(), now)

    # What the caller sees and does.

    @property
    def is_client(self) -> bool:
        """Whether this end said hello first."""
        return self._is_client

    @property
    def state(self) -> DtlsState:
        """Where the connection is."""
        return self._state

    @property
    def max_application_data_length(self) -> int:
        """How much data fits into a datagram of the configured MTU, in bytes."""
        return self._config.mtu - self._records.overhead(self._records.write_epoch)

    def set_remote_fingerprints(self, fingerprints: Sequence[Fingerprint]) -> None:
        """
        Say what the peer's certificate must match, when the description that tells has come.

        They replace earlier ones. A certificate that has been seen is checked at once, and so is
        one that is in use: if it does not match any more, the connection closes.

        :param fingerprints: At least one.
        """
        if not fingerprints:
            raise LocalProtocolError("at least one fingerprint is needed")
        if self._state is DtlsState.CLOSED:
            return
        self._remote_fingerprints = tuple(fingerprints)
        try:
            self._check_peer_certificate()
        except RemoteProtocolError as error:
            self._fail(error)
            return
        if self._state is DtlsState.WAITING_FOR_FINGERPRINTS:
            self._connect()

    def send_application_data(self, data: bytes) -> None:
        """
        Send ``data`` in one record and one datagram.

        :param data: At most 16384 bytes; the caller keeps to the path's MTU, see
            ``max_application_data_length``.
        :raises LocalProtocolError: if it is longer, or the connection is not connected.
        """
        if self._state is not DtlsState.CONNECTED:
            raise LocalProtocolError(f"application data in {self._state.name}")
        if len(data) > MAX_PLAINTEXT_LENGTH:
            raise LocalProtocolError(f"application data of {len(data)} bytes")
        self._datagrams.append(
            self._records.seal(ContentType.APPLICATION_DATA, data, self._records.write_epoch)
        )

    def export_keying_material(
        self, label: bytes, length: int, context: bytes | None = None
    ) -> bytes:
        """
        Return keying material for another protocol (RFC 5705 section 4).

        :raises LocalProtocolError: unless the connection is connected.
        """
        if self._state is not DtlsState.CONNECTED:
            raise LocalProtocolError(f"export in {self._state.name}")
        return self._session().export(label, length, context)

    def close(self) -> None:
        """Say close_notify and close; a second call does nothing."""
        if self._state is not DtlsState.CLOSED:
            self._send_alert(AlertLevel.WARNING, Alert.CLOSE_NOTIFY)
            self._close(None)

    def receive_datagram(self, data: bytes, now: float) -> None:
        """Take one datagram from the peer."""
        offset = 0
        while offset < len(data) and self._state is not DtlsState.CLOSED:
            try:
                record, offset = parse_record(data, offset)
            except WireFormatError:
                # Where one record does not end, the next cannot begin.
                self.counters.invalid_records += 1
                return
            try:
                self._receive_record(record, now)
            except RemoteProtocolError as error:
                self._fail(error)
            except WireFormatError as error:
                self._fail(RemoteProtocolError(str(error), cause=Alert.DECODE_ERROR))

    def handle_timer(self, now: float) -> None:
        """Act on all timers that are due; an early or repeated call changes nothing."""
        if self._handshake_expires_at is not None and now >= self._handshake_expires_at:
            reason = f"handshake did not end within {self._config.handshake_timeout:g} s"
            if self._unauthenticated_alert is not None:
                reason += f"; peer sent alert {self._unauthenticated_alert} in the clear"
            self._close(RemoteProtocolError(reason))
        elif self._flight.handle_timer(now):
            self._transmit_flight_again()

    def next_timer(self) -> float | None:
        """Return the absolute time of the next timer, or None when nothing is pending."""
        timers = (self._flight.next_timer(), self._handshake_expires_at)
        return min((timer for timer in timers if timer is not None), default=None)

    def datagrams_to_send(self) -> list[bytes]:
        """Return the datagrams to send, in order, and forget them."""
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

    def next_event(self) -> DtlsEvent | None:
        """Return the next event and forget it, or None when there is none."""
        return self._events.popleft() if self._events else None

    # What comes in.

    def _receive_record(self, record: Record, now: float) -> None:
        if record.epoch > self._records.read_epoch:
            self._keep_early_record(record)
            return
        if record.epoch > 0 and record.version != DTLS_1_2:
            self.counters.invalid_records += 1
            return
        plaintext = self._records.open(record)
        if plaintext is None:
            return
        if record.content_type == ContentType.HANDSHAKE:
            self._receive_handshake_record(plaintext, record.epoch, now)
        elif record.content_type == ContentType.CHANGE_CIPHER_SPEC:
            self._receive_change_cipher_spec(plaintext, record.epoch, now)
        elif record.content_type == ContentType.ALERT:
            self._receive_alert(plaintext, record.epoch)
        elif record.content_type == ContentType.APPLICATION_DATA:
            self._receive_application_data(plaintext, record.epoch)
        else:
            self.counters.invalid_records += 1

    def _keep_early_record(self, record: Record) -> None:
        """Keep a record that overtook what makes the keys for it, or drop it."""
        if (
            self._state is DtlsState.HANDSHAKING
            and record.epoch == self._records.read_epoch + 1
            and len(self._early_records) < MAX_EARLY_RECORDS
        ):
            self._early_records.append(record)
        else:
            self.counters.unexpected_records += 1

    def _receive_change_cipher_spec(self, plaintext: bytes, epoch: int, now: float) -> None:
        if epoch != 0 or plaintext != b"\x01":
            self.counters.invalid_records += 1
            return
        self._change_cipher_spec_received = True
        self._begin_pending_read_epoch(now)

    def _begin_pending_read_epoch(self, now: float) -> None:
        """Begin to read an epoch when both its keys are known and its beginning was announced."""
        pending = self._pending_read
        if pending is None or (
            pending.after_change_cipher_spec and not self._change_cipher_spec_received
        ):
            return
        self._pending_read = None
        self._records.install_read(pending.epoch, pending.protection)
        early, self._early_records = self._early_records, []
        for record in early:
            if self._state is not DtlsState.CLOSED:
                self._receive_record(record, now)

    def _receive_alert(self, plaintext: bytes, epoch: int) -> None:
        try:
            alert = parse_alert(plaintext)
        except WireFormatError:
            self.counters.invalid_records += 1
            return
        if epoch == 0:
            # RFC 6347 section 4.1.2.7 warns of closing on what anybody could have sent.
            self.counters.unauthenticated_alerts += 1
            self._unauthenticated_alert = alert.name
        elif alert.description == Alert.CLOSE_NOTIFY:
            # RFC 5246 section 7.2.1: answer in kind, and drop what is not sent yet.
            self.close()
        elif alert.level == AlertLevel.FATAL:
            self._close(
                RemoteProtocolError(f"peer sent alert {alert.name}", cause=alert.description)
            )

    def _receive_application_data(self, plaintext: bytes, epoch: int) -> None:
        if epoch == 0:
            self.counters.unexpected_records += 1
        elif not plaintext:
            # RFC 5246 section 6.2.1: an empty fragment only hides how much is being said.
            return
        elif self._state is DtlsState.CONNECTED:
            self._events.append(ApplicationData(plaintext))
        elif len(self._early_data) < MAX_EARLY_RECORDS:
            # It overtook the peer's Finished, or the fingerprints are still to come.
            self._early_data.append(plaintext)
        else:
            self.counters.unexpected_records += 1

    def _receive_handshake_record(self, plaintext: bytes, epoch: int, now: float) -> None:
        try:
            fragments = parse_fragments(plaintext)
        except WireFormatError:
            self.counters.invalid_records += 1
            return
        for fragment in fragments:
            self._receive_fragment(fragment, epoch, now)
        while self._handshake is not None and self._state is not DtlsState.CLOSED:
            message = self._reassembler.next_message()
            if message is None:
                return
            if self._handshake_expires_at is None:
                self._handshake_expires_at = now + self._config.handshake_timeout
            self._answered = (message.epoch, message.message_seq)
            self._apply(self._handshake.handle_message(message), now)

    def _receive_fragment(self, fragment: HandshakeFragment, epoch: int, now: float) -> None:
        if self._finished is not None:
            self._receive_late_fragment(fragment, epoch, now)
        elif fragment.message_seq < self._reassembler.next_message_seq:
            self._notice_repeated_flight(fragment, epoch, now)
        elif not self._reassembler.add(fragment, epoch):
            self.counters.refused_fragments += 1

    def _receive_late_fragment(self, fragment: HandshakeFragment, epoch: int, now: float) -> None:
        """Act on a handshake fragment that came after the end of the handshake."""
        renegotiates = fragment.message_type == (
            HandshakeType.HELLO_REQUEST if self._is_client else HandshakeType.CLIENT_HELLO
        )
        if epoch == 0 or not renegotiates:
            # A ClientHello in epoch 0 is a peer that began anew on this association, or a forgery;
            # which of the two cannot be told, so the association stays.
            self._notice_repeated_flight(fragment, epoch, now)
        elif fragment.offset == 0:
            # RFC 5246 sections 7.2.2 and 7.4.1.1: to decline, once for each request.
            self._send_alert(AlertLevel.WARNING, Alert.NO_RENEGOTIATION)

    def _notice_repeated_flight(self, fragment: HandshakeFragment, epoch: int, now: float) -> None:
        """Send our flight again if the peer has repeated the end of the one before."""
        if (
            fragment.ends_message
            and (epoch, fragment.message_seq) == self._answered_flight_end
            and self._flight.handle_repeated_flight(now)
        ):
            self._transmit_flight_again()

    # What the handshake asks for.

    def _apply(self, effects: Sequence[Effect], now: float) -> None:
        for effect in effects:
            if isinstance(effect, SendFlight):
                self._flight.start(effect.items, now, retransmit=effect.retransmit)
                self._answered_flight_end = self._answered
                self._transmit_flight()
            elif isinstance(effect, InstallWriteProtection):
                self._records.install_write(effect.epoch, effect.protection)
            elif isinstance(effect, InstallReadProtection):
                self._pending_read = effect
            elif isinstance(effect, CheckPeerCertificate):
                self._peer_certificate = effect.der
                self._check_peer_certificate()
            elif isinstance(effect, FinishHandshake):
                self._finish_handshake(effect)
        self._begin_pending_read_epoch(now)

    def _transmit_flight(self) -> None:
        mtu = self._flight.mtu(self._config.mtu)
        self._datagrams += pack_flight(self._flight.items, self._records, mtu)

    def _transmit_flight_again(self) -> None:
        self.counters.retransmitted_flights += 1
        self._transmit_flight()

    def _check_peer_certificate(self) -> None:
        if (
            self._peer_certificate is not None
            and self._remote_fingerprints is not None
            and not matches_fingerprints(self._peer_certificate, self._remote_fingerprints)
        ):
            raise RemoteProtocolError(
                "certificate does not match the fingerprint", cause=Alert.BAD_CERTIFICATE
            )

    def _finish_handshake(self, finished: FinishHandshake) -> None:
        self._finished = finished
        self._handshake = None
        self._reassembler.clear()
        # The last flight is the server's; the client's was answered by it.
        self._flight.stop(forget=self._is_client)
        if self._remote_fingerprints is None:
            self._set_state(DtlsState.WAITING_FOR_FINGERPRINTS)
        else:
            self._connect()

    def _session(self) -> Session:
        assert self._finished is not None
        return self._finished.session

    def _connect(self) -> None:
        """Hand out the keys, and the data that had to wait; the certificate has been checked."""
        assert self._finished is not None
        assert self._remote_fingerprints is not None
        # A client that a server did not ask for a certificate cannot get here without having seen
        # the server's, nor a server without the client's, which it insists on.
        assert self._peer_certificate is not None
        self._set_state(DtlsState.CONNECTED)
        self._handshake_expires_at = None
        self._events.append(self._handshake_completed(self._finished, self._peer_certificate))
        early, self._early_data = self._early_data, []
        self._events.extend(ApplicationData(data) for data in early)

    def _handshake_completed(
        self, finished: FinishHandshake, peer_certificate: bytes
    ) -> HandshakeCompleted:
        client_key = server_key = client_salt = server_salt = b""
        profile = finished.srtp_profile
        if profile is not None:
            material = split_keying_material(
                profile,
                finished.session.export(EXPORTER_LABEL_DTLS_SRTP, profile.keying_material_length),
            )
            client_key, client_salt = material.client_key, material.client_salt
            server_key, server_salt = material.server_key, material.server_salt
        local = (client_key, client_salt) if self._is_client else (server_key, server_salt)
        remote = (server_key, server_salt) if self._is_client else (client_key, client_salt)
        return HandshakeCompleted(
            srtp_profile=profile,
            local_key=local[0],
            local_salt=local[1],
            remote_key=remote[0],
            remote_salt=remote[1],
            cipher_suite=finished.session.cipher_suite,
            group=finished.group,
            peer_certificate=peer_certificate,
        )

    # The end.

    def _send_alert(self, level: AlertLevel, description: Alert) -> None:
        alert = AlertMessage(level, description)
        self._datagrams.append(
            self._records.seal(ContentType.ALERT, alert.serialize(), self._records.write_epoch)
        )

    def _fail(self, error: RemoteProtocolError) -> None:
        """Tell the peer what it did wrong, and close."""
        assert error.cause is not None
        self._send_alert(AlertLevel.FATAL, Alert(error.cause))
        self._close(error)

    def _close(self, error: ProtocolError | None) -> None:
        self._set_state(DtlsState.CLOSED)
        self._flight.stop(forget=True)
        self._handshake_expires_at = None
        self._handshake = None
        self._reassembler.clear()
        self._early_records.clear()
        self._early_data.clear()
        self._events.append(Closed(error))

    def _set_state(self, state: DtlsState) -> None:
        assert (self._state, state) in TRANSITIONS
        self._state = state
