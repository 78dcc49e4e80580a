"""Reports, key frame requests and feedback, in both directions."""

import pytest

from router._fastpath import plane as fp
from router.rtp import (
    Bye,
    FullIntraRequest,
    PictureLossIndication,
    ReceiverEstimatedMaximumBitrate,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    RtpPacket,
    SenderReport,
    TransportCcFeedback,
    parse_bye,
    parse_receiver_report,
    parse_remb,
    parse_sender_report,
    parse_source_description,
    parse_transport_cc,
    serialize_compound,
)
from router.rtp.header_extensions import serialize_transport_seq

from .peers import AEAD, CM, Peer
from .room import AUDIO_SSRC, OUT_AUDIO_SSRC, OUT_SSRC, SSRC, STREAM, Room, new_room, video

MILLISECOND = 1000
SECOND = 1_000_000
NTP_SECOND = 1 << 32


def ntp_of(now_us: int) -> int:
    """The plane's wall clock by hand: 1970 at virtual time 0."""
    return (now_us + 2_208_988_800 * SECOND) * NTP_SECOND // SECOND


def of_kind(peer: Peer, packet_type: int, count: int | None = None) -> list[RtcpPacket]:
    """Return the peer's RTCP packets of a kind; forgets all of them."""
    found = [
        p
        for p in peer.received.rtcp
        if p.packet_type == packet_type and (count is None or p.count == count)
    ]
    peer.received.rtcp.clear()
    return found


def plis(room: Room) -> int:
    return len(of_kind(room.publisher, 206, 1))


# Key frame requests


def test_binding_a_slot_asks_for_a_key_frame_until_it_comes() -> None:
    room = new_room()
    assert plis(room) == 1
    room.run(499 * MILLISECOND)
    assert plis(room) == 0
    room.run(1601 * MILLISECOND)
    assert plis(room) == 4
    room.publish(video(0, key=True))
    room.run(10 * SECOND)
    assert plis(room) == 0


def test_requests_without_an_answer_become_slow() -> None:
    room = new_room()
    room.run(28 * SECOND)
    assert plis(room) == 8 + 24 // 2  # by half seconds up to 3.5 s, then every 2 s


def test_requests_of_subscribers_are_throttled() -> None:
    room = new_room(subscribers=5)
    room.publish(video(0, key=True))
    room.run(SECOND)
    plis(room)
    for subscriber in room.subscribers:
        for _ in range(10):
            packets = [
                PictureLossIndication(sender_ssrc=1, media_ssrc=OUT_SSRC).to_packet(),
                FullIntraRequest(sender_ssrc=1, requests=((OUT_SSRC, 1),)).to_packet(),
            ]
            subscriber.send_rtcp(packets, room.now_us)
    room.deliver()
    assert plis(room) == 1
    room.publish(video(1, key=True))
    room.run(SECOND)
    assert plis(room) == 0
    assert room.plane.slot_stats(room.slots[0])["plis"] == 20  # type: ignore[index]


def test_request_for_another_ssrc_is_ignored() -> None:
    room = new_room()
    room.publish(video(0, key=True))
    room.run(SECOND)
    plis(room)
    packet = PictureLossIndication(sender_ssrc=1, media_ssrc=SSRC).to_packet()
    room.subscribers[0].send_rtcp([packet], room.now_us)
    room.run(SECOND)
    assert plis(room) == 0


def test_command_asks_for_a_key_frame() -> None:
    room = new_room()
    room.publish(video(0, key=True))
    room.run(SECOND)
    plis(room)
    room.plane.request_key_frame(STREAM)
    room.run(0)
    assert plis(room) == 1


@pytest.mark.parametrize("reduced_size", [False, True])
def test_feedback_is_a_compound_unless_reduced_size_was_negotiated(reduced_size: bool) -> None:
    room = new_room(reduced_size=reduced_size)
    (datagram,) = room.publisher.received.rtcp_datagrams
    kinds = [p.packet_type for p in datagram]
    assert kinds == ([206] if reduced_size else [201, 202, 206])


# Reports to publishers


