"""AES-128 in counter mode: the table of kernels, their self-test and the choice."""

def available() -> tuple[str, ...]:
    """Return the kernels that run here and passed RFC 3711's vector, fastest first."""

def select(name: str | None = None) -> None:
    """
    Use one kernel, or with None the fastest.

    Not while a data plane thread runs.

    :raises ValueError: when it is not available.
    """

def selected() -> str:
    """Return the name of the kernel in use."""
