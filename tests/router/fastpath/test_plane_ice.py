"""Connectivity checks, validated addresses and consent."""

import pytest

from router._fastpath import plane as fp
from router.rtp import RtpPacket
from router.stun import (
    ERROR_CODE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    Message,
    MessageClass,
    Method,
    parse_message,
)

from .peers import VP8, Peer, deliver, new_plane, vp8_payload

SECOND = 1_000_000
ELSEWHERE = ("203.0.113.9", 4444)
DTLS = b"\x16\xfe\xfd" + bytes(60)


def errors_of(sent: list[tuple[bytes, tuple[str, int]]]) -> list[int]:
    found = []
    for data, _ in sent:
        error = parse_message(data).get(ERROR_CODE)
        assert error is not None
        found.append(error.code)
    return found


def test_verified_check_is_answered_with_the_peer_s_address() -> None:
    plane = new_plane()
    peer = Peer(plane, 65536)
    peer.send([peer.check()], 0)
    (answer,) = plane.datagrams_to_send()
    message = parse_message(answer[0])
    message.check_integrity(peer.password)
    mapped = message.get(XOR_MAPPED_ADDRESS)
    assert message.message_class is MessageClass.SUCCESS_RESPONSE
    assert (str(mapped.host), mapped.port) == peer.address if mapped else False
    assert answer[1] == peer.address
    assert plane.next_events() == [(fp.EVENT_VALIDATED, peer.id, 0, *peer.address, True)]


def test_ipv6_peer_is_answered() -> None:
    plane = new_plane()
    peer = Peer(plane, 65536, address=("2001:db8::7", 5000))
    peer.connect(0)
    assert len(peer.received.stun) == 1
    assert plane.next_events()[0][3:5] == ("2001:db8::7", 5000)


def test_check_with_a_wrong_password_validates_nothing() -> None:
    plane = new_plane()
    peer = Peer(plane, 65536)
    request = peer.check(password=b"guess")
    peer.send([request], 0)
    sent = plane.datagrams_to_send()
    assert errors_of(sent) == [401]
    assert len(sent[0][0]) <= len(request)
    assert plane.next_events() == []
    assert plane.counters()["stun_unauthenticated"] == 1
    peer.send([DTLS], 0)
    assert plane.next_events() == []
    assert plane.counters()["dtls_unvalidated"] == 1


def test_check_for_an_unknown_ufrag_is_refused() -> None:
    plane = new_plane()
    peer = Peer(plane, 65536)
    peer.send([peer.check(ufrag=b"nobody")], 0)
    assert errors_of(plane.datagrams_to_send()) == [401]


@pytest.mark.parametrize("username", [None, "no-colon"])
def test_check_without_credentials_is_answered_with_no_more_bytes(username: str | None) -> None:
    plane = new_plane()
    message = Message(
        method=Method.BINDING, message_class=MessageClass.REQUEST, transaction_id=bytes(12)
    )
    if username is not None:
        message = message.with_attribute(USERNAME, username)
    request = message.serialize()
    plane.receive_datagrams([(request, ELSEWHERE)], 0)
    assert sum(len(data) for data, _ in plane.datagrams_to_send()) <= len(request)
    assert plane.counters()["stun_unauthenticated"] == 1


def test_peer_that_says_controlled_is_told_of_the_role_conflict() -> None:
    plane = new_plane()
    peer = Peer(plane, 65536)
    peer.send([peer.check(controlled=True)], 0)
    sent = plane.datagrams_to_send()
    assert errors_of(sent) == [487]
    parse_message(sent[0][0]).check_integrity(peer.password)
    assert plane.next_events() == []


def test_dtls_passes_only_from_and_to_validated_addresses() -> None:
    plane = new_plane()
    peer = Peer(plane, 65536)
    plane.send_datagram(peer.id, b"\x16early")
    peer.send([DTLS], 0)
    assert plane.datagrams_to_send() == []
    assert plane.counters()["dtls_unsent"] == 1
    peer.connect(1)
    plane.next_events()
    plane.send_datagram(peer.id, b"\x16hello")
    peer.send([DTLS], 2)
    plane.receive_datagrams([(DTLS, ELSEWHERE)], 3)
    peer.collect()
    assert peer.received.dtls == [b"\x16hello"]
    assert plane.next_events() == [(fp.EVENT_DATAGRAM, peer.id, 2, DTLS)]


