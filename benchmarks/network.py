"""
A network of our own: two anonymous network namespaces with a veth pair between them; or one, for
what refuses loopback addresses.

This process moves into one of them, the server is put into the other. They have no names, so they
are gone when the processes are, however those end.
"""

import ctypes
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .processes import DIES_WITH_US

OURS, SERVERS = "10.97.0.2", "10.97.0.1"
_CLONE_NEWNET = 0x40000000
_CLONE_NEWUSER = 0x10000000
_DEADLINE = 10.0


@dataclass(frozen=True, slots=True)
class Link:
    """The way between load generator and server."""

    ours: str
    """Address of the load generator; likewise ``servers``."""
    servers: str
    enter: tuple[str, ...]
    """Command prefix that enters the server's namespace; empty on loopback."""

    @property
    def is_loopback(self) -> bool:
        """Whether there are no namespaces."""
        return not self.enter

    def drop_media(self, *, but_port: int) -> None:
        """Drop RTP at our ingress, but for one port; RTCP, DTLS and STUN pass."""
        rules = f"""table netdev bench {{
            chain ingress {{
                type filter hook ingress device "bench-load" priority 0; policy accept;
                udp dport {but_port} accept
                meta l4proto udp @th,64,2 2 @th,72,8 192-223 accept
                meta l4proto udp @th,64,2 2 drop
            }}
        }}"""
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)

    def let_through(self, port: int) -> None:
        """Except one more port from :meth:`drop_media`."""
        rule = f"insert rule netdev bench ingress udp dport {port} accept"
        subprocess.run(["nft", rule], check=True)


@contextmanager
def veth_link(*, segmenting: bool) -> Iterator[Link]:
    """
    Move this process into a namespace of its own, and link it with one for the server.

    Threads that run already stay where they are. There is no way back.

    :param segmenting: Whether the server's interface takes UDP runs whole, as network cards with
        ``tx-udp-segmentation`` do; else the kernel segments them before the driver.
    :raises OSError: without the privilege.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.readlink("/proc/self/ns/net")
    if libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "a network namespace cannot be made")
    command = [*DIES_WITH_US, "unshare", "--net", "cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as holder:
        try:
            _wait_for_namespace(holder.pid, {before, os.readlink("/proc/self/ns/net")})
            enter = ("nsenter", f"--net=/proc/{holder.pid}/ns/net", "--")
            pair = "ip link add bench-load type veth peer name bench-server netns"
            for prefix, command in (
                ((), f"{pair} {holder.pid}"),
                ((), "ip link set lo up"),
                ((), f"ip addr add {OURS}/24 dev bench-load"),
                ((), "ip link set bench-load up"),
                (enter, "ip link set lo up"),
                (enter, f"ip addr add {SERVERS}/24 dev bench-server"),
                (enter, "ip link set bench-server up"),
                (
                    enter,
                    "ethtool -K bench-server tx-udp-segmentation "
                    + ("on" if segmenting else "off"),
                ),
            ):
                _command((*prefix, *command.split()))
            yield Link(OURS, SERVERS, enter)
        finally:
            holder.kill()


def enter_own_network() -> Link:
    """
    Move this process into a namespace of its own where one address is not of a loopback interface.

    What goes from that address to itself takes the loopback interface all the same. Without root
    this needs user namespaces, and that no other thread runs. There is no way back.

    :raises OSError: where that is not allowed.
    """
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET | (_CLONE_NEWUSER if uid else 0)):
        raise OSError(ctypes.get_errno(), "a network namespace cannot be made")
    if uid:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    for command in (
        "ip link set lo up",
        "ip link add bench-server type veth peer name bench-load",
        f"ip addr add {SERVERS}/24 dev bench-server",
        "ip link set bench-server up",
        "ip link set bench-load up",
    ):
        _command(command.split())
    return Link(SERVERS, SERVERS, ())


def loopback_link() -> Link:
    """Return what there is without privileges."""
    return Link("127.0.0.1", "127.0.0.1", ())


def _command(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def _wait_for_namespace(pid: int, others: set[str]) -> None:
    deadline = time.monotonic() + _DEADLINE
    while os.readlink(f"/proc/{pid}/ns/net") in others:
        if time.monotonic() > deadline:
            raise OSError("the server's namespace was not made")
        time.sleep(0.01)
