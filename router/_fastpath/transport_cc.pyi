"""Transport-wide congestion control feedback."""

def build_feedback(
    arrivals: list[tuple[int, int]], sender_ssrc: int, media_ssrc: int
) -> list[bytes]:
    """Return the feedback packets for (transport-wide sequence number, now_us) pairs. For tests."""
