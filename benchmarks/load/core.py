"""
A WebRTC client without I/O: ICE, DTLS, SRTP, RTP, RTCP and data channels of one connection.

It offers like Chromium, checks like a full agent, publishes synthetic media and watches what it
receives. Datagrams and time go in, datagrams and events come out, as with the cores it is made of.
"""

import random
from collections import Counter, deque
from dataclasses import dataclass, field

from router.datachannel import (
    DataChannelConfig,
    DataChannelEvent,
    DataChannelTransport,
    DtlsRole,
)
from router.dtls import (
    ApplicationData,
    Certificate,
    Closed,
    DtlsConfig,
    DtlsConnection,
    HandshakeCompleted,
    parse_fingerprint,
)
from router.errors import LocalProtocolError, RemoteProtocolError, WireFormatError
from router.ice import IceAgent, IceConfig, IceCredentials, IceState, StateChanged, parse_candidate
from router.net import Address, DatagramKind, datagram_kind
from router.srtp import AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80, SrtpProfile

from .description import ClientDescriptions, Section, ServerTransport
from .media import ClientMedia
from .srtp import SrtpTransport
from .synthetic import Encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """What a client is like."""

    certificate: Certificate
    """May be shared by many clients: making one costs more than all the rest."""
    video_codecs: tuple[str, ...] = ("VP8", "VP9", "H264", "AV1")
    """Offered, preferred first."""
    srtp_profiles: tuple[SrtpProfile, ...] = (AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80)
    receives: bool = True
    """False for a WHIP publisher, which offers ``sendonly``."""
    via: Address | None = None
    """Reach the server here instead of at its candidates: a relay's address."""
    ice: IceConfig = field(default_factory=IceConfig)


@dataclass(frozen=True, slots=True)
class Connected:
    """Media can flow."""


@dataclass(frozen=True, slots=True)
class IceChanged:
    """ICE has another state."""

    state: IceState


@dataclass(frozen=True, slots=True)
class Failed:
    """DTLS is over."""

    reason: str


ClientEvent = Connected | IceChanged | Failed | DataChannelEvent


