"""Chunk formats: fields of captured packets, round trips, refusal of anything else."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import WireFormatError
from router.sctp.chunks.chunk_type import ChunkType, is_reported, stops_processing
from router.sctp.chunks.control import parse_shutdown, serialize_shutdown
from router.sctp.chunks.data import DataChunk, parse_data
from router.sctp.chunks.error import CauseCode, describe_causes, parse_causes, serialize_causes
from router.sctp.chunks.forward_tsn import ForwardTsnChunk, parse_forward_tsn
from router.sctp.chunks.init import InitChunk, InitParameter, parse_init
from router.sctp.chunks.parameters import Parameter, parse_parameters, serialize_parameters
from router.sctp.chunks.reconfig import (
    AddOutgoingStreamsRequest,
    IncomingResetRequest,
    OtherRequest,
    OutgoingResetRequest,
    ReconfigMessage,
    ReconfigurationResponse,
    Result,
    parse_reconfig,
    serialize_reconfig,
)
from router.sctp.chunks.sack import SackChunk, parse_sack
from router.sctp.packet import RawChunk, parse_packet

from .test_packet import VECTORS

_U8, _U16, _U32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)


def _captured(chunk: str, index: int = 0) -> RawChunk:
    packets = [v["packet"] for v in VECTORS if v["chunk"] == chunk]
    return parse_packet(bytes.fromhex(packets[index])).chunks[0]


def test_captured_init() -> None:
    init = parse_init(_captured("INIT").value)
    assert init.initiate_tag == 0x11111111
    assert init.a_rwnd == 1 << 20
    assert (init.outbound_streams, init.inbound_streams) == (65535, 65535)
    assert init.initial_tsn == 0xFFFFFFFE
    assert init.parameter(InitParameter.FORWARD_TSN_SUPPORTED) == b""
    assert init.parameter(InitParameter.SUPPORTED_EXTENSIONS) == bytes((192, 130))
    assert init.parameter(InitParameter.STATE_COOKIE) is None


def test_captured_init_ack_carries_the_cookie_that_is_echoed() -> None:
    init_ack = parse_init(_captured("INIT_ACK").value)
    assert init_ack.initiate_tag == 0x22222222
    assert init_ack.parameter(InitParameter.STATE_COOKIE) == _captured("COOKIE_ECHO").value


def test_captured_data() -> None:
    chunk = _captured("DATA")
    data = parse_data(chunk.flags, chunk.value)
    assert data[:5] == (0x03, 0xFFFFFFFE, 0, 0, 50)
    assert data.user_data.endswith(b"chatp")
    assert parse_data(0x03, _captured("DATA", 3).value).user_data == b"kept"


def test_captured_sack_with_gap() -> None:
    sack = parse_sack(_captured("SACK", 2).value)
    assert sack == SackChunk(0xFFFFFFFE, 0xFFFFC, [(2, 2)], [])


def test_captured_forward_tsn() -> None:
    assert parse_forward_tsn(_captured("FORWARD_TSN").value) == ForwardTsnChunk(
        new_cumulative_tsn=0, streams=((0, 2),)
    )


def test_captured_reconfig() -> None:
    assert parse_reconfig(_captured("RE_CONFIG", 0).value) == [
        OutgoingResetRequest(
            request_sequence_number=0xFFFFFFFE,
            response_sequence_number=999,
            senders_last_assigned_tsn=0,
            stream_ids=(0,),
        )
    ]
    assert parse_reconfig(_captured("RE_CONFIG", 1).value) == [
        ReconfigurationResponse(
            response_sequence_number=0xFFFFFFFE, result=Result.SUCCESS_PERFORMED
        )
    ]


@given(_U8, _U32, _U16, _U16, _U32, st.binary(max_size=100))
def test_data_round_trip(
    flags: int, tsn: int, stream_id: int, ssn: int, ppid: int, user_data: bytes
) -> None:
    chunk = DataChunk(flags, tsn, stream_id, ssn, ppid, user_data)
    wire = chunk.serialize()
    assert len(wire) % 4 == 0
    length = int.from_bytes(wire[2:4], "big")
    assert length == 16 + len(user_data)
    assert parse_data(wire[1], wire[4:length]) == chunk


@given(
    _U32,
    _U32,
    st.lists(st.tuples(_U16, _U16), max_size=10),
    st.lists(_U32, max_size=10),
)
def test_sack_round_trip(
    tsn: int, a_rwnd: int, blocks: list[tuple[int, int]], duplicates: list[int]
) -> None:
    chunk = SackChunk(tsn, a_rwnd, blocks, duplicates)
    assert parse_sack(chunk.serialize()[4:]) == chunk


_PARAMETERS = st.lists(st.builds(Parameter, _U16, st.binary(max_size=30)), max_size=5)


@given(_PARAMETERS)
def test_parameters_round_trip(parameters: list[Parameter]) -> None:
    assert parse_parameters(serialize_parameters(parameters)) == parameters


@given(_U32, _U32, _U16, _U16, _U32, st.binary(max_size=40))
def test_init_round_trip(
    tag: int, a_rwnd: int, outbound: int, inbound: int, tsn: int, cookie: bytes
) -> None:
    chunk = InitChunk(
        initiate_tag=tag,
        a_rwnd=a_rwnd,
        outbound_streams=outbound,
        inbound_streams=inbound,
        initial_tsn=tsn,
        parameters=(Parameter(InitParameter.STATE_COOKIE, cookie),),
    )
    wire = chunk.serialize(ChunkType.INIT_ACK)
    assert parse_init(wire[4 : int.from_bytes(wire[2:4], "big")]) == chunk


@given(_U32, st.lists(st.tuples(_U16, _U16), max_size=10))
def test_forward_tsn_round_trip(tsn: int, streams: list[tuple[int, int]]) -> None:
    chunk = ForwardTsnChunk(new_cumulative_tsn=tsn, streams=tuple(streams))
    assert parse_forward_tsn(chunk.serialize()[4:]) == chunk


_STREAMS = st.lists(_U16, max_size=8).map(tuple)


@given(
    st.lists(
        st.one_of(
            st.builds(
                OutgoingResetRequest,
                request_sequence_number=_U32,
                response_sequence_number=_U32,
                senders_last_assigned_tsn=_U32,
                stream_ids=_STREAMS,
            ),
            st.builds(IncomingResetRequest, request_sequence_number=_U32, stream_ids=_STREAMS),
            st.builds(ReconfigurationResponse, response_sequence_number=_U32, result=_U32),
            st.builds(AddOutgoingStreamsRequest, request_sequence_number=_U32, new_streams=_U16),
        ),
        min_size=1,
        max_size=2,
    )
)
def test_reconfig_round_trip(messages: list[ReconfigMessage]) -> None:
    wire = serialize_reconfig(*messages)
    assert parse_reconfig(wire[4 : int.from_bytes(wire[2:4], "big")]) == messages


def test_request_that_is_not_known_keeps_its_number() -> None:
    wire = serialize_parameters([Parameter(15, b"\x00\x00\x00\x07")])
    (request,) = parse_reconfig(wire)
    assert isinstance(request, OtherRequest)
    assert request.request_sequence_number == 7


@given(_U32)
def test_shutdown_round_trip(tsn: int) -> None:
    assert parse_shutdown(serialize_shutdown(tsn)) == tsn


def _parse_data(value: bytes) -> object:
    return parse_data(0, value)


@pytest.mark.parametrize(
    "parse",
    [
        _parse_data,
        parse_sack,
        parse_init,
        parse_forward_tsn,
        parse_reconfig,
        parse_shutdown,
        parse_parameters,
    ],
)
@given(value=st.binary(max_size=80))
def test_any_bytes_parse_or_are_refused(parse: Callable[[bytes], object], value: bytes) -> None:
    with suppress(WireFormatError):
        parse(value)


@given(st.binary(max_size=80))
def test_causes_never_raise(value: bytes) -> None:
    assert isinstance(describe_causes(parse_causes(value)), str)


def test_causes_are_named_without_their_content() -> None:
    value = serialize_causes([(CauseCode.USER_INITIATED_ABORT, b"secret"), (99, b"")])
    assert describe_causes(parse_causes(value)) == "USER_INITIATED_ABORT, cause 99"


@pytest.mark.parametrize(
    ("chunk_type", "stops", "reported"),
    [(0x3F, True, False), (0x7F, True, True), (0xBF, False, False), (0xFF, False, True)],
)
def test_high_bits_say_what_to_do_with_unknown_chunks(
    chunk_type: int, stops: bool, reported: bool
) -> None:
    assert stops_processing(chunk_type) is stops
    assert is_reported(chunk_type) is reported


def test_unknown_parameters_of_init_are_skipped_reported_or_end_the_list() -> None:
    def init(*types: int) -> InitChunk:
        chunk = InitChunk(
            initiate_tag=1,
            a_rwnd=1,
            outbound_streams=1,
            inbound_streams=1,
            initial_tsn=1,
            parameters=tuple(Parameter(t, b"x") for t in types),
        )
        wire = chunk.serialize(ChunkType.INIT)
        return parse_init(wire[4 : int.from_bytes(wire[2:4], "big")])

    assert [p.type for p in init(0x8009, 0xC009, 7).unrecognized_parameters()] == [0xC009]
    assert init(0x8009, 0xC009, 7).parameter(7) == b"x"
    assert init(0x0009 + 0x100, 7).parameter(7) is None
    assert [p.type for p in init(0x4109, 7).unrecognized_parameters()] == [0x4109]
    assert init(0x4109, 7).parameter(7) is None
