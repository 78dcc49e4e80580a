"""SHA-1 and HMAC-SHA1: the table of kernels, their self-test and the choice."""

def available() -> tuple[str, ...]:
    """Return the kernels that run here and passed RFC 2202's vector, widest first."""

def select(name: str | None = None) -> None:
    """
    Use one kernel for all calls, or with None the widest for many messages and the best for few.

    Not while a data plane thread runs.

    :raises ValueError: when it is not available.
    """

def selected() -> str:
    """Return the name of the kernel in use, or of both joined by ``+``."""

def hmac(key: bytes, head: bytes, rest: bytes = b"") -> bytes:
    """Return HMAC-SHA1 (20 bytes) of the two pieces."""

def sha1(data: bytes) -> bytes:
    """Return the SHA-1 digest (20 bytes); for tests of the compression function."""