def test_publisher_gets_reports_with_loss_jitter_and_delay() -> None:
    room = new_room(audio=True)
    ntp = 0x1234_5678_9ABC_DEF0
    report = SenderReport(
        ssrc=SSRC, ntp=ntp, rtp_timestamp=0, packet_count=0, octet_count=0
    ).to_packet()
    room.publish(video(65534, key=True), video(65535), video(65538))
    room.publisher.send_rtcp([report], room.now_us)
    room.run(1300 * MILLISECOND)
    (packet,) = of_kind(room.publisher, 201)
    (block,) = parse_receiver_report(packet).blocks
    assert block.ssrc == SSRC
    assert block.packets_lost == 2
    assert block.fraction_lost == 256 * 2 // 5
    assert block.highest_sequence_number == 65538
    assert block.last_sr == 0x5678_9ABC
    assert 0 < block.delay_since_last_sr <= 1.3 * 65536


def test_jitter_is_that_of_rfc_3550() -> None:
    room = new_room()
    model, last = 0.0, None
    for n in range(100):
        at_us = n * 33_000 + (n * 7919 % 13) * 1000
        rtp_ts = n * 2970
        room.publisher.send_rtp([video(n, key=n == 0, rtp_ts=rtp_ts)], at_us)
        transit = at_us * 90 // 1000 - rtp_ts
        if last is not None:
            model += (abs(transit - last) - model) / 16
        last = transit
    stats = room.plane.stream_stats(STREAM)
    assert stats is not None
    assert stats["jitter"] == pytest.approx(model, abs=2)


def test_reports_carry_our_cname() -> None:
    room = new_room()
    room.publish(video(0, key=True))
    room.run(2 * SECOND)
    descriptions = of_kind(room.publisher, 202)
    assert descriptions
    for description in descriptions:
        assert [cname for _, cname in parse_source_description(description).cnames] == [b"plane"]


def test_arrivals_are_fed_back() -> None:
    room = new_room(publisher_options={"transport_cc": True})
    for n in range(200):
        element = (3, serialize_transport_seq((65500 + n) & 0xFFFF))
        if n % 10 == 9:
            continue
        room.now_us = n * 2000
        room.publish(video(n, key=n == 0, extensions=(element,)))
        room.run(0)
    room.run(100 * MILLISECOND)
    feedback = [parse_transport_cc(p) for p in of_kind(room.publisher, 205, 15)]
    assert [f.feedback_count for f in feedback] == list(range(len(feedback)))
    assert 7 <= len(feedback) <= 9
    arrivals = [arrival for f in feedback for arrival in f.arrivals()]
    assert arrivals == [((65500 + n) & 0xFFFF, n * 8) for n in range(200) if n % 10 != 9]
    assert {f.media_ssrc for f in feedback} == {SSRC}


def test_remb_is_sent_where_only_that_was_negotiated() -> None:
    room = new_room(publisher_options={"remb": True})
    for n in range(800):
        room.publish(video(n, key=n == 0, size=1200), after_us=2000)
        room.run(0)
    room.run(SECOND)
    rembs = [parse_remb(p) for p in of_kind(room.publisher, 206, 15)]
    assert rembs
    assert rembs[0].ssrcs == (SSRC,)
    assert rembs[0].bitrate_bps == pytest.approx(2 * 1240 * 8 * 500, rel=0.1)
    assert rembs[-1].bitrate_bps >= 2_990_000


# Reports to subscribers


def publish_audio(room: Room, seq: int, rtp_ts: int) -> None:
    room.publish(
        RtpPacket(
            payload_type=111,
            sequence_number=seq,
            rtp_timestamp=rtp_ts & 0xFFFFFFFF,
            ssrc=AUDIO_SSRC,
            payload=b"opus",
        )
    )


