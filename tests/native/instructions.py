"""
Count the instructions of the packet path: ``python tests/native/instructions.py [--update]``.

Time depends on the machine and on who else uses it, instructions depend on the code and the
compiler. Callgrind counts them, on the processor that valgrind emulates: there the fastest kernels
are AES-NI and the portable SHA-1, so the wider ones are compared by time (``tests/acceptance``).
With ``--update`` the counts become the figures that ``test_instructions.py`` compares with.
"""

import ctypes
import gc
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
FIGURES = HERE / "instructions.json"

FEW, MANY = 2, 12
SMALL_PACKET_BYTES = 60
ROUNDS = 1024

Part = tuple[str, int, Callable[[], object]]
"""What is counted, for how many packets (below 0: to be taken off), and the call that it is."""


def kernels() -> Iterator[Part]:
    """Yield parsing, and the kernels that valgrind can run."""
    from benchmarks.micro import bench_plane
    from router._fastpath import measure, srtp
    from router.rtp import RtpPacket

    packet = RtpPacket(
        payload_type=96,
        sequence_number=1,
        rtp_timestamp=2,
        ssrc=3,
        payload=bytes(1150),
        extensions=((2, b"\x01\x02\x03"), (3, b"\x00\x07")),
    ).serialize()
    kinds = bench_plane.table({2: 5, 3: 6}, 256)
    yield "parse", ROUNDS, lambda: measure.parse(packet, kinds, rounds=ROUNDS)
    for profile, name in ((7, "GCM"), (1, "CM")):
        for kernel in ("portable", "aesni"):
            for length in (1200, 160):
                for rounds, sign in ((2 * ROUNDS, 1), (ROUNDS, -1)):

                    def seal(
                        profile: int = profile,
                        kernel: str = kernel,
                        length: int = length,
                        rounds: int = rounds,
                    ) -> None:
                        srtp.set_kernels(gcm=kernel, ctr=kernel, sha1="portable")
                        measure.seal(profile, length=length, sessions=1, frame=8, rounds=rounds)

                    yield f"seal {name} {kernel} {length} B", sign * ROUNDS, seal
        for rounds, sign in ((2 * ROUNDS, 1), (ROUNDS, -1)):

            def unseal(profile: int = profile, rounds: int = rounds) -> None:
                srtp.set_kernels(gcm="aesni", ctr="aesni", sha1="portable")
                measure.unseal(profile, length=1200, sessions=1, rounds=rounds)

            yield f"open {name} aesni 1200 B", sign * ROUNDS, unseal


def fan_out() -> Iterator[Part]:
    """
    Yield what one more subscriber costs: a frame to many of them, less one to few.

    Packets are small, so that sealing does not hide what planning and rewriting take.
    """
    from benchmarks.micro import bench_plane
    from router._fastpath import srtp

    srtp.set_kernels(gcm="aesni", ctr="aesni", sha1="portable")
    bench_plane.PACKET_BYTES = SMALL_PACKET_BYTES
    for profile, name in ((7, "GCM"), (1, "CM")):
        for subscribers, sign in ((MANY, 1), (FEW, -1)):
            room = bench_plane.Room(profile, subscribers)
            packets = (MANY - FEW) * bench_plane.FRAME_PACKETS * sign
            for _ in range(3):
                room.frame()
            yield f"plan, rewrite and seal {name} {SMALL_PACKET_BYTES} B", packets, room.frame


def run_parts(library: str) -> None:
    """Run all parts, under Callgrind; it writes a file for each."""
    gc.disable()
    counter = ctypes.CDLL(library)
    for part in (*kernels(), *fan_out()):
        name, packets, call = part
        if "portable" not in name:
            call()  # what is done once only
        counter.counter_begin()
        call()
        counter.counter_end(f"{name}: {packets}".encode())


def count() -> dict[str, float]:
    """Return instructions per packet of each part."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "counter.so"
        compiler = os.environ.get("CC", "gcc")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-o", str(library), str(HERE / "counter.c")], check=True
        )
        subprocess.run(
            [
                *(
                    "valgrind",
                    "-q",
                    "--tool=callgrind",
                    "--collect-atstart=no",
                    f"--callgrind-out-file={folder}/counts",
                ),
                *(sys.executable, str(HERE / "instructions.py"), "--run", str(library)),
            ],
            cwd=CHECKOUT,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONHASHSEED": "0"},
            check=True,
        )
        counts: dict[str, float] = {}
        for file in Path(folder).glob("counts.*"):
            text = file.read_text()
            said = re.search(r"^desc: Trigger: Client Request: (.+): (-?\d+)$", text, re.MULTILINE)
            total = re.search(r"^totals: (\d+)$", text, re.MULTILINE)
            if said and total:
                name, packets = said[1], int(said[2])
                counts[name] = counts.get(name, 0) + int(total[1]) / packets
    return dict(sorted(counts.items()))


def compiler_version() -> str:
    """Return the compiler's name and major version, on which the figures depend."""
    said = subprocess.run(
        [os.environ.get("CC", "gcc"), "-dumpversion"], capture_output=True, text=True, check=True
    )
    return f"gcc {said.stdout.split('.')[0].strip()}"


def main(arguments: list[str]) -> None:
    """Count; or be what is counted."""
    if arguments[:1] == ["--run"]:
        run_parts(arguments[1])
        return
    counts = {name: round(value, 1) for name, value in count().items()}
    figures = {"compiler": compiler_version(), "instructions_per_packet": counts}
    print(json.dumps(figures, indent=2))
    if "--update" in arguments:
        FIGURES.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
