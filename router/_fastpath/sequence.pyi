"""Packet indices and replay windows (RFC 3711 section 3.3)."""

def accept_sequence(sequence_numbers: list[int]) -> list[int]:
    """
    Return the index under which each packet is accepted by a new window, -1 where it is refused.

    For tests; the data plane uses the C functions.
    """
