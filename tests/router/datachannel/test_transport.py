"""Data channels between two transports (RFC 8831, RFC 8832)."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.datachannel import (
    AssociationClosed,
    AssociationOpened,
    ChannelClosed,
    ChannelOpened,
    DataChannelConfig,
    DtlsRole,
    MessageReceived,
)
from router.datachannel.channel import TRANSITIONS, ChannelInput, ChannelState
from router.errors import LocalProtocolError, RemoteProtocolError
from router.sctp.chunks.chunk_type import ChunkType
from router.sctp.chunks.data import DataChunk
from router.sctp.packet import parse_packet, serialize_packet

from .pair import Pair

LOSSES = [0.0, 0.05, 0.1, 0.3]


@pytest.mark.parametrize("loss", LOSSES)
def test_channels_open_carry_and_close_from_both_sides(loss: float) -> None:
    pair = Pair(seed=2, loss=loss, reorder=loss / 3, duplicate=loss / 3)
    # Asked for before the association exists: they wait.
    first = pair.client.open_channel(label="first", protocol="p", now=0.0)
    pair.client.send(first, "early", 0.0)
    pair.connect()
    second = pair.server.open_channel(label="second", ordered=False, now=pair.now)
    assert (first % 2, second % 2) == (0, 1)
    pair.server.send(second, b"\x00\xff", pair.now)
    pair.run(
        60,
        stop=lambda: (
            len(pair.of(pair.client, ChannelOpened)) == 2
            and len(pair.of(pair.server, ChannelOpened)) == 2
            and pair.messages(pair.server, first)
            and pair.messages(pair.client, second)
        ),
    )
    for transport, remote in ((pair.client, second), (pair.server, first)):
        assert pair.events[transport][0] == AssociationOpened()
        opened = pair.of(transport, ChannelOpened)
        assert sorted(event.channel_id for event in opened) == sorted((first, second))
        assert [event.channel_id for event in opened if event.remote] == [remote]
    (event,) = [e for e in pair.of(pair.server, ChannelOpened) if e.remote]
    assert (event.label, event.parameters.protocol) == ("first", "p")
    assert pair.messages(pair.server, first) == ["early"]
    assert pair.messages(pair.client, second) == [b"\x00\xff"]

    pair.client.send(first, "last", pair.now)
    pair.client.close_channel(first, pair.now)
    pair.client.close_channel(second, pair.now)
    pair.run(120, stop=lambda: len(pair.closed(pair.client)) == len(pair.closed(pair.server)) == 2)
    assert pair.messages(pair.server, first) == ["early", "last"]
    for transport in (pair.client, pair.server):
        assert sorted(pair.closed(transport)) == sorted((first, second))
        assert all(event.error is None for event in pair.of(transport, ChannelClosed))
        assert transport.channel_ids() == []


@pytest.mark.parametrize("loss", LOSSES)
def test_identifiers_are_used_again_and_lives_do_not_mix(loss: float) -> None:
    pair = Pair(seed=3, loss=loss, reorder=loss / 3).connect()
    for life in range(12):
        opener, other = (pair.client, pair.server) if life % 2 else (pair.server, pair.client)
        channel_id = opener.open_channel(label=f"life {life}", now=pair.now, ordered=bool(life % 3))
        assert channel_id == (0 if life % 2 else 1)
        for index in range(3):
            opener.send(channel_id, f"{life} {index}", pair.now)
        closer = opener if life % 4 < 2 else other
        pair.run(
            120,
            stop=lambda other=other, channel_id=channel_id, life=life: (
                f"{life} 2"  # type: ignore[misc]
                in pair.messages(other, channel_id)
            ),
        )
        closer.close_channel(channel_id, pair.now)
        before = len(pair.closed(opener))
        pair.run(
            120,
            stop=lambda opener=opener, before=before: len(pair.closed(opener)) > before,  # type: ignore[misc]
        )
    pair.run(60)
    for transport in (pair.client, pair.server):
        assert len(pair.closed(transport)) == 12
        assert transport.channel_ids() == []
        assert transport.counters.messages_ignored == 0
    for life in range(12):
        other = pair.server if life % 2 else pair.client
        messages = pair.messages(other, 0 if life % 2 else 1)
        assert sorted(m for m in messages if str(m).startswith(f"{life} ")) == [
            f"{life} {index}" for index in range(3)
        ]


@pytest.mark.parametrize("loss", LOSSES)
def test_both_sides_close_at_once(loss: float) -> None:
    pair = Pair(seed=4, loss=loss).connect()
    channel_id = pair.client.open_channel(label="x", now=pair.now)
    pair.run(60, stop=lambda: pair.server.channel_ids())
    pair.client.close_channel(channel_id, pair.now)
    pair.server.close_channel(channel_id, pair.now)
    pair.client.close_channel(channel_id, pair.now)
    pair.run(120, stop=lambda: pair.closed(pair.client) and pair.closed(pair.server))
    pair.run(30)
    assert pair.closed(pair.client) == pair.closed(pair.server) == [channel_id]


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
def test_large_messages_arrive_whole(loss: float) -> None:
    config = DataChannelConfig(remote_max_message_size=262144)
    pair = Pair(config, seed=5, loss=loss).connect()
    channel_id = pair.client.open_channel(label="x", now=pair.now)
    rng = random.Random(1)
    sizes = (0, 1, 65535, 65536) if loss == 0.3 else (0, 1, 65536, 262143, 262144)
    messages = [rng.randbytes(size) for size in sizes]
    for message in messages:
        assert pair.client.send(channel_id, message, pair.now)
    pair.run(600, stop=lambda: len(pair.messages(pair.server, channel_id)) == len(messages))
    assert pair.messages(pair.server, channel_id) == messages


@pytest.mark.parametrize("loss", [0.1, 0.3])
@pytest.mark.parametrize("options", [{"max_retransmits": 0}, {"max_packet_lifetime_ms": 100}])
@pytest.mark.parametrize("ordered", [True, False])
def test_unreliable_channels_lose_messages_and_go_on(
    loss: float, options: dict[str, int], ordered: bool
) -> None:
    pair = Pair(seed=6, loss=loss).connect()
    channel_id = pair.client.open_channel(label="x", now=pair.now, ordered=ordered, **options)  # type: ignore[arg-type]
    pair.run(60, stop=lambda: len(pair.of(pair.client, ChannelOpened)) == 1)
    for index in range(200):
        pair.client.send(channel_id, f"{index}", pair.now)
        due = pair.now + 0.02
        pair.run(0.02)
        pair.now = due
    pair.run(60, stop=lambda: pair.client.send_buffer_used == 0)
    numbers = [int(message) for message in pair.messages(pair.server, channel_id)]
    assert len(set(numbers)) == len(numbers)
    assert 20 < len(numbers) < 200
    if ordered:
        assert numbers == sorted(numbers)
    pair.client.close_channel(channel_id, pair.now)
    pair.run(60, stop=lambda: pair.closed(pair.client) and pair.closed(pair.server))
    assert pair.closed(pair.server) == [channel_id]


def test_slow_peer_loses_unreliable_messages_and_reliable_channels() -> None:
    config = DataChannelConfig(send_buffer_bytes=300_000, unreliable_send_buffer_bytes=100_000)
    pair = Pair(config).connect()
    reliable = pair.client.open_channel(label="r", now=pair.now)
    unreliable = pair.client.open_channel(label="u", max_retransmits=0, now=pair.now)
    pair.run(5)
    pair.link.loss = 1.0
    results = [pair.client.send(unreliable, bytes(1000), pair.now) for _ in range(200)]
    assert 60 < results.count(True) < 100
    assert results == sorted(results, reverse=True)
    assert pair.client.counters.messages_dropped == results.count(False)
    assert pair.client.send_buffer_used <= 100_000

    sent = 0
    while pair.client.send(reliable, bytes(1000), pair.now):
        sent += 1
    assert sent > 100
    assert pair.client.send_buffer_used <= 300_000
    with pytest.raises(LocalProtocolError):
        pair.client.send(reliable, b"x", pair.now)
    pair.link.loss = 0.0
    pair.run(60, stop=lambda: pair.closed(pair.client))
    (closed,) = pair.of(pair.client, ChannelClosed)
    assert closed.channel_id == reliable
    assert isinstance(closed.error, LocalProtocolError)
    assert pair.client.send(unreliable, b"still here", pair.now)
    pair.run(5)
    assert pair.messages(pair.server, unreliable)[-1] == b"still here"


def test_send_says_what_is_wrong() -> None:
    pair = Pair(DataChannelConfig(remote_max_message_size=1000)).connect()
    channel_id = pair.client.open_channel(label="x", now=pair.now)
    with pytest.raises(LocalProtocolError, match="1001 bytes"):
        pair.client.send(channel_id, bytes(1001), pair.now)
    assert pair.client.send(channel_id, bytes(1000), pair.now)
    with pytest.raises(LocalProtocolError, match="not open"):
        pair.client.send(2, b"x", pair.now)
    pair.client.close_channel(channel_id, pair.now)
    with pytest.raises(LocalProtocolError, match="not open"):
        pair.client.send(channel_id, b"x", pair.now)


def test_negotiated_channels_need_no_message() -> None:
    pair = Pair()
    for transport in (pair.client, pair.server):
        assert transport.open_channel(label="n", negotiated_id=7, now=0.0) == 7
    with pytest.raises(LocalProtocolError, match="exists"):
        pair.client.open_channel(label="n", negotiated_id=7, now=0.0)
    pair.connect()
    pair.client.send(7, "a", pair.now)
    pair.server.send(7, "b", pair.now)
    pair.run(5)
    assert pair.messages(pair.server, 7) == ["a"]
    assert pair.messages(pair.client, 7) == ["b"]
    for transport in (pair.client, pair.server):
        (opened,) = pair.of(transport, ChannelOpened)
        assert not opened.remote
    pair.server.close_channel(7, pair.now)
    pair.run(5)
    assert pair.closed(pair.client) == pair.closed(pair.server) == [7]


def test_identifiers_run_out() -> None:
    pair = Pair(DataChannelConfig(max_streams=6)).connect()
    ids = [pair.server.open_channel(label="", now=pair.now) for _ in range(3)]
    assert ids == [1, 3, 5]
    with pytest.raises(LocalProtocolError, match="free"):
        pair.server.open_channel(label="", now=pair.now)
    with pytest.raises(LocalProtocolError, match="6"):
        pair.server.open_channel(label="", negotiated_id=6, now=pair.now)


def test_channel_beyond_the_peers_streams_is_closed_with_an_error() -> None:
    pair = Pair(server=DataChannelConfig(max_streams=2))
    pair.client.open_channel(label="fits", now=0.0)
    beyond = pair.client.open_channel(label="does not", now=0.0)
    pair.client.send(beyond, b"x", 0.0)
    pair.connect()
    pair.run(5)
    (closed,) = pair.of(pair.client, ChannelClosed)
    assert closed.channel_id == beyond
    assert isinstance(closed.error, RemoteProtocolError)
    assert [event.label for event in pair.of(pair.server, ChannelOpened)] == ["fits"]


def test_closing_before_the_association_takes_the_channel_back() -> None:
    pair = Pair()
    channel_id = pair.client.open_channel(label="x", now=0.0)
    pair.client.close_channel(channel_id, 0.0)
    pair.connect()
    pair.run(5)
    assert pair.closed(pair.client) == [channel_id]
    assert pair.of(pair.server, ChannelOpened) == []


@pytest.mark.parametrize("how", ["shutdown", "abort"])
def test_end_of_the_association_closes_all_channels_first(how: str) -> None:
    pair = Pair().connect()
    for transport in (pair.client, pair.server):
        for _ in range(2):
            transport.open_channel(label="x", now=pair.now)
    pair.run(5)
    if how == "abort":
        pair.client.abort("bye", pair.now)
    else:
        pair.client.shutdown(pair.now)
    pair.run(10)
    for transport in (pair.client, pair.server):
        events = pair.events[transport]
        assert sorted(pair.closed(transport)) == [0, 1, 2, 3]
        assert isinstance(events[-1], AssociationClosed)
        assert transport.is_closed
        assert transport.next_timer() is None
        with pytest.raises(LocalProtocolError):
            transport.open_channel(label="x", now=pair.now)
        with pytest.raises(LocalProtocolError):
            transport.open_channel(label="x", negotiated_id=5, now=pair.now)


def test_peer_that_restarts_closes_channels() -> None:
    pair = Pair().connect()
    pair.client.open_channel(label="x", now=pair.now)
    pair.run(5)
    reborn = Pair(seed=50).client
    pair.events[reborn] = []
    del pair.events[pair.client]
    pair.client = reborn
    channel_id = reborn.open_channel(label="again", now=pair.now)
    reborn.connect(pair.now)
    pair.run(30)
    (closed,) = pair.of(pair.server, ChannelClosed)
    assert isinstance(closed.error, RemoteProtocolError)
    assert [event.label for event in pair.of(pair.server, ChannelOpened)] == ["x", "again"]
    reborn.send(channel_id, "hi", pair.now)
    pair.run(5)
    assert pair.messages(pair.server, channel_id) == ["hi"]


class _Forger:
    """Sends the server what its peer's association would, without a channel behind it."""

    def __init__(self, config: DataChannelConfig | None = None) -> None:
        self.pair = Pair(server=config).connect()
        self.pair.run(1)
        self.server = self.pair.server
        association = self.server._association
        assert association._inbound is not None
        self.tsn = association._inbound.cumulative_tsn + 1
        self.tag = association._handshake.local_tag
        self.ssn: dict[int, int] = {}

    def send(self, stream_id: int, ppid: int, data: bytes) -> None:
        ssn = self.ssn.get(stream_id, 0)
        self.ssn[stream_id] = ssn + 1
        chunk = DataChunk(0x03, self.tsn & 0xFFFFFFFF, stream_id, ssn, ppid, data)
        self.tsn += 1
        packet = serialize_packet(5000, 5000, self.tag, [chunk.serialize()])
        self.server.receive_datagram(packet, self.pair.now)

    def events(self) -> list[Any]:
        events = []
        while (event := self.server.next_event()) is not None:
            events.append(event)
        return events


