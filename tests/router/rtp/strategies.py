"""Hypothesis strategies for RTP packets."""

from hypothesis import strategies as st

from router.rtp import RtpPacket

SEQ = st.integers(0, 0xFFFF)
SSRC = st.integers(0, 0xFFFFFFFF)

ONE_BYTE_ELEMENTS = st.lists(
    st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16)), max_size=6
)
TWO_BYTE_ELEMENTS = st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=40)), max_size=6)


@st.composite
def rtp_packets(draw: st.DrawFn) -> RtpPacket:
    """Any RTP packet that can be serialized."""
    return RtpPacket(
        payload_type=draw(st.integers(0, 127)),
        sequence_number=draw(SEQ),
        rtp_timestamp=draw(SSRC),
        ssrc=draw(SSRC),
        payload=draw(st.binary(max_size=60)),
        marker=draw(st.booleans()),
        csrcs=tuple(draw(st.lists(SSRC, max_size=15))),
        extensions=tuple(draw(st.one_of(ONE_BYTE_ELEMENTS, TWO_BYTE_ELEMENTS))),
        padding=draw(st.integers(0, 255)),
    )
