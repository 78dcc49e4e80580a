"""
The ``parlour`` command with media sockets that can be broken: one more for each SIGUSR1.

The descriptor of the socket then leads to something that is no socket, so that the data plane's own
system calls fail as they would after a fault of the machine. The lowest port goes first.
"""

import os
import signal
import socket
import threading

from signaling.cli import main


def media_sockets() -> list[tuple[int, int]]:
    """Return port and descriptor of the UDP sockets that are bound, sorted."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            duplicate = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        with duplicate:
            if duplicate.type == socket.SOCK_DGRAM and duplicate.family in (
                socket.AF_INET,
                socket.AF_INET6,
            ):
                found.append((duplicate.getsockname()[1], int(name)))
    return sorted(entry for entry in found if entry[0])


def break_when_told() -> None:
    """Break a media socket at each signal."""
    while True:
        signal.sigwait({signal.SIGUSR1})
        _, descriptor = media_sockets()[0]
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, descriptor)
        os.close(nothing)


if __name__ == "__main__":
    # Inherited by all threads: the signal waits for the one that asks for it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    threading.Thread(target=break_when_told, daemon=True).start()
    main()