_OPEN = bytes.fromhex("030000000000000000010000") + b"L"


def test_messages_that_fit_no_channel_are_counted() -> None:
    forger = _Forger()
    forger.send(0, 51, b"no channel")
    forger.send(0, 50, b"\x02")
    forger.send(0, 50, _OPEN)
    forger.send(0, 52, b"deprecated")
    forger.send(0, 999, b"unknown")
    forger.send(0, 51, b"\xff\xfe")
    forger.send(0, 56, b"\x00")
    events = forger.events()
    assert [type(event) for event in events] == [ChannelOpened, MessageReceived, MessageReceived]
    assert [event.data for event in events[1:]] == ["\ufffd\ufffd", ""]
    assert forger.server.counters.messages_ignored == 3


@pytest.mark.parametrize(
    "data", [b"\x03", b"\x09", _OPEN + b"!", _OPEN[:-1], b"\x03\x77" + _OPEN[2:]]
)
def test_malformed_dcep_closes_the_channel(data: bytes) -> None:
    forger = _Forger()
    forger.send(0, 50, _OPEN)
    forger.send(0, 50, data)
    forger.send(2, 50, data)
    assert len(forger.events()) == 1
    assert forger.server._channels[0].state is ChannelState.CLOSING
    assert forger.server.channel_ids() == [0]
    assert forger.server.is_connected


