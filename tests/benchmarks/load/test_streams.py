"""What the client's streams send, and what they find wrong in what they receive."""

import itertools
import random
from dataclasses import replace

import pytest

from benchmarks.load.inbound import NACK_ATTEMPTS, NACK_INTERVAL, InboundStream
from benchmarks.load.outbound import OutboundStream
from benchmarks.load.synthetic import (
    AudioSettings,
    Encoder,
    OpusEncoder,
    VideoSettings,
    Vp8Encoder,
    find_stamp,
)
from router._fastpath import payload as compiled
from router._fastpath.plane import FORMAT_VP8
from router.rtp import RtpPacket, is_vp8_key_frame, parse_packet, parse_vp8, unwrap_rtx


def outbound(encoder: Encoder, *, rtx: bool = True) -> OutboundStream:
    """Return a stream that may send."""
    stream = OutboundStream(
        ssrc=11,
        rtx_ssrc=22,
        encoder=encoder,
        make_extensions=tuple,
        rng=random.Random(1),
        now=0.0,
    )
    stream.payload_type = 96
    stream.rtx_payload_type = 97 if rtx else None
    return stream


def camera(**settings: float) -> Vp8Encoder:
    """Return an encoder of publisher 5."""
    return Vp8Encoder(5, replace(VideoSettings(), **settings), random.Random(2))  # type: ignore[arg-type]


def packets_of(stream: OutboundStream, seconds: float) -> list[tuple[float, RtpPacket]]:
    """Return the packets of some time and when they are sent."""
    found = []
    now = 0.0
    while now < seconds:
        now = max(now, stream.next_frame_at)
        found += [(now, parse_packet(data)) for data in stream.packets_due(now)]
    return found


def watcher() -> InboundStream:
    """Return a stream that watches VP8."""
    return InboundStream(ssrc=11, clock_rate=90_000, is_video=True, is_vp8=True)


@pytest.mark.parametrize("layers", [1, 2])
def test_video_has_the_rate_and_the_form_that_were_asked_for(layers: int) -> None:
    encoder = camera(bitrate_bps=800_000, frames_per_second=25, temporal_layers=layers)
    found = packets_of(outbound(encoder), 10)
    assert encoder.frames == pytest.approx(250, abs=2)
    assert sum(len(p.payload) for _, p in found) * 8 / 10 == pytest.approx(800_000, rel=0.1)
    last_timestamp = None
    for _, packet in found:
        descriptor, _ = parse_vp8(packet.payload)
        # The router's own parser reads the same.
        described = compiled.describe_payload(FORMAT_VP8, packet.payload)
        assert described is not None
        assert described["key_frame"] == is_vp8_key_frame(packet.payload)
        assert described["picture_id"] == descriptor.picture_id
        assert ("tl0_picture_index" in described) == (layers == 2)
        stamp = find_stamp(packet.payload)
        assert stamp is not None
        assert stamp.publisher == 5
        assert packet.marker == (stamp.index == stamp.count - 1)
        if stamp.index == 0:
            assert descriptor.start_of_partition
            if last_timestamp is not None:
                assert (packet.rtp_timestamp - last_timestamp) & 0xFFFFFFFF == 3600
            last_timestamp = packet.rtp_timestamp
    assert encoder.key_frames == 1
    encoder.request_key_frame()
    assert encoder.next_frame(10.0).is_key_frame
    assert not encoder.next_frame(10.1).is_key_frame


def test_sound_has_one_packet_every_20_ms() -> None:
    stream = outbound(OpusEncoder(5, AudioSettings(), random.Random(2)))
    found = packets_of(stream, 4)
    assert len(found) == pytest.approx(200, abs=2)
    assert sum(len(p.payload) for _, p in found) * 8 / 4 == pytest.approx(32_000, rel=0.1)
    steps = {
        (b.rtp_timestamp - a.rtp_timestamp) & 0xFFFFFFFF
        for (_, a), (_, b) in itertools.pairwise(found)
    }
    assert steps == {960}
    assert not any(packet.marker for _, packet in found)


def test_a_process_that_is_too_slow_leaves_frames_out() -> None:
    stream = outbound(OpusEncoder(5, AudioSettings(), random.Random(2)))
    first = packets_of(stream, 1)
    late = [parse_packet(data) for data in stream.packets_due(5.0)]
    assert len(late) <= 2
    assert stream.counters.frames_skipped == pytest.approx(200, abs=2)
    elapsed = (late[0].rtp_timestamp - first[-1][1].rtp_timestamp) & 0xFFFFFFFF
    assert elapsed / 48_000 == pytest.approx(4, abs=0.05)


