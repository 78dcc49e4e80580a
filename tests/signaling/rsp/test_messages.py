"""Any text is a message, unknown, or a WireFormatError."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import WireFormatError
from signaling.rsp.messages import (
    FAULT_MAX_CHARACTERS,
    BodyIn,
    Connect,
    Sync,
    Update,
    parse_body,
    parse_frame,
)

from .support import connect_body, track


def parsed(text: str | bytes) -> object:
    try:
        return parse_body(text)
    except WireFormatError:
        return None


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_text_parses_or_raises_wire_format_error(data: bytes | str) -> None:
    parsed(data)
    try:
        parse_frame(data)
    except WireFormatError:
        return


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)


@given(
    st.sampled_from(["ice", "connect", "update", "sync", "disconnect"]),
    st.dictionaries(
        st.sampled_from(
            ["token", "session", "name", "participant", "peer_connections", "subscribe", "x"]
        ),
        _JSON | st.fixed_dictionaries({"revision": _JSON, "tracks": _JSON}),
    ),
)
def test_any_members_parse_or_raise_wire_format_error(
    kind: str, members: dict[str, object]
) -> None:
    parsed(json.dumps({"type": kind} | members))


def test_the_connect_of_an_sdk_is_read() -> None:
    body = parse_body(json.dumps(connect_body("alice", tracks=(track("{05d2}", "video"),))))
    assert isinstance(body, Connect)
    assert body.participant.tracks[0].id == "{05d2}"
    assert body.subscribe is not None
    assert body.subscribe.rules[0].all
    assert body.peer_connections[0].description is not None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"type":"update","version":2,"session":"s","participant":{"revision":3,"tracks":[]},'
         '"peer_connections":[{"id":"pc","ice":{"candidates":[],"ufrag":"u","complete":true,'
         '"revision":3}}],"bandwidth_profile":{}}', Update),
        ('{"type":"sync","version":2,"name":"q1","session":"s","token":"t","participant":'
         '{"revision":4,"tracks":[]},"peer_connections":[{"id":"pc","description":'
         '{"type":"close","revision":9}}]}', Sync),
    ],
)  # fmt: skip
def test_updates_and_syncs_are_read(text: str, kind: type[BodyIn]) -> None:
    assert isinstance(parse_body(text), kind)


def test_unknown_types_are_none() -> None:
    assert parse_body('{"type":"novelty"}') is None
    assert parse_frame('{"type":"novelty"}') is None


@pytest.mark.parametrize("count", [256, 257])
def test_the_list_of_tracks_is_bounded(count: int) -> None:
    tracks = tuple(track(f"t{n}") for n in range(count))
    text = json.dumps(connect_body("alice", tracks=tracks))
    assert (parsed(text) is not None) == (count == 256)


def test_deep_nesting_is_refused() -> None:
    text = '{"type":"connect","token":"t","participant":{"revision":1},"media_signaling":'
    assert parsed(text + '{"a":' * 100_000 + "1" + "}" * 100_001) is None


def test_what_is_said_of_a_bad_message_is_short() -> None:
    tracks = (track("a", kind="A" * 900_000),)
    with pytest.raises(WireFormatError, match=r"Invalid enum value 'AAA") as caught:
        parse_body(json.dumps(connect_body("alice", tracks=tracks, sdp=None)))
    assert len(str(caught.value)) <= FAULT_MAX_CHARACTERS