def test_open_with_our_parity_or_for_an_open_channel_is_refused() -> None:
    forger = _Forger()
    forger.send(1, 50, _OPEN)
    assert forger.server.channel_ids() == []
    forger.send(0, 50, _OPEN)
    forger.send(0, 50, _OPEN)
    assert [type(event) for event in forger.events()] == [ChannelOpened]
    assert forger.server._channels[0].state is ChannelState.CLOSING


def test_labels_are_bounded_together() -> None:
    forger = _Forger(DataChannelConfig(max_label_bytes=2500))
    label = bytes.fromhex("0300000000000000") + (1000).to_bytes(2, "big") + bytes(2) + b"x" * 1000
    for stream_id in (0, 2, 4, 6):
        forger.send(stream_id, 50, label)
    assert forger.server.channel_ids() == [0, 2]
    forger.send(8, 50, _OPEN)
    assert forger.server.channel_ids() == [0, 2, 8]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.sampled_from([50, 50, 51, 53, 56, 57, 99]),
            st.one_of(
                st.sampled_from([_OPEN, b"\x02", b"\x03"]), st.binary(min_size=1, max_size=20)
            ),
        ),
        max_size=30,
    )
)
def test_any_messages_never_raise(messages: list[tuple[int, int, bytes]]) -> None:
    forger = _Forger()
    for stream_id, ppid, data in messages:
        forger.send(stream_id, ppid, data)
    forger.events()
    assert len(forger.server.channel_ids()) <= 5


