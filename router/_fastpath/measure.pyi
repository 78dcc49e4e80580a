"""
What the stages of the packet path cost by themselves, in CPU time of the calling thread.

For ``python -m benchmarks``: the loops are compiled, so that nothing of Python is in the figures.
All return nanoseconds per packet; lengths are those of the plain RTP packet, 25 to 1,500 bytes, of
which 24 are the header.
"""

def seal(profile: int, *, length: int, sessions: int, frame: int, rounds: int) -> float:
    """
    Seal at least ``rounds`` packets, in batches as the fan-out does.

    :param profile: 7 (AEAD_AES_128_GCM) or 1 (AES128_CM_HMAC_SHA1_80).
    :param sessions: Subscribers that take turns.
    :param frame: Packets in a row for one subscriber, 1 to 64.
    """

def unseal(profile: int, *, length: int, sessions: int, rounds: int) -> float:
    """Open at least ``rounds`` packets, each of another session of ``sessions`` (1 to 1,024)."""

def parse(packet: bytes, kinds: bytes, *, rounds: int) -> float:
    """
    Parse one RTP packet ``rounds`` times.

    :param kinds: 256 bytes: the ``EXTENSION_*`` of each extmap id.
    """