@pytest.mark.parametrize("profile", [AEAD, CM])
def test_sender_reports_keep_audio_and_video_in_sync(profile: int) -> None:
    """Both slots' reports put one capture instant at one NTP time of ours."""
    room = new_room(audio=True, subscriber_profile=profile)
    subscriber = room.subscribers[0]
    publisher_ntp = 0xE000_0000_0000_0000  # its clock has nothing to do with ours
    video_base, audio_base = 0xFFFF_F000, 12345  # RTP timestamps at publisher_ntp
    room.publish(video(0, key=True, rtp_ts=video_base))
    publish_audio(room, 0, audio_base)
    for ssrc, base in ((SSRC, video_base), (AUDIO_SSRC, audio_base)):
        report = SenderReport(
            ssrc=ssrc, ntp=publisher_ntp, rtp_timestamp=base, packet_count=1, octet_count=1
        )
        # The second report travels longer; only the first sets the publisher's offset.
        room.now_us += 70 * MILLISECOND
        room.publisher.send_rtcp([report.to_packet()], room.now_us)
    rebased_at = 70 * MILLISECOND
    for n in range(1, 30):
        room.publish(video(n, rtp_ts=video_base + 9000 * n), after_us=100 * MILLISECOND)
        publish_audio(room, n, audio_base + 4800 * n)
        room.run(0)
    reports = [parse_sender_report(p) for p in of_kind(subscriber, 200)]
    rates = {OUT_SSRC: (90000, video_base), OUT_AUDIO_SSRC: (48000, audio_base)}
    assert {report.ssrc for report in reports} == set(rates)
    for report in reports:
        clock_rate, base = rates[report.ssrc]
        elapsed = (report.ntp - ntp_of(rebased_at)) / NTP_SECOND
        assert (report.rtp_timestamp - base) & 0xFFFFFFFF == pytest.approx(
            elapsed * clock_rate, abs=2
        )
    last = [r for r in reports if r.ssrc == OUT_SSRC][-1]
    assert 10 <= last.packet_count <= 30
    assert last.octet_count == last.packet_count * (
        room.subscribers[0].received.rtp[0].payload.__len__()
    )


def test_first_sender_report_comes_soon_after_a_start() -> None:
    room = new_room()
    room.publish(video(0, key=True))
    report = SenderReport(ssrc=SSRC, ntp=1 << 40, rtp_timestamp=0, packet_count=1, octet_count=1)
    room.publisher.send_rtcp([report.to_packet()], room.now_us)
    room.run(100 * MILLISECOND)
    assert len(of_kind(room.subscribers[0], 200)) == 1


def test_idle_slots_send_no_reports() -> None:
    room = new_room()
    room.run(10 * SECOND)
    assert room.subscribers[0].received.rtcp == []


def test_publisher_without_reports_is_dated_by_arrival() -> None:
    room = new_room()
    for n in range(50):
        room.publish(video(n, key=n == 0, rtp_ts=9000 * n), after_us=100 * MILLISECOND)
        room.run(0)
    reports = [parse_sender_report(p) for p in of_kind(room.subscribers[0], 200)]
    assert reports
    for report in reports:
        elapsed = (report.ntp - ntp_of(100 * MILLISECOND)) / NTP_SECOND
        assert report.rtp_timestamp == pytest.approx(elapsed * 90000, abs=3)


def test_many_slots_are_reported_in_few_datagrams() -> None:
    room = new_room()
    subscriber = room.subscribers[0]
    for n in range(40):
        room.plane.add_slot(0x10080 + n, subscriber.id, 9000 + n, 0, video=True)
        room.plane.bind_slot(0x10080 + n, STREAM)
    for n in range(50):
        room.publish(video(n, key=n == 0), after_us=100 * MILLISECOND)
        room.run(0)
    assert subscriber.undecipherable == 0
    datagrams = [d for d in subscriber.received.rtcp_datagrams if d[0].packet_type == 200]
    told = {parse_sender_report(p).ssrc for d in datagrams for p in d if p.packet_type == 200}
    assert told == {OUT_SSRC, *range(9000, 9040)}
    for datagram in datagrams:
        described = {s for s, _ in parse_source_description(datagram[-1]).cnames}
        assert described == {parse_sender_report(p).ssrc for p in datagram[:-1]}
        assert len(serialize_compound(datagram)) <= 1200


