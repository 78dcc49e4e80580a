"""Features as the kernel of the system reports them, and the choice of kernels by them."""

import platform
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from router._fastpath import cpu, srtp


@pytest.fixture(autouse=True)
def default_kernels() -> Iterator[None]:
    yield
    srtp.set_kernels()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="names of x86 features")
def test_features_are_those_of_the_system() -> None:
    flags = re.search(r"^flags\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    assert flags is not None
    known = {"ssse3", "sse4_1", "aes", "pclmulqdq", "sha_ni", "avx2", "bmi2"}
    known |= {"avx512f", "avx512bw", "avx512vl", "vaes", "vpclmulqdq"}
    assert set(cpu.features()) == known & set(flags[1].split())


def test_a_portable_kernel_is_always_there_and_comes_last() -> None:
    assert {names[-1] for names in srtp.available_kernels().values()} == {"portable"}


@pytest.mark.skipif("vaes" not in cpu.features(), reason="needs VAES")
def test_no_kernel_fails_its_self_test_where_its_features_are_present() -> None:
    assert srtp.available_kernels() == {
        "gcm": ("vaes", "aesni", "portable"),
        "ctr": ("vaes", "aesni", "portable"),
        "sha1": ("avx512", "shani", "portable"),
    }


def test_kernels_can_be_chosen_by_name() -> None:
    srtp.set_kernels(gcm="portable", ctr="portable", sha1="portable")
    assert srtp.kernels() == {"gcm": "portable", "ctr": "portable", "sha1": "portable"}


def test_the_fastest_kernels_are_the_default() -> None:
    available = srtp.available_kernels()
    chosen = srtp.kernels()
    assert chosen["gcm"] == available["gcm"][0]
    assert chosen["ctr"] == available["ctr"][0]
    assert chosen["sha1"].split("+")[0] == available["sha1"][0]


@pytest.mark.parametrize("operation", ["gcm", "ctr", "sha1"])
def test_an_unknown_kernel_is_refused(operation: str) -> None:
    with pytest.raises(ValueError, match=r"kernel 'abacus' here; available: .*portable"):
        srtp.set_kernels(**{operation: "abacus"})
