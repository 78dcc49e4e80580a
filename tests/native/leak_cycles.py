"""Makes, uses and closes data planes; run by ``run_leak_check.py`` under LeakSanitizer."""

import sys

from router._fastpath import plane as fp
from tests.router.fastpath import chaos


def main(cycles: int) -> None:
    """Some planes are cleaned up by commands, others thrown away as they are."""
    for cycle in range(cycles):
        chaos.run(cycle, 150)
        dropped = chaos.Chaos(cycle)
        for _ in range(100):
            dropped.step()
    for _ in range(cycles):
        plane = fp.DataPlane(max_transports=4, max_streams=4, max_slots=4)
        plane.bind("127.0.0.1", 0, receive_buffer=1 << 16, send_buffer=1 << 16)
        plane.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