def test_round_trip_and_loss_of_a_subscriber_are_known() -> None:
    room = new_room()
    for n in range(40):
        room.publish(video(n, key=n == 0), after_us=100 * MILLISECOND)
        room.run(0)
    report = parse_sender_report(of_kind(room.subscribers[0], 200)[-1])
    sent_at = (report.ntp - ntp_of(0)) * SECOND // NTP_SECOND
    block = ReportBlock(
        ssrc=OUT_SSRC,
        fraction_lost=64,
        packets_lost=-3,
        highest_sequence_number=0,
        jitter=77,
        last_sr=report.ntp >> 16 & 0xFFFFFFFF,
        delay_since_last_sr=65536 // 2,
    )
    room.subscribers[0].send_rtcp(
        [ReceiverReport(ssrc=1, blocks=(block,)).to_packet()], sent_at + 580 * MILLISECOND
    )
    stats = room.plane.slot_stats(room.slots[0])
    assert stats is not None
    assert stats["rtt_us"] == pytest.approx(80 * MILLISECOND, abs=50)
    assert (stats["fraction_lost"], stats["lost"], stats["jitter"]) == (0.25, -3, 77)


# What peers send


def test_bye_is_told() -> None:
    room = new_room()
    room.publisher.send_rtcp(
        [ReceiverReport(ssrc=1).to_packet(), Bye(ssrcs=(5, SSRC)).to_packet()], 9
    )
    assert room.plane.next_events() == [(fp.EVENT_BYE, STREAM, 9)]


def test_estimates_of_subscribers_are_counted() -> None:
    room = new_room()
    packets = [
        ReceiverEstimatedMaximumBitrate(
            sender_ssrc=1, bitrate_bps=1_500_000, ssrcs=(OUT_SSRC,)
        ).to_packet(),
        TransportCcFeedback(
            sender_ssrc=1,
            media_ssrc=2,
            base_sequence_number=1,
            reference_time=1,
            feedback_count=0,
            deltas=(1, 2),
        ).to_packet(),
    ]
    room.subscribers[0].send_rtcp(packets, 0)
    stats = room.plane.transport_stats(room.subscribers[0].id)
    assert stats is not None
    assert stats["remb_bps"] == pytest.approx(1_500_000, rel=1e-4)
    assert stats["transport_cc_in"] == 1


@pytest.mark.parametrize("profile", [AEAD, CM])
def test_replayed_rtcp_is_dropped(profile: int) -> None:
    room = new_room(profile=profile)
    data = [
        room.publisher.seal_rtcp(
            [ReceiverReport(ssrc=9).to_packet(), Bye(ssrcs=(SSRC,)).to_packet()]
        )
        for _ in range(3)
    ]
    room.publisher.send([data[0], data[2], data[1], data[0], data[1], data[2]], 0)
    assert len(room.plane.next_events()) == 3
    assert room.plane.counters()["rtcp_replayed"] == 3


def test_forged_rtcp_is_dropped() -> None:
    room = new_room()
    data = bytearray(room.publisher.seal_rtcp([Bye(ssrcs=(SSRC,)).to_packet()]))
    data[-7] ^= 1
    room.publisher.send([bytes(data)], 0)
    assert room.plane.next_events() == []
    assert room.plane.counters()["rtcp_unauthenticated"] == 1


@pytest.mark.parametrize(
    "packet",
    [
        RtcpPacket(packet_type=200, count=0, body=bytes(20)),
        RtcpPacket(packet_type=201, count=3, body=bytes(28)),
        RtcpPacket(packet_type=203, count=9, body=bytes(8)),
        RtcpPacket(packet_type=205, count=1, body=bytes(4)),
        RtcpPacket(packet_type=206, count=1, body=bytes(4)),
    ],
)
def test_short_rtcp_is_counted(packet: RtcpPacket) -> None:
    room = new_room()
    room.publisher.send_rtcp([packet], 0)
    assert room.plane.counters()["rtcp_malformed"] == 1


def test_bye_is_sent_when_a_slot_is_removed() -> None:
    room = new_room()
    room.publish(video(0, key=True))
    room.plane.remove_slot(room.slots[0])
    room.run(0)
    (bye,) = of_kind(room.subscribers[0], 203)
    assert parse_bye(bye).ssrcs == (OUT_SSRC,)
