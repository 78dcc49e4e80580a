"""What became of each RTP packet that a relay dropped."""

from collections import defaultdict
from dataclasses import dataclass

from .relay import RtpLog


@dataclass(frozen=True, slots=True)
class Repair:
    """How many packets of a stream were dropped on one way, and how many came after all."""

    dropped: int
    repaired: int

    @property
    def share(self) -> float:
        """The part that was repaired, 0..1."""
        return self.repaired / self.dropped


def _by_frame(log: RtpLog, packets: set[int]) -> dict[int, set[int]]:
    frames: dict[int, set[int]] = defaultdict(set)
    for sequence_number, timestamp in log.timestamps.items():
        if sequence_number in packets:
            frames[timestamp].add(sequence_number)
    return frames


def repaired_upward(up: RtpLog, down: RtpLog) -> Repair:
    """
    Compare what a publisher sent with what the server made of it for one subscriber.

    A frame has as many packets behind the server as before it, when none is missing. Nothing may
    have been lost or reordered when the logs began: their first frames are the same one.
    """
    media = up.timestamps.keys() - up.padded
    sent = _by_frame(up, media)
    forwarded = _by_frame(down, set(down.timestamps))
    offset = next(iter(forwarded)) - next(iter(sent))
    dropped = up.dropped & media
    repaired = 0
    for timestamp, packets in sent.items():
        arrived = len(forwarded.get((timestamp + offset) & 0xFFFFFFFF, ()))
        missing = max(0, len(packets) - arrived)
        repaired += max(0, len(packets & dropped) - missing)
    return Repair(len(dropped), repaired)


def repaired_downward(down: RtpLog, whole: set[int]) -> Repair:
    """
    Compare what the server sent with what a subscriber made of it.

    :param whole: RTP timestamps of the frames of which the subscriber got every packet. Of the
        others no packet counts as repaired.
    """
    repaired = sum(down.timestamps[packet] in whole for packet in down.dropped)
    return Repair(len(down.dropped), repaired)
