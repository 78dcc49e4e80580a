"""Payload descriptors as the plane reads them."""

def describe_payload(payload_format: int, data: bytes) -> dict[str, int] | None:
    """Return what the plane reads from a payload, or None if it is malformed. For tests."""
