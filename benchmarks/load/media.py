"""All RTP and RTCP of one client: streams in both directions over one transport."""

import random
from dataclasses import replace

from router.errors import WireFormatError
from router.rtp import (
    Bye,
    GenericNack,
    PacketType,
    PayloadFeedback,
    PictureLossIndication,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    RtpPacket,
    SourceDescription,
    TransportFeedback,
    parse_bye,
    parse_compound,
    parse_fir,
    parse_nack,
    parse_packet,
    parse_pli,
    parse_receiver_report,
    parse_sender_report,
    serialize_compound,
    unwrap_rtx,
)
from router.sdp.config import (
    AUDIO_LEVEL_EXTENSION,
    MID_EXTENSION,
    TRANSPORT_WIDE_CC_EXTENSION,
)

from .description import ClientDescriptions, Section
from .inbound import InboundStream
from .outbound import Extensions, OutboundStream
from .synthetic import Encoder

REPORT_INTERVAL = 1.0
"""Seconds between reports, on average."""
MAX_BLOCKS = 31
"""What the count of an RTCP packet can say."""
MID_PACKETS = 100
"""The first packets of a stream, which carry its MID."""


class ClientMedia:
    """Keeps the streams and makes the reports."""

    def __init__(self, *, cname: str, rng: random.Random) -> None:
        self.outbound: dict[int, OutboundStream] = {}
        """By SSRC."""
        self.inbound: dict[int, InboundStream] = {}
        """By SSRC; streams stay when their section stops."""
        self.transport_cc_received = 0
        """Feedback packets for what is sent."""
        self.remb_received = 0
        self.unknown_packets = 0
        """RTP of an SSRC or payload type that no description announced."""
        self.malformed = 0
        self.byes_received = 0
        """SSRCs that said goodbye."""
        self.fraction_lost_reported: dict[int, int] = {}
        """What the server's last RR said of each stream that is sent, of 256."""
        self.last_transport_cc = 0
        """Transport-wide number of the last packet received."""
        self._transport_cc_id: int | None = None
        self._cname = cname
        self._rng = rng
        # Where nothing is sent, feedback needs an SSRC all the same.
        self._feedback_ssrc = rng.randrange(1, 1 << 32)
        self._rtx: dict[int, int] = {}
        self._codecs: dict[int, tuple[str, int, str]] = {}
        self._rtp: list[bytes] = []
        self._rtcp: list[bytes] = []
        self._transport_sequence_number = 0
        self._report_at: float | None = None

    # What is negotiated.

    def add(self, section: Section, encoder: Encoder, now: float) -> None:
        """Send a section's track; one that was stopped goes on with its numbers."""
        stream = self.outbound.get(section.ssrc)
        if stream is not None:
            stream.encoder = encoder
            stream.next_frame_at = now
            return
        extensions = _Extensions(self, section, is_audio=encoder.clock_rate == 48_000)
        self.outbound[section.ssrc] = OutboundStream(
            ssrc=section.ssrc,
            rtx_ssrc=section.rtx_ssrc,
            encoder=encoder,
            make_extensions=extensions.next_elements,
            rng=self._rng,
            now=now,
        )

    def stop(self, section: Section) -> None:
        """Send nothing more on a section."""
        stream = self.outbound.get(section.ssrc)
        if stream is not None:
            stream.payload_type = None

    def configure(self, descriptions: ClientDescriptions) -> None:
        """Take over what an exchange of descriptions settled."""
        self._codecs = descriptions.payload_types
        for section in descriptions.sections:
            if not section.is_media:
                continue
            stream = self.outbound.get(section.ssrc)
            if stream is not None:
                sends = section.current.sends
                stream.payload_type = section.payload_type if sends else None
                stream.rtx_payload_type = section.rtx_payload_type
            if section.remote_ssrcs:
                self._transport_cc_id = section.extensions.get(TRANSPORT_WIDE_CC_EXTENSION)
                ssrc = section.remote_ssrcs[0]
                if ssrc not in self.inbound:
                    is_video = section.kind == "video"
                    self.inbound[ssrc] = InboundStream(
                        ssrc, 90_000 if is_video else 48_000, is_video
                    )
                for rtx_ssrc in section.remote_ssrcs[1:]:
                    self._rtx[rtx_ssrc] = ssrc

    def transport_sequence_number(self) -> int:
        """Return the next transport-wide number."""
        self._transport_sequence_number = (self._transport_sequence_number + 1) & 0xFFFF
        return self._transport_sequence_number

    # What comes in.

    def receive_rtp(self, data: bytes, now: float) -> None:
        """Take an opened packet."""
        try:
            packet = parse_packet(data)
        except WireFormatError:
            self.malformed += 1
            return
        for number, content in packet.extensions:
            if number == self._transport_cc_id and len(content) == 2:
                self.last_transport_cc = int.from_bytes(content, "big")
        repaired = False
        media_ssrc = self._rtx.get(packet.ssrc)
        if media_ssrc is not None:
            original = self._unwrap_rtx(packet, media_ssrc)
            if original is None:
                return
            packet, repaired = original, True
        stream = self.inbound.get(packet.ssrc)
        codec = self._codecs.get(packet.payload_type)
        if stream is None or codec is None:
            self.unknown_packets += 1
            return
        stream.is_vp8 = codec[0] == "VP8"
        stream.receive(packet, now, repaired=repaired)
        if stream.is_video:
            self._repair(stream, now)

    def _unwrap_rtx(self, packet: RtpPacket, ssrc: int) -> RtpPacket | None:
        name, _, parameters = self._codecs.get(packet.payload_type, ("", 0, ""))
        apt = parameters.removeprefix("apt=")
        if name.lower() != "rtx" or not apt.isdecimal():
            self.unknown_packets += 1
            return None
        try:
            return unwrap_rtx(packet, ssrc=ssrc, payload_type=int(apt))
        except WireFormatError:
            return None  # Padding, by which a sender probes.

    def receive_rtcp(self, data: bytes, now: float) -> None:
        """Take an opened compound packet."""
        try:
            for packet in parse_compound(data):
                self._receive_rtcp_packet(packet, now)
        except WireFormatError:
            self.malformed += 1

    def _receive_rtcp_packet(self, packet: RtcpPacket, now: float) -> None:
        match packet.packet_type, packet.count:
            case PacketType.SR, _:
                report = parse_sender_report(packet)
                if report.ssrc in self.inbound:
                    self.inbound[report.ssrc].sender_report(report, now)
                self._receive_blocks(report.blocks)
            case PacketType.RR, _:
                self._receive_blocks(parse_receiver_report(packet).blocks)
            case PacketType.BYE, _:
                for ssrc in parse_bye(packet).ssrcs:
                    self._receive_bye(ssrc)
            case PacketType.RTPFB, TransportFeedback.NACK:
                nack = parse_nack(packet)
                if nack.media_ssrc in self.outbound:
                    stream = self.outbound[nack.media_ssrc]
                    self._rtp += stream.packets_again(nack.sequence_numbers)
            case PacketType.RTPFB, TransportFeedback.TRANSPORT_CC:
                self.transport_cc_received += 1
            case PacketType.PSFB, PayloadFeedback.PLI:
                self._want_key_frame(parse_pli(packet).media_ssrc)
            case PacketType.PSFB, PayloadFeedback.FIR:
                for ssrc, _ in parse_fir(packet).requests:
                    self._want_key_frame(ssrc)
            case PacketType.PSFB, PayloadFeedback.APPLICATION:
                self.remb_received += packet.body[8:12] == b"REMB"

    def _receive_blocks(self, blocks: tuple[ReportBlock, ...]) -> None:
        for block in blocks:
            if block.ssrc in self.outbound:
                self.fraction_lost_reported[block.ssrc] = block.fraction_lost

    def _want_key_frame(self, ssrc: int) -> None:
        if ssrc in self.outbound:
            self.outbound[ssrc].request_key_frame()

    def _receive_bye(self, ssrc: int) -> None:
        self.byes_received += 1
        if ssrc in self.inbound:
            self.inbound[ssrc].ended = True

    # Time.

    def handle_timer(self, now: float, wall_time: float) -> None:
        """Send what is due: frames, reports, repeated NACKs."""
        for stream in self.outbound.values():
            if stream.payload_type is not None and stream.next_frame_at <= now:
                self._rtp += stream.packets_due(now)
        for inbound in self.inbound.values():
            at = inbound.next_nack_at()
            if at is not None and at <= now:
                self._repair(inbound, now)
        if self._report_at is None:
            self._report_at = now + self._rng.random() * REPORT_INTERVAL
        elif self._report_at <= now:
            self._report_at = now + REPORT_INTERVAL * self._rng.uniform(0.5, 1.5)
            self._report(now, wall_time)

    def next_timer(self) -> float | None:
        """Return when :meth:`handle_timer` has something to do."""
        due = [
            stream.next_frame_at
            for stream in self.outbound.values()
            if stream.payload_type is not None
        ]
        due.append(self._report_at if self._report_at is not None else 0.0)
        for inbound in self.inbound.values():
            at = inbound.next_nack_at()
            if at is not None:
                due.append(at)
        return min(due)

    # What goes out.

    def rtp_to_send(self) -> list[bytes]:
        """Return RTP packets, in order, and forget them."""
        packets, self._rtp = self._rtp, []
        return packets

    def rtcp_to_send(self) -> list[bytes]:
        """Return RTCP compounds, in order, and forget them."""
        packets, self._rtcp = self._rtcp, []
        return packets

    def request_key_frame(self, ssrc: int) -> None:
        """Send a PLI."""
        request = PictureLossIndication(sender_ssrc=self._sender_ssrc(), media_ssrc=ssrc)
        self._rtcp.append(request.to_packet().serialize())

    def goodbye(self) -> bytes:
        """Return the last compound, or nothing when nothing was ever sent."""
        ssrcs = [ssrc for ssrc, stream in self.outbound.items() if stream.counters.packets]
        if not ssrcs:
            return b""
        report, bye = ReceiverReport(ssrc=ssrcs[0]), Bye(ssrcs=tuple(ssrcs[:MAX_BLOCKS]))
        return serialize_compound([report.to_packet(), bye.to_packet()])

    def _repair(self, stream: InboundStream, now: float) -> None:
        numbers = stream.sequence_numbers_to_request(now)
        if numbers:
            nack = GenericNack(
                sender_ssrc=self._sender_ssrc(),
                media_ssrc=stream.ssrc,
                sequence_numbers=tuple(numbers),
            )
            self._rtcp.append(nack.to_packet().serialize())
        if stream.take_key_frame_request():
            self.request_key_frame(stream.ssrc)

    def _report(self, now: float, wall_time: float) -> None:
        blocks = [
            block
            for stream in self.inbound.values()
            if not stream.ended and (block := stream.report_block(now)) is not None
        ]
        reports = [
            report
            for stream in self.outbound.values()
            if (report := stream.sender_report(now, wall_time)) is not None
        ]
        compound: list[RtcpPacket] = []
        for report in reports:
            compound.append(replace(report, blocks=tuple(blocks[:MAX_BLOCKS])).to_packet())
            blocks = blocks[MAX_BLOCKS:]
        sender_ssrc = self._sender_ssrc()
        while blocks or not compound:
            rest = ReceiverReport(ssrc=sender_ssrc, blocks=tuple(blocks[:MAX_BLOCKS]))
            compound.append(rest.to_packet())
            blocks = blocks[MAX_BLOCKS:]
        cname = SourceDescription(cnames=((sender_ssrc, self._cname.encode()),))
        self._rtcp.append(serialize_compound([*compound, cname.to_packet()]))

    def _sender_ssrc(self) -> int:
        for ssrc, stream in self.outbound.items():
            if stream.counters.packets:
                return ssrc
        return self._feedback_ssrc


class _Extensions:
    """Makes the header extensions of one outbound stream."""

    def __init__(self, media: ClientMedia, section: Section, *, is_audio: bool) -> None:
        self._media = media
        self._section = section
        self._is_audio = is_audio
        self._packets = 0

    def next_elements(self) -> Extensions:
        """Return the header extension elements of the next packet."""
        ids = self._section.extensions
        elements: list[tuple[int, bytes]] = []
        self._packets += 1
        if self._packets <= MID_PACKETS and MID_EXTENSION in ids:
            elements.append((ids[MID_EXTENSION], self._section.mid.encode()))
        if self._is_audio and AUDIO_LEVEL_EXTENSION in ids:
            # A voice at -30 dBov (RFC 6464 section 3).
            elements.append((ids[AUDIO_LEVEL_EXTENSION], bytes((0x80 | 30,))))
        if TRANSPORT_WIDE_CC_EXTENSION in ids:
            number = self._media.transport_sequence_number()
            elements.append((ids[TRANSPORT_WIDE_CC_EXTENSION], number.to_bytes(2, "big")))
        return tuple(elements)
