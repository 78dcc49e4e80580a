"""Hypothesis strategies for STUN."""

from hypothesis import strategies as st

from router.net import Address, unpack_host
from router.stun import (
    ERROR_CODE,
    ICE_CONTROLLED,
    ICE_CONTROLLING,
    PRIORITY,
    SOFTWARE,
    UNKNOWN_ATTRIBUTES,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    AttributeType,
    ErrorCode,
    Message,
    MessageClass,
)
from router.stun.attributes import bytes_attribute

addresses = st.builds(
    Address,
    st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)).map(
        unpack_host
    ),
    st.integers(0, 0xFFFF),
)
transaction_ids = st.binary(min_size=12, max_size=12)

_unsigned_64 = st.integers(0, 2**64 - 1)
_text = st.text(max_size=40)
_error_codes = st.builds(ErrorCode, st.integers(300, 699), _text)
# Types that neither this package nor any RFC knows, of either kind.
_unknown_types = st.one_of(st.integers(0x7000, 0x7FFF), st.integers(0xF000, 0xFFFF)).map(
    lambda number: bytes_attribute(number, "unknown")
)

attributes: st.SearchStrategy[tuple[AttributeType[object], object]] = st.one_of(
    st.tuples(st.just(USERNAME), _text),
    st.tuples(st.just(SOFTWARE), _text),
    st.tuples(st.just(PRIORITY), st.integers(0, 2**32 - 1)),
    st.tuples(st.just(ICE_CONTROLLED), _unsigned_64),
    st.tuples(st.just(ICE_CONTROLLING), _unsigned_64),
    st.tuples(st.just(USE_CANDIDATE), st.just(True)),
    st.tuples(st.just(XOR_MAPPED_ADDRESS), addresses),
    st.tuples(st.just(ERROR_CODE), _error_codes),
    st.tuples(st.just(UNKNOWN_ATTRIBUTES), st.lists(st.integers(0, 0xFFFF), max_size=9).map(tuple)),
    st.tuples(_unknown_types, st.binary(max_size=40)),
)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Build a message of any class and method, with any attributes in any order."""
    message = Message(
        message_class=draw(st.sampled_from(MessageClass)),
        method=draw(st.integers(0, 0xFFF)),
        transaction_id=draw(transaction_ids),
    )
    for attribute_type, value in draw(st.lists(attributes, max_size=8)):
        message = message.with_attribute(attribute_type, value)
    return message
