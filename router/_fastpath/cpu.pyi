"""Processor features, as the kernels see them."""

def features() -> tuple[str, ...]:
    """Return the features that the kernels can use, by their names in ``/proc/cpuinfo``."""