def test_every_channel_state_ends_when_the_association_does() -> None:
    for state in ChannelState:
        assert TRANSITIONS[state, ChannelInput.ASSOCIATION_LOST] is ChannelState.CLOSED


def test_config_refuses_what_cannot_work() -> None:
    for options in (
        {"unreliable_send_buffer_bytes": 1 << 30},
        {"remote_max_message_size": -1},
        {"max_streams": 0},
        {"mtu": 1},
    ):
        with pytest.raises(LocalProtocolError):
            DataChannelConfig(**options)
    assert DtlsRole("client") is DtlsRole.CLIENT


def test_nothing_overtakes_the_open_of_an_unordered_channel() -> None:
    pair = Pair().connect()
    pair.run(1)

    def sent_flags() -> list[int]:
        pair.now += 0.01
        chunks = []
        for data in pair.client.datagrams_to_send():
            chunks += parse_packet(data, zero_checksum_acceptable=True).chunks
            pair.link.push(data, pair.server, pair.now)
        return [chunk.flags & 0x04 for chunk in chunks if chunk.type == ChunkType.DATA]

    channel_id = pair.client.open_channel(label="x", ordered=False, now=pair.now)
    pair.client.send(channel_id, "before the answer", pair.now)
    flags = sent_flags()
    assert flags == [0, 0]
    pair.run(1)
    pair.client.send(channel_id, "after", pair.now)
    assert sent_flags() == [0x04]


