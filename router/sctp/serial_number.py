"""
Sequence numbers wider than on the wire.

Inside the association TSNs are plain integers that never wrap, so that they compare with ``<``;
only parsing and serialising know the 32 bits.
"""

TSN_MASK = 0xFFFFFFFF
SSN_MASK = 0xFFFF


def extend_tsn(tsn: int, reference: int) -> int:
    """
    Return the integer nearest to ``reference`` that is ``tsn`` modulo 2^32.

    RFC 9260 section 1.6 compares TSNs by RFC 1982; the result orders in the same way.
    """
    return reference + ((tsn - reference + 0x80000000) & TSN_MASK) - 0x80000000


def extend_ssn(ssn: int, reference: int) -> int:
    """Return the integer nearest to ``reference`` that is ``ssn`` modulo 2^16."""
    return reference + ((ssn - reference + 0x8000) & SSN_MASK) - 0x8000
