"""Where we send: the identities of down-link slots and the choice of sections for them."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from .section import DATA_CHANNEL_FORMAT, Outbound, Section

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from .matching import BundleTables


class SlotAllocator:
    """
    Gives sections the identity under which we send on them.

    An identity is drawn once in a section's life. Slot k of audio and slot k of video share their
    stream id, so that the client synchronises them.

    The ids in the msid follow from the seed: browsers tell of a track only when a section begins to
    receive, so a section that goes on sending from a new transport has to keep its id.

    :param receiver_seed: Secret of the peer, 16 bytes.
    """

    def __init__(self, rng: random.Random, receiver_seed: bytes) -> None:
        self._rng = rng
        self._seed = receiver_seed
        self._next_mid = 0

    def count(self, sections: Sequence[Section], kind: str) -> int:
        """Return how many slots of a kind are usable."""
        return sum(section.is_slot and section.kind == kind for section in sections)

    def allocate_in_answer(
        self, sections: list[Section], wanted: Mapping[str, int], *, avoid: set[int]
    ) -> list[Section]:
        """
        Return the sections of an answer with sending switched on where it should be.

        A section that was a slot stays one. The first of each kind always becomes one, so that a
        call of two needs no offer of ours; further ones do while fewer exist than wanted.

        :param wanted: Slots wanted by kind.
        :param avoid: SSRCs that the peer uses.
        """
        sections = list(sections)
        for kind, number in wanted.items():
            missing = max(1, number) - self.count(sections, kind)
            for position, section in enumerate(sections):
                if missing <= 0:
                    break
                if can_promote(section, kind):
                    sections[position] = self.identify(section, sections, avoid)
                    missing -= 1
        return sections

    def identify(self, section: Section, sections: Sequence[Section], avoid: set[int]) -> Section:
        """Return the section as one on which we send, with a new identity if it has none."""
        outbound = section.outbound or self._draw(section, sections, avoid)
        return replace(section, sends=True, outbound=outbound)

    def _draw(self, section: Section, sections: Sequence[Section], avoid: set[int]) -> Outbound:
        kind = section.kind
        held = [(item.kind, item.outbound) for item in sections if item.outbound is not None]
        indices = {outbound.index for of, outbound in held if of == kind}
        index = next(i for i in range(len(indices) + 1) if i not in indices)
        taken = avoid | {outbound.ssrc for _, outbound in held}
        taken |= {outbound.rtx_ssrc for _, outbound in held}
        ssrc = self._draw_ssrc(taken)
        return Outbound(
            index=index,
            receiver_id=self._derive_id(f"receiver {kind} {section.mid}"),
            stream_id=self._derive_id(f"stream {index}"),
            ssrc=ssrc,
            rtx_ssrc=self._draw_ssrc(taken | {ssrc}),
        )

    def _draw_ssrc(self, taken: set[int]) -> int:
        while (ssrc := self._rng.getrandbits(32)) in taken or ssrc == 0:
            pass
        return ssrc

    def _derive_id(self, name: str) -> str:
        digest = hashlib.blake2s(name.encode(), key=self._seed, digest_size=16).digest()
        return str(uuid.UUID(bytes=digest, version=4))

    def draw_mid(self, sections: Sequence[Section]) -> str:
        """Return a mid that no section has and that this server never gave before."""
        taken = {section.mid for section in sections}
        self._next_mid = max(self._next_mid, len(sections))
        while str(self._next_mid) in taken:
            self._next_mid += 1
        self._next_mid += 1
        return str(self._next_mid - 1)

    def add_in_offer(
        self,
        sections: list[Section],
        wanted: Mapping[str, int],
        *,
        tables: BundleTables,
        limit: int,
        avoid: set[int],
    ) -> None:
        """
        Switch sending on, or add sections, until the wanted slots are there or ``limit`` is.

        Sections that the peer can receive on come first, then stopped ones of the same kind, then
        new ones at the end.
        """
        for kind, number in wanted.items():
            missing = number - self.count(sections, kind)
            for position, section in enumerate(sections):
                if missing <= 0:
                    break
                if can_promote(section, kind):
                    sections[position] = self.identify(section, sections, avoid)
                    missing -= 1
            if missing <= 0:
                continue
            accepted = tables.propose(kind)
            for _ in range(missing):
                if not accepted.payload_types or not self._place(
                    sections,
                    Section(
                        kind=kind,
                        protocol="UDP/TLS/RTP/SAVPF",
                        formats=("0",),
                        payload_types=accepted.payload_types,
                        feedback=accepted.feedback,
                        payload_formats=accepted.payload_formats,
                        extmaps=accepted.extmaps,
                        sends=True,
                    ),
                    limit=limit,
                    avoid=avoid,
                ):
                    break

    def add_data_in_offer(self, sections: list[Section], *, limit: int) -> None:
        """Add an application section unless a live one is there or ``limit`` is reached."""
        if not has_data_channels(sections):
            section = Section(
                kind="application", protocol="UDP/DTLS/SCTP", formats=(DATA_CHANNEL_FORMAT,)
            )
            self._place(sections, section, limit=limit, avoid=set())

    def _place(
        self, sections: list[Section], section: Section, *, limit: int, avoid: set[int]
    ) -> bool:
        position = vacancy(sections, section.kind, limit)
        if position is None:
            return False
        section = replace(section, mid=self.draw_mid(sections))
        if section.is_media:
            section = self.identify(section, sections, avoid)
        sections[position : position + 1] = [section]
        return True


def vacancy(sections: Sequence[Section], kind: str, limit: int) -> int | None:
    """Return the position of a stopped section of this kind, or the end; None when it is full."""
    for position, section in enumerate(sections):
        if section.stopped and section.kind == kind:
            return position
    return len(sections) if len(sections) < limit else None


def has_data_channels(sections: Sequence[Section]) -> bool:
    """Say whether a live application section exists."""
    return any(section.kind == "application" and not section.stopped for section in sections)


def can_promote(section: Section, kind: str) -> bool:
    """Say whether we could send on a section that is no slot, without a new section."""
    return (
        section.is_media
        and section.kind == kind
        and section.remote_receives
        and not section.is_slot
    )
