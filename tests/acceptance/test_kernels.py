"""The kernels that valgrind cannot run, by their time against those that it can: in turn."""

import statistics
from collections.abc import Iterator

import pytest

from router._fastpath import measure, srtp

PASSES = 9
ROUNDS = 20480
LENGTH = 1200


@pytest.fixture(autouse=True)
def default_kernels() -> Iterator[None]:
    """Leave the kernels of choice in place."""
    yield
    srtp.set_kernels()


def seal_ns(profile: int, kernels: dict[str, str]) -> float:
    """Return nanoseconds to seal one packet; CM fills the lanes with other subscribers' packets."""
    srtp.set_kernels(**kernels)
    return measure.seal(profile, length=LENGTH, sessions=100, frame=8, rounds=ROUNDS)


@pytest.mark.parametrize(
    ("profile", "wide", "narrow", "most"),
    [
        # Measured on Emerald Rapids: 0.38 and 0.34.
        (7, {"gcm": "vaes"}, {"gcm": "aesni"}, 0.6),
        (1, {"ctr": "vaes", "sha1": "avx512"}, {"ctr": "aesni", "sha1": "shani"}, 0.6),
    ],
)
def test_wide_kernels_are_that_much_faster(
    profile: int, wide: dict[str, str], narrow: dict[str, str], most: float
) -> None:
    available = srtp.available_kernels()
    missing = [
        name
        for each in (wide, narrow)
        for kind, name in each.items()
        if name not in available[kind]
    ]
    if missing:
        pytest.skip(f"this processor has no {', '.join(missing)}")
    ratios = [seal_ns(profile, wide) / seal_ns(profile, narrow) for _ in range(PASSES)]
    print(f"profile {profile}: {statistics.median(ratios):.2f} of the narrow kernels' time")
    assert statistics.median(ratios) < most