class ClientCore:
    """
    See the module.

    :param local: Address of the client's socket.
    """

    def __init__(
        self, config: ClientConfig, *, local: Address, rng: random.Random, now: float
    ) -> None:
        self._config = config
        self._local = local
        self._rng = rng
        self._events: deque[ClientEvent] = deque()
        self._outgoing: list[tuple[bytes, Address]] = []
        self._cname = rng.randbytes(8).hex()
        self.descriptions = ClientDescriptions(
            fingerprint=str(config.certificate.fingerprint()),
            cname=self._cname,
            session_id=rng.getrandbits(62),
            video_codecs=config.video_codecs,
            receives=config.receives,
        )
        self.ice = IceAgent(is_controlling=True, rng=rng, config=config.ice)
        self.ice.add_local_address(local, now)
        self.media = ClientMedia(cname=self._cname, rng=rng)
        self.dtls: DtlsConnection | None = None
        self.srtp: SrtpTransport | None = None
        self.channels: DataChannelTransport | None = None
        self.media_is_elsewhere = False
        """Set when somebody else sends and receives RTP and RTCP by this connection."""
        self.received: Counter[DatagramKind | None] = Counter()
        """Datagrams by kind."""
        self._server: ServerTransport | None = None
        self._control_at: float | None = None
        self._wall_clock_offset = 0.0

    # Publishing; the next offer says it.

    def publish(self, encoder: Encoder, track_id: str, now: float) -> Section:
        """Send what an encoder makes as a track."""
        kind = "video" if encoder.clock_rate == 90_000 else "audio"
        section = self.descriptions.section_to_send(kind)
        section.track_id = track_id
        if not section.ssrc:
            section.ssrc = self._rng.randrange(1, 1 << 32)
            section.rtx_ssrc = self._rng.randrange(1, 1 << 32) if kind == "video" else 0
        self.media.add(section, encoder, now)
        return section

    def unpublish(self, section: Section) -> None:
        """Stop sending; the section can be used again."""
        section.track_id = ""
        self.media.stop(section)

    def add_section(self, kind: str) -> None:
        """Offer to receive one more track, or data channels with ``application``."""
        self.descriptions.add_section(kind)

    # Descriptions.

    def create_offer(self) -> str:
        """Return an offer."""
        credentials = self.ice.local_credentials
        return self.descriptions.create_offer(
            ufrag=credentials.username_fragment, pwd=credentials.password
        )

    def receive_answer(self, sdp: str, now: float) -> None:
        """Apply the answer. :raises RemoteProtocolError: when a browser would refuse it."""
        self._negotiated(self.descriptions.receive_answer(sdp), now)

    def receive_offer(self, sdp: str, now: float) -> str:
        """Return the answer. :raises RemoteProtocolError: when a browser would refuse the offer."""
        transport = self.descriptions.receive_offer(sdp)
        credentials = self.ice.local_credentials
        answer = self.descriptions.create_answer(
            ufrag=credentials.username_fragment, pwd=credentials.password
        )
        self._negotiated(transport, now)
        return answer

    def rollback(self) -> None:
        """Forget the pending offer."""
        self.descriptions.rollback()

    def restart_ice(self, now: float) -> None:
        """Take new credentials; an offer has to follow."""
        self.ice.restart(now)
        self._drain(now)

    # Data.

    def open_channel(
        self,
        label: str,
        now: float,
        *,
        ordered: bool = True,
        max_retransmits: int | None = None,
    ) -> int:
        """
        Open a data channel and return its id.

        :raises LocalProtocolError: before the connection is up with data channels negotiated.
        """
        if self.channels is None:
            raise LocalProtocolError("there are no data channels yet")
        channel_id = self.channels.open_channel(
            label=label, now=now, ordered=ordered, max_retransmits=max_retransmits
        )
        self._drain(now)
        return channel_id

    def send(self, channel_id: int, data: str | bytes, now: float) -> None:
        """Send a message."""
        if self.channels is None:
            raise LocalProtocolError("there are no data channels yet")
        self.channels.send(channel_id, data, now)
        self._drain(now)

    def close_channel(self, channel_id: int, now: float) -> None:
        """Close a channel."""
        if self.channels is not None:
            self.channels.close_channel(channel_id, now)
            self._drain(now)

    def close(self, now: float) -> None:
        """Say BYE and close_notify; what is to be sent still is."""
        if self.srtp is not None:
            goodbye = self.media.goodbye()
            if goodbye:
                self._send(self.srtp.protect_rtcp(goodbye))
        if self.dtls is not None:
            self.dtls.close()
        self._drain(now)

    # The surface of a core.

    def receive_datagram(self, data: bytes, source: Address, now: float) -> None:
        """Take one datagram."""
        kind = datagram_kind(data)
        self.received[kind] += 1
        if kind is DatagramKind.RTP:
            if self.srtp is not None and (packet := self.srtp.unprotect(data)) is not None:
                self.media.receive_rtp(packet, now)
                self._send_media()
        elif kind is DatagramKind.RTCP:
            if self.srtp is not None and (packet := self.srtp.unprotect_rtcp(data)) is not None:
                self.media.receive_rtcp(packet, now)
                self._send_media()
        elif kind is DatagramKind.STUN:
            self.ice.receive_datagram(data, source=source, destination=self._local, now=now)
            self._drain(now)
        elif kind is DatagramKind.DTLS and self.dtls is not None:
            self.dtls.receive_datagram(data, now)
            self._drain(now)

    def handle_timer(self, now: float) -> None:
        """Act on all timers that are due."""
        if self._control_at is not None and self._control_at <= now:
            self.ice.handle_timer(now)
            if self.dtls is not None:
                self.dtls.handle_timer(now)
            if self.channels is not None:
                self.channels.handle_timer(now)
            self._drain(now)
        if self._sends_media:
            self.media.handle_timer(now, now + self._wall_clock_offset)
            self._send_media()

    def next_timer(self) -> float | None:
        """Return when the next timer is due, or None."""
        media_at = None
        if self._sends_media:
            media_at = self.media.next_timer()
        if self._control_at is None or (media_at is not None and media_at < self._control_at):
            return media_at
        return self._control_at

    @property
    def _sends_media(self) -> bool:
        is_up = self.srtp is not None and self.ice.selected_path is not None
        return is_up and not self.media_is_elsewhere

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return datagrams with their destinations and forget them."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def next_event(self) -> ClientEvent | None:
        """Return the next event and forget it, or None."""
        return self._events.popleft() if self._events else None

    def consent_credentials(self) -> tuple[bytes, bytes]:
        """Return USERNAME and key of a binding request. :raises LocalProtocolError: too early."""
        if self._server is None:
            raise LocalProtocolError("the server has not answered yet")
        username = f"{self._server.ufrag}:{self.ice.local_credentials.username_fragment}"
        return username.encode(), self._server.pwd.encode()

    def set_wall_clock(self, wall_time: float, now: float) -> None:
        """Say what time it is, for sender reports."""
        self._wall_clock_offset = wall_time - now

    # Inside: what a completed exchange changes.

    def _negotiated(self, server: ServerTransport, now: float) -> None:
        previous, self._server = self._server, server
        credentials = IceCredentials(username_fragment=server.ufrag, password=server.pwd)
        try:
            self.ice.set_remote_credentials(credentials, now, is_lite=server.is_lite)
        except LocalProtocolError:
            raise RemoteProtocolError("the server changed its ICE credentials unasked") from None
        for text in self._candidates(server):
            self.ice.add_remote_candidate(parse_candidate(text), now)
        self.ice.end_of_remote_candidates(now)
        if previous is not None and previous.fingerprints != server.fingerprints:
            self._drop_association()
        self.media.configure(self.descriptions)
        self._drain(now)

    def _candidates(self, server: ServerTransport) -> list[str]:
        via = self._config.via
        if via is not None:
            return [f"candidate:1 1 udp 2130706431 {via.host} {via.port} typ host"]
        # A socket that is bound to loopback reaches nothing else.
        return [
            text
            for text in server.candidates
            if not _is_loopback(self._local.host) or _is_loopback(parse_candidate(text).host)
        ]

    def _drop_association(self) -> None:
        self.dtls = self.srtp = self.channels = None

    # Inside: moving what each layer has for the other.

    def _drain(self, now: float) -> None:
        """Until nothing moves; then find the next timer of all but media."""
        while (ice_event := self.ice.next_event()) is not None:
            if isinstance(ice_event, StateChanged):
                self._events.append(IceChanged(ice_event.state))
        if self.dtls is None and self._server is not None and self.ice.selected_path is not None:
            self._start_dtls(self._server, now)
        if self.dtls is not None:
            self._drain_dtls(self.dtls, now)
        for data, _, remote in self.ice.datagrams_to_send():
            self._outgoing.append((data, remote))
        cores = (self.ice, self.dtls, self.channels)
        due = [core.next_timer() for core in cores if core is not None]
        self._control_at = min((at for at in due if at is not None), default=None)

    def _start_dtls(self, server: ServerTransport, now: float) -> None:
        fingerprints = []
        for text in server.fingerprints:
            try:
                fingerprints.append(parse_fingerprint(text))
            except WireFormatError:
                continue
        self.dtls = DtlsConnection(
            DtlsConfig(
                certificate=self._config.certificate,
                remote_fingerprints=tuple(fingerprints),
                srtp_profiles=self._config.srtp_profiles,
            ),
            is_client=not server.is_dtls_client,
            rng=self._rng,
            now=now,
        )

    def _drain_dtls(self, dtls: DtlsConnection, now: float) -> None:
        while (event := dtls.next_event()) is not None:
            match event:
                case HandshakeCompleted():
                    self.srtp = SrtpTransport(event)
                    self._events.append(Connected())
                case ApplicationData(data):
                    if self.channels is not None:
                        self.channels.receive_datagram(data, now)
                case Closed(error):
                    self._events.append(Failed(str(error) if error else "closed"))
                    self._drop_association()
        if self.srtp is not None and self.channels is None:
            self._start_channels(dtls, now)
        if self.channels is not None and self.srtp is not None:
            while (channel_event := self.channels.next_event()) is not None:
                self._events.append(channel_event)
            for packet in self.channels.datagrams_to_send():
                dtls.send_application_data(packet)
        for datagram in dtls.datagrams_to_send():
            self._send(datagram)

    def _start_channels(self, dtls: DtlsConnection, now: float) -> None:
        server = self._server
        if server is None or server.sctp_port is None:
            return
        self.channels = DataChannelTransport(
            config=DataChannelConfig(
                remote_port=server.sctp_port, remote_max_message_size=server.max_message_size
            ),
            role=DtlsRole.CLIENT if dtls.is_client else DtlsRole.SERVER,
            rng=self._rng,
            now=now,
        )
        self.channels.connect(now)

    def _send_media(self) -> None:
        if self.srtp is None:
            return
        for packet in self.media.rtp_to_send():
            self._send(self.srtp.protect(packet))
        for packet in self.media.rtcp_to_send():
            self._send(self.srtp.protect_rtcp(packet))

    def _send(self, data: bytes) -> None:
        path = self.ice.selected_path
        if path is not None:
            self._outgoing.append((data, path[1]))


def _is_loopback(host: str) -> bool:
    return host == "::1" or host.startswith("127.")
