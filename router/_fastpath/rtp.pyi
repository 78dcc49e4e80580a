"""The RTP header as the plane reads it."""

def describe_packet(data: bytes, kinds: bytes) -> dict[str, object] | None:
    """Return what the plane reads from a plain RTP packet, or None if it drops it. For tests."""