def test_nacks_are_answered_by_rtx_or_by_the_same_packet() -> None:
    for rtx in (True, False):
        stream = outbound(camera(), rtx=rtx)
        sent = [packet for _, packet in packets_of(stream, 1)]
        wanted = sent[3]
        (data,) = stream.packets_again([wanted.sequence_number, 0xFFFF])
        again = parse_packet(data)
        if rtx:
            assert (again.ssrc, again.payload_type) == (22, 97)
            again = unwrap_rtx(again, ssrc=11, payload_type=96)
        assert again == wanted


def test_a_whole_stream_has_no_fault() -> None:
    stream = watcher()
    for now, packet in packets_of(outbound(camera()), 20):
        assert stream.receive(packet, now)
    assert stream.last_problem == ""
    assert (stream.counters.lost, stream.counters.discontinuities) == (0, 0)
    counts = stream.publishers[5]
    assert counts.complete == counts.expected == pytest.approx(600, abs=2)
    assert counts.began_with_key_frame
    block = stream.report_block(20.0)
    assert block is not None
    assert (block.fraction_lost, block.packets_lost) == (0, 0)


def test_loss_is_found_asked_for_and_repaired() -> None:
    stream = watcher()
    found = packets_of(outbound(camera()), 5)
    rng = random.Random(3)
    lost: list[RtpPacket] = []
    for number, (now, packet) in enumerate(found):
        if 10 < number < len(found) - 10 and rng.random() < 0.1:
            lost.append(packet)
            continue
        stream.receive(packet, now)
        for wanted in stream.sequence_numbers_to_request(now):
            repaired = next(p for p in lost if p.sequence_number == wanted)
            assert stream.receive(repaired, now, repaired=True)
    assert stream.counters.lost == stream.counters.recovered == len(lost) > 20
    assert stream.publishers[5].complete == stream.publishers[5].expected
    assert stream.last_problem == ""


def test_what_nobody_repairs_is_asked_for_again_and_then_given_up() -> None:
    stream = watcher()
    found = packets_of(outbound(camera()), 1)
    for number, (_, packet) in enumerate(found):
        if number != 5:
            stream.receive(packet, 0.0)
    missing = found[5][1].sequence_number
    asked_at = []
    now = 0.0
    while (at := stream.next_nack_at()) is not None:
        now = max(now, at)
        if stream.sequence_numbers_to_request(now) == [missing]:
            asked_at.append(now)
    assert asked_at == pytest.approx([n * NACK_INTERVAL for n in range(NACK_ATTEMPTS)])
    assert stream.counters.given_up == 1
    assert stream.take_key_frame_request()
    assert not stream.take_key_frame_request()
    block = stream.report_block(now)
    assert block is not None
    assert block.packets_lost == 1
    assert block.fraction_lost == 256 // len(found)


def test_duplicates_and_reordering_are_told_apart_from_loss() -> None:
    stream = watcher()
    found = [packet for _, packet in packets_of(outbound(camera()), 1)]
    found[8], found[9] = found[9], found[8]
    for packet in found:
        stream.receive(packet, 0.0)
    assert not stream.receive(found[4], 0.0)
    assert (stream.counters.duplicates, stream.counters.reordered) == (1, 1)
    assert stream.counters.discontinuities == 0
    assert stream.sequence_numbers_to_request(1.0) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"sequence_number": 5000}, "sequence numbers jump"),
        ({"timestamp": -90_000}, "timestamps go back"),
        ({"timestamp": 90_000 * 3600}, "timestamps jump"),
        ({"picture_id": 40}, ""),
        ({"picture_id": 4000}, "picture id goes"),
    ],
)
def test_breaks_are_found(change: dict[str, int], problem: str) -> None:
    stream = watcher()
    found = packets_of(outbound(camera(bitrate_bps=100_000)), 2)
    for now, packet in found[:30]:
        stream.receive(packet, now)
    now, packet = found[30]
    payload = bytearray(packet.payload)
    picture_id = int.from_bytes(payload[2:4], "big") + change.get("picture_id", 0)
    payload[2:4] = (0x8000 | picture_id & 0x7FFF).to_bytes(2, "big")
    stream.receive(
        replace(
            packet,
            sequence_number=(packet.sequence_number + change.get("sequence_number", 0)) & 0xFFFF,
            rtp_timestamp=(packet.rtp_timestamp + change.get("timestamp", 0)) & 0xFFFFFFFF,
            payload=bytes(payload),
        ),
        now,
    )
    assert stream.last_problem.startswith(problem)
    assert stream.counters.discontinuities == bool(problem)
