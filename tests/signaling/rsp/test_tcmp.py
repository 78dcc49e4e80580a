"""The connection layer on virtual time."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.rsp.messages import Busy, Iced
from signaling.rsp.tcmp import (
    CLOSE_ENDED,
    CLOSE_HEARTBEATS_MISSED,
    CLOSE_NO_HELLO,
    CLOSE_PROTOCOL_ERROR,
    CLOSE_TOO_BIG,
    BodyReceived,
    Closed,
    InvalidReceived,
    TcmpConnection,
    TcmpState,
)

HELLO: dict[str, Any] = {"type": "hello", "id": "1", "timeout": 5000, "version": 2}


def connection(*busy: Busy) -> TcmpConnection:
    """Return a connection that is busy so many times."""
    answers = list(busy)
    return TcmpConnection(admit=lambda _: answers.pop(0) if answers else None, now=0.0)


def receive(tcmp: TcmpConnection, frame: Any, now: float = 0.0) -> list[dict[str, Any]]:
    tcmp.receive_text(json.dumps(frame), now)
    return sent(tcmp)


def sent(tcmp: TcmpConnection) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in tcmp.frames_to_send()]


def opened(timeout: Any = 5000) -> TcmpConnection:
    tcmp = connection()
    receive(tcmp, HELLO | {"timeout": timeout})
    return tcmp


def taken(tcmp: TcmpConnection) -> list[object]:
    events: list[object] = []
    while (event := tcmp.next_event()) is not None:
        events.append(event)
    return events


@pytest.mark.parametrize(
    ("wanted", "negotiated"),
    [(5000, 5000), (1, 1000), (0, 1000), (-5, 1000), (10**40, 30000), (2500.5, 2500)],
)
def test_the_negotiated_timeout_is_bounded(wanted: Any, negotiated: int) -> None:
    tcmp = connection()
    frames = receive(tcmp, HELLO | {"timeout": wanted})
    assert frames == [{"type": "welcome", "negotiatedTimeout": negotiated}]


def test_the_first_message_travels_in_the_hello_and_counts_after_the_welcome() -> None:
    tcmp = connection()
    assert receive(tcmp, HELLO | {"body": {"type": "ice"}}) == [
        {"type": "welcome", "negotiatedTimeout": 5000}
    ]
    (event,) = taken(tcmp)
    assert isinstance(event, BodyReceived)
    assert bytes(event.body) == b'{"type": "ice"}'


def test_a_repeated_hello_is_answered_without_repeating_its_message() -> None:
    tcmp = connection()
    receive(tcmp, HELLO | {"body": {"type": "ice"}})
    taken(tcmp)
    assert receive(tcmp, HELLO | {"id": "2", "timeout": 9000, "body": {"type": "ice"}}) == [
        {"type": "welcome", "negotiatedTimeout": 5000}
    ]
    assert taken(tcmp) == []


def test_heartbeats_go_out_in_time_and_only_when_nothing_else_does() -> None:
    tcmp = opened()
    assert tcmp.next_timer() == 4.0
    tcmp.handle_timer(3.9)
    assert sent(tcmp) == []
    tcmp.send(Iced([]), 3.9)
    tcmp.handle_timer(4.0)
    assert [f["type"] for f in sent(tcmp)] == ["msg"]
    tcmp.handle_timer(3.9 + 4.0)
    assert sent(tcmp) == [{"type": "heartbeat"}]


def test_a_server_that_only_idles_never_lets_the_timeout_pass() -> None:
    tcmp = opened(1000)
    last, now = 0.0, 0.0
    while now < 60.0:
        timer = tcmp.next_timer()
        assert timer is not None
        now = timer
        tcmp.receive_text('{"type":"heartbeat"}', now)
        tcmp.handle_timer(now)
        assert sent(tcmp)
        assert now - last < 1.0
        last = now


def test_silence_for_three_timeouts_loses_the_socket() -> None:
    tcmp = opened()
    receive(tcmp, {"type": "heartbeat"}, 10.0)
    for now in (14.0, 18.0, 22.0, 24.9):
        tcmp.handle_timer(now)
    assert taken(tcmp) == []
    tcmp.handle_timer(25.0)
    assert taken(tcmp) == [Closed(code=CLOSE_HEARTBEATS_MISSED)]
    assert tcmp.next_timer() is None


def test_any_frame_counts_as_a_sign_of_life() -> None:
    tcmp = opened()
    receive(tcmp, {"type": "msg", "body": {}}, 10.0)
    tcmp.handle_timer(24.9)
    assert tcmp.state is TcmpState.OPEN


def test_a_socket_without_a_hello_is_closed() -> None:
    tcmp = connection()
    tcmp.handle_timer(14.9)
    assert tcmp.state is TcmpState.AWAITING_HELLO
    tcmp.handle_timer(15.0)
    assert taken(tcmp) == [Closed(code=CLOSE_NO_HELLO)]


def test_a_busy_client_stays_and_is_let_in_later() -> None:
    tcmp = connection(Busy(300, True))
    assert receive(tcmp, HELLO | {"body": {"type": "ice"}}) == [
        {"type": "busy", "retryAfter": 300, "keepAlive": True}
    ]
    assert taken(tcmp) == []
    frames = receive(tcmp, HELLO | {"id": "2", "cookie": "c", "body": {"type": "ice"}}, 0.3)
    assert [f["type"] for f in frames] == ["welcome"]
    assert len(taken(tcmp)) == 1


def test_a_client_is_admitted_by_the_type_of_its_first_message() -> None:
    asked: list[str | None] = []
    tcmp = TcmpConnection(admit=lambda kind: asked.append(kind), now=0.0)
    receive(tcmp, HELLO | {"body": {"type": "sync", "x": 1}})
    assert asked == ["sync"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        '"hello"',
        '{"no":"type"}',
        '{"type":7}',
        '{"type":"hello","timeout":"5"}',
        '{"type":"hello","version":3}',
        '{"type":"hello","body":[]}',
        '{"type":"msg","body":{"type":"connect"}}',
        '{"type":"msg"}',
        "[" * 100_000,
    ],
)
def test_a_bad_handshake_is_refused_in_words(text: str) -> None:
    tcmp = connection()
    tcmp.receive_text(text, 0.0)
    (frame,) = sent(tcmp)
    assert frame["type"] == "bad"
    assert isinstance(frame["reason"], str)
    assert taken(tcmp) == [Closed(code=CLOSE_PROTOCOL_ERROR)]


@pytest.mark.parametrize(
    "text", ["", "not json", "[]", '{"type":"msg"}', '{"type":"hello","id":1}']
)
def test_bad_frames_on_an_open_connection_are_reported_and_bad_is_never_sent(text: str) -> None:
    tcmp = opened()
    tcmp.receive_text(text, 0.0)
    (event,) = taken(tcmp)
    assert isinstance(event, InvalidReceived)
    assert sent(tcmp) == []


def test_unknown_types_are_ignored() -> None:
    tcmp = opened()
    assert receive(tcmp, {"type": "novelty", "x": 1}) == []
    assert taken(tcmp) == []
    assert tcmp.ignored == 1


@pytest.mark.parametrize("character", ["x", "é"])
def test_frames_of_more_than_a_mebibyte_close_the_connection(character: str) -> None:
    tcmp = opened()
    tcmp.receive_text(character * ((1 << 20) + 1), 0.0)
    assert taken(tcmp) == [Closed(code=CLOSE_TOO_BIG)]


def test_a_client_whose_session_has_ended_closes_or_is_closed() -> None:
    tcmp = opened()
    tcmp.finish(10.0)
    assert receive(tcmp, {"type": "msg", "body": {}}, 10.1) == []
    assert receive(tcmp, HELLO, 10.2) == []
    assert receive(tcmp, {"type": "bye"}, 10.3) == []
    assert taken(tcmp) == []
    tcmp.handle_timer(15.0)
    assert taken(tcmp) == [Closed(code=CLOSE_ENDED)]


def test_nothing_is_sent_before_the_handshake_or_after_the_end() -> None:
    tcmp = connection()
    tcmp.send(Iced([]), 0.0)
    assert sent(tcmp) == []
    receive(tcmp, HELLO)
    tcmp.close(1012)
    tcmp.send(Iced([]), 0.0)
    assert sent(tcmp) == []
    assert taken(tcmp) == [Closed(code=1012)]


_FRAMES = st.one_of(
    st.text(max_size=40),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=8,
    ).map(json.dumps),
    st.builds(
        lambda kind, body, extra: json.dumps({"type": kind, "body": body} | extra),
        st.sampled_from(["hello", "msg", "heartbeat", "bye", "other"]),
        st.none() | st.dictionaries(st.sampled_from(["type", "x"]), st.text(max_size=5)),
        st.dictionaries(
            st.sampled_from(["timeout", "version", "id", "cookie"]),
            st.none() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        ),
    ),
)


@given(st.lists(st.tuples(_FRAMES, st.floats(0, 10)), max_size=12))
def test_nothing_that_a_client_sends_raises_or_closes_with_1000(
    frames: list[tuple[str, float]],
) -> None:
    tcmp, now, welcomes = connection(), 0.0, 0
    for text, pause in frames:
        now += pause
        tcmp.receive_text(text, now)
        tcmp.handle_timer(now)
        for frame in sent(tcmp):
            assert frame["type"] in {"welcome", "heartbeat", "bad"}
            welcomes += frame["type"] == "welcome"
            assert not (frame["type"] == "bad" and welcomes)
        assert all(e.code != 1000 for e in taken(tcmp) if isinstance(e, Closed))
        timer = tcmp.next_timer()
        assert timer is None or timer > now