def test_first_validated_address_is_selected_until_another_is_nominated() -> None:
    plane = new_plane()
    peer = Peer(plane, 65536)
    first = peer.address
    peer.connect(0, nominate=False)
    peer.address = ELSEWHERE
    peer.connect(1000, nominate=False)
    assert plane.transport_stats(peer.id)["address"] == first  # type: ignore[index]
    assert [event[5] for event in plane.next_events()] == [True, False]
    peer.connect(2000, nominate=True)
    assert plane.transport_stats(peer.id)["address"] == ELSEWHERE  # type: ignore[index]


def test_rebound_peer_is_followed_when_its_old_address_is_silent() -> None:
    plane = new_plane()
    peer = Peer(plane, 65536)
    first = peer.address
    peer.connect(0, nominate=True)
    peer.address = ELSEWHERE
    peer.connect(SECOND - 1, nominate=False)
    assert plane.transport_stats(peer.id)["address"] == first  # type: ignore[index]
    peer.connect(SECOND, nominate=False)
    assert plane.transport_stats(peer.id)["address"] == ELSEWHERE  # type: ignore[index]


def test_media_keeps_the_selected_address() -> None:
    plane = new_plane()
    peer = Peer(plane, 65536)
    peer.configure()
    peer.connect(0)
    plane.add_stream(1, peer.id, 1111, 0, video=True)
    packet = RtpPacket(
        payload_type=96, sequence_number=1, rtp_timestamp=0, ssrc=1111, payload=vp8_payload()
    )
    peer.send_rtp([packet], SECOND)
    first, peer.address = peer.address, ELSEWHERE
    peer.connect(SECOND + 500_000, nominate=False)
    assert plane.transport_stats(peer.id)["address"] == first  # type: ignore[index]


def test_addresses_of_a_transport_are_bounded() -> None:
    plane = new_plane()
    peer = Peer(plane, 65536)
    peer.connect(0)
    first = peer.address
    for n in range(50):
        peer.address = ("203.0.113.1", 1000 + n)
        peer.connect(n, nominate=False)
    stats = plane.transport_stats(peer.id)
    assert stats is not None
    assert stats["validated"] == 8
    assert stats["address"] == first
    plane.receive_datagrams([(DTLS, first), (DTLS, ("203.0.113.1", 1000))], 100)
    assert [e for e in plane.next_events() if e[0] == fp.EVENT_DATAGRAM] == [
        (fp.EVENT_DATAGRAM, peer.id, 100, DTLS)
    ]


def test_address_of_a_live_peer_is_not_taken_over() -> None:
    plane = new_plane()
    victim, attacker = Peer(plane, 65536), Peer(plane, 65537)
    victim.connect(0)
    plane.next_events()
    plane.receive_datagrams([(attacker.check(nominate=True), victim.address)], 1000)
    assert plane.datagrams_to_send() == []
    plane.receive_datagrams([(DTLS, victim.address)], 2000)
    assert plane.next_events() == [(fp.EVENT_DATAGRAM, victim.id, 2000, DTLS)]
    assert plane.counters()["address_conflicts"] == 1


def test_address_of_a_silent_peer_passes_to_the_next_one_behind_it() -> None:
    plane = new_plane()
    gone, new = Peer(plane, 65536), Peer(plane, 65537)
    gone.connect(0)
    new.address = gone.address
    new.connect(2 * SECOND)
    plane.next_events()
    new.send([DTLS], 2 * SECOND)
    assert plane.next_events() == [(fp.EVENT_DATAGRAM, new.id, 2 * SECOND, DTLS)]
    assert plane.transport_stats(gone.id)["address"] is None  # type: ignore[index]


def test_answers_and_media_leave_from_the_address_that_was_checked() -> None:
    plane = new_plane()
    peer = Peer(plane, 65536)
    ours, other = "192.0.2.1", "2001:db8::1"
    plane.receive_datagrams([(peer.check(), peer.address, ours)], 0)
    ((_, _, source),) = plane.datagrams_to_send_from()
    assert source == ours
    plane.send_datagram(peer.id, DTLS)
    plane.handle_timer(0)
    assert plane.datagrams_to_send_from() == [(DTLS, peer.address, ours)]
    assert plane.transport_stats(peer.id)["local_address"] == ours  # type: ignore[index]
    # A refusal goes back the same way.
    plane.receive_datagrams([(peer.check(password=b"guess"), peer.address, other)], 0)
    ((_, _, source),) = plane.datagrams_to_send_from()
    assert source == other


