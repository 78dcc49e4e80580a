"""What SDP negotiated, in the tables of the data plane."""

from router._fastpath import plane
from router.peer.tables import media_tables
from router.plane.codecs import CodecTable
from router.plane.ids import IdPool
from router.plane.shard import PlaneShard
from router.sdp import config as sdp
from router.sdp.codecs import Codec, PayloadType

PCMU = Codec(kind="audio", name="PCMU", clock_rate=8000)
VP8 = Codec(kind="video", name="VP8", clock_rate=90000)
RTX = Codec(kind="video", name="rtx", clock_rate=90000)


def new_shard() -> PlaneShard:
    """Return a plane without a thread."""
    return PlaneShard(
        index=0,
        plane=plane.DataPlane(max_transports=1, max_streams=1, max_slots=1),
        port=0,
        transports=IdPool(1),
        streams=IdPool(1),
        slots=IdPool(1),
        codecs=CodecTable(),
    )


def test_payload_types_are_mapped_both_ways_and_zero_is_one() -> None:
    shard = new_shard()
    types = [
        PayloadType(number=0, codec=PCMU),
        PayloadType(number=8, codec=PCMU),  # the first one is sent
        PayloadType(number=96, codec=VP8),
        PayloadType(number=97, codec=RTX, apt=96),
        PayloadType(number=99, codec=RTX, apt=98),  # of nothing that was negotiated
    ]
    tables = media_tables(shard, {entry.number: entry for entry in types}, {}, {})
    pcmu, vp8 = shard.codec_number(PCMU), shard.codec_number(VP8)
    codecs = {number: codec for number, codec in enumerate(tables.payload_in) if codec}
    assert codecs == {0: pcmu, 8: pcmu, 96: vp8, 97: vp8 | plane.PAYLOAD_RTX}
    out = {c: number for c, number in enumerate(tables.payload_out) if number != plane.PAYLOAD_NONE}
    assert out == {pcmu: 0, vp8: 96}
    rtx = {c: number for c, number in enumerate(tables.rtx_out) if number != plane.PAYLOAD_NONE}
    assert rtx == {vp8: 97}


def test_extensions_are_sent_with_ids_of_the_one_byte_form() -> None:
    extensions = {3: sdp.AUDIO_LEVEL_EXTENSION, 15: sdp.MID_EXTENSION, 9: "urn:example:unknown"}
    tables = media_tables(new_shard(), {}, extensions, {})
    assert {i: kind for i, kind in enumerate(tables.extensions_in) if kind} == {
        3: plane.EXTENSION_AUDIO_LEVEL,
        15: plane.EXTENSION_MID,
    }
    assert {kind: i for kind, i in enumerate(tables.extensions_out) if i} == {
        plane.EXTENSION_AUDIO_LEVEL: 3
    }
