"""Whole peer connections on virtual time: offers good and bad, and renewed associations."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.datachannel import ChannelOpened, ChannelParameters, MessageReceived
from router.errors import NegotiationError
from router.peer.transport import TransportConnected

from .call import TICK, Call, Member, new_certificate

ALERT = 21
"""Content type of a record (RFC 6347)."""


def test_members_see_each_other() -> None:
    call = Call()
    first, second = call.join(), call.join()
    call.run(0.5)
    call.watch(first, second)
    call.watch(second, first)
    call.run(2.0)
    assert first.frames > 40
    assert second.frames > 40
    for member in (first, second):
        assert member.seals.reused == []
        assert sum(s.counters.discontinuities for s in member.client.media.inbound.values()) == 0


def test_client_with_another_certificate_goes_on_where_the_first_one_was() -> None:
    """New keys for what the publisher sends, the old ones for those who watch it."""
    call = Call()
    publisher, viewer = call.join(), call.join()
    call.run(0.5)
    call.watch(viewer, publisher)
    call.run(2.0)
    before = viewer.frames
    assert before > 40
    old_slot_ssrcs = set(viewer.seals.highest)
    call.replace_client(publisher, new_certificate(3))
    call.run(3.0)
    connected = [e for e in publisher.events if isinstance(e, TransportConnected)]
    assert len(connected) == 2
    call.watch(viewer, publisher)
    call.run(2.0)
    assert viewer.frames > before + 40
    assert viewer.seals.reused == []
    assert set(viewer.seals.highest) == old_slot_ssrcs


def test_channels_of_ours_are_opened_again_in_a_new_association() -> None:
    call = Call()
    member = call.join()
    member.client.add_section("application")
    call.offer(member)
    call.run(0.5)
    parameters = ChannelParameters(
        ordered=True, max_packet_lifetime_ms=None, max_retransmits=None, priority=256
    )
    member.connection.transport.open_channel("kept", parameters, call.now)
    member.connection.transport.open_channel("closed", parameters, call.now)
    call.run(0.5)
    member.connection.transport.close_channel("closed", call.now)
    call.replace_client(member, new_certificate(3), data=True)
    call.run(3.0)
    opened = []
    while (event := member.client.next_event()) is not None:
        if isinstance(event, ChannelOpened):
            opened.append(event.label)
    assert opened == ["kept"]


def test_channels_of_ours_are_opened_again_when_the_peer_restarts_the_association() -> None:
    call = Call()
    member = call.join()
    member.client.add_section("application")
    call.offer(member)
    call.run(0.5)
    parameters = ChannelParameters(
        ordered=True, max_packet_lifetime_ms=None, max_retransmits=None, priority=256
    )
    for label in ("kept", "closed"):
        member.connection.transport.open_channel(label, parameters, call.now)
    call.run(0.5)
    assert opened_by(member) == ["kept", "closed"]
    channels = member.client.channels
    assert channels is not None
    member.client.close_channel(channels.channel_ids()[1], call.now)
    call.run(0.5)

    assert member.client.dtls is not None
    member.client.channels = None
    member.client._start_channels(member.client.dtls, call.now)
    member.client._drain(call.now)
    call.run(3.0)
    assert opened_by(member) == ["kept"]
    member.connection.transport.send("kept", "still there", call.now)
    call.run(0.5)
    assert "still there" in received_by(member)


def opened_by(member: Member) -> list[str]:
    """Return the labels of the channels that were opened towards a client, and forget them."""
    events = iter(member.client.next_event, None)
    return [event.label for event in events if isinstance(event, ChannelOpened)]


def received_by(member: Member) -> list[str | bytes]:
    """Return the messages that came to a client, and forget them."""
    events = iter(member.client.next_event, None)
    return [event.data for event in events if isinstance(event, MessageReceived)]


def test_viewer_with_another_certificate_sees_again() -> None:
    call = Call()
    publisher, viewer = call.join(), call.join()
    call.run(0.5)
    call.watch(viewer, publisher)
    call.run(1.0)
    call.replace_client(viewer, new_certificate(3))
    call.run(3.0)
    assert viewer.frames > 40
    assert viewer.seals.reused == []


def test_client_goes_on_in_a_connection_that_replaces_its_own() -> None:
    call = Call()
    member, other, third = call.join(), call.join(), call.join()
    call.run(0.5)
    for publisher in (other, third):
        call.watch(member, publisher)
    answer = member.client.receive_offer(member.connection.create_offer(), call.now)
    member.connection.handle_answer(answer, call.now)
    call.watch(other, member)
    call.run(1.0)
    slots = {(s.kind, s.index): s.receiver_id for s in member.connection.slots}
    assert len(slots) > 2
    seen, shown = member.frames, other.frames
    assert seen > 20
    assert shown > 10

    call.replace_connection(member)
    assert {(s.kind, s.index): s.receiver_id for s in member.connection.slots} == slots
    assert not member.connection.needs_offer
    for publisher in (other, third):
        call.watch(member, publisher)
    call.run(2.0)
    call.watch(other, member)
    call.run(1.0)
    assert member.frames > seen + 40
    assert other.frames > shown + 20
    assert member.seals.reused == other.seals.reused == []


@pytest.mark.parametrize("rsize", [True, False])
def test_feedback_is_of_reduced_size_only_where_that_was_negotiated(rsize: bool) -> None:
    call = Call()
    member = call.join()
    client = member.client
    offer = client.create_offer()
    if not rsize:
        offer = offer.replace("a=rtcp-rsize\r\n", "")
    client.receive_answer(member.connection.handle_offer(offer, call.now), call.now)
    call.run(0.5)
    first_bytes = []
    original = client.media.receive_rtcp

    def receive(data: bytes, now: float) -> None:
        first_bytes.append(data[1])
        original(data, now)

    client.media.receive_rtcp = receive  # type: ignore[method-assign]
    call.run(1.0)
    assert (205 in first_bytes) is rsize
    assert 201 in first_bytes


# Bad offers.


def good_offer() -> tuple[Call, str]:
    """Return a call without members, and what a client would offer to join it."""
    call = Call()
    client, _ = call.client()
    return call, client.create_offer()


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"a=fingerprint:sha-256 .*", "a=fingerprint:sha-256 AA:BB"),
        (r"a=fingerprint:sha-256 .*", "a=fingerprint:sha-512 " + ":".join(["AB"] * 32)),
        (r"a=fingerprint:.*\r\n", ""),
        (r"a=ice-pwd:.*\r\n", ""),
        (r"a=setup:.*", "a=setup:passive"),
        (r"m=audio", "m=" + "x" * 70000),
    ],
)
def test_offer_that_cannot_be_applied_changes_nothing(pattern: str, replacement: str) -> None:
    call, offer = good_offer()
    connection = call.connection()
    before = call.shard.plane.counters()["commands"]
    bad = re.sub(pattern, replacement, offer)
    assert bad != offer
    with pytest.raises(NegotiationError):
        connection.handle_offer(bad, call.now)
    call.shard.plane.handle_timer(0)
    assert call.shard.plane.counters()["commands"] == before + 1  # it was added
    assert len(call.shard.streams) == 0
    assert connection.next_event() is None
    assert "a=ice-lite" in connection.handle_offer(offer, call.now)


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"a=ssrc:\d+", "a=ssrc:0"),
        (r"a=ssrc-group:FID (\d+) \d+", r"a=ssrc-group:FID \1 \1"),
        (r"a=ssrc-group:FID \d+ \d+", "a=ssrc-group:FID 0 0"),
        (r"a=ssrc-group:FID (\d+) (\d+)", r"a=ssrc-group:SIM \1 \1 \2 \2"),
        (r"a=extmap:1 ", "a=extmap:65535 "),
        (r"telephone-event", "TELEPHONE-Event"),
    ],
)
def test_odd_offer_is_answered(pattern: str, replacement: str) -> None:
    call, offer = good_offer()
    odd = re.sub(pattern, replacement, offer)
    assert odd != offer
    assert "a=ice-lite" in call.connection().handle_offer(odd, call.now)
    call.shard.plane.handle_timer(0)
    assert call.shard.plane.counters()["commands_refused"] == 0


def test_stream_zero_is_forwarded_like_any_other() -> None:
    call = Call()
    member = call.join()
    call.run(0.5)
    mid = next(iter(member.sources.values())).mid
    member.connection.ssrc_discovered(0, 111, mid)
    call.shard.plane.handle_timer(round(call.now * 1_000_000))
    assert call.shard.plane.counters()["commands_refused"] == 0


_LINES = good_offer()[1].splitlines(keepends=True)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    edits=st.lists(
        st.tuples(
            st.sampled_from(["drop", "double", "swap", "number", "cut"]),
            st.integers(0, len(_LINES) - 1),
            st.integers(0, 1 << 33),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_mangled_offers_are_answered_or_refused(edits: list[tuple[str, int, int]]) -> None:
    lines = list(_LINES)
    for edit, at, value in edits:
        at %= len(lines)
        match edit:
            case "drop":
                lines[at] = ""
            case "double":
                lines[at] *= 2
            case "swap":
                other = value % len(lines)
                lines[at], lines[other] = lines[other], lines[at]
            case "number":
                lines[at] = re.sub(r"\d+", str(value), lines[at], count=1)
            case "cut":
                lines[at] = lines[at][: value % (len(lines[at]) + 1)] + "\r\n"
    call = Call()
    connection = call.connection()
    try:
        connection.handle_offer("".join(lines), call.now)
    except NegotiationError:
        connection.handle_offer("".join(_LINES), call.now)
    while connection.next_event() is not None:
        pass
    connection.close()
    assert connection.free()
    call.shard.plane.handle_timer(0)
    counters = call.shard.plane.counters()
    assert (counters["transports"], counters["streams"], counters["slots"]) == (0, 0, 0)
    assert len(call.shard.streams) == len(call.shard.slots) == len(call.shard.transports) == 0


def test_thousand_publications_and_subscriptions_leave_nothing_behind() -> None:
    call = Call()
    publisher, viewer = call.join(), call.join()
    call.run(0.3)
    section = next(s for s in publisher.client.descriptions.sections if s.kind == "video")
    encoder = publisher.client.media.outbound[section.ssrc].encoder
    sizes = []
    for turn in range(1000):
        publisher.client.unpublish(section)
        call.offer(publisher)
        for source_id in list(viewer.sources):
            viewer.connection.slots.release(source_id)
        section = publisher.client.publish(encoder, f"picture-{turn}", call.now)
        call.offer(publisher)
        call.watch(viewer, publisher)
        for binding in [slot.binding for slot in viewer.connection.slots if slot.binding]:
            viewer.connection.slots.release(binding.source_id)
        call.run(0.002)
        if turn % 250 == 249:
            plane = call.shard.plane.counters()
            sizes.append(
                (
                    plane["streams"],
                    plane["slots"],
                    len(call.shard.streams),
                    len(call.shard.slots),
                    len(call.shard.stream_transports),
                    len(publisher.sources),
                    len(publisher.client.descriptions.sections),
                )
            )
    assert len(set(sizes)) == 1


def test_credentials_change_with_an_ice_restart() -> None:
    call = Call()
    member = call.join()
    call.run(0.5)
    before = member.connection.ufrag
    member.client.restart_ice(call.now)
    call.offer(member)
    assert member.connection.ufrag != before
    call.run(1.0)
    assert member.client.ice.selected_path is not None


@pytest.mark.parametrize("connected", [False, True])
def test_goodbye_is_said_to_those_who_are_connected_only(
    monkeypatch: pytest.MonkeyPatch, *, connected: bool
) -> None:
    """A browser takes an alert in the midst of a handshake for a failure of its own."""
    call = Call()
    member = call.join()
    while member.client.dtls is None or connected > (member.client.srtp is not None):
        call.run(TICK)
    call.run(TICK)
    assert (member.client.srtp is not None) == connected
    received: list[bytes] = []
    monkeypatch.setattr(
        member.client, "receive_datagram", lambda data, source, now: received.append(data)
    )
    member.connection.close()
    call.run(0.1)
    assert any(data[0] == ALERT for data in received) == connected