def test_same_peer_address_with_another_of_ours_is_another_path() -> None:
    plane = new_plane()
    peer = Peer(plane, 65536)
    first, second = "192.0.2.1", "192.0.2.2"

    def leaves_from() -> str | None:
        plane.send_datagram(peer.id, DTLS)
        plane.handle_timer(0)
        ((_, _, source),) = plane.datagrams_to_send_from()
        return source

    def check(local: str, now_us: int, *, nominate: bool = False) -> None:
        plane.receive_datagrams([(peer.check(nominate=nominate), peer.address, local)], now_us)
        ((_, _, source),) = plane.datagrams_to_send_from()
        assert source == local

    check(first, 0)
    plane.receive_datagrams([(DTLS, peer.address, second)], 1)
    assert plane.counters()["dtls_unvalidated"] == 1
    check(second, 2)
    assert leaves_from() == first
    check(second, 3, nominate=True)
    assert leaves_from() == second
    check(first, SECOND + 2)
    assert leaves_from() == second
    check(first, SECOND + 3)  # nothing has come on the other path for a second
    assert leaves_from() == first
    assert plane.transport_stats(peer.id)["validated"] == 2  # type: ignore[index]


def test_restarted_credentials_replace_the_old_ones_when_first_used() -> None:
    plane = new_plane()
    peer = Peer(plane, 65536)
    peer.connect(0)
    old = (peer.ufrag, peer.password)
    plane.restart_transport(peer.id, b"renewed", b"other password")
    peer.connect(1000)  # the old ones still work
    assert len(peer.received.stun) == 2
    peer.ufrag, peer.password = b"renewed", b"other password"
    peer.connect(2000)
    peer.connect(3000)
    for answer in peer.received.stun[2:]:
        answer.check_integrity(b"other password")
    assert len(peer.received.stun) == 4
    peer.ufrag, peer.password = old
    peer.send([peer.check()], 4000)
    assert errors_of(plane.datagrams_to_send()) == [401]


def test_consent_is_lost_after_thirty_seconds_without_a_check() -> None:
    plane = new_plane()
    peer = Peer(plane, 65536)
    peer.connect(0)
    peer.connect(10 * SECOND)
    plane.next_events()
    at = plane.next_timer()
    while at <= 39 * SECOND:
        plane.handle_timer(at)
        at = plane.next_timer()
    assert plane.next_events() == []
    plane.handle_timer(40 * SECOND)
    assert plane.next_events() == [(fp.EVENT_CONSENT_LOST, peer.id, 40 * SECOND)]
    plane.datagrams_to_send()
    plane.send_datagram(peer.id, DTLS)
    plane.handle_timer(41 * SECOND)
    assert plane.datagrams_to_send() == []
    peer.connect(42 * SECOND)
    assert plane.next_events()[0][5]  # validated anew, the first again


def test_nothing_is_forwarded_after_consent_is_lost() -> None:
    plane = new_plane()
    publisher, subscriber = Peer(plane, 65536), Peer(plane, 65537)
    publisher.configure()
    subscriber.configure(types_out={VP8: 96})
    for peer in (publisher, subscriber):
        peer.connect(0)
    plane.add_stream(1, publisher.id, 1111, 0, video=True)
    plane.add_slot(1, subscriber.id, 2222, 0, video=True)
    plane.bind_slot(1, 1)

    def packet(seq: int) -> RtpPacket:
        return RtpPacket(
            payload_type=96,
            sequence_number=seq,
            rtp_timestamp=seq,
            ssrc=1111,
            payload=vp8_payload(key=True),
        )

    publisher.send_rtp([packet(1)], 1000)
    publisher.connect(29 * SECOND)
    plane.handle_timer(30 * SECOND)
    plane.datagrams_to_send()
    publisher.send_rtp([packet(2)], 30 * SECOND)
    assert subscriber.address not in [to for _, to in plane.datagrams_to_send()]


def test_same_ufrag_is_refused_twice() -> None:
    plane = new_plane()
    plane.add_transport(65536, b"same", b"one")
    plane.add_transport(65537, b"same", b"two")
    plane.handle_timer(0)
    assert plane.transport_stats(65537) is None
    assert plane.counters()["commands_refused"] == 1
    assert plane.counters()["transports"] == 1


def test_deliver_reaches_the_right_peer() -> None:
    plane = new_plane()
    peers = [Peer(plane, 65536 + n) for n in range(5)]
    plane.receive_datagrams([(peer.check(), peer.address) for peer in peers], 0)
    deliver(plane, peers)
    for peer in peers:
        (answer,) = peer.received.stun
        answer.check_integrity(peer.password)
