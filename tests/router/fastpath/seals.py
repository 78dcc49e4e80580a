"""Watches what a plane sends for the worst mistake: two packets under one key and one index."""

import struct
from dataclasses import dataclass, field


@dataclass
class SealWatch:
    """
    Notes the RTP and RTCP datagrams to one peer under one key.

    Roll-over counters are guessed as RFC 3711 section 3.3.1 has it, so gaps must be short.
    """

    highest: dict[int, int] = field(default_factory=dict)
    """Highest index of each SSRC."""
    sealed: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """Datagrams by SSRC and index."""
    rtcp_indices: set[int] = field(default_factory=set)
    reused: list[tuple[int, int]] = field(default_factory=list)
    """SSRC and index of what was sealed twice, with different bytes; 0 and index for RTCP."""
    profile: int = 7

    def note(self, datagram: bytes) -> None:
        """Take one datagram; STUN and DTLS are passed over."""
        if len(datagram) < 12 or datagram[0] >> 6 != 2:
            return
        if 192 <= datagram[1] <= 223:
            at = len(datagram) - (4 if self.profile == 7 else 14)
            index = struct.unpack_from("!I", datagram, at)[0] & 0x7FFFFFFF
            if index in self.rtcp_indices:
                self.reused.append((0, index))
            self.rtcp_indices.add(index)
            return
        number, _, ssrc = struct.unpack_from("!HII", datagram, 2)
        highest = self.highest.get(ssrc, number)
        index = highest + ((number - highest + 0x8000) & 0xFFFF) - 0x8000
        self.highest[ssrc] = max(highest, index)
        if self.sealed.setdefault((ssrc, index), datagram) != datagram:
            self.reused.append((ssrc, index))