def test_identifier_may_be_used_again_before_we_know_that_our_reset_arrived() -> None:
    pair = Pair().connect()
    channel_id = pair.client.open_channel(label="old", now=pair.now)
    pair.run(1)
    pair.client.close_channel(channel_id, pair.now)

    def exchange(*, answer_arrives: bool) -> None:
        for data in pair.client.datagrams_to_send():
            if answer_arrives or not _has_only_responses(data):
                pair.server.receive_datagram(data, pair.now)
        for data in pair.server.datagrams_to_send():
            pair.client.receive_datagram(data, pair.now)

    # The server's reset of its side reaches the client, whose answer to it is lost.
    for _ in range(3):
        exchange(answer_arrives=False)
    assert pair.server._channels[channel_id].state is ChannelState.WAITING_FOR_ACK
    assert pair.client.channel_ids() == []
    assert pair.client.open_channel(label="new", now=pair.now) == channel_id
    pair.client.send(channel_id, "to the new one", pair.now)
    exchange(answer_arrives=False)
    pair.run(10)
    labels = [event.label for event in pair.of(pair.server, ChannelOpened)]
    assert labels == ["old", "new"]
    assert pair.closed(pair.server) == [channel_id]
    assert pair.messages(pair.server, channel_id) == ["to the new one"]
    assert len(pair.of(pair.client, ChannelOpened)) == 2
    assert pair.client.channel_ids() == pair.server.channel_ids() == [channel_id]


def _has_only_responses(data: bytes) -> bool:
    chunks = parse_packet(data, zero_checksum_acceptable=True).chunks
    return all(
        chunk.type in (ChunkType.RE_CONFIG, ChunkType.SACK)
        and (chunk.type == ChunkType.SACK or chunk.value[:2] == b"\x00\x10")
        for chunk in chunks
    )
